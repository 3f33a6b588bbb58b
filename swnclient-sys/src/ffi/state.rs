//! `struct swnc_state`.

use super::abi::{swnc_state, tevent_context};
use super::bindings::{_talloc_set_destructor, _talloc_zero};
use super::guard::{self, callback};
use super::loop_handle::LoopHandle;
use crate::errno::Errno;
use crate::witness_client::WitnessClient;
use libc::{c_int, c_void};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

const NAME: &CStr = c"struct swnc_state";

/// What hangs below a `struct swnc_state`.
pub(super) struct Handle {
    pub(super) client: Arc<WitnessClient<Arc<LoopHandle>>>,
    /// Of the contexts that requests were made for.
    loops: Mutex<Vec<Arc<LoopHandle>>>,
}

impl Handle {
    /// Returns the handle to a context's loop, which is made where there is none.
    ///
    /// # Safety
    /// `ev` is a tevent context of the calling thread's.
    pub(super) unsafe fn loop_handle(
        &self,
        ev: NonNull<tevent_context>,
    ) -> Result<Arc<LoopHandle>, Errno> {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loops.iter().find(|known| known.is_for(ev)) {
            return Ok(Arc::clone(known));
        }
        loops.retain(|known| known.is_open());
        // SAFETY: this function's contract.
        let new = unsafe { LoopHandle::new(ev, &self.client) }?;
        loops.push(Arc::clone(&new));
        self.client.set_notifiers(loops.as_slice().into());
        Ok(new)
    }
}

/// Makes a state below `ctx`.
///
/// # Safety
/// `ctx` is NULL or a talloc object of the calling thread's.
pub(super) unsafe fn new(ctx: *mut c_void) -> Result<NonNull<swnc_state>, Errno> {
    // SAFETY: this function's contract.
    let object = unsafe { _talloc_zero(ctx, size_of::<swnc_state>(), NAME.as_ptr()) };
    let object = NonNull::new(object.cast::<swnc_state>()).ok_or(Errno::NOMEM)?;
    let handle = Box::new(Handle { client: WitnessClient::new(), loops: Mutex::default() });
    // SAFETY: the object is new, and as large as it must be. The destructor owns
    // the box.
    unsafe {
        (*object.as_ptr()).inner = Box::into_raw(handle).cast();
        _talloc_set_destructor(object.as_ptr().cast(), Some(state_gone));
    }
    Ok(object)
}

/// What hangs below a state.
///
/// # Safety
/// `state` is NULL or a talloc object that outlives the result.
pub(super) unsafe fn handle<'a>(state: *mut swnc_state) -> Result<&'a Handle, Errno> {
    // SAFETY: this function's contract; the name tells that it is a state, whose
    // box lives as long as it does.
    unsafe {
        let state = guard::object(state, NAME)?;
        Ok(&*(*state.as_ptr()).inner.cast::<Handle>())
    }
}

callback! {
    /// The destructor.
    fn state_gone(state: *mut c_void) -> c_int {
        // talloc calls this once, with a state.
        let handle = Box::from_raw((*state.cast::<swnc_state>()).inner.cast::<Handle>());
        handle.client.close();
        for known in handle.loops.into_inner().unwrap_or_else(PoisonError::into_inner) {
            known.retire();
        }
        Ok(0)
    }
    // A forked process touches nothing.
    or |_| 0;
}

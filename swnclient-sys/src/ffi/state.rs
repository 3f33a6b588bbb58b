//! `struct swnc_state`.

use super::abi::{swnc_state, tevent_context};
use super::bindings::{_talloc_set_destructor, _talloc_zero};
use super::guard;
use super::link::Link;
use crate::errno::Errno;
use crate::state::State;
use libc::{c_int, c_void};
use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

const NAME: &CStr = c"struct swnc_state";

/// What hangs below a `struct swnc_state`.
pub(super) struct Handle {
    pub(super) state: Arc<State<Arc<Link>>>,
    /// To the contexts that requests were made for.
    links: Mutex<Vec<Arc<Link>>>,
}

impl Handle {
    /// The link to a context, which is made where there is none.
    ///
    /// # Safety
    /// `ev` is a tevent context of the calling thread's.
    pub(super) unsafe fn link(&self, ev: NonNull<tevent_context>) -> Result<Arc<Link>, Errno> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.iter().find(|link| link.leads_to(ev)) {
            return Ok(Arc::clone(link));
        }
        links.retain(|link| link.is_open());
        // SAFETY: this function's contract.
        let link = unsafe { Link::new(ev, &self.state) }?;
        links.push(Arc::clone(&link));
        self.state.set_bells(links.as_slice().into());
        Ok(link)
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
    let handle = Box::new(Handle { state: State::new(), links: Mutex::default() });
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

/// The destructor. In a forked process nothing is touched.
unsafe extern "C" fn state_gone(state: *mut c_void) -> c_int {
    let result = guard::run(|| {
        // SAFETY: talloc calls this once, with a state.
        let handle = unsafe { Box::from_raw((*state.cast::<swnc_state>()).inner.cast::<Handle>()) };
        handle.state.close();
        for link in handle.links.into_inner().unwrap_or_else(PoisonError::into_inner) {
            link.retire();
        }
        Ok(())
    });
    let _ = result;
    0
}

//! Requests: real tevent requests, made for the caller's context and completed
//! on its thread.

use super::abi::{swn_registration_info, swnc_state, tevent_context, tevent_req};
use super::bindings::{
    _tevent_req_create, _tevent_req_data, _tevent_req_done, _tevent_req_error, _tevent_req_oom,
    TEVENT_REQ_NO_MEMORY, TEVENT_REQ_RECEIVED, TEVENT_REQ_TIMED_OUT, TEVENT_REQ_USER_ERROR,
    location, tevent_req_defer_callback, tevent_req_is_error, tevent_req_is_in_progress,
    tevent_req_post, tevent_req_received, tevent_req_set_cancel_fn, tevent_req_set_cleanup_fn,
};
use super::guard::{self, callback};
use super::loop_handle::LoopHandle;
use super::{convert, state};
use crate::errno::Errno;
use crate::registry::RequestId;
use crate::witness_client::WitnessClient;
use core_client::{Notification, RegistrationRequest};
use libc::{c_int, c_void};
use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// Which pair of _send and _recv a request belongs to: the talloc type of its
/// state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(&'static CStr);

impl Kind {
    pub(super) const REGISTER: Self = Self(c"struct swnc_register_state");
    pub(super) const WAIT: Self = Self(c"struct swnc_wait_notification_state");
    pub(super) const UNREGISTER: Self = Self(c"struct swnc_unregister_state");
}

/// What hangs below a tevent request.
struct Request {
    client: Arc<WitnessClient<Arc<LoopHandle>>>,
    loop_handle: Arc<LoopHandle>,
    id: RequestId,
    info: RegistrationRequest,
    /// What a wait has got and the caller has not received.
    batch: Vec<Notification>,
}

/// The talloc object that tevent makes as the request's state.
#[repr(C)]
struct Data {
    /// A box, or NULL: the request failed at once.
    request: *mut Request,
}

/// Makes a request for a registration that `start` starts. NULL where there is no
/// memory for it, or no context to complete it on.
///
/// # Safety
/// `ctx` and `state` are each NULL or a talloc object, `ev` is NULL or a tevent
/// context, all the calling thread's; `info` is NULL or as swnclient.h describes it.
pub(super) unsafe fn send(
    kind: Kind,
    ctx: *mut c_void,
    ev: *mut tevent_context,
    state: *mut swnc_state,
    info: *mut swn_registration_info,
    start: impl FnOnce(
        &WitnessClient<Arc<LoopHandle>>,
        RegistrationRequest,
        Arc<LoopHandle>,
    ) -> Result<RequestId, Errno>,
) -> *mut tevent_req {
    let Some(context) = NonNull::new(ev) else {
        return ptr::null_mut();
    };
    let mut data = ptr::null_mut();
    let (size, name) = (size_of::<Data>(), kind.0.as_ptr());
    // SAFETY: this function's contract.
    let req = unsafe { _tevent_req_create(ctx, &raw mut data, size, name, location!()) };
    if req.is_null() {
        return req;
    }
    let started = guard::run(|| {
        // SAFETY: this function's contract.
        let (info, client, loop_handle) = unsafe {
            let handle = state::handle(state)?;
            let info = convert::registration_request(info)?;
            (info, Arc::clone(&handle.client), handle.loop_handle(context)?)
        };
        let id = start(&client, info.clone(), Arc::clone(&loop_handle))?;
        let request = Request { client, loop_handle, id, info, batch: Vec::new() };
        let request = Box::into_raw(Box::new(request));
        // SAFETY: tevent made the data, of this size and zeroed; from now on the
        // clean-up function owns the box.
        unsafe {
            (*data.cast::<Data>()).request = request;
            tevent_req_set_cleanup_fn(req, cleanup);
            tevent_req_set_cancel_fn(req, cancel);
            (*request).loop_handle.add((*request).id, req, complete)
        }
    });
    match started {
        Ok(()) => req,
        // SAFETY: the caller does not know of the request yet, so there is no
        // callback to be called.
        Err(errno) => unsafe {
            finish(req, Err(errno));
            tevent_req_post(req, ev)
        },
    }
}

/// Ends a request with its outcome, if it has one by now.
///
/// # Safety
/// `req` is a request that [`send`] has started, on its context's thread.
unsafe fn complete(req: *mut tevent_req) {
    // SAFETY: this function's contract; no reference is kept while the caller's
    // callback runs, which may free the request.
    let outcome = unsafe {
        if !tevent_req_is_in_progress(req) {
            return;
        }
        let Some(request) = request(req) else {
            return;
        };
        let Some(outcome) = request.client.poll(request.id) else {
            return;
        };
        outcome.map(|batch| request.batch = batch)
    };
    // SAFETY: as above.
    unsafe { finish(req, outcome) };
}

/// # Safety
/// `req` is in progress.
unsafe fn finish(req: *mut tevent_req, outcome: Result<(), Errno>) {
    // SAFETY: this function's contract.
    unsafe {
        match outcome {
            Ok(()) => _tevent_req_done(req, location!()),
            Err(Errno::NOMEM) => _tevent_req_oom(req, location!()),
            Err(Errno(errno)) => {
                let errno = u64::from(errno.unsigned_abs());
                _tevent_req_error(req, errno, location!());
            }
        }
    }
}

/// Takes a request's result: `take` gets the registration and its notifications, and may fail.
/// By tevent's convention a result is taken once.
///
/// # Safety
/// `req` is NULL or a tevent request of the calling thread's.
pub(super) unsafe fn receive(
    req: *mut tevent_req,
    kind: Kind,
    take: impl FnOnce(&RegistrationRequest, &[Notification]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let req = guard::argument(req)?.as_ptr();
    let (mut state, mut error) = (0, 0);
    // SAFETY: this function's contract. The data is NULL once it was received.
    let failed = unsafe {
        guard::object(_tevent_req_data(req), kind.0)?;
        if tevent_req_is_in_progress(req) {
            return Err(Errno::INVAL);
        }
        tevent_req_is_error(req, &raw mut state, &raw mut error)
    };
    let result = if failed {
        Err(match state {
            TEVENT_REQ_TIMED_OUT => Errno(libc::ETIMEDOUT),
            TEVENT_REQ_NO_MEMORY => Errno::NOMEM,
            TEVENT_REQ_USER_ERROR => i32::try_from(error).map_or(Errno::FAULT, Errno),
            _ => Errno::INVAL,
        })
    } else {
        // SAFETY: as above.
        match unsafe { request(req) } {
            Some(request) => {
                let taken = take(&request.info, &request.batch);
                if taken.is_ok() {
                    request.batch.clear();
                }
                taken
            }
            None => Err(Errno::FAULT),
        }
    };
    // SAFETY: as above. The clean-up function returns what was not taken.
    unsafe { tevent_req_received(req) };
    result
}

/// # Safety
/// `req` is one of ours, not received yet, and there is no other reference to
/// its request.
unsafe fn request<'a>(req: *mut tevent_req) -> Option<&'a mut Request> {
    // SAFETY: this function's contract.
    unsafe { (*_tevent_req_data(req).cast::<Data>()).request.as_mut() }
}

callback! {
    /// Called when a request has ended, for whatever reason, and again when it is
    /// received or freed.
    fn cleanup(req: *mut tevent_req, state: c_int) {
        // tevent calls this while the data is there, which has NULL or the box.
        let data = &mut *_tevent_req_data(req).cast::<Data>();
        let Some(request) = data.request.as_mut() else {
            return Ok(());
        };
        request.loop_handle.remove(request.id);
        request.client.abandon(request.id);
        if state == TEVENT_REQ_RECEIVED {
            // The box, for the last time.
            let request =
                Box::from_raw(std::mem::replace(&mut data.request, ptr::null_mut()));
            if !request.batch.is_empty() {
                request.client.give_back(request.info, request.batch);
            }
        }
        Ok(())
    }
    // A forked process touches nothing.
    or |_| ();

    /// tevent_req_cancel: the callback follows.
    fn cancel(req: *mut tevent_req) -> bool {
        // tevent calls this while the request is in progress.
        let request = request(req).ok_or(Errno::INVAL)?;
        // It is alive, or the caller could not cancel.
        tevent_req_defer_callback(req, request.loop_handle.context());
        finish(req, Err(Errno::CANCELED));
        Ok(true)
    }
    or |_| false;
}

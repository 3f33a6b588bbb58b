//! The one place that every call from C goes through.
//!
//! Only the macros of this file write `extern "C"` functions, each around a body
//! that runs under the guard: `entry!` those of the interface, `callback!` those
//! that talloc and tevent call. tests/source.rs finds any that is written by hand.

use super::abi::tevent_req;
use super::bindings::talloc_check_name;
use crate::engine;
use crate::errno::Errno;
use libc::c_int;
use std::any::Any;
use std::ffi::CStr;
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr::{self, NonNull};
use std::sync::Once;

/// Defines functions of the interface. The return type says what a body gives: see
/// [`Return`]. A body may do what the function's description allows it to.
macro_rules! entry {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty $body:block
    )*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// As the description says.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the caller's contract.
            $crate::ffi::guard::Return::of(|| unsafe { $body })
        }
    )*};
}
pub(super) use entry;

/// Defines functions that talloc and tevent call, whose bodies give a `Result`; what
/// follows `or` makes an [`Errno`] what C gets. A body may do what talloc and tevent
/// allow it to.
macro_rules! callback {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
        or $refused:expr;
    )*) => {$(
        $(#[$doc])*
        unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the contract between this library and the one that calls.
            $crate::ffi::guard::run(|| unsafe { $body }).unwrap_or_else($refused)
        }
    )*};
}
pub(super) use callback;

/// What a function of the interface returns.
pub(super) trait Return: Sized {
    /// What its body gives.
    type Body;

    /// Runs a body, of which no panic gets out.
    fn of(body: impl FnOnce() -> Self::Body) -> Self;
}

/// 0, or the errno that the body ends with.
impl Return for c_int {
    type Body = Result<(), Errno>;

    fn of(body: impl FnOnce() -> Self::Body) -> Self {
        match run(body) {
            Ok(()) => 0,
            Err(errno) => errno.0,
        }
    }
}

/// A request, which tells itself of what goes wrong once it is there: see
/// `request::send`.
impl Return for *mut tevent_req {
    type Body = Self;

    fn of(body: impl FnOnce() -> Self::Body) -> Self {
        contain(body).unwrap_or(ptr::null_mut())
    }
}

/// Runs what C has called. A panic ends here, as [`Errno::FAULT`]; a process that
/// was forked at the wrong time runs nothing.
pub(super) fn run<T>(body: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    if engine::is_forked() {
        return Err(Errno::FORKED);
    }
    contain(body).unwrap_or(Err(Errno::FAULT))
}

/// Runs `body`; `None` where it panics.
fn contain<T>(body: impl FnOnce() -> T) -> Option<T> {
    log_panics();
    // Whatever is shared is in order between any two statements, or behind a
    // lock that says so.
    panic::catch_unwind(AssertUnwindSafe(body)).ok()
}

/// A panic is one line in the log. The library has its own copy of the standard
/// library, so this is no other program's hook.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map_or("?", Location::file);
            let line = info.location().map_or(0, Location::line);
            log::error!("internal error at {place}:{line}: {}", reason(info.payload()));
        }));
    });
}

fn reason(payload: &dyn Any) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or("panic"),
    }
}

/// An argument that must not be NULL.
pub(super) fn argument<T>(pointer: *mut T) -> Result<NonNull<T>, Errno> {
    NonNull::new(pointer).ok_or(Errno::INVAL)
}

/// A talloc object that must have a certain type.
///
/// # Safety
/// `pointer` is NULL or a talloc object.
pub(super) unsafe fn object<T>(pointer: *mut T, name: &CStr) -> Result<NonNull<T>, Errno> {
    let object = argument(pointer)?;
    // SAFETY: a talloc object, by this function's contract.
    let named = unsafe { talloc_check_name(object.as_ptr().cast(), name.as_ptr()) };
    argument(named.cast())
}

#[cfg(test)]
mod tests {
    use super::argument;
    use crate::errno::Errno;
    use crate::ffi::abi::tevent_req;
    use libc::c_int;
    use std::ptr::null_mut;

    /// What a body calls is unsafe.
    unsafe fn panics<T>() -> T {
        panic!("on purpose")
    }

    unsafe fn takes(pointer: *mut u8) -> Result<(), Errno> {
        argument(pointer).map(drop)
    }

    entry! {
        fn panicking_recv() -> c_int {
            panics()
        }

        fn panicking_send() -> *mut tevent_req {
            panics()
        }

        fn taking(pointer: *mut u8) -> c_int {
            takes(pointer)
        }
    }

    callback! {
        fn panicking_callback() -> bool {
            panics()
        }
        or |errno| errno == Errno::FAULT;
    }

    #[test]
    fn a_panic_does_not_cross_the_boundary() {
        // SAFETY: they ask for nothing.
        unsafe {
            assert_eq!(panicking_recv(), libc::EFAULT);
            assert!(panicking_send().is_null());
            assert!(panicking_callback());
        }
    }

    #[test]
    fn null_is_an_invalid_argument() {
        assert_eq!(argument(null_mut::<u8>()), Err(Errno::INVAL));
        // SAFETY: as above.
        assert_eq!(unsafe { taking(null_mut()) }, libc::EINVAL);
    }
}

//! The one place that every call from C goes through.

use super::bindings::talloc_check_name;
use crate::engine;
use crate::errno::Errno;
use libc::c_int;
use std::any::Any;
use std::ffi::CStr;
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr::NonNull;
use std::sync::Once;

/// Runs the body of an entry point: 0 or the errno that it ends with.
pub(super) fn call(body: impl FnOnce() -> Result<(), Errno>) -> c_int {
    match run(body) {
        Ok(()) => 0,
        Err(errno) => errno.0,
    }
}

/// Runs what C has called. A panic ends here, as [`Errno::FAULT`]; so does a
/// call in a process that was forked at the wrong time.
pub(super) fn run<T>(body: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    log_panics();
    if engine::is_forked() {
        return Err(Errno::FORKED);
    }
    // Whatever is shared is in order between any two statements, or behind a
    // lock that says so.
    panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Errno::FAULT))
}

/// A panic is one line in the log. The library has its own copy of the standard
/// library, so this is nobody else's hook.
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
    use super::{argument, call};
    use crate::errno::Errno;
    use std::ptr::null_mut;

    #[test]
    fn a_panic_does_not_cross_the_boundary() {
        assert_eq!(call(|| panic!("on purpose")), libc::EFAULT);
    }

    #[test]
    fn null_is_an_invalid_argument() {
        assert_eq!(argument(null_mut::<u8>()), Err(Errno::INVAL));
        assert_eq!(call(|| argument(null_mut::<u8>()).map(drop)), libc::EINVAL);
    }
}

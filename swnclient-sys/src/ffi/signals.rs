//! Signals are for the caller's threads.

use std::mem::MaybeUninit;
use std::ptr;

/// Calls `f`, and threads that it starts inherit a mask that blocks everything:
/// a signal handler of the caller never runs on a thread of the library.
pub(crate) fn blocked<T>(f: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset and pthread_sigmask write the sets they are given.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = f();
    // SAFETY: `before` was written above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

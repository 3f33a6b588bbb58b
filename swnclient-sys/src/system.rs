//! What the operating system is asked for without the standard library: an
//! eventfd, a mask of signals, an interface's number.
#![allow(unsafe_code, reason = "calls of the C library")]
#![deny(unsafe_op_in_unsafe_fn)]

use crate::errno::Errno;
use libc::c_int;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// Readable from a [`write`](EventFd::write) to the next [`read`](EventFd::read).
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> Result<Self, Errno> {
        // SAFETY: it makes a file descriptor, which nothing else owns.
        unsafe {
            match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
                -1 => Err(Errno::from(&io::Error::last_os_error())),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    pub(crate) fn number(&self) -> c_int {
        self.0.as_raw_fd()
    }

    pub(crate) fn write(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes of this function's. It fails where it was written
        // to 2^64 - 2 times without a read: it is readable then.
        let _ = unsafe { libc::write(self.number(), one.as_ptr().cast(), one.len()) };
    }

    pub(crate) fn read(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: as above. It fails where it was not readable.
        let _ = unsafe { libc::read(self.number(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// The number of an interface; `None` where there is none of that name.
pub(crate) fn interface(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a string of this function's.
    Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|index| *index != 0)
}

/// Calls `f`; threads that it starts inherit a mask that blocks every signal, so
/// that a handler of the caller's never runs on a thread of the library.
pub(crate) fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
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

#[cfg(test)]
mod tests {
    use super::EventFd;

    fn is_readable(eventfd: &EventFd) -> bool {
        let mut poll = libc::pollfd { fd: eventfd.number(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure of this function's.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn an_eventfd_is_readable_from_a_write_to_the_next_read() {
        let eventfd = EventFd::new().unwrap();
        assert!(!is_readable(&eventfd));
        eventfd.write();
        eventfd.write();
        assert!(is_readable(&eventfd));
        eventfd.read();
        assert!(!is_readable(&eventfd));
        eventfd.read();
    }
}

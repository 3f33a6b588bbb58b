//! eventfd(2).

use crate::errno::Errno;
use libc::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Readable from a [`write`](EventFd::write) to the next [`read`](EventFd::read).
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> Result<Self, Errno> {
        // SAFETY: it makes a file descriptor, which nobody else knows of.
        unsafe {
            match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
                -1 => Err(Errno::from(&io::Error::last_os_error())),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    pub(super) fn number(&self) -> c_int {
        self.0.as_raw_fd()
    }

    pub(super) fn write(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight bytes of this function's. It fails where it was written
        // to 2^64 - 2 times without a read: it is readable then.
        let _ = unsafe { libc::write(self.number(), one.as_ptr().cast(), one.len()) };
    }

    pub(super) fn read(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: as above. It fails where it was not readable.
        let _ = unsafe { libc::read(self.number(), count.as_mut_ptr().cast(), count.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::EventFd;

    fn is_readable(bell: &EventFd) -> bool {
        let mut poll = libc::pollfd { fd: bell.number(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure of this function's.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn it_is_readable_from_a_write_to_the_next_read() {
        let bell = EventFd::new().unwrap();
        assert!(!is_readable(&bell));
        bell.write();
        bell.write();
        assert!(is_readable(&bell));
        bell.read();
        assert!(!is_readable(&bell));
        bell.read();
    }
}

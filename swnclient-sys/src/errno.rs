//! What a C caller is told where something went wrong.

use core_client::Error;
use std::io::{self, ErrorKind};

/// An errno, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    pub(crate) const BUSY: Self = Self(libc::EBUSY);
    pub(crate) const CANCELED: Self = Self(libc::ECANCELED);
    pub(crate) const EXIST: Self = Self(libc::EEXIST);
    pub(crate) const FAULT: Self = Self(libc::EFAULT);
    pub(crate) const INVAL: Self = Self(libc::EINVAL);
    pub(crate) const NOENT: Self = Self(libc::ENOENT);
    pub(crate) const NOMEM: Self = Self(libc::ENOMEM);
    /// In a process that was forked when the library's thread was running.
    pub(crate) const FORKED: Self = Self(libc::ENOTRECOVERABLE);
    /// The caller's credentials cannot be used at all.
    pub(crate) const ACCES: Self = Self(libc::EACCES);
}

impl From<&io::Error> for Errno {
    /// Of something that the operating system has not given.
    fn from(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EAGAIN))
    }
}

impl From<&Error> for Errno {
    fn from(error: &Error) -> Self {
        Self(match error {
            Error::NetNameIsAddress(_) => libc::EINVAL,
            Error::AccessDenied { .. }
            | Error::MapperAccessDenied { .. }
            | Error::Kerberos(_)
            | Error::TicketRefused { .. } => libc::EACCES,
            Error::NoDescriptor { .. } => libc::EMFILE,
            Error::Resolve { .. } => libc::EHOSTUNREACH,
            Error::Connect { kind, .. } | Error::Lost { kind, .. } => match kind {
                ErrorKind::ConnectionRefused => libc::ECONNREFUSED,
                ErrorKind::TimedOut => libc::ETIMEDOUT,
                _ => libc::EHOSTUNREACH,
            },
            Error::Timeout { .. } | Error::KerberosTimeout { .. } => libc::ETIMEDOUT,
            Error::NoWitness | Error::NoService { .. } => libc::ENOTSUP,
            // `Error` may grow; whatever a server does wrong is a matter of the
            // protocol.
            _ => libc::EPROTO,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Errno;
    use core_client::{Awaited, Error};
    use dcerpc_proto::association::AssociationError;
    use dcerpc_proto::epm::EpmError;
    use std::io::ErrorKind;
    use std::time::Duration;

    #[test]
    fn every_failure_has_the_errno_of_the_interface() {
        let address = "192.0.2.1:135".parse().unwrap();
        let ip = "192.0.2.1".parse().unwrap();
        let connect = |kind| Error::Connect { address, kind };
        for (error, errno) in [
            (Error::NetNameIsAddress("192.0.2.1".into()), libc::EINVAL),
            (Error::AccessDenied { address: ip, detail: "no".into() }, libc::EACCES),
            (Error::Resolve { name: "x".into(), reason: "y".into() }, libc::EHOSTUNREACH),
            (connect(ErrorKind::ConnectionRefused), libc::ECONNREFUSED),
            (connect(ErrorKind::HostUnreachable), libc::EHOSTUNREACH),
            (connect(ErrorKind::NetworkUnreachable), libc::EHOSTUNREACH),
            (connect(ErrorKind::TimedOut), libc::ETIMEDOUT),
            (
                Error::Timeout {
                    address: ip,
                    awaited: Awaited::Bind,
                    after: Duration::from_secs(5),
                },
                libc::ETIMEDOUT,
            ),
            (Error::NoDescriptor { address }, libc::EMFILE),
            (Error::NoWitness, libc::ENOTSUP),
            (Error::Lost { address, kind: ErrorKind::UnexpectedEof }, libc::EHOSTUNREACH),
            (Error::NoService { address: ip, error: EpmError::NotRegistered }, libc::ENOTSUP),
            (
                Error::Association { address: ip, error: AssociationError::NoHeaderSigning },
                libc::EPROTO,
            ),
        ] {
            assert_eq!(Errno::from(&error), Errno(errno), "{error}");
        }
    }
}

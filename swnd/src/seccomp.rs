//! The system calls that swnd may make, as a seccomp filter (seccomp(2)): whatever takes
//! over one of its threads starts no program, loads no module and opens no raw socket.
//! `calls` has the list.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod program;

use crate::options::Seccomp;
use std::io;

/// Installs the filter, for this thread and all that it starts: to be called before the
/// first. It takes `no_new_privs`, as `privileges` sets it.
///
/// # Errors
/// The kernel has no seccomp filters, or this architecture has no list.
pub fn install(mode: Seccomp) -> io::Result<()> {
    match mode {
        Seccomp::Off => Ok(()),
        Seccomp::Refuse | Seccomp::Kill => install_filter(mode == Seccomp::Kill),
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn install_filter(kill: bool) -> io::Result<()> {
    let refusal = match kill {
        true => program::Refusal::Kill,
        false => program::Refusal::Error,
    };
    program::install(&program::program(&calls::list(std::process::id()), refusal))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn install_filter(_kill: bool) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "no list of calls for this architecture"))
}

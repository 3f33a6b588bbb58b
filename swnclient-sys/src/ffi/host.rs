//! What this host is called.

use libc::{AI_CANONNAME, addrinfo};
use smol_str::SmolStr;
use std::ffi::{CStr, CString};
use std::ptr;

/// HOST_NAME_MAX of Linux, and a NUL.
const NAME_SIZE: usize = 65;

/// The kernel's name of the host, with or without a domain.
pub(crate) fn name() -> Option<CString> {
    let mut buffer = [0u8; NAME_SIZE];
    // SAFETY: the buffer is as long as it is said to be.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len()) } != 0;
    let name = CStr::from_bytes_until_nul(&buffer).ok()?;
    (!failed && !name.is_empty()).then(|| name.to_owned())
}

/// The host's name with its domain, where the system knows it. May ask DNS.
pub(crate) fn fqdn() -> Option<SmolStr> {
    let name = name()?;
    let canonical = if name.to_bytes().contains(&b'.') { None } else { canonical(&name) };
    canonical.or_else(|| name.to_str().ok().map(SmolStr::from))
}

fn canonical(name: &CStr) -> Option<SmolStr> {
    // SAFETY: all of addrinfo's fields may be zero.
    let mut hints: addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = AI_CANONNAME;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends with NUL, the other pointers are to live variables.
    if unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) }
        != 0
    {
        return None;
    }
    // SAFETY: getaddrinfo succeeded: `list` is its first entry, which alone has
    // the name, if any has.
    let found = unsafe { list.as_ref() }.filter(|first| !first.ai_canonname.is_null()).and_then(
        // SAFETY: not NULL, ends with NUL.
        |first| unsafe { CStr::from_ptr(first.ai_canonname) }.to_str().ok().map(SmolStr::from),
    );
    // SAFETY: getaddrinfo's, and nothing of it is used any more.
    unsafe { libc::freeaddrinfo(list) };
    found
}

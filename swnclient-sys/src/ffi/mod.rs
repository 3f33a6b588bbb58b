//! The boundary to C: all of the library's `unsafe` code.
//!
//! Nothing here decides anything: the modules translate between C and the rest
//! of the crate, which is safe.
// Names are C's; what is public is so for C, and for cbindgen.
#![allow(unsafe_code, non_camel_case_types, unreachable_pub)]
#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod bindings;
mod credentials;
mod entry;
mod eventfd;
mod guard;
pub(crate) mod host;
mod info;
mod lines;
mod link;
mod notifications;
mod request;
pub(crate) mod signals;
mod state;

/// The place in the source, as talloc and tevent want it for their reports.
macro_rules! location {
    () => {
        match std::ffi::CStr::from_bytes_with_nul(concat!(file!(), ":", line!(), "\0").as_bytes()) {
            Ok(text) => text.as_ptr(),
            Err(_) => std::ptr::null(),
        }
    };
}
use location;

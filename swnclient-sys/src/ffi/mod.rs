//! The boundary to C.
//!
//! Nothing here decides anything: the modules translate between C and the rest
//! of the crate, which is safe but for `system`.
// Names are C's; what is public is so for C, and for cbindgen.
#![allow(unsafe_code, non_camel_case_types, unreachable_pub)]
#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod bindings;
mod convert;
mod credentials;
mod debug_callback;
mod entry;
mod guard;
mod loop_handle;
mod request;
mod state;

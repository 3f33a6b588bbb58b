//! libswnclient.so.0: the witness client for C programs that use talloc and
//! tevent.
//!
//! - `ffi` has the eight entry points, and everything that touches talloc, tevent
//!   and Samba's credentials, on the caller's thread only. It and `system`, which
//!   calls the C library, have all of the `unsafe` code.
//! - `witness_client` is what a `struct swnc_state` has: the `registry`, which
//!   knows who waits for what, and the client, which runs on the `engine`, a
//!   thread of its own, and leaves what happens in the `inbox`.
//! - `debug` carries log lines to the caller's callback; `errno` says what a
//!   failure is called in C.

mod backlog;
mod debug;
mod engine;
mod errno;
mod ffi;
mod inbox;
mod registry;
mod report;
mod sync;
mod system;
mod witness_client;

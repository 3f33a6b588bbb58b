//! Everything that reads what others send, as fuzz targets: plain functions that
//! must not panic, whatever the bytes. `tests/bounded.rs` runs them for a bounded
//! number of cases wherever the tests run; README.md says how to run them for
//! longer.

mod association;
mod client;
mod control;
mod handshake;
mod kernel;
mod script;
mod seeds;
mod target;

pub use target::{TARGETS, Target};

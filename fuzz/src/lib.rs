//! Everything that reads what others send, as fuzz targets: plain functions that
//! must not panic, whatever the bytes. `tests/bounded.rs` runs them for a bounded
//! number of cases wherever the tests run; README.md says how to run them for
//! longer.

// libswnclient's, for `c_inbox`.
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../swnclient-sys/src/backlog.rs"]
mod backlog;
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../swnclient-sys/src/errno.rs"]
mod errno;
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../swnclient-sys/src/inbox.rs"]
mod inbox;
#[allow(dead_code, reason = "the target uses a part of it")]
#[path = "../../swnclient-sys/src/registry/mod.rs"]
mod registry;
#[path = "../../swnclient-sys/src/sync.rs"]
mod sync;

mod association;
mod c_library;
mod client;
mod control;
mod files;
mod handshake;
mod kernel;
mod script;
mod seeds;
mod target;

pub use target::{TARGETS, Target};

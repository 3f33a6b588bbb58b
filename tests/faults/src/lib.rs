//! Proofs that a registration survives everything a cluster does, in virtual
//! time: the project's own client, and the cluster in a box.
//!
//! - [`Bench`] is a cluster, its clients and a consumer that behaves as the
//!   kernel does.
//! - [`Ledger`] watches them, and complains where a promise is broken.
//! - [`matrix`] is each fault at each step of a registration's life.
//! - [`schedule`] is a random life.

#![allow(clippy::indexing_slicing, reason = "a test fails by a panic")]

mod bench;
pub mod fleet;
mod ledger;
pub mod matrix;
pub mod schedule;

pub use bench::{Bench, ECHO, Mount, MountId};
pub use ledger::Ledger;

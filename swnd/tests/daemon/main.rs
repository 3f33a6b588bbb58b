//! The daemon, and its table and its link by themselves, with a stand-in for the
//! kernel.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

// They are registered as the machine.
#[cfg(feature = "kerberos")]
mod adopted;
mod client;
mod control;
mod daemon;
mod link;
mod stuck;
mod table;
mod verified;

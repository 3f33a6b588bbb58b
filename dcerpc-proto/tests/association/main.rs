//! Associations against a server that the tests play: every PDU type, any
//! fragmentation, and what a broken or hostile server may send.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

mod bind;
mod calls;
mod captured;
mod hostile;
mod memory;
mod pdus;
mod protection;
mod reassembly;
mod support;

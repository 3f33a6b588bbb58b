//! A connection-oriented DCE/RPC 5.0 client (C706, [MS-RPCE]).
//!
//! Everything here is sans-IO: [`association::Association`] takes the bytes
//! that arrive and gives the bytes to send; who owns the socket, the clock and
//! the event loop is the caller's business.

pub mod association;
pub mod epm;
pub mod ndr;
mod operation;
pub mod pdu;
pub mod security;

pub use operation::{Operation, ResponseError};

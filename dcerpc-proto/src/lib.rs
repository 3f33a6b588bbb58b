#![doc = include_str!("../README.md")]

pub mod association;
pub mod epm;
pub mod ndr;
mod operation;
pub mod pdu;
pub mod security;

pub use operation::{Operation, ResponseError};

//! The control program of `swnd`.
//!
//! A library only so that the binary and the tests share it; nothing here is an
//! interface for others.

pub mod demo;
pub mod options;
mod out;

//! The control program of `swnd`.
//!
//! A library only so that the binary and the tests share it; nothing here is an
//! interface for others.

mod address;
pub mod check;
pub mod commands;
pub mod config;
pub mod connection;
pub mod demo;
pub mod exit;
pub mod metrics;
pub mod mounts;
pub mod options;
mod out;
mod resolve;
mod selection;
mod show;
mod terminal;
mod trial;
pub mod witness;

//! The witness daemon: it listens to the kernel's `cifs` family, registers each
//! mount at a witness of its cluster, and hands what the witness reports to the
//! kernel.
//!
//! A library only so that the binary, the tests and the demonstration (`swnctl`)
//! share it; nothing here is an interface for others.

pub mod account;
pub mod adoption;
pub mod authentication;
pub mod control;
pub mod counters;
pub mod daemon;
pub mod descriptors;
pub mod event_loop;
pub mod failover;
pub mod hardening;
pub mod kernel;
pub mod logging;
mod mount;
pub mod mountinfo;
pub mod options;
pub mod panics;
mod paths;
pub mod privileges;
pub mod reload;
pub mod report;
pub mod request_key;
pub mod seccomp;
pub mod service_manager;
pub mod settings;
mod status;
pub mod table;
mod text;

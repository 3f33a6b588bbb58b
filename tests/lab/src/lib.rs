//! Tests against the real thing: a Samba CTDB cluster with its witness service, and a Linux kernel whose cifs client
//! runs `swnd`. This crate drives the scripts beside it; `README.md` says how they work.
//!
//! Everything here panics where it fails: a test has no caller to hand an error to. What was made is removed when
//! its value is dropped, and also when the test process ends in any other way, because each script that holds
//! something gives it up at the end of its standard input.

#![allow(clippy::indexing_slicing, reason = "tests fail by panics")]

mod capture;
mod client;
mod cluster;
mod connection;
mod guest;
mod mount;
mod namespace;
mod netlink;
pub mod scenario;
mod shares;
mod swnd;
mod takeover;
mod wait;
mod witness;
mod writer;

pub use capture::Capture;
pub use client::LabClient;
pub use cluster::Cluster;
pub use connection::Connection;
pub use guest::{Guest, Output, Process};
pub use mount::{Mount, MountOptions};
pub use namespace::{in_client_namespace, in_node_namespace};
pub use netlink::{Attributes, Message, sockaddr_storage};
pub use swnd::Swnd;
pub use wait::wait_until;
pub use witness::{Registration, Select, Target};
pub use writer::{Trace, Writer, WriterOptions, Written};

use std::path::{Path, PathBuf};

/// The name under which clients mount.
pub const CLUSTER_NAME: &str = "WITCLU";
/// The share that the cluster serves.
pub const SHARE: &str = "data";
/// The user that can mount it.
pub const USER: &str = "swnuser";
/// [`USER`]'s password.
pub const PASSWORD: &str = "swnpass";
/// What NTLM makes of it, which is as good: MD4 of the UTF-16.
const NT_HASH: &str = "ed40bed6ae3e99a0c4318abc4aedcf1a";

/// A script of the lab.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Where the cluster keeps its files while it is up.
fn lab_dir() -> PathBuf {
    std::env::var_os("SWN_LAB").map_or_else(|| PathBuf::from("/tmp/swn-lab"), PathBuf::from)
}

/// A program of this crate that cargo has built with the same profile as the test.
fn beside_test(name: &str) -> PathBuf {
    profile_dir().join(name)
}

/// What another package's build has left at TARGET/`place`; `how` is the command for it.
///
/// # Panics
/// Where it hasn't been built.
pub fn built(place: &str, how: &str) -> PathBuf {
    let target =
        profile_dir().parent().expect("a profile is in cargo's target directory").to_owned();
    let file = target.join(place);
    assert!(file.exists(), "{} is missing: {how}", file.display());
    file
}

/// TARGET/debug or TARGET/release, where this is TARGET/debug/deps/lab-0123 or TARGET/release/bench.
fn profile_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    let dir = program.parent().expect("a program is in a directory");
    let is_deps = dir.file_name().is_some_and(|name| name == "deps");
    dir.ancestors().nth(usize::from(is_deps)).expect("cargo's directories").to_owned()
}

//! Many registrations through many faults at random: all of them registered in
//! the end, none twice, and nothing left of it. The seed decides what happens.
//! This is how much of it a test run has; for all of it:
//!
//!     SOAK_REGISTRATIONS=2000 SOAK_FAULTS=200 SOAK_SEED=1 \
//!         cargo test -p witness-sim --test soak -- --nocapture

#![allow(clippy::unwrap_used)]

mod allocations;
mod script;
#[cfg(feature = "net")]
mod sockets;
mod virtual_time;

use std::sync::{Mutex, MutexGuard, PoisonError};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationRequest};

/// The nodes of the cluster.
const NODES: u8 = 5;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Settings {
    registrations: u64,
    faults: u64,
    seed: u64,
}

impl Settings {
    fn new(registrations: u64, faults: u64) -> Self {
        let setting = |name: &str, default: u64| match std::env::var(name) {
            Ok(value) => value.parse().unwrap(),
            Err(_) => default,
        };
        Self {
            registrations: setting("SOAK_REGISTRATIONS", registrations),
            faults: setting("SOAK_FAULTS", faults),
            seed: setting("SOAK_SEED", 1),
        }
    }
}

/// One test at a time: what is allocated is counted for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn credentials() -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", "secret"))
}

/// What the registration of that number asks for: each share is another, and
/// the nodes take turns in serving them.
fn request(number: u64, subnet: [u8; 3]) -> RegistrationRequest {
    let [a, b, c] = subnet;
    let node = u8::try_from(number % u64::from(NODES)).unwrap() + 1;
    RegistrationRequest::new("cluster.example.test")
        .share(format!("data{number}"))
        .served_by([a, b, c, 10 + node].into())
        .scale_out()
}

/// Bytes, to be read.
fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes / 1024)
}

//! Failovers F1 to F11 under a writer: how often the kernel's connection is lost, which errors the program sees, whether
//! its file is right, and what is registered afterwards. Stalls are printed; `benches/run stall` judges them.
//!
//! `SWND` names another daemon, `SWND_OPTIONS` has options for it. With `LAB_VARIANT=without` everything runs without a
//! daemon, for comparison, and with `LAB_VARIANT=adopted` with mounts that swnd adopts, and
//! with `LAB_VARIANT=asked` where the kernel asks it for their addresses. With `LAB_LOG` the daemon's log is printed.

#![allow(clippy::indexing_slicing, reason = "tests fail by panics")]

mod adopted;
mod deaths;
mod faults;
mod losses;
mod open_files;
mod planned;
mod several;

use lab::Cluster;
use lab::scenario::{Outcome, Scenario, Variant};

/// The daemon under test, or none where that is asked for.
fn variant() -> Variant {
    match std::env::var("LAB_VARIANT").as_deref() {
        Ok("without") => Variant::Without,
        Ok("adopted") => Variant::Adopted(std::env::var("SWND_OPTIONS").unwrap_or_default()),
        Ok("asked") => Variant::Resolving(std::env::var("SWND_OPTIONS").unwrap_or_default()),
        _ => Variant::under_test(),
    }
}

/// Runs a scenario with the daemon under test.
fn run(name: &str, scenario: &impl Scenario) -> Outcome {
    let cluster = Cluster::fresh();
    let variant = variant();
    let outcome = scenario.run(&cluster, &variant);
    println!("{name}, {variant}: {outcome}");
    if std::env::var_os("LAB_LOG").is_some() {
        println!("{}", outcome.log);
    }
    outcome
}

/// The kernel's one connection was lost that often, its programs saw no error but EBADF, and went on with their
/// descriptors; the mount is registered, once.
fn assert_losses(outcome: &Outcome, losses: u64) {
    assert!(outcome.stall.has_ended(), "a writer stalls without end\n{}", outcome.log);
    assert_eq!(outcome.losses, [losses], "losses of the kernel's connection\n{}", outcome.log);
    assert_no_errors(outcome);
    assert_registered(outcome, 1);
}

/// Whether the daemon under test ends dead connections: it decides, and the kernel lets it.
fn ends_dead_connections() -> bool {
    let kernel = std::env::var("LAB_KERNEL").unwrap_or_default();
    let is_let = !kernel.contains("+nodestroy") && !kernel.contains("+nodiag");
    is_let
        && match variant() {
            Variant::Swnd(options) | Variant::Adopted(options) | Variant::Resolving(options) => {
                !options.contains("forward")
            }
            Variant::Without | Variant::Other(_) => false,
        }
}

/// swnd has ended the kernel's dead connection, which nothing else does before the kernel misses its echoes.
fn assert_ended_by_swnd(outcome: &Outcome) {
    let is_ended = outcome.log.contains("ended the kernel's dead connection");
    assert!(is_ended || !ends_dead_connections(), "swnd was no help\n{}", outcome.log);
}

/// The writers saw no errors but those that the loss of a connection causes without a daemon, too, at most one for
/// each loss, and went on with their descriptors.
fn assert_no_errors(outcome: &Outcome) {
    let log = &outcome.log;
    assert!(outcome.stall.has_ended(), "a writer stalls without end\n{log}");
    let losses = outcome.losses.iter().sum();
    for written in &outcome.written {
        let (of_losses, others): (Vec<_>, Vec<_>) =
            written.errors.iter().partition(|(error, _)| is_of_a_loss(error));
        assert!(others.is_empty(), "errors of a writer: {others:?}\n{log}");
        let count: u64 = of_losses.iter().map(|(_, count)| **count).sum();
        assert!(count <= losses, "{of_losses:?} in {losses} losses\n{log}");
        assert_eq!(written.reopened, 0, "files that a writer had to open again\n{log}");
    }
}

/// Whether a request gives this error where its connection ends just then: docs/kernel.md, 15.
fn is_of_a_loss(error: &str) -> bool {
    let kernel = std::env::var("LAB_KERNEL").unwrap_or_default();
    let is_old = kernel.split('+').next() == Some("6.1");
    error.starts_with("fdatasync: Software caused connection abort")
        || is_old && error.starts_with("fdatasync: Resource temporarily unavailable")
}

/// There are so many registrations, for an address that the kernel has a session with.
fn assert_registered(outcome: &Outcome, count: usize) {
    let Some(list) = &outcome.registrations else { return };
    assert_eq!(list.len(), count, "{list:#?}\n{}", outcome.log);
    for entry in list {
        assert_eq!(Some(entry.ip_address), outcome.address, "{entry:#?}\n{}", outcome.log);
    }
}

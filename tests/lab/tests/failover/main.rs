//! Failovers F1 to F11 under a writer: how often the kernel's connection is lost, which errors the program sees, whether
//! its file is right, and what is registered afterwards. Stalls are printed; `benches/run stall` judges them.
//!
//! `SWND` names another daemon, `SWND_OPTIONS` has options for it. With `LAB_VARIANT=without` everything runs without a
//! daemon, for comparison.

#![allow(clippy::indexing_slicing, reason = "tests fail by panics")]

mod deaths;
mod planned;

use lab::Cluster;
use lab::scenario::{Outcome, Scenario, Variant};

/// Runs a scenario with the daemon under test.
fn run(name: &str, scenario: &impl Scenario) -> Outcome {
    let cluster = Cluster::fresh();
    let variant = match std::env::var("LAB_VARIANT").as_deref() {
        Ok("without") => Variant::Without,
        _ => Variant::under_test(),
    };
    let outcome = scenario.run(&cluster, &variant);
    println!("{name}, {variant}: {outcome}");
    outcome
}

/// The kernel's one connection was lost that often, the program saw no error but EBADF, and went on with its descriptor;
/// the mount is registered, once.
fn assert_losses(outcome: &Outcome, losses: u64) {
    let log = &outcome.log;
    assert!(outcome.stall.has_ended(), "the writer stalls without end\n{log}");
    assert_eq!(outcome.losses, [losses], "losses of the kernel's connection\n{log}");
    let written = outcome.written.as_ref().expect("the writer has ended");
    assert!(written.errors.is_empty(), "errors of the writer: {:?}\n{log}", written.errors);
    assert_eq!(written.reopened, 0, "files that the writer had to open again\n{log}");
    assert_registered(outcome);
}

/// The mount is registered once, for the address that the kernel's session is with.
fn assert_registered(outcome: &Outcome) {
    let Some(list) = &outcome.registrations else { return };
    assert_eq!(list.len(), 1, "{list:#?}\n{}", outcome.log);
    assert_eq!(Some(list[0].ip_address), outcome.address, "{list:#?}\n{}", outcome.log);
}

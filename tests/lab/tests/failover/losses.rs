//! What the loss of a connection costs a program by itself, and with notifications at the same time: F11. These need a
//! kernel with CONFIG_INET_DIAG_DESTROY.

use std::time::Duration;

use lab::Cluster;
use lab::scenario::{Ends, Outcome, Pairs, Scenario, Variant};

use crate::{assert_losses, run};

/// How often a connection is ended where EBADF is counted.
const ENDS: u64 = 60;

fn end_connections(options: &'static str) -> Outcome {
    let cluster = Cluster::fresh();
    let outcome = Ends { times: ENDS, options }.run(&cluster, &Variant::Without);
    println!("{ENDS} connections ended, mounted with {options}: {outcome}");
    outcome
}

#[test]
fn after_ebadf_the_same_descriptor_goes_on_and_only_fdatasync_has_it() {
    let outcome = end_connections("hard");
    assert_losses(&outcome, ENDS);
    assert_eq!(outcome.written[0].ebadf.get("pwrite"), None, "{outcome}");
}

#[test]
fn without_strict_sync_there_is_no_ebadf() {
    let outcome = end_connections("hard,nostrictsync");
    assert_losses(&outcome, ENDS);
    assert_eq!(outcome.written[0].ebadf(), 0, "{outcome}");
}

#[test]
fn f11_notifications_during_a_reconnect_cost_no_other_connection() {
    for (gap, seed) in [(0, 11), (1, 22), (12, 33), (100, 44)] {
        let pairs = Pairs { times: 10, gap: Duration::from_millis(gap), seed };
        assert_losses(&run(&format!("F11, {gap} ms apart"), &pairs), pairs.times);
    }
}

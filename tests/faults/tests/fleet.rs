//! A fleet comes through the death of a node. `docs/fleet.md` has more.

#![allow(clippy::unwrap_used)]

use faults::fleet;
use std::time::Duration;
use swnclient::proto::Config;

#[test]
fn ten_thousand_clients_come_back_without_a_rush() {
    let spread = Config::default().loss_spread;
    let with = fleet::run(10_000, spread, 1);
    let without = fleet::run(10_000, Duration::ZERO, 1);
    assert!(with.concerned > 3_000 && without.concerned > 3_000);
    assert!(
        without.peak() >= 10 * with.peak(),
        "{} without, {} with jitter",
        without.peak(),
        with.peak()
    );
    for outcome in [with, without] {
        assert!(outcome.percent(99).unwrap() <= Duration::from_secs(60));
        assert!(outcome.percent(100).is_some());
    }
}

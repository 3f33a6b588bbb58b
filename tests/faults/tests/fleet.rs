//! A fleet comes through the death of a node. `docs/fleet.md` has more.

#![allow(clippy::unwrap_used)]

use faults::fleet;
use std::path::Path;
use std::time::Duration;
use swnclient_proto::Config;

#[test]
fn ten_thousand_clients_come_back_without_a_rush_and_as_documented() {
    let spread = Config::default().loss_spread;
    let with = fleet::run(10_000, 3, spread, 1);
    let without = fleet::run(10_000, 3, Duration::ZERO, 1);
    assert!(with.concerned > 3_000 && without.concerned > 3_000);
    assert!(
        without.peak() >= 10 * with.peak(),
        "{} without, {} with jitter",
        without.peak(),
        with.peak()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fleet.md");
    let document = std::fs::read_to_string(path).unwrap();
    for outcome in [with, without] {
        assert!(outcome.percent(99).unwrap() <= Duration::from_secs(60));
        assert!(outcome.percent(100).is_some());
        let row = fleet::row(&outcome);
        assert!(document.contains(&row), "docs/fleet.md is out of date: it has no {row}");
    }
}

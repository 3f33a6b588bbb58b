//! Nodes die: F1, F2, F3, F7, F9, F10.

use std::time::Duration;

use lab::scenario::Death;

use crate::{assert_losses, run};

#[test]
fn f1_the_serving_node_dies_and_its_address_is_taken_over() {
    assert_losses(&run("F1", &Death::with_takeover()), 1);
}

#[test]
fn f2_the_serving_node_dies_and_nothing_resets_the_connection() {
    assert_losses(&run("F2", &Death::without_reset()), 1);
}

#[test]
fn f3_the_serving_node_dies_and_its_address_stays_dead() {
    assert_losses(&run("F3", &Death::without_takeover()), 1);
}

#[test]
fn f7_an_idle_mount_is_used_after_its_node_has_died() {
    assert_losses(&run("F7", &Death::of_an_idle_mount()), 1);
}

#[test]
fn f9_the_death_of_a_node_that_does_not_serve_the_mount_costs_nothing() {
    assert_losses(&run("F9", &Death::elsewhere()), 0);
}

#[test]
fn f10_a_hard_mount_waits_for_a_late_takeover() {
    for delay in [0, 3, 8, 30].map(Duration::from_secs) {
        let name = format!("F10, hard, takeover {delay:?} after the death");
        assert_losses(&run(&name, &Death::with_late_takeover(delay, "hard")), 1);
    }
}

#[test]
fn f10_a_soft_mount_loses_no_data_that_it_has_acknowledged() {
    for delay in [0, 3, 8, 30].map(Duration::from_secs) {
        let name = format!("F10, soft, takeover {delay:?} after the death");
        let outcome = run(&name, &Death::with_late_takeover(delay, "soft"));
        assert!(outcome.stall.has_ended(), "the writer stalls without end\n{}", outcome.log);
        assert_eq!(outcome.losses, [1], "{}", outcome.log);
    }
}

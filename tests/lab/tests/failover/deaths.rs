//! Nodes die: F1, F2, F3, F6, F7, F9, F10.

use std::time::Duration;

use lab::scenario::{Death, DoubleDeath, Order, Outcome, Variant};

use crate::{
    assert_ended_by_swnd, assert_losses, assert_no_errors, assert_registered,
    ends_dead_connections, run, variant,
};

#[test]
fn f1_the_serving_node_dies_and_its_address_is_taken_over() {
    assert_losses(&run("F1", &Death::with_takeover()), 1);
}

#[test]
fn f2_the_serving_node_dies_and_nothing_resets_the_connection() {
    let outcome = run("F2", &Death::without_reset());
    assert_losses(&outcome, 1);
    assert_ended_by_swnd(&outcome);
}

#[test]
fn f3_the_serving_node_dies_and_its_address_stays_dead() {
    assert_losses(&run("F3", &Death::without_takeover()), 1);
}

#[test]
fn f6_the_serving_node_and_that_of_the_witness_die_together() {
    assert_double(Order::Together);
}

#[test]
fn f6_the_node_of_the_witness_dies_and_then_the_serving_node() {
    assert_double(Order::WitnessFirst(Duration::from_secs(3)));
}

#[test]
fn f6_the_serving_node_dies_and_then_its_successor() {
    assert_double(Order::SuccessorToo(Duration::from_secs(5)));
}

fn assert_double(order: Order) {
    let double = DoubleDeath::new(order);
    assert_losses(&run(&format!("F6, {order:?}"), &double), double.losses());
}

#[test]
fn f7_an_idle_mount_is_used_after_its_node_has_died() {
    let outcome = run("F7", &Death::of_an_idle_mount());
    assert_losses(&outcome, 1);
    assert_ended_by_swnd(&outcome);
}

#[test]
fn a_death_of_which_the_witness_tells_nothing_is_seen_by_a_connection_beside_the_kernels() {
    // Mounts that are adopted are asked for by no kernel.
    let is_seen = ends_dead_connections() && matches!(variant(), Variant::Swnd(_));
    let death = Death { mute: is_seen, ..Death::with_a_mute_witness() };
    let outcome = run("F2, the witness is mute", &death);
    assert_losses(&outcome, 1);
    assert!(!is_seen || outcome.log.contains("may be dead"), "{}", outcome.log);
}

#[test]
fn f9_the_death_of_a_node_that_does_not_serve_the_mount_costs_nothing() {
    assert_losses(&run("F9", &Death::elsewhere()), 0);
}

/// When the address is taken over, after the death.
const TAKEOVERS: [u64; 4] = [0, 3, 8, 30];
/// The one that falls together with swnd's decision to move the mount: the kernel may have
/// reconnected by then, and be moved all the same.
const JUST_THEN: u64 = 3;

/// Checks that the mount has lost one connection, or just then two.
fn assert_few_losses(outcome: &Outcome, takeover: u64) {
    let most = if takeover == JUST_THEN { 2 } else { 1 };
    assert!(matches!(outcome.losses[..], [lost] if (1..=most).contains(&lost)), "{}", outcome.log);
}

fn run_late_takeovers(options: &'static str) -> Vec<Outcome> {
    let run_one = |seconds| {
        let death = Death::with_late_takeover(Duration::from_secs(seconds), options);
        run(&format!("F10, {options}, takeover {seconds} s after the death"), &death)
    };
    TAKEOVERS.map(run_one).into()
}

#[test]
fn f10_a_hard_mount_waits_for_a_late_takeover() {
    for (outcome, takeover) in run_late_takeovers("hard").into_iter().zip(TAKEOVERS) {
        assert_few_losses(&outcome, takeover);
        assert_no_errors(&outcome);
        assert_registered(&outcome, 1);
    }
}

#[test]
fn f10_a_soft_mount_loses_nothing_that_it_has_acknowledged() {
    // That the file is right has been seen to when the writer ended.
    for (outcome, takeover) in run_late_takeovers("soft").into_iter().zip(TAKEOVERS) {
        assert!(outcome.stall.has_ended(), "the writer stalls without end\n{}", outcome.log);
        assert_few_losses(&outcome, takeover);
        assert_registered(&outcome, 1);
    }
}

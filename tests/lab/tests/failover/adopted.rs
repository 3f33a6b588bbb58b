//! Mounts without the option `witness`, which swnd adopts: F1, F2, F4, F5, F7, F9.

use lab::Cluster;
use lab::scenario::{Death, Outcome, Planned, PlannedStep, Scenario, Variant};

use crate::{assert_losses, assert_no_errors, assert_registered};

fn run(name: &str, scenario: &impl Scenario) -> Outcome {
    let variant = Variant::Adopted(std::env::var("SWND_OPTIONS").unwrap_or_default());
    let outcome = scenario.run(&Cluster::fresh(), &variant);
    println!("{name}, {variant}: {outcome}");
    if std::env::var_os("LAB_LOG").is_some() {
        println!("{}", outcome.log);
    }
    outcome
}

#[test]
fn adopted_f1_the_serving_node_dies_and_its_address_is_taken_over() {
    assert_losses(&run("F1", &Death::with_takeover()), 1);
}

#[test]
fn adopted_f2_the_serving_node_dies_and_nothing_resets_the_connection() {
    assert_losses(&run("F2", &Death::without_reset()), 1);
}

#[test]
fn adopted_f4_an_administrator_cannot_move_the_client_where_its_name_does_not_lead() {
    let outcome = run("F4", &Planned::new(PlannedStep::ClientMove));
    assert_eq!(outcome.losses, [0], "{}", outcome.log);
    assert_no_errors(&outcome);
    assert_registered(&outcome, 1);
    assert!(outcome.log.contains("not moved to"), "{}", outcome.log);
}

#[test]
fn adopted_f5_a_node_is_taken_out_of_service() {
    assert_losses(&run("F5", &Planned::new(PlannedStep::Disable)), 1);
}

#[test]
fn adopted_f7_an_idle_mount_is_used_after_its_node_has_died() {
    assert_losses(&run("F7", &Death::of_an_idle_mount()), 1);
}

#[test]
fn adopted_f9_the_death_of_a_node_that_does_not_serve_the_mount_costs_nothing() {
    assert_losses(&run("F9", &Death::elsewhere()), 0);
}

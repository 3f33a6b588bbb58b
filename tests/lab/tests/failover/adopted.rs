//! Mounts without the option `witness`, which swnd adopts: F1 to F5, F7, F9.

use std::time::Duration;

use lab::scenario::{Death, Outcome, Planned, PlannedStep, Scenario, Setup, Stage, Variant};
use lab::{Cluster, Mount, wait_until};

use crate::{assert_ended_by_swnd, assert_losses, assert_no_errors, assert_registered};

fn run(name: &str, scenario: &impl Scenario) -> Outcome {
    run_variant(name, scenario, Variant::Adopted)
}

fn run_variant(
    name: &str,
    scenario: &impl Scenario,
    variant: impl FnOnce(String) -> Variant,
) -> Outcome {
    let variant = variant(std::env::var("SWND_OPTIONS").unwrap_or_default());
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
    let outcome = run("F2", &Death::without_reset());
    assert_losses(&outcome, 1);
    assert_ended_by_swnd(&outcome);
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
    let outcome = run("F7", &Death::of_an_idle_mount());
    assert_losses(&outcome, 1);
    assert_ended_by_swnd(&outcome);
}

#[test]
fn adopted_f9_the_death_of_a_node_that_does_not_serve_the_mount_costs_nothing() {
    assert_losses(&run("F9", &Death::elsewhere()), 0);
}

#[test]
fn asked_f3_the_serving_node_dies_and_its_address_stays_dead() {
    assert_losses(&run_variant("F3", &Death::without_takeover(), Variant::Resolving), 1);
}

#[test]
fn asked_f4_an_administrator_moves_the_client() {
    let outcome = run_variant("F4", &Planned::new(PlannedStep::ClientMove), Variant::Resolving);
    assert_losses(&outcome, 1);
    assert!(outcome.log.contains("served by"), "{}", outcome.log);
}

#[test]
fn asked_f1_the_serving_node_dies_and_its_address_is_taken_over() {
    assert_losses(&run_variant("F1", &Death::with_takeover(), Variant::Resolving), 1);
}

/// Something during which swnd is killed, once it has said this.
struct Killed<S> {
    scenario: S,
    after: &'static str,
}

impl<S: Scenario> Scenario for Killed<S> {
    fn setup(&self) -> Setup {
        let echo_interval = Mount::ECHO_INTERVAL;
        Setup { registered: false, echo_interval, ..self.scenario.setup() }
    }

    fn prepare(&self, stage: &Stage<'_>) {
        self.scenario.prepare(stage);
    }

    fn strike(&self, stage: &Stage<'_>) {
        self.scenario.strike(stage);
        wait_until("swnd is at work", Duration::from_secs(30), || {
            let log = stage.log();
            if log.contains(self.after) { Ok(()) } else { Err(log) }
        });
        stage.guest.ok("kill -KILL $(pidof swnd)");
    }
}

#[test]
fn killed_f1_f2_f5_f7_f9_the_mount_does_what_it_does_without_swnd() {
    for (name, scenario, after) in [
        ("F1", Death::with_takeover(), "looking at the kernel's connection"),
        ("F2", Death::without_reset(), "looking at the kernel's connection"),
        // Before it knows: the kernel is left to its echoes.
        ("F2", Death::without_reset(), "registered at witness"),
        ("F7", Death::of_an_idle_mount(), "registered at witness"),
    ] {
        let outcome = run(&format!("{name}, swnd is killed in it"), &Killed { scenario, after });
        assert_losses(&outcome, 1);
    }
    let after = "looking at the kernel's connection";
    let killed = Killed { scenario: Planned::new(PlannedStep::Disable), after };
    assert_losses(&run("F5, swnd is killed in it", &killed), 1);
    let killed = Killed { scenario: Death::elsewhere(), after: "registered at witness" };
    assert_losses(&run("F9, swnd is killed in it", &killed), 0);
}

#[test]
fn killed_f3_f4_a_mount_for_which_the_kernel_asks_does_what_it_does_without_swnd() {
    let scenario = Planned::new(PlannedStep::ClientMove);
    let killed = Killed { scenario, after: "asking that address first" };
    let outcome = run_variant("F4, swnd is killed in it", &killed, Variant::Resolving);
    assert_no_errors(&outcome);
    assert!(outcome.losses[0] <= 1, "{outcome}");
    // The kernel goes on trying the dead address.
    let killed = Killed { scenario: Death::without_takeover(), after: "registered at witness" };
    let outcome = run_variant("F3, swnd is killed in it", &killed, Variant::Resolving);
    assert!(!outcome.stall.has_ended(), "{outcome}");
}

//! Several mounts of one client: F8.

use lab::scenario::{Mounts, Several};

use crate::{assert_no_errors, assert_registered, run};

fn assert_one_loss_each(mounts: Mounts) {
    let several = Several::new(mounts);
    let outcome = run(&format!("F8, {mounts:?}"), &several);
    let losses = vec![1; several.connections()];
    assert_eq!(outcome.losses, losses, "losses of the kernel's connections\n{}", outcome.log);
    assert_no_errors(&outcome);
    assert_registered(&outcome, several.registrations());
}

#[test]
fn f8_ten_mounts_over_one_connection() {
    assert_one_loss_each(Mounts::Ten);
}

#[test]
fn f8_two_users_over_one_connection() {
    assert_one_loss_each(Mounts::TwoUsers);
}

#[test]
fn f8_one_share_over_two_connections() {
    assert_one_loss_each(Mounts::TwoConnections);
}

/// The kernel loses the first channel once more when the second one comes back, with and without a daemon
/// (docs/kernel.md).
#[test]
fn f8_a_session_over_two_channels() {
    let several = Several::new(Mounts::Multichannel);
    let outcome = run("F8, Multichannel", &several);
    let losses = &outcome.losses;
    let known = [[1, 1], [2, 1], [2, 0]];
    assert!(known.iter().any(|known| losses == known), "losses: {losses:?}\n{}", outcome.log);
    assert_no_errors(&outcome);
    assert_registered(&outcome, several.registrations());
}

//! What an administrator does: F4 and F5.

use lab::scenario::{Planned, PlannedStep};

use crate::{assert_losses, run};

#[test]
fn f4_an_administrator_moves_the_client() {
    let outcome = run("F4", &Planned::new(PlannedStep::ClientMove));
    assert_losses(&outcome, 1);
}

#[test]
fn f5_an_administrator_moves_the_address() {
    assert_losses(&run("F5, moveip", &Planned::new(PlannedStep::AddressMove)), 1);
}

#[test]
fn f5_a_node_is_taken_out_of_service() {
    assert_losses(&run("F5, disable", &Planned::new(PlannedStep::Disable)), 1);
}

#[test]
fn f5_a_node_is_taken_out_of_service_and_put_back() {
    let planned = Planned::new(PlannedStep::DisableAndEnable);
    assert_losses(&run("F5, disable and enable", &planned), planned.losses());
}

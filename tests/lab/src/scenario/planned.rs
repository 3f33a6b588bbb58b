//! What an administrator does: F4 and F5.

use super::{Scenario, Setup, Stage};
use crate::{Cluster, Select, Target, wait_until};
use std::time::Duration;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedStep {
    /// F4: the client is told to go to another node. Nothing happens without a daemon.
    ClientMove,
    /// F5: the address is moved to another node.
    AddressMove,
    /// F5: the serving node is taken out of service.
    Disable,
    /// F5: the serving node is taken out of service and put back, after which its address comes back to it.
    DisableAndEnable,
}

/// Something that an administrator does while the mount is in use.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What is done.
    pub step: PlannedStep,
    /// How the mount is set up.
    pub setup: Setup,
}

impl Planned {
    /// With the usual mount.
    pub fn new(step: PlannedStep) -> Planned {
        Planned { step, setup: Setup::default() }
    }

    /// How often the server ends the connection.
    pub fn losses(&self) -> u64 {
        if self.step == PlannedStep::DisableAndEnable { 2 } else { 1 }
    }
}

impl Scenario for Planned {
    fn setup(&self) -> Setup {
        self.setup.clone()
    }

    fn strike(&self, stage: &Stage<'_>) {
        let Stage { cluster, address, node, .. } = stage;
        let other = (0..Cluster::NODES).find(|other| other != node).expect("several nodes");
        match self.step {
            PlannedStep::ClientMove if !stage.is_watched() => {}
            PlannedStep::ClientMove => {
                let to = cluster.address_of(other);
                cluster.client_move(Select::All, Target::Ip(to.into()));
            }
            PlannedStep::AddressMove => cluster.move_address(*address, other),
            PlannedStep::Disable => cluster.disable(*node),
            PlannedStep::DisableAndEnable => {
                cluster.disable(*node);
                cluster.wait_moved(*address, *node);
                stage.writer().wait_for_progress();
                cluster.enable(*node);
                wait_until("the address is back", Duration::from_secs(30), || {
                    let holders = cluster.holders();
                    if holders.get(address) == Some(&Some(*node)) {
                        Ok(())
                    } else {
                        Err(format!("{holders:?}"))
                    }
                });
            }
        }
    }
}

//! Two nodes die: F6.

use std::thread::sleep;
use std::time::Duration;

use super::{Scenario, Setup, Stage};
use crate::{Cluster, Mount};

/// Which two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The serving node and that of its witness, together.
    Together,
    /// The witness's node, and so long after it the serving node.
    WitnessFirst(Duration),
    /// The serving node, and so long after it the node that has taken its address over.
    SuccessorToo(Duration),
}

/// The death of two of three nodes.
#[derive(Debug, Clone)]
pub struct DoubleDeath {
    /// Which two, and when.
    pub order: Order,
    setup: Setup,
}

impl DoubleDeath {
    /// F6, with the kernel's default echo interval.
    pub fn new(order: Order) -> DoubleDeath {
        let setup = Setup {
            echo_interval: Mount::DEFAULT_ECHO_INTERVAL,
            limit: super::death::UNTIL_ECHOES_ARE_MISSED,
            ..Setup::default()
        };
        DoubleDeath { order, setup }
    }

    /// How many connections the deaths themselves cost.
    pub fn losses(&self) -> u64 {
        if matches!(self.order, Order::SuccessorToo(_)) { 2 } else { 1 }
    }
}

/// The node of the mount's witness; without one, some other than the serving node.
pub(super) fn witness_node(stage: &Stage<'_>) -> usize {
    let witness = stage.is_watched().then(|| stage.registration().witness);
    let of_witness = stage
        .cluster
        .holders()
        .into_iter()
        .find_map(|(address, node)| node.filter(|_| Some(address.into()) == witness));
    let other = || (0..Cluster::NODES).find(|node| *node != stage.node);
    of_witness.or_else(other).expect("a cluster has several nodes")
}

impl Scenario for DoubleDeath {
    fn setup(&self) -> Setup {
        self.setup.clone()
    }

    fn strike(&self, stage: &Stage<'_>) {
        let Stage { cluster, address, node, .. } = stage;
        let witness = witness_node(stage);
        match self.order {
            Order::Together => {
                cluster.kill(*node);
                cluster.kill(witness);
            }
            Order::WitnessFirst(pause) => {
                cluster.kill(witness);
                sleep(pause);
                cluster.kill(*node);
            }
            Order::SuccessorToo(pause) => {
                cluster.kill(*node);
                let successor = cluster.wait_moved(*address, *node);
                sleep(pause);
                cluster.kill(successor);
            }
        }
    }
}

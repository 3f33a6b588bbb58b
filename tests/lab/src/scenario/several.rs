//! The serving node dies under several mounts: F8.

use super::{Death, MountPlan, Scenario, Setup, Stage};
use crate::Cluster;

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounts {
    /// Ten shares over one connection.
    Ten,
    /// A share for each of two users, over one connection.
    TwoUsers,
    /// One share twice, each with a connection of its own.
    TwoConnections,
    /// One share over a session with two connections.
    Multichannel,
}

/// How many shares [`Mounts::Ten`] are.
const TEN: usize = 10;

/// The death of the node that serves several mounts.
#[derive(Debug, Clone)]
pub struct Several {
    /// What is mounted.
    pub mounts: Mounts,
    death: Death,
}

impl Several {
    /// F8.
    pub fn new(mounts: Mounts) -> Several {
        let share = |number: usize| MountPlan {
            share: Cluster::share_name(number),
            // Some of them are busy, others idle.
            writes: number % 4 == 0,
            ..MountPlan::default()
        };
        let twice = |more| vec![MountPlan { more, ..MountPlan::default() }; 2];
        let (mounts_of, registrations) = match mounts {
            Mounts::Ten => ((0..TEN).map(share).collect(), TEN),
            Mounts::TwoUsers => {
                let user = Cluster::SECOND_USER.to_owned();
                (vec![share(0), MountPlan { user, writes: true, ..share(1) }], 2)
            }
            Mounts::TwoConnections => (twice("nosharesock"), 1),
            Mounts::Multichannel => {
                let more = "multichannel,max_channels=2";
                (vec![MountPlan { more, ..MountPlan::default() }], 1)
            }
        };
        let setup = Setup { mounts: mounts_of, registrations, ..Setup::default() };
        Several { mounts, death: Death { setup, ..Death::with_takeover() } }
    }

    /// How many connections the kernel has for it.
    pub fn connections(&self) -> usize {
        match self.mounts {
            Mounts::Ten | Mounts::TwoUsers => 1,
            Mounts::TwoConnections | Mounts::Multichannel => 2,
        }
    }

    /// How many registrations there are.
    pub fn registrations(&self) -> usize {
        self.death.setup.registrations
    }
}

impl Scenario for Several {
    fn setup(&self) -> Setup {
        self.death.setup()
    }

    fn arrange(&self, cluster: &Cluster) {
        cluster.add_shares(TEN);
        cluster.add_user();
    }

    fn strike(&self, stage: &Stage<'_>) {
        self.death.strike(stage);
    }
}

//! Connections that end without a failover.

use super::{Scenario, Setup, Stage};

/// The kernel's connection is ended again and again while a program writes.
#[derive(Debug, Clone)]
pub struct Ends {
    /// How often.
    pub times: u64,
    /// More mount options.
    pub options: &'static str,
}

impl Scenario for Ends {
    fn setup(&self) -> Setup {
        Setup { options: self.options, ..Setup::default() }
    }

    fn strike(&self, stage: &Stage<'_>) {
        for _ in 0..self.times {
            assert_eq!(
                stage.guest.end_connections(stage.address.into()),
                1,
                "the mount's connection"
            );
            stage.writer().wait_for_progress();
        }
    }
}

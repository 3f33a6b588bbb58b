//! Connections that end without a failover.

use super::{Scenario, Setup, Stage};

/// Who ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The guest, by sock_diag.
    Abort,
    /// The node, by a RST.
    Reset,
}

/// The kernel's connection is ended again and again while a program writes.
#[derive(Debug, Clone)]
pub struct Ends {
    /// How often.
    pub times: u64,
    /// Who ends it.
    pub end: End,
    /// More mount options.
    pub options: &'static str,
}

impl Scenario for Ends {
    fn setup(&self) -> Setup {
        Setup { options: self.options, ..Setup::default() }
    }

    fn strike(&self, stage: &Stage<'_>) {
        let Stage { cluster, guest, address, node, .. } = stage;
        for _ in 0..self.times {
            match self.end {
                End::Abort => assert_eq!(
                    guest.end_connections((*address).into()),
                    1,
                    "the mount's connection"
                ),
                End::Reset => match guest.ports_to(*address)[..] {
                    [port] => cluster.reset(*node, port),
                    ref ports => panic!("the connections of the mount: {ports:?}"),
                },
            }
            stage.writer().wait_for_progress();
        }
    }
}

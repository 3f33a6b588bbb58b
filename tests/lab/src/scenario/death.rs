//! A node dies: F1, F2, F3, F7, F9, F10.

use std::thread::sleep;
use std::time::Duration;

use super::double::witness_node;
use super::{Scenario, Setup, Stage};
use crate::{Cluster, Mount, WriterOptions, wait_until};

/// What becomes of the dead node's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Another node takes it over as soon as it knows.
    AtOnce,
    /// So long after the death.
    After(Duration),
    /// No node serves it.
    Never,
}

/// The death of a node.
#[derive(Debug, Clone)]
pub struct Death {
    /// Whether it is the node that serves the mount.
    pub serving: bool,
    /// What becomes of its address.
    pub takeover: Takeover,
    /// Whether neither CTDB's tickle ACKs nor a RST reach the client's old connection.
    pub silent: bool,
    /// Whether the mount's witness tells nothing: its service stands still until the daemon has ended the connection.
    pub mute: bool,
    /// How the mount is set up.
    pub setup: Setup,
}

/// Without a witness and without a RST the kernel gives a connection up after three echo intervals and seven seconds.
pub(super) const UNTIL_ECHOES_ARE_MISSED: Duration = Duration::from_secs(400);
/// How long after the takeover an idle mount is used.
const IDLE: Duration = Duration::from_secs(2);

impl Death {
    /// F1: the serving node dies, its address is taken over, and CTDB resets the client's connection.
    pub fn with_takeover() -> Death {
        Death {
            serving: true,
            takeover: Takeover::AtOnce,
            silent: false,
            mute: false,
            setup: Setup::default(),
        }
    }

    /// F2: the same, but nothing resets the client's connection.
    pub fn without_reset() -> Death {
        let setup = Setup {
            echo_interval: Mount::DEFAULT_ECHO_INTERVAL,
            limit: UNTIL_ECHOES_ARE_MISSED,
            ..Setup::default()
        };
        Death { silent: true, setup, ..Death::with_takeover() }
    }

    /// F3: the serving node dies, its address is dead, and the cluster's name has the others' too.
    pub fn without_takeover() -> Death {
        let setup = Setup { addresses: Cluster::NODES, ..Setup::default() };
        Death { takeover: Takeover::Never, setup, ..Death::with_takeover() }
    }

    /// F7: as [`Death::without_reset`], with a program that uses the mount only some time after it.
    pub fn of_an_idle_mount() -> Death {
        let mut death = Death::without_reset();
        death.setup.writer = WriterOptions { idle: true, ..WriterOptions::default() };
        death
    }

    /// As [`Death::without_reset`], and the witness tells nothing of it.
    pub fn with_a_mute_witness() -> Death {
        Death { mute: true, ..Death::without_reset() }
    }

    /// F9: a node dies that doesn't serve the mount; it is the one that its witness is on, where it has one.
    pub fn elsewhere() -> Death {
        Death { serving: false, ..Death::with_takeover() }
    }

    /// F10: the address is taken over `delay` after the death.
    pub fn with_late_takeover(delay: Duration, options: &'static str) -> Death {
        let takeover = if delay.is_zero() { Takeover::AtOnce } else { Takeover::After(delay) };
        let setup = Setup { options, limit: Duration::from_secs(120), ..Setup::default() };
        Death { takeover, setup, ..Death::with_takeover() }
    }

    fn victim(&self, stage: &Stage<'_>) -> usize {
        if self.serving {
            return stage.node;
        }
        witness_node(stage)
    }
}

impl Scenario for Death {
    fn setup(&self) -> Setup {
        self.setup.clone()
    }

    fn prepare(&self, stage: &Stage<'_>) {
        if self.takeover != Takeover::AtOnce {
            stage.cluster.allow_takeover(false);
        }
    }

    fn strike(&self, stage: &Stage<'_>) {
        let victim = self.victim(stage);
        // Not before: the writer would stall while the node lives.
        if self.silent {
            for port in stage.guest.ports_to(stage.address) {
                stage.cluster.silence(port);
            }
        }
        let muted = self.mute.then(|| witness_node(stage));
        if let Some(node) = muted {
            stage.cluster.node(node, &["pkill", "-STOP", "rpcd_witness"]);
        }
        stage.cluster.kill(victim);
        if let Some(node) = muted {
            wait_until("the dead connection is ended", Duration::from_secs(60), || {
                let log = stage.log();
                if log.contains("ended the kernel's dead connection") { Ok(()) } else { Err(log) }
            });
            stage.cluster.node(node, &["pkill", "-CONT", "rpcd_witness"]);
        }
        if let Takeover::After(delay) = self.takeover {
            sleep(delay);
            stage.cluster.allow_takeover(true);
        }
        if self.setup.writer.idle {
            stage.cluster.wait_moved(stage.address, victim);
            sleep(IDLE);
            stage.writer().go();
        }
    }
}

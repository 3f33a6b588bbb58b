//! Open files in four ways through a failover: a lock, a reader, a writer, a database.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Death, MountPlan, Outcome, Planned, PlannedStep, Scenario, Setup, Stage, Variant};
use crate::{Cluster, Guest, Process, script};

/// How long the four may take to go on: the minute that Samba keeps a persistent handle whose connection is lost, in
/// which no other open of the file succeeds, and some more.
const GOES_ON: Duration = Duration::from_secs(90);
/// The program's files in the guest.
const STOP: &str = "/run/open-files.stop";
const STATUS: &str = "/run/open-files.status";

/// The failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFilesFault {
    /// F1: the serving node dies, its address is taken over.
    Death,
    /// F4: an administrator moves the client.
    ClientMove,
}

/// Open files through a failover, each by the descriptor that it was opened with.
#[derive(Debug, Clone, Copy)]
pub struct OpenFiles {
    /// What happens.
    pub fault: OpenFilesFault,
    /// Whether the share is mounted with `persistenthandles`, which takes a server that has them.
    pub persistent: bool,
}

/// What one of the four has done.
#[derive(Debug, Clone, Deserialize)]
pub struct Use {
    /// How often it used its file.
    #[serde(default)]
    pub turns: u64,
    /// What failed, by its text.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// The longest time between two turns that succeeded, in seconds.
    #[serde(default)]
    pub pause: f64,
    /// True where what it left behind is right; a text where it can't be told.
    #[serde(default)]
    pub right: serde_json::Value,
    /// Whether it never came back from a call.
    #[serde(default)]
    pub hangs: bool,
}

impl Use {
    /// Whether its data is right.
    pub fn is_right(&self) -> bool {
        self.right == serde_json::Value::Bool(true)
    }
}

/// What the failover did to them.
#[derive(Debug, Clone)]
pub struct OpenFilesOutcome {
    /// By their names: lock, reader, writer, sqlite.
    pub uses: BTreeMap<String, Use>,
    /// Whether the server has the lock afterwards.
    pub locked: bool,
    /// What it did to the connection and a writer beside them.
    pub outcome: Outcome,
}

impl fmt::Display for OpenFilesOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.outcome)?;
        for (name, used) in &self.uses {
            let Use { turns, errors, pause, right, hangs } = used;
            writeln!(
                f,
                "  {name}: {turns} turns, longest pause {pause:.1} s, right: {right}, hangs: {hangs}, errors: {errors:?}"
            )?;
        }
        write!(f, "  the server has the lock: {}", self.locked)
    }
}

impl OpenFiles {
    /// Runs it in a new guest.
    ///
    /// # Panics
    /// Where the cluster or the guest can't be set up.
    pub fn run_open(&self, cluster: &Cluster, variant: &Variant) -> OpenFilesOutcome {
        cluster.restore();
        let guest = Guest::boot();
        let stage = Stage::set(cluster, &guest, variant, self.setup());
        let program = script("open-files");
        let command = format!(
            "rm -f {STOP} {STATUS}; exec '{}' '{}' '{}' {STOP} {STATUS}",
            program.display(),
            stage.point(0),
            stage.point(1)
        );
        let files = guest.spawn(&command);
        wait_for_turns(&guest, &files, &[0; 4]);
        let mut left = None;
        let outcome = stage.measure(|stage| {
            self.strike(stage);
            left = Some(finish(stage, &files));
        });
        let (uses, locked) = left.expect("it has been struck");
        OpenFilesOutcome { uses, locked, outcome }
    }
}

/// Waits until all four go on, and ends them.
fn finish(stage: &Stage<'_>, files: &Process<'_>) -> (BTreeMap<String, Use>, bool) {
    let before = turns(stage.guest);
    wait_for_turns(stage.guest, files, &before);
    let locks = stage.cluster.node(stage.cluster.any_node(), &["smbstatus", "-B"]);
    let locked = locks.lines().any(|line| line.contains("open-lock"));
    stage.guest.ok(&format!("touch {STOP}"));
    let output = files.wait(GOES_ON);
    let uses = serde_json::from_str(&output.stdout)
        .unwrap_or_else(|e| panic!("open-files said {:?}: {e}\n{}", output.stdout, output.stderr));
    (uses, locked)
}

/// Waits until all four have had ten turns more, or too long: its errors say then why one has not.
fn wait_for_turns(guest: &Guest, files: &Process<'_>, before: &[u64]) {
    let start = Instant::now();
    while start.elapsed() < GOES_ON {
        assert!(files.is_running(), "open-files has ended: {}", files.stderr());
        let now = turns(guest);
        if now.len() == 4 && now.iter().zip(before).all(|(now, before)| *now >= before + 10) {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn turns(guest: &Guest) -> Vec<u64> {
    let status = guest.run(&format!("cat {STATUS}")).stdout;
    status.split_whitespace().filter_map(|turns| turns.parse().ok()).collect()
}

impl Scenario for OpenFiles {
    fn setup(&self) -> Setup {
        // The second is for the database.
        let without_locks = MountPlan { more: "nobrl", writes: false, ..MountPlan::default() };
        Setup {
            mounts: vec![MountPlan::default(), without_locks],
            options: if self.persistent { "hard,persistenthandles" } else { "hard" },
            ..Setup::default()
        }
    }

    fn strike(&self, stage: &Stage<'_>) {
        match self.fault {
            OpenFilesFault::Death => Death::with_takeover().strike(stage),
            OpenFilesFault::ClientMove => Planned::new(PlannedStep::ClientMove).strike(stage),
        }
    }
}

//! Failovers: what happens to the cluster while a program writes to it, and what is counted. The tests in
//! `tests/failover/` assert the counts, `benches/run stall` compares the stalls; both use what is here.

mod death;
mod double;
mod ends;
mod open_files;
mod outcome;
mod pairs;
mod planned;
mod probe;
mod several;
mod stage;

pub use death::{Death, Takeover};
pub use double::{DoubleDeath, Order};
pub use ends::{End, Ends};
pub use open_files::{OpenFiles, OpenFilesFault, OpenFilesOutcome, Use};
pub use outcome::{Outcome, Stall};
pub use pairs::Pairs;
pub use planned::{Planned, PlannedStep};
pub use several::{Mounts, Several};
pub use stage::{MountPlan, Setup, Stage};

use std::fmt;
use std::path::PathBuf;

use crate::{Cluster, Guest};

/// Who tells the kernel of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variant {
    /// No daemon, and mounts without the option `witness`.
    Without,
    /// `swnd`, with these options.
    Swnd(String),
    /// `swnd`, with these options, and mounts without the option `witness` that it adopts.
    Adopted(String),
    /// The same, and the kernel asks `swnd` where to connect to.
    Resolving(String),
    /// Another daemon.
    Other(PathBuf),
}

impl Variant {
    /// `swnd` as tests start it. `SWND_OPTIONS` in the environment has options for it.
    pub fn under_test() -> Variant {
        Variant::Swnd(std::env::var("SWND_OPTIONS").unwrap_or_default())
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variant::Without => f.write_str("without a witness"),
            Variant::Swnd(options) if options.is_empty() => f.write_str("swnd"),
            Variant::Swnd(options) => write!(f, "swnd {options}"),
            Variant::Adopted(options) if options.is_empty() => f.write_str("swnd, adopted"),
            Variant::Adopted(options) => write!(f, "swnd {options}, adopted"),
            Variant::Resolving(options) if options.is_empty() => {
                f.write_str("swnd, adopted, asked")
            }
            Variant::Resolving(options) => write!(f, "swnd {options}, adopted, asked"),
            Variant::Other(program) => write!(f, "{}", program.display()),
        }
    }
}

/// Something that happens to a cluster.
pub trait Scenario {
    /// How the mount is set up.
    fn setup(&self) -> Setup;

    /// What the cluster needs for it.
    fn arrange(&self, _cluster: &Cluster) {}

    /// What is done before, while the mount is in use.
    fn prepare(&self, _stage: &Stage<'_>) {}

    /// Lets it happen.
    fn strike(&self, stage: &Stage<'_>);

    /// Runs it in a new guest, and says what it did to the writer.
    ///
    /// With `LAB_LIST` in the environment, the cluster's list of registrations is looked at all the time.
    ///
    /// # Panics
    /// Where the cluster or the guest can't be set up, or the file isn't what was written.
    fn run(&self, cluster: &Cluster, variant: &Variant) -> Outcome {
        self.run_on(None, cluster, variant)
    }

    /// The same with a kernel by its name, as `uml-kernel` lists them.
    ///
    /// # Panics
    /// As [`Scenario::run`].
    fn run_on(&self, kernel: Option<&str>, cluster: &Cluster, variant: &Variant) -> Outcome {
        cluster.restore();
        self.arrange(cluster);
        let guest = kernel.map_or_else(Guest::boot, Guest::boot_kernel);
        let stage = Stage::set(cluster, &guest, variant, self.setup());
        self.prepare(&stage);
        match std::env::var_os("LAB_LIST") {
            Some(_) => stage.measure_with_list(|stage| self.strike(stage)),
            None => stage.measure(|stage| self.strike(stage)),
        }
    }
}

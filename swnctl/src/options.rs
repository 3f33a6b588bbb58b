//! The command line.

use clap::{Parser, Subcommand};

/// The command line. What `--help` says is in swnctl(8) too; a test compares them.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "swnctl",
    version,
    about = "The control program of swnd, the SMB witness daemon",
    after_help = "See swnctl(8).",
    disable_help_subcommand = true
)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show two failovers on this machine alone, without root, cluster and mount
    Demo,
}

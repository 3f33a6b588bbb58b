//! The command line.

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, value_parser};
use std::path::PathBuf;
use swnd::control::{SOCKET, interface::LOG_LEVELS};
use swnd::settings::FILE;

/// The command line. What `--help` says is in swnctl(8) too; a test compares them.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "swnctl",
    version,
    about = "The control program of swnd, the SMB witness daemon",
    after_help = "MOUNT is a directory, //SERVER/SHARE, or the kernel's number. Without a command: status. See swnctl(8).",
    disable_help_subcommand = true
)]
pub struct Options {
    /// JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// The daemon's control socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show the daemon and its mounts
    Status {
        /// Only these
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        mounts: Vec<String>,
    },
    /// List the registrations, one a line
    List,
    /// Show what happens, as it happens
    Monitor {
        /// Only to these
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        mounts: Vec<String>,
    },
    /// Say why a mount does, or would not, fail over, and what to do
    Check {
        /// A directory, or //CLUSTER/SHARE, which need not be mounted
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        target: String,
    },
    /// Wait until a mount is registered
    Wait {
        /// The mount
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        mount: String,
        /// For how long at most
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u32).range(..=86400))]
        timeout: u32,
    },
    /// Register a mount now, without waiting for the next attempt
    Retry {
        /// The mount
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        mount: String,
    },
    /// Show or set how much the daemon logs
    LogLevel {
        /// error, warning, info, debug or trace
        #[arg(value_name = "LEVEL", value_parser = PossibleValuesParser::new(LOG_LEVELS), hide_possible_values = true)]
        level: Option<String>,
    },
    /// Have the daemon read its configuration again
    Reload,
    /// Write the state as OpenMetrics text
    Metrics {
        /// To this file, for node_exporter's textfile collector
        #[arg(long, value_name = "FILE")]
        textfile: Option<PathBuf>,
    },
    /// Check or show the daemon's configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write what a shell completes this program's commands by
    Completion {
        /// bash, zsh or fish
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    /// Show two failovers on this machine alone, without root, cluster and mount
    Demo,
}

/// What to do with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong in the files
    Check(ConfigFile),
    /// Show each setting of the files, and where it is from
    Show(ConfigFile),
}

/// Which configuration.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ConfigFile {
    /// The file, beside which the directory FILE.d is read too
    #[arg(value_name = "FILE", default_value = FILE, value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// Returns what it completes by; a test compares it with the options.
    pub fn completion(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../completions/swnctl.bash"),
            Self::Zsh => include_str!("../completions/_swnctl"),
            Self::Fish => include_str!("../completions/swnctl.fish"),
        }
    }
}

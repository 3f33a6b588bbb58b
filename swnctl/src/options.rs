//! The command line.

use crate::address;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint, value_parser};
use std::path::PathBuf;
use swnclient::ScopedAddr;
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
    /// JSON instead of text: short, the default, or pretty
    #[arg(long, global = true, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "short", hide_possible_values = true)]
    pub json: Option<Json>,

    /// The daemon's control socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Json {
    /// A value on one line.
    Short,
    /// For people, on many lines.
    Pretty,
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
        /// Also what is logged to find a fault, such as each echo of the kernel
        #[arg(long)]
        all: bool,
        /// Only to these
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        mounts: Vec<String>,
    },
    /// Say why a mount does, or would not, fail over, and what to do
    Check {
        /// A directory, or //CLUSTER/SHARE, which need not be mounted
        #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
        target: String,

        /// How to authenticate; without, no node is asked for its list.
        #[command(flatten)]
        authentication: Authentication,
    },
    /// Try the way of a notification to the mount, the harmless part first
    Test(Test),
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
    /// Show the addresses of a cluster's nodes, as its witness service lists them
    Interfaces(Interfaces),
    /// Register at a cluster's witness, without the kernel, and show what it reports
    Watch(Watch),
    /// Write the state and what was counted as text for Prometheus
    Metrics(Metrics),
    /// Check or show the daemon's configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write what a shell completes this program's commands by
    Completion {
        /// bash, zsh or fish
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    /// Answer the kernel's question for a server's address: for request-key(8)
    ResolveKey {
        /// The key's number
        #[arg(value_name = "KEY")]
        key: i32,
    },
    /// Show two failovers on this machine alone, without root, cluster and mount
    Demo,
}

/// A format that Prometheus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// OpenMetrics 1.0.
    #[default]
    Openmetrics,
    /// Prometheus's own, version 0.0.4, which node_exporter reads.
    Prometheus,
}

/// Where metrics go, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Metrics {
    /// openmetrics or prometheus (version 0.0.4)
    #[arg(long, value_name = "FORMAT", default_value = "openmetrics", hide_possible_values = true)]
    pub format: Format,

    /// To this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["format", "http"])]
    pub textfile: Option<PathBuf>,

    /// Answer one request of HTTP on the standard streams, as swnd-metrics.socket does
    #[arg(long, conflicts_with = "format")]
    pub http: bool,
}

/// What to try of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Test {
    /// The mount
    #[arg(value_name = "MOUNT", value_hint = ValueHint::DirPath)]
    pub mount: String,

    /// Then register at each node that can be the witness, and unregister
    #[arg(long)]
    pub all_nodes: bool,

    /// Then have the kernel reconnect; programs wait meanwhile
    #[arg(long)]
    pub reconnect: bool,

    /// Don't ask before that
    #[arg(long, requires = "reconnect")]
    pub yes: bool,

    /// Then wait for a move that the cluster's administrator orders
    #[arg(long)]
    pub wait_move: bool,

    /// For how long at most
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = value_parser!(u32).range(1..=86400))]
    pub timeout: u32,

    /// How to authenticate, for --all-nodes.
    #[command(flatten)]
    pub authentication: Authentication,
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

/// Of which cluster, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Interfaces {
    /// Its name; or a mount, of which no node is asked without another option
    #[arg(value_name = "CLUSTER|MOUNT", value_hint = ValueHint::Hostname)]
    pub cluster: String,

    /// The node to ask [default: the first of the name's addresses that answers]
    #[arg(long, value_name = "ADDRESS", value_parser = address::parse)]
    pub address: Option<ScopedAddr>,

    /// Ask each node, and compare
    #[arg(long)]
    pub every_node: bool,

    /// How to authenticate.
    #[command(flatten)]
    pub authentication: Authentication,
}

/// At which cluster, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Watch {
    /// Its name
    #[arg(value_name = "CLUSTER", value_hint = ValueHint::Hostname)]
    pub cluster: String,

    /// The address that is watched [default: the first of the name's addresses]
    #[arg(long, value_name = "ADDRESS", value_parser = address::parse)]
    pub address: Option<ScopedAddr>,

    /// The share
    #[arg(long, value_name = "SHARE")]
    pub share: Option<String>,

    /// How to authenticate.
    #[command(flatten)]
    pub authentication: Authentication,
}

impl Authentication {
    /// Whether credentials are named.
    pub fn is_given(&self) -> bool {
        let kerberos = self.ccache.is_some() || self.keytab.is_some();
        kerberos || self.credentials.is_some() || self.user.is_some()
    }
}

/// How to authenticate at a witness.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Authentication {
    /// NTLM: a file with username=, password= and domain=, as of mount.cifs
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["user", "ccache", "keytab"])]
    pub credentials: Option<PathBuf>,

    /// NTLM: this user, or DOMAIN\USER, with a password that is asked for
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username, conflicts_with_all = ["ccache", "keytab"])]
    pub user: Option<String>,

    /// Kerberos: the credential cache [default: the usual one]
    #[arg(long, value_name = "CACHE")]
    pub ccache: Option<String>,

    /// Kerberos: get a ticket by a key in this keytab
    #[arg(long, value_name = "KEYTAB", value_hint = ValueHint::FilePath)]
    pub keytab: Option<String>,

    /// Kerberos: whose key of the keytab [default: the first]
    #[arg(long, value_name = "PRINCIPAL", requires = "keytab")]
    pub principal: Option<String>,

    /// The nodes' endpoint mapper
    #[arg(long, value_name = "PORT", default_value_t = 135, value_parser = value_parser!(u16).range(1..))]
    pub mapper_port: u16,
}

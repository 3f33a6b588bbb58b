//! The interface `org.swnclient.Witness` as types, which `swnctl` reads too.

use crate::report::{Kind, Report};
use crate::table::{self, MountState, MountView};
use crate::{counters, logging};
use log::{Level, LevelFilter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swnclient::ResourceState;

/// The interface's name.
pub const NAME: &str = "org.swnclient.Witness";
/// The interface as its file describes it.
pub const DESCRIPTION: &str = include_str!("org.swnclient.Witness.varlink");

/// The reply to `Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon.
    pub daemon: Daemon,
    /// The mounts by their numbers.
    pub registrations: Vec<Registration>,
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// The program's version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// Whether the cifs module is loaded.
    pub cifs: bool,
    /// How many mounts want a witness.
    pub mounts: usize,
    /// How many have one.
    pub registered: usize,
    /// What is logged.
    pub log_level: String,
}

/// A mount's registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its number: the kernel's, or from 2^31 on one of swnd's own.
    pub id: u32,
    /// Who asks for it.
    pub kind: MountKind,
    /// The server's name as it was mounted.
    pub net_name: String,
    /// The share's name.
    pub share_name: Option<String>,
    /// The address that serves the mount.
    pub address: Option<IpAddr>,
    /// Its state.
    pub state: State,
    /// For how long it has been in this state, in milliseconds.
    pub state_ms: u64,
    /// The witness's address.
    pub witness: Option<IpAddr>,
    /// The protocol's version.
    pub version: Option<u8>,
    /// When the next attempt starts, in milliseconds.
    pub retry_in_ms: Option<u64>,
    /// Why it is not registered, and what to do.
    pub problem: Option<String>,
    /// Why, as one of the names that the events have.
    pub reason: Option<String>,
}

/// Who asks for a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// The kernel, for a mount with the option `witness`.
    Kernel,
    /// swnd itself, for a mount without.
    Adopted,
}

/// The state of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// An attempt is under way.
    Registering,
    /// A witness watches.
    Registered,
    /// The next attempt starts by itself.
    Waiting,
    /// The next attempt starts when it is asked for.
    Blocked,
    /// The mount has no credentials that can be used.
    Unusable,
    /// swnd watches the kernel's connection itself, without a witness.
    Connection,
}

impl State {
    /// Whether the mount is watched, by whom it should be.
    pub fn is_watched(self) -> bool {
        matches!(self, Self::Registered | Self::Connection)
    }
}

/// The reply to `Resolve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Whether a mount by that name is adopted.
    pub adopted: bool,
    /// Where the kernel should connect to; `None`: where the system's resolver says.
    pub address: Option<IpAddr>,
}

/// The reply to `Counters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What was counted.
    pub counters: Counters,
}

/// What was counted since the daemon's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// How often each kind of thing has happened, by its kind and, behind a dot, reason.
    pub events: BTreeMap<String, u64>,
    /// How often a witness that watched a mount was lost, by reason. Empty from a daemon that
    /// does not tell.
    #[serde(default)]
    pub losses: BTreeMap<String, u64>,
    /// How many notifications witnesses have sent, by type.
    pub notifications: BTreeMap<String, u64>,
    /// How long it took to tell the kernel.
    pub delivery: Times,
    /// How long it took until the kernel had a connection again.
    pub failover: Times,
    /// How many lines of the log found no room.
    pub log_lines_dropped: u64,
    /// For how long mounts have been without a witness, all of them together, in
    /// milliseconds; `None` from a daemon that does not tell.
    #[serde(default)]
    pub unwatched_ms: Option<u64>,
    /// How many connections to witnesses there are now; `None` from a daemon that does not
    /// tell.
    #[serde(default)]
    pub witness_connections: Option<usize>,
}

/// How many times lie in each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The upper bounds of the classes, in microseconds.
    pub bounds_us: Vec<u64>,
    /// How many there are in each, and above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all, in microseconds.
    pub sum_us: u64,
}

impl From<counters::Times> for Times {
    fn from(times: counters::Times) -> Self {
        let counters::Times { bounds_us, counts, sum_us } = times;
        Self { bounds_us, counts, sum_us }
    }
}

impl Counted {
    /// Describes the counters.
    pub fn new(
        counters: &counters::Counters,
        unwatched: Duration,
        witness_connections: usize,
    ) -> Self {
        let named = |counts: BTreeMap<&'static str, u64>| {
            counts.into_iter().map(|(name, count)| (name.into(), count)).collect()
        };
        let view = counters.view();
        let counters = Counters {
            events: named(view.events),
            losses: named(view.losses),
            notifications: named(view.notifications),
            delivery: view.delivery.into(),
            failover: view.failover.into(),
            log_lines_dropped: logging::lines_dropped(),
            unwatched_ms: Some(milliseconds(unwatched)),
            witness_connections: Some(witness_connections),
        };
        Self { counters }
    }
}

/// One reply to `Probe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// What was tried.
    pub step: ProbeStep,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeStep {
    /// nodes, or register.
    pub step: String,
    /// Whether it went well.
    pub ok: bool,
    /// How long it took, in microseconds.
    pub micros: Option<u64>,
    /// The same as text.
    pub text: String,
}

/// The reply to `Interfaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The cluster's addresses.
    pub interfaces: Vec<Interface>,
}

/// An address of a node of a cluster, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The node's name as the server gives it.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// unknown, available, or unavailable.
    pub state: String,
    /// Whether it can be a witness for the node that was asked.
    pub may_be_witness: bool,
}

impl Listed {
    /// Describes a list.
    pub fn new(list: &[swnclient::Interface]) -> Self {
        let interfaces = list.iter().map(|it| Interface {
            name: it.group_name.to_string(),
            addresses: it.addresses.clone(),
            state: match it.state {
                ResourceState::Unknown => "unknown",
                ResourceState::Available => "available",
                ResourceState::Unavailable => "unavailable",
            }
            .into(),
            may_be_witness: it.may_be_witness,
        });
        Self { interfaces: interfaces.collect() }
    }
}

/// The reply to `TestNotify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// How long the kernel took, in microseconds.
    pub micros: u64,
}

/// One reply to `Monitor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitored {
    /// What happened.
    pub event: Event,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since 1970, UTC.
    pub time_us: u64,
    /// What kind of event it is.
    pub kind: String,
    /// How or why, of those kinds that tell.
    pub reason: Option<String>,
    /// How much it matters.
    pub level: String,
    /// The server's name as it was mounted.
    pub net_name: Option<String>,
    /// The share's name.
    pub share_name: Option<String>,
    /// The line of the log.
    pub text: String,
    /// How many events before this one found no room.
    pub lost: u64,
}

impl Event {
    /// Describes a report that is made now.
    pub fn new(report: &Report) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mount = report.mount();
        Self {
            time_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX),
            kind: report.kind().event().into(),
            reason: report.kind().reason().map(Into::into),
            level: level_name(report.level()).into(),
            net_name: mount.map(|mount| mount.net_name().to_string()),
            share_name: mount.and_then(|mount| mount.share_name().map(ToString::to_string)),
            text: report.to_string(),
            lost: 0,
        }
    }
}

impl Registration {
    /// Describes one of the table's entries as it is at `now`.
    pub fn new(view: &MountView, now: Instant) -> Self {
        let mut described = Self {
            id: view.id,
            kind: match view.kind {
                table::MountKind::Kernel => MountKind::Kernel,
                table::MountKind::Adopted => MountKind::Adopted,
            },
            net_name: view.net_name.to_string(),
            share_name: view.share_name.as_ref().map(ToString::to_string),
            address: view.address,
            state: State::Registering,
            state_ms: milliseconds(now.saturating_duration_since(view.since)),
            witness: None,
            version: None,
            retry_in_ms: None,
            problem: view.problem(),
            reason: view.kind().and_then(Kind::reason).map(Into::into),
        };
        described.state = match view.state {
            MountState::Registering => State::Registering,
            MountState::Registered { witness, version } => {
                described.witness = Some(witness);
                described.version = Some(version);
                State::Registered
            }
            // Its time is over: the attempt is under way.
            MountState::Waiting { until } if until <= now => State::Registering,
            MountState::Waiting { until } => {
                described.retry_in_ms = Some(milliseconds(until.saturating_duration_since(now)));
                State::Waiting
            }
            MountState::Blocked => State::Blocked,
            MountState::Unusable => State::Unusable,
            MountState::Connection => State::Connection,
        };
        described
    }
}

/// A duration in whole microseconds.
pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A duration in whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The log's levels, the most important first.
pub const LOG_LEVELS: [&str; 5] = ["error", "warning", "info", "debug", "trace"];

/// Returns the name of a log level.
pub fn log_level_name(level: LevelFilter) -> &'static str {
    level.to_level().map_or("off", level_name)
}

/// Returns the log level of a name.
pub fn log_level(name: &str) -> Option<LevelFilter> {
    let all = LevelFilter::iter().skip(1);
    all.into_iter().find(|level| log_level_name(*level) == name)
}

/// What has been read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The settings that have changed.
    pub changed: Vec<String>,
    /// Those that change when the daemon is started again.
    pub restart: Vec<String>,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.changed.is_empty() {
            true => f.write_str("nothing has changed")?,
            false => write!(f, "changed: {}", self.changed.join(", "))?,
        }
        match self.restart.is_empty() {
            true => Ok(()),
            false => write!(f, "; only a restart changes: {}", self.restart.join(", ")),
        }
    }
}

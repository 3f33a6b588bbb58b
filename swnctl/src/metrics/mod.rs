//! `swnctl metrics`: the daemon's status and counters as text for Prometheus.

mod http;
mod text;

use crate::check;
use crate::connection::{CallError, Connection};
use crate::exit::Exit;
use crate::mounts;
use crate::options::{Format, Metrics};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use swnd::control::interface::{Counters, Registration, State, Status};
use text::Text;

const STATES: [(State, &str); 6] = [
    (State::Registering, "registering"),
    (State::Registered, "registered"),
    (State::Waiting, "waiting"),
    (State::Blocked, "blocked"),
    (State::Unusable, "unusable"),
    (State::Connection, "connection"),
];

/// What an answer of the kernel, or none, is counted as: the kind of event, and its label.
const ANSWERS: [(&str, &str); 7] = [
    ("notified", "accepted"),
    ("notified.mount_unknown", "unknown_mount"),
    ("notified.refused", "refused"),
    ("not_notified", "not_sent"),
    ("late", "late"),
    ("ignored", "ignored"),
    ("failover.unneeded", "suppressed"),
];

/// What the metrics are made of.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What the daemon says; `None`: it does not run.
    pub status: Option<Status>,
    /// What it has counted.
    pub counters: Option<Counters>,
    /// How many mounts of this machine have the option witness.
    pub witness_mounts: u64,
    /// Whether the family's messages need a privilege; `None` where there is no family.
    pub guarded: Option<bool>,
    /// The time.
    pub now: Duration,
}

impl Facts {
    fn collect(socket: &Path) -> Result<Self, CallError> {
        let mut facts = Self {
            witness_mounts: mounts::read()
                .iter()
                .map(|mount| u64::from(mount.has("witness")))
                .sum(),
            guarded: check::is_guarded(),
            now: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            ..Self::default()
        };
        let mut daemon = match Connection::open(socket) {
            Ok(daemon) => daemon,
            // That it does not run is a metric, too.
            Err(CallError::NotRunning(_)) => return Ok(facts),
            Err(error) => return Err(error),
        };
        facts.status = Some(daemon.status()?);
        facts.counters = match daemon.counters() {
            Ok(counters) => Some(counters),
            // It is of an older version.
            Err(CallError::Other(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(facts)
    }
}

/// Runs the command.
pub(crate) fn run(output: &mut impl Write, socket: &Path, options: &Metrics) -> Result<(), Exit> {
    if options.http {
        let metrics = |format| text(&Facts::collect(socket).unwrap_or_default(), format);
        return Ok(http::serve(metrics)?);
    }
    let facts = Facts::collect(socket)?;
    match &options.textfile {
        Some(path) => write_file(path, &text(&facts, Format::Prometheus))
            .map_err(|error| Exit::Failed(format!("{}: {error}", path.display()))),
        None => Ok(output.write_all(text(&facts, options.format).as_bytes())?),
    }
}

/// Describes the facts.
pub fn text(facts: &Facts, format: Format) -> String {
    let mut text = Text::new(format);
    text.gauge("swnd_up", "Whether swnd answers.");
    text.sample("swnd_up", &[], facts.status.is_some().into());
    text.gauge("swnd_witness_mounts", "Mounts of this machine with the option witness.");
    text.sample("swnd_witness_mounts", &[], facts.witness_mounts);
    if let Some(guarded) = facts.guarded {
        let help = "Whether the kernel keeps the passwords of mounts from other users.";
        text.gauge("swnd_kernel_guarded", help);
        text.sample("swnd_kernel_guarded", &[], guarded.into());
    }
    if let Some(status) = &facts.status {
        daemon(&mut text, status, facts.now);
        mounts(&mut text, &status.registrations);
    }
    if let Some(counters) = &facts.counters {
        registrations(&mut text, counters);
        notifications(&mut text, counters);
        witnesses(&mut text, counters);
        losses(&mut text, counters);
    }
    text.finish()
}

fn daemon(text: &mut Text, status: &Status, now: Duration) {
    let daemon = &status.daemon;
    text.info("swnd_build_info", "The version of swnd.");
    text.sample("swnd_build_info", &[("version", &daemon.version)], 1);
    text.gauge("swnd_start_time_seconds", "When swnd was started, since 1970.");
    let started = now.saturating_sub(Duration::from_millis(daemon.uptime_ms));
    text.sample("swnd_start_time_seconds", &[], started.as_secs());
    text.gauge("swnd_kernel_family_up", "Whether swnd hears the cifs module.");
    text.sample("swnd_kernel_family_up", &[], daemon.cifs.into());
}

fn mounts(text: &mut Text, all: &[Registration]) {
    text.gauge("swnd_mounts", "Mounts that want a witness, by state.");
    for (state, name) in STATES {
        let count = all.iter().filter(|it| it.state == state).map(|_| 1).sum();
        text.sample("swnd_mounts", &[("state", name)], count);
    }
    // Several mounts may be of one share; one that is unwatched counts.
    let mut shares = BTreeMap::new();
    for it in all.iter().filter(|it| it.state != State::Connection) {
        let share = (it.net_name.as_str(), it.share_name.as_deref().unwrap_or_default());
        let (registered, witness) = shares.entry(share).or_insert((true, None));
        *registered &= it.state == State::Registered;
        *witness = witness.or(Some((it.address, it.witness, it.version)));
    }
    text.gauge("swnd_mount_registered", "Whether a witness watches the share.");
    for (&(net_name, share_name), (registered, _)) in &shares {
        let labels = [("net_name", net_name), ("share_name", share_name)];
        text.sample("swnd_mount_registered", &labels, (*registered).into());
    }
    text.info("swnd_mount_info", "Which address serves the share, and which witness watches it.");
    for (&(net_name, share_name), (_, found)) in &shares {
        let (address, witness, version) = found.unwrap_or_default();
        let (address, witness, version) = (or_none(address), or_none(witness), or_none(version));
        let labels = [
            ("net_name", net_name),
            ("share_name", share_name),
            ("address", &*address),
            ("witness", &*witness),
            ("version", &*version),
        ];
        text.sample("swnd_mount_info", &labels, 1);
    }
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// How often a kind of event has happened.
fn count(counters: &Counters, name: &str) -> u64 {
    counters.events.get(name).copied().unwrap_or_default()
}

fn registrations(text: &mut Text, counters: &Counters) {
    let failures: Vec<_> = counters
        .events
        .iter()
        .filter_map(|(name, count)| Some((name.strip_prefix("failed.")?, *count)))
        .collect();
    let name = "swnd_registrations_total";
    text.counter(name, "Attempts to register, by their result.");
    text.sample(name, &[("result", "accepted")], count(counters, "registered"));
    let failed = failures.iter().map(|(_, count)| count).sum();
    text.sample(name, &[("result", "failed")], failed);
    let name = "swnd_registration_failures_total";
    text.counter(name, "Attempts to register that failed, by reason; swnd(8) lists them.");
    for (reason, count) in failures {
        text.sample(name, &[("reason", reason)], count);
    }
}

fn notifications(text: &mut Text, counters: &Counters) {
    let name = "swnd_notifications_total";
    text.counter(name, "Notifications of witnesses, by type.");
    for (kind, count) in &counters.notifications {
        text.sample(name, &[("type", kind)], *count);
    }
    let name = "swnd_kernel_answers_total";
    text.counter(name, "What the kernel made of what it was told, or why it was not.");
    for (kind, result) in ANSWERS {
        text.sample(name, &[("result", result)], count(counters, kind));
    }
    let times = &counters.delivery;
    let help = "How long the kernel took to be told.";
    let name = "swnd_notification_delivery_seconds";
    text.histogram(name, help, &times.bounds_us, &times.counts, times.sum_us);
    let times = &counters.failover;
    let help = "From what was done for a failover to the kernel's new connection.";
    text.histogram("swnd_failover_seconds", help, &times.bounds_us, &times.counts, times.sum_us);
}

fn witnesses(text: &mut Text, counters: &Counters) {
    // A daemon of an older version does not tell them.
    if let Some(time) = counters.unwatched_ms {
        let name = "swnd_unwatched_seconds_total";
        text.counter(name, "Time that mounts were without a witness, of all together.");
        text.time(name, time.saturating_mul(1000));
    }
    if let Some(count) = counters.witness_connections {
        let name = "swnd_witness_connections";
        text.gauge(name, "Connections to witnesses; mounts share them.");
        text.sample(name, &[], u64::try_from(count).unwrap_or(u64::MAX));
    }
    if !counters.losses.is_empty() {
        let name = "swnd_witness_losses_total";
        text.counter(name, "How often a mount lost its witness, by reason; swnd(8) lists them.");
        for (reason, count) in &counters.losses {
            text.sample(name, &[("reason", reason)], *count);
        }
    }
}

fn losses(text: &mut Text, counters: &Counters) {
    let name = "swnd_kernel_overruns_total";
    text.counter(name, "How often messages of the kernel were lost.");
    text.sample(name, &[], count(counters, "overrun"));
    let name = "swnd_log_lines_dropped_total";
    text.counter(name, "Lines of the log that found no room.");
    text.sample(name, &[], counters.log_lines_dropped);
}

/// Writes the text to a file for node_exporter, which never sees half of it.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    // Its collector reads *.prom only.
    aside.push(format!(".{}", std::process::id()));
    let aside = Path::new(&aside);
    let written = fs::File::create_new(aside).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        fs::rename(aside, path)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(aside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use swnd::control::interface::{Daemon, MountKind, Times};

    fn registration(id: u32, share: &str, state: State) -> Registration {
        Registration {
            id,
            kind: MountKind::Kernel,
            net_name: "clu\"ster".into(),
            share_name: Some(share.into()),
            address: Some("10.0.0.11".parse().unwrap()),
            state,
            state_ms: 0,
            witness: None,
            version: None,
            retry_in_ms: None,
            problem: None,
            reason: None,
        }
    }

    fn samples(facts: &Facts) -> Vec<String> {
        let text = text(facts, Format::Prometheus);
        text.lines().filter(|line| !line.starts_with('#')).map(Into::into).collect()
    }

    #[test]
    fn a_daemon_that_does_not_run_is_down() {
        let facts = Facts { witness_mounts: 2, guarded: Some(false), ..Facts::default() };
        let expected = ["swnd_up 0", "swnd_witness_mounts 2", "swnd_kernel_guarded 0"];
        assert_eq!(samples(&facts), expected);
        assert!(text(&facts, Format::Openmetrics).ends_with("\n# EOF\n"));
    }

    #[test]
    fn each_state_and_each_share_has_its_line() {
        let daemon = Daemon {
            version: "0.1.0".into(),
            pid: 1,
            uptime_ms: 61_500,
            cifs: true,
            mounts: 3,
            registered: 2,
            log_level: "info".into(),
        };
        let registrations = vec![
            registration(1, "data", State::Registered),
            registration(2, "data", State::Blocked),
            registration(3, "a\\b\n", State::Registered),
        ];
        let status = Some(Status { daemon, registrations });
        let now = Duration::from_secs(1_000_000);
        let expected = [
            "swnd_up 1",
            "swnd_witness_mounts 0",
            "swnd_build_info{version=\"0.1.0\"} 1",
            "swnd_start_time_seconds 999938",
            "swnd_kernel_family_up 1",
            "swnd_mounts{state=\"registering\"} 0",
            "swnd_mounts{state=\"registered\"} 2",
            "swnd_mounts{state=\"waiting\"} 0",
            "swnd_mounts{state=\"blocked\"} 1",
            "swnd_mounts{state=\"unusable\"} 0",
            "swnd_mounts{state=\"connection\"} 0",
            "swnd_mount_registered{net_name=\"clu\\\"ster\",share_name=\"a\\\\b\\n\"} 1",
            "swnd_mount_registered{net_name=\"clu\\\"ster\",share_name=\"data\"} 0",
        ];
        let samples = samples(&Facts { status, now, ..Facts::default() });
        assert_eq!(samples.get(..expected.len()).unwrap(), expected);
        let info = ",address=\"10.0.0.11\",witness=\"\",version=\"\"} 1";
        assert!(samples.last().unwrap().ends_with(info), "{samples:?}");
    }

    #[test]
    fn what_was_counted_is_told_by_reason_type_and_result() {
        let events = [
            ("registered", 7),
            ("failed.no_witness", 2),
            ("failed.unreachable", 3),
            ("notified", 5),
            ("late", 1),
            ("ignored", 8),
            ("overrun", 4),
        ];
        let times = || Times { bounds_us: vec![10], counts: vec![4, 1], sum_us: 30 };
        let counters = Counters {
            events: events.map(|(name, count)| (name.into(), count)).into(),
            notifications: [("client_move".into(), 6)].into(),
            delivery: times(),
            failover: times(),
            log_lines_dropped: 9,
            losses: [("no_answer".into(), 2)].into(),
            unwatched_ms: Some(61_500),
            witness_connections: Some(3),
        };
        let samples = samples(&Facts { counters: Some(counters), ..Facts::default() });
        for expected in [
            "swnd_registrations_total{result=\"accepted\"} 7",
            "swnd_registrations_total{result=\"failed\"} 5",
            "swnd_registration_failures_total{reason=\"unreachable\"} 3",
            "swnd_notifications_total{type=\"client_move\"} 6",
            "swnd_kernel_answers_total{result=\"accepted\"} 5",
            "swnd_kernel_answers_total{result=\"late\"} 1",
            "swnd_kernel_answers_total{result=\"ignored\"} 8",
            "swnd_kernel_answers_total{result=\"refused\"} 0",
            "swnd_unwatched_seconds_total 61.5",
            "swnd_witness_connections 3",
            "swnd_witness_losses_total{reason=\"no_answer\"} 2",
            "swnd_notification_delivery_seconds_bucket{le=\"+Inf\"} 5",
            "swnd_failover_seconds_sum 0.00003",
            "swnd_kernel_overruns_total 4",
            "swnd_log_lines_dropped_total 9",
        ] {
            assert!(samples.iter().any(|sample| sample == expected), "{expected}: {samples:#?}");
        }
    }

    #[test]
    fn what_an_older_daemon_does_not_count_is_left_out() {
        let counters = r#"{"events":{"registered":7},"notifications":{},"log_lines_dropped":0,
            "delivery":{"bounds_us":[],"counts":[],"sum_us":0},
            "failover":{"bounds_us":[],"counts":[],"sum_us":0}}"#;
        let counters = Some(serde_json::from_str(counters).unwrap());
        let samples = samples(&Facts { counters, ..Facts::default() });
        let told = |name: &str| samples.iter().any(|sample| sample.starts_with(name));
        assert!(told("swnd_registrations_total"));
        assert!(!told("swnd_unwatched") && !told("swnd_witness_connections"), "{samples:?}");
        assert!(!told("swnd_witness_losses"), "{samples:?}");
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let directory = std::env::temp_dir().join(format!("swnctl-metrics-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("swnd.prom");
        for text in ["one\n", "two\n"] {
            write_file(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(write_file(&directory.join("missing/swnd.prom"), "x").is_err());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }
}

//! What a registration takes that waits.

use super::Findings;
use crate::Options;
use crate::process::{Usage, Worker};
use crate::report::{Limit, Row};
use crate::samba::{self, Target};
use crate::stats::float;
use crate::worker::Sample;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;
use witness_sim::net::unused_subnet;

pub(super) const TITLE: &str = "what a registration takes that waits, in the cluster in a box";

/// How many registrations of ours.
const OURS: usize = 10_000;
/// How many of Samba's client.
const THEIRS: usize = 500;
/// How long nothing is to happen.
const REST: Duration = Duration::from_secs(10);

/// A cluster in a box in a process of its own.
pub(super) struct Box {
    pub(super) cluster: Worker,
    pub(super) target: Target,
}

impl Box {
    pub(super) fn new(nodes: u8, multiplexing: bool) -> Self {
        let [a, b, c] = unused_subnet();
        let subnet = format!("{a}.{b}.{c}");
        let role = ["cluster", &subnet, &nodes.to_string(), &multiplexing.to_string()];
        let cluster = Worker::own(many_descriptors(), &role);
        let node = |n| Some(IpAddr::V4(Ipv4Addr::new(a, b, c, n)));
        let target = Target {
            serves: node(11).expect("an address"),
            witness: node(12),
            net_name: "cluster.example.test".into(),
            user: "alice".into(),
            password: "secret".into(),
            domain: "EXAMPLE".into(),
        };
        Self { cluster, target }
    }

    pub(super) fn own_client(&self) -> Worker {
        let mut role = vec!["client".to_owned()];
        role.extend(self.target.arguments());
        role.push("135".into());
        Worker::own(many_descriptors(), &role.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// As many file descriptors as there may be.
pub(super) fn many_descriptors() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$@\"", "sh"]);
    command
}

/// What `count` registrations have added to a process, for each.
struct Held {
    rss: f64,
    anonymous: f64,
    descriptors: f64,
    /// In the whole process, while nothing happened.
    wake_ups: f64,
}

fn hold(client: &mut Worker, count: usize) -> Held {
    let before = client.usage();
    if count == THEIRS {
        let _: Vec<Sample> = client.ask(&format!("hold {count}"));
    } else {
        let _: Sample = client.ask(&format!("hold {count}"));
    }
    // The last calls of AsyncNotify are on their way still.
    std::thread::sleep(Duration::from_secs(2));
    let held = client.usage();
    std::thread::sleep(REST);
    let each = |of: fn(&Usage) -> f64| (of(&held) - of(&before)) / float(count);
    Held {
        rss: each(|u| u.rss),
        anonymous: each(|u| u.anonymous),
        descriptors: each(|u| u.descriptors),
        wake_ups: client.usage().wake_ups - held.wake_ups,
    }
}

pub(super) fn run(_options: &Options) -> Findings {
    let mut findings = Findings::default();
    findings.feel_noise();
    for multiplexing in [true, false] {
        let mut cluster = Box::new(2, multiplexing);
        let mut client = cluster.own_client();
        let ours = hold(&mut client, OURS);
        let there: usize = cluster.cluster.ask("registrations");
        assert_eq!(there, OURS, "the cluster knows them all");
        drop(client);
        let theirs = hold(&mut samba::start(many_descriptors(), &cluster.target), THEIRS);
        let how = if multiplexing { "shared" } else { "one connection each" };
        let (memory, descriptors) = if multiplexing { (4.0, 1.0 / 64.0) } else { (20.0, 1.1) };
        let row = |what: &str, unit, ours: f64, theirs: f64, limit| {
            let what = format!("{what}, {how}");
            let beside = ("Samba's client", &[theirs][..]);
            Row::paired(&what, unit, &[ours], beside, limit)
        };
        findings.rows.extend([
            row("resident memory each", "KiB", ours.rss, theirs.rss, Some(Limit::AtMost(memory))),
            row("of it anonymous", "KiB", ours.anonymous, theirs.anonymous, None),
            row(
                "file descriptors each",
                "",
                ours.descriptors,
                theirs.descriptors,
                Some(Limit::AtMost(descriptors)),
            ),
            Row::new(&format!("wake-ups in {REST:?} at rest, {how}"), "", &[ours.wake_ups])
                .limited(Limit::AtMost(0.0)),
        ]);
    }
    findings.note(format!("{OURS} registrations of ours, {THEIRS} of Samba's client"));
    findings.feel_noise();
    findings
}

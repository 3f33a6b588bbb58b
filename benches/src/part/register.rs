//! Registering, at a real cluster.

use super::{Awake, Findings};
use crate::Options;
use crate::capture::{Capture, Thinking};
use crate::process::Worker;
use crate::report::{Limit, Row, Series};
use crate::samba::{self, Target};
use crate::stats::{float, median, percentile};
use crate::worker::Sample;
use lab::{CLUSTER_NAME, Cluster, PASSWORD, USER};
use std::collections::BTreeSet;

pub(super) const TITLE: &str =
    "from nothing to registered: mapper, bind, list, mapper, bind, RegisterEx";

/// How many registrations of each client make a round.
const EACH: usize = 12;
/// The clients' address.
const CLIENT: [u8; 4] = [10, 77, 0, 2];

pub(super) fn run(options: &Options) -> Findings {
    let cluster = Cluster::fresh();
    let target = Target {
        serves: cluster.address_of(0).into(),
        witness: None,
        net_name: CLUSTER_NAME.into(),
        user: USER.into(),
        password: PASSWORD.into(),
        domain: "WITDOM".into(),
    };
    let mut ours = own_client(&cluster, &target);
    let mut theirs = samba::start(cluster.client("env"), &target);
    // Processes of the server start with the first call, and caches fill.
    ask(&mut ours);
    ask(&mut theirs);
    let capture = Capture::start(cluster.client("env"));
    let _awake = Awake::start();
    let mut findings = Findings::default();
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        findings.feel_noise();
        rounds.push((ask(&mut ours), ask(&mut theirs)));
    }
    report(&mut findings, &rounds, &capture.stop(CLIENT));
    findings
}

pub(super) fn own_client(cluster: &Cluster, target: &Target) -> Worker {
    let mut role = vec!["client".to_owned()];
    role.extend(target.arguments());
    role.push("135".into());
    Worker::own(cluster.client("env"), &role.iter().map(String::as_str).collect::<Vec<_>>())
}

fn ask(client: &mut Worker) -> Vec<Sample> {
    client.ask(&format!("register {EACH}"))
}

/// The medians of a round, in milliseconds.
fn medians(round: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    median(&round.iter().map(|sample| of(sample) * 1e3).collect::<Vec<_>>())
}

fn report(findings: &mut Findings, rounds: &[(Vec<Sample>, Vec<Sample>)], server: &Thinking) {
    let floor = |s: &Sample| server.between(s.start, s.start + s.wall).1;
    let calls = |s: &Sample| server.between(s.start, s.start + s.wall).0;
    let ours = |of: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
        rounds.iter().map(|(ours, _)| medians(ours, of)).collect()
    };
    let theirs = |of: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
        rounds.iter().map(|(_, theirs)| medians(theirs, of)).collect()
    };
    let (wall, cpu) = (|s: &Sample| s.wall, |s: &Sample| s.cpu);
    let samba = "Samba's client";
    findings.rows = vec![
        Row::paired(
            "wall clock",
            "ms",
            &ours(&wall),
            (samba, &theirs(&wall)),
            Some(Limit::RatioAtMost(0.20)),
        ),
        Row::paired(
            "wall clock",
            "ms",
            &ours(&wall),
            ("the floor", &ours(&floor)),
            Some(Limit::RatioAtMost(1.15)),
        ),
        Row::paired(
            "CPU of the client",
            "ms",
            &ours(&cpu),
            (samba, &theirs(&cpu)),
            Some(Limit::RatioAtMost(0.35)),
        ),
        Row::paired(
            "wall clock of Samba's client",
            "ms",
            &theirs(&wall),
            ("its floor", &theirs(&floor)),
            None,
        ),
    ];
    let all = |samples: &mut dyn Iterator<Item = &Sample>| {
        let calls: BTreeSet<usize> = samples.map(calls).collect();
        calls.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
    };
    findings.note(format!(
        "The floor is what the server took for the {} requests of a registration ({} of Samba's client), by a packet capture.",
        all(&mut rounds.iter().flat_map(|(ours, _)| ours)),
        all(&mut rounds.iter().flat_map(|(_, theirs)| theirs)),
    ));
    for (name, samples) in [
        ("swnclient", rounds.iter().flat_map(|(ours, _)| ours).collect::<Vec<_>>()),
        (samba, rounds.iter().flat_map(|(_, theirs)| theirs).collect()),
    ] {
        let walls: Vec<f64> = samples.iter().map(|s| s.wall * 1e3).collect();
        findings.series.push(distribution("register", name, &walls));
    }
    let floors: Vec<f64> =
        rounds.iter().flat_map(|(ours, _)| ours).map(|s| floor(s) * 1e3).collect();
    findings.series.push(distribution("register", "the floor of swnclient", &floors));
}

/// Percentiles of many values.
pub(super) fn distribution(plot: &str, name: &str, values: &[f64]) -> Series {
    let points = (0..=100).map(|p| (float(p), percentile(values, float(p)))).collect();
    Series { plot: plot.into(), name: name.into(), points }
}

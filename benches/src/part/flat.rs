//! Whether many cost more than few, each.

use super::Findings;
use super::hold::Box;
use crate::Options;
use crate::process::Worker;
use crate::report::{Limit, Row, Series};
use crate::stats::float;
use crate::worker::Sample;

pub(super) const TITLE: &str = "what one more costs where there are many already";

const FEW: usize = 100;
const MANY: usize = 10_000;
const SIZES: [usize; 5] = [FEW, 300, 1_000, 3_000, MANY];
/// How many notifications are measured at least.
const NOTIFICATIONS: usize = 10_000;

/// CPU time of the client in a round, in microseconds.
struct Cost {
    register: f64,
    notify: f64,
}

pub(super) fn run(options: &Options) -> Findings {
    let mut findings = Findings::default();
    let mut costs: Vec<Vec<Cost>> = SIZES.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        findings.feel_noise();
        for (size, costs) in SIZES.iter().zip(&mut costs) {
            costs.push(measure(*size));
        }
    }
    for (what, name, of) in [
        ("CPU per registration", "a registration", (|c: &Cost| c.register) as fn(&Cost) -> f64),
        ("CPU per notification", "a notification", |c: &Cost| c.notify),
    ] {
        let rounds = |index: usize| -> Vec<f64> { costs[index].iter().map(of).collect() };
        let (few, many) = (rounds(0), rounds(SIZES.len() - 1));
        let what = format!("{what}, of {MANY}");
        let beside = (&*format!("of {FEW}"), &few[..]);
        let limit = Some(Limit::RatioAtMost(1.2));
        findings.rows.push(Row::paired(&what, "µs", &many, beside, limit));
        let medians = SIZES
            .iter()
            .enumerate()
            .map(|(index, size)| (float(*size), crate::stats::median(&rounds(index))));
        findings.series.push(Series {
            plot: "flat".into(),
            name: name.into(),
            points: medians.collect(),
        });
    }
    findings
}

fn measure(size: usize) -> Cost {
    let mut cluster = Box::new(2, true);
    // So many that clock and scheduler don't matter.
    let register = if size < 1000 {
        let clients = 1000 / size;
        let cpu: f64 = (0..clients).map(|_| registered(&cluster, size).1).sum();
        cpu / float(clients * size)
    } else {
        registered(&cluster, size).1 / float(size)
    };
    let (mut client, _) = registered(&cluster, size);
    let rounds = (NOTIFICATIONS / size).max(1);
    client.tell(&format!("notified {}", rounds * size));
    let () = cluster.cluster.ask(&format!("move {rounds}"));
    let notified: Sample = client.answer();
    Cost { register: register * 1e6, notify: notified.cpu / float(rounds * size) * 1e6 }
}

fn registered(cluster: &Box, size: usize) -> (Worker, f64) {
    let mut client = cluster.own_client();
    let sample: Sample = client.ask(&format!("hold {size}"));
    (client, sample.cpu)
}

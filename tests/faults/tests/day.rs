//! A day of virtual time in which four nodes of five do their worst, others and other
//! things every few minutes: `DAYS=30 cargo test -p faults --test day -- --nocapture` for a month.

#![allow(clippy::unwrap_used)]

use faults::Bench;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Config, Event};
use witness_sim::world::NetworkConfig;
use witness_sim::{ClusterConfig, Destination, Happening, Profile, Stage, Step, Who};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Of [`witness_sim::What`], as scripts write it: none by which an account could be locked, and no storm, of
/// which nothing is promised.
const HOSTILE: [&str; 18] = [
    "refuse",
    "no-reply",
    "drop",
    "delay 9s",
    "cut 0",
    "cut 20",
    "garble 30",
    "garble 2",
    "chunks",
    "fragments 3",
    "huge-counts",
    "huge-length",
    "truncate 5",
    "wrong-call-id",
    "unprotected",
    "fault 0x1c010002",
    "status ERROR_NOT_FOUND",
    "empty",
];

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

#[test]
fn a_day_of_random_hostility_ends_in_order_and_costs_few_connections_and_errors() {
    let days: u32 = std::env::var("DAYS").map_or(1, |days| days.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(1);
    let cluster = ClusterConfig::new(Profile::Samba, 5, [10, 0, 0]);
    let mut bench = Bench::new(cluster, NetworkConfig::default(), 1);
    let client = bench.add_client(Config::default(), 1);
    for node in 1..=3 {
        bench.mount(client, ip(node));
    }
    let (mut connects, mut asked, mut failed, mut told) = (0, 0, 0, 0);
    let end = bench.world.now() + days * 24 * HOUR;
    while bench.world.now() < end {
        bench.run(Step::NoFaults);
        let honest = random.u8(1..=5);
        for node in (1..=5).filter(|node| *node != honest) {
            let stage = random.choice(Stage::ALL).unwrap();
            let what = random.choice(HOSTILE).unwrap();
            bench.run(format!("fault {stage} node {node} always {what}").parse().unwrap());
        }
        for _ in 0..random.u32(1..10) {
            bench.pass(MINUTE);
            bench.echo();
        }
        for event in std::mem::take(&mut bench.happened) {
            match event {
                Happening::Connected { .. } => connects += 1,
                Happening::Faulted { stage: Stage::AsyncNotify, .. }
                | Happening::Called { stage: Stage::AsyncNotify, .. } => asked += 1,
                _ => {}
            }
        }
        for (_, _, event) in std::mem::take(&mut bench.told) {
            match event {
                Event::Failed { .. } => failed += 1,
                Event::Notification(_) => told += 1,
                _ => {}
            }
        }
    }
    println!(
        "{days} days, 3 mounts: {connects} connections, {asked} calls that wait, {failed} errors, \
         {told} notifications"
    );
    bench.run(Step::NoFaults);
    let limit = bench.world.now() + HOUR;
    assert!(bench.pass_until(limit, |bench| bench.all_in_order()), "{:#?}", bench.told);
    // Each mount is told what comes then.
    bench.told.clear();
    let to = Destination::from(IpAddr::from([192, 0, 2, 1]));
    bench.run(Step::IpChange { who: Who::All, to });
    bench.pass(MINUTE);
    let heard = bench.told.iter().filter(|it| matches!(it.2, Event::Notification(_))).count();
    assert_eq!(heard, 3);
    // Each mount asks a hostile witness ten times a second at most, and tries others, too.
    let seconds = usize::try_from(24 * 3600 * days).unwrap();
    assert!(asked <= 3 * 10 * seconds, "{asked} calls");
    assert!(connects <= seconds, "{connects} connections");
    assert!(failed <= seconds / 10, "{failed} errors");
}

//! A notification's way through the daemon.

use super::register::distribution;
use super::{Awake, Findings};
use crate::Options;
use crate::process::Worker;
use crate::report::{Limit, Row};
use crate::stats::{float, percentile};
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

pub(super) const TITLE: &str =
    "from the notification's bytes being readable to the netlink message being sent";

/// How many notifications each gets at a time, and how often in a round: the
/// machine's moods, which last longer, then meet both. The first of a turn, which
/// meets what the other has left in the caches, does not count.
const TURN: usize = 50;
const TURNS: usize = 4;
/// The pause before a turn of swnd's: a witness that has had news 64 times in a row is asked
/// ten times a second only, and each notification would find the caches cold.
const PAUSE: Duration = Duration::from_millis(6_500);

/// What the look at the kernel's connection may add, in microseconds.
const LOOK: f64 = 15.0;

/// One process precedes the other on one CPU, so that none reads before the
/// clock has been read.
fn on_one_cpu(precedence: &str) -> Command {
    let mut command = Command::new("chrt");
    command.args(["--fifo", precedence, "taskset", "--cpu-list", "1"]);
    command
}

pub(super) fn run(options: &Options) -> Findings {
    let _awake = Awake::start();
    let mut witness = Worker::own(on_one_cpu("20"), &["witness"]);
    let (serves, port): (IpAddr, u16) = witness.answer();
    let mut daemon = Worker::own(on_one_cpu("10"), &["daemon", &serves.to_string(), "135"]);
    witness.tell("registered");
    let () = daemon.ask("mount 1");
    let () = witness.answer();
    let mut notify = |witness: &mut Worker| {
        std::thread::sleep(PAUSE);
        times(witness, "notify", &mut daemon)
    };
    // Caches fill, and the witness knows what to send to the other.
    notify(&mut witness);
    let mut bare = Worker::own(on_one_cpu("10"), &["bare", &format!("{serves}:{port}")]);
    let () = witness.ask("accept");
    times(&mut witness, "bare", &mut bare);
    let mut look = Worker::own(on_one_cpu("10"), &["look", &format!("{serves}:{port}")]);
    let _: bool = witness.ask("watched");

    let mut findings = Findings::default();
    let (mut ours, mut theirs, mut looks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        findings.feel_noise();
        let (mut round, mut bare_round) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            round.extend(notify(&mut witness));
            bare_round.extend(times(&mut witness, "bare", &mut bare));
        }
        let times: Vec<u64> = look.ask(&format!("look {}", TURN * TURNS));
        let times: Vec<f64> =
            times.into_iter().map(|it| float(usize::try_from(it).expect("short")) / 1e3).collect();
        looks.push(percentile(&times, 50.0));
        ours.push(round);
        theirs.push(bare_round);
    }
    for (what, percent, limit) in [("median", 50.0, 1.5), ("p99", 99.0, 2.0)] {
        let of = |rounds: &[Vec<f64>]| -> Vec<f64> {
            rounds.iter().map(|round| percentile(round, percent)).collect()
        };
        let beside = ("a bare program", &of(&theirs)[..]);
        let limit = Some(Limit::RatioAtMost(limit));
        findings.rows.push(Row::paired(what, "µs", &of(&ours), beside, limit));
    }
    findings.rows.push(Row {
        limit: Some(Limit::AtMost(LOOK)),
        ..Row::new(
            "the look at the kernel's connection, which a verified failover adds",
            "µs",
            &looks,
        )
    });
    findings.note(format!(
        "{} notifications of each in a round, one at a time, {TURN} by turns",
        TURN * TURNS
    ));
    findings.series.push(distribution("notify", "swnd", &ours.concat()));
    findings.series.push(distribution("notify", "a bare tokio program", &theirs.concat()));
    findings
}

/// How long each took, in microseconds.
fn times(witness: &mut Worker, order: &str, forwarder: &mut Worker) -> Vec<f64> {
    let readable: Vec<u64> = witness.ask(&format!("{order} {}", TURN + 1));
    let sent: Vec<u64> = forwarder.ask("sent");
    assert_eq!(readable.len(), sent.len(), "each notification becomes one message");
    let times = readable.iter().zip(&sent).skip(1).map(|(from, to)| {
        let nanoseconds = to.checked_sub(*from).expect("read before it is there");
        float(usize::try_from(nanoseconds).expect("less than a second")) / 1e3
    });
    times.collect()
}

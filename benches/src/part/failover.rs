//! Many mounts whose witness dies.

use super::Findings;
use super::register::own_client;
use crate::Options;
use crate::process::cpu_of_all;
use crate::report::{Limit, Row};
use crate::samba::{self, Target};
use crate::stats::float;
use crate::worker::Sample;
use lab::{CLUSTER_NAME, Cluster, PASSWORD, USER};
use std::time::{Duration, Instant};

pub(super) const TITLE: &str = "1,000 mounts of one client whose witness dies";

const MOUNTS: usize = 1000;
/// How many registrations of Samba's client stand for all of them in a round.
const SAMPLE: usize = 100;
/// Registrations that are lost sooner are made again after a moment that grows from loss to loss.
const LASTING: Duration = Duration::from_secs(6);
/// The witness's own process, by the name that the system has for it.
const WITNESS: &str = "rpcd_witness";
/// Who else works for a registration.
const HELPERS: [&str; 3] = ["samba-dcerpcd", "rpcd_epmapper", "ctdbd"];

pub(super) fn run(options: &Options) -> Findings {
    let cluster = Cluster::fresh();
    let target = |witness| Target {
        serves: cluster.address_of(0).into(),
        witness: Some(cluster.address_of(witness).into()),
        net_name: CLUSTER_NAME.into(),
        user: USER.into(),
        password: PASSWORD.into(),
        domain: "WITDOM".into(),
    };
    // All of them at one witness, for there is no other yet.
    let (mut at, mut other) = (1, 2);
    cluster.stop_dcerpcd(other);
    let mut ours = own_client(&cluster, &target(at));
    let _: Sample = ours.ask(&format!("hold {MOUNTS}"));
    cluster.restart_dcerpcd(other);

    let mut findings = Findings::default();
    let [mut wall, mut cpu, mut server, mut witness] = [const { Vec::new() }; 4];
    let mut theirs = Vec::new();
    let mut registered = Instant::now();
    for _ in 0..options.rounds {
        findings.feel_noise();
        let mut samba = samba::start(cluster.client("env"), &target(other));
        let _: Vec<Sample> = samba.ask("again 3");
        let samples: Vec<Sample> = samba.ask(&format!("again {SAMPLE}"));
        drop(samba);
        let sum: f64 = samples.iter().map(|sample| sample.wall).sum();
        theirs.push(sum * float(MOUNTS) / float(SAMPLE));

        std::thread::sleep(LASTING.saturating_sub(registered.elapsed()));
        ours.tell("lose");
        ours.tell("recovered");
        // Only those that are not about to end.
        let before = server_cpu();
        cluster.stop_dcerpcd(at);
        let recovered: Sample = ours.answer();
        registered = Instant::now();
        let now = server_cpu();
        wall.push(recovered.wall);
        cpu.push(recovered.cpu);
        server.push(now.0 - before.0);
        witness.push(now.1 - before.1);
        cluster.restart_dcerpcd(at);
        (at, other) = (other, at);
    }
    findings.rows = vec![
        Row::paired(
            "all registered again after",
            "s",
            &wall,
            ("Samba's client, one after the other", &theirs),
            Some(Limit::RatioAtMost(1.0 / 20.0)),
        ),
        Row::paired(
            "CPU until then",
            "s",
            &cpu,
            ("the servers", &server),
            Some(Limit::RatioAtMost(1.0)),
        ),
        Row::new("of it the witness's process", "s", &witness),
    ];
    findings.note(format!(
        "Samba's client: {SAMPLE} registrations by mapper, bind and RegisterEx, without a list, times {}",
        MOUNTS / SAMPLE
    ));
    findings.note(format!(
        "Each registration has lasted {LASTING:?}: what is lost within 5 s is made again later."
    ));
    findings.note("Without the random wait after a loss (15 s at most), which is there for the server's sake.");
    findings
}

/// The CPU time of all server processes so far, and of the witnesses alone.
fn server_cpu() -> (f64, f64) {
    let witness = cpu_of_all(WITNESS);
    (witness + HELPERS.map(cpu_of_all).iter().sum::<f64>(), witness)
}

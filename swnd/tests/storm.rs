//! A witness that answers with a hundred thousand changes holds nothing up.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use kernel_sim::{StandInKernel, known_account};
use std::net::IpAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use swnclient::{Client, Config, RegistrationRequest};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::kernel::Link;
use swnd::report::Report;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Fault, NodeId, Profile, Stage, Step, What};

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
/// As many as one response of 1 MiB has room for.
const CHANGES: usize = 131_000;
/// How many of them the kernel is told.
const TOLD: usize = 64;
/// For everything together on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Silent;

impl Observer for Silent {
    fn report(&self, _report: &Report) {}
}

/// A cluster in a thread of its own: what it costs the witness to make its answer holds
/// up nothing here.
fn hostile() -> (IpAddr, mpsc::Receiver<()>) {
    let (started, address) = mpsc::channel();
    let (registered, is_registered) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut config = ClusterConfig::new(Profile::Samba, 2, unused_subnet());
            config.mapper_port = MAPPER_PORT;
            let serves = config.address(NodeId(1)).unwrap();
            let cluster = RunningCluster::start(config).await.unwrap();
            cluster.run(Step::Fault(Fault::once(Stage::AsyncNotify, What::Storm(CHANGES)))).await;
            started.send(serves).unwrap();
            cluster.wait_until(LIMIT, |it| it.registrations().len() > 0).await.unwrap();
            let _ = registered.send(());
            tokio::time::sleep(LIMIT).await;
        });
    });
    (address.recv_timeout(LIMIT).unwrap(), is_registered)
}

#[test]
fn a_hundred_thousand_changes_in_one_answer_hold_up_no_other_mount() {
    let (serves, registered) = hostile();
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (told, longest) = runtime.block_on(async {
        let daemon = Daemon::new(link, Silent, Policy::default(), Mode::Forward, |sink| {
            Client::start(config, sink)
        });
        let daemon = tokio::spawn(async move { daemon.run().await });
        // It joins the kernel's group.
        tokio::task::yield_now().await;
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(serves)
            .scale_out();
        kernel.mount(&request, &known_account());
        let (mut told, mut longest) = (0, Duration::ZERO);
        let started = Instant::now();
        let mut quiet = Instant::now();
        // Until nothing has come for a while.
        while told == 0 || quiet.elapsed() < Duration::from_millis(500) {
            assert!(started.elapsed() < LIMIT, "{told} told");
            let before = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(before.elapsed());
            let taken = kernel.take_notifications().len();
            if taken > 0 {
                (told, quiet) = (told + taken, Instant::now());
            }
        }
        daemon.abort();
        (told, longest)
    });
    registered.recv_timeout(LIMIT).unwrap();
    println!("{told} changes told, the event loop held for {longest:?}");
    assert!(told <= TOLD, "{told}");
}

//! Thousands of mounts through the stand-in kernel, the daemon and a cluster on
//! real sockets.

#![allow(clippy::unwrap_used)]

use kernel_sim::StandInKernel;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use swnclient::{Client, Config, Notification, RegistrationRequest, Secret};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer, Status};
use swnd::kernel::{KernelAuth, Link};
use swnd::report::Report;
use tokio::sync::watch;
use tokio::time::timeout;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, Happening, Profile, Step, Who};

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
const NODES: u8 = 3;
const MOUNTS: usize = 5_000;
/// Every so many mounts one is of no use, in one of [`BAD`] ways.
const BAD_EVERY: usize = 50;
const BAD: usize = 4;
/// For everything together on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How many mounts are registered, and how often messages were lost.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    mounts: usize,
    registered: usize,
    overruns: usize,
}

struct Watcher(watch::Sender<Seen>);

impl Observer for Watcher {
    fn report(&self, report: &Report) {
        if matches!(report, Report::Overrun) {
            self.0.send_modify(|seen| seen.overruns += 1);
        }
    }

    fn status(&self, Status { mounts, registered, .. }: Status) {
        self.0.send_modify(|seen| *seen = Seen { mounts, registered, ..*seen });
    }
}

fn ip([a, b, c]: [u8; 3], last: usize) -> IpAddr {
    IpAddr::from([a, b, c, u8::try_from(last).unwrap()])
}

/// What is wrong with a mount, by its number; `None`: nothing.
fn wrong(number: usize) -> Option<usize> {
    (number % BAD_EVERY == 0).then_some(number / BAD_EVERY % BAD)
}

/// The mount of that number.
fn mount(number: usize, subnet: [u8; 3]) -> (RegistrationRequest, KernelAuth) {
    let mut request = RegistrationRequest::new("cluster.example.test")
        .share(format!("data{number}"))
        .served_by(ip(subnet, 11 + number % usize::from(NODES)))
        .scale_out();
    let mut password = Some(Secret::new("secret"));
    match wrong(number) {
        None => {}
        Some(0) => password = Some(Secret::new("wrong")),
        Some(1) => password = None,
        Some(2) => request.net_name = "another.example.test".into(),
        // No node listens there.
        Some(_) => request.ip_address = Some(ip(subnet, 250)),
    }
    let auth =
        KernelAuth::Ntlm { user: Some("alice".into()), domain: Some("EXAMPLE".into()), password };
    (request, auth)
}

#[tokio::test]
async fn thousands_of_mounts_are_registered_and_bad_ones_disturb_none() {
    timeout(LIMIT, thousands()).await.expect("in time");
}

async fn thousands() {
    let subnet = unused_subnet();
    let mut config = ClusterConfig::new(Profile::Samba, NODES, subnet);
    config.mapper_port = MAPPER_PORT;
    let cluster = RunningCluster::start(config).await.unwrap();
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let (sender, mut seen) = watch::channel(Seen::default());
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let daemon = Daemon::new(link, Watcher(sender), Policy::default(), Mode::Forward, |sink| {
        Client::start(config, sink)
    });
    let daemon = tokio::spawn(async move { daemon.run().await });
    // It joins the kernel's group.
    tokio::task::yield_now().await;

    // More than the daemon's socket holds: what is lost comes with the echo.
    let mounts = (0..MOUNTS).map(|number| mount(number, subnet));
    let ids: Vec<u32> = mounts.map(|(request, auth)| kernel.mount(&request, &auth)).collect();
    seen.wait_for(|seen| seen.overruns > 0).await.unwrap();
    // Unlike the kernel, which takes a minute for it, this one echoes in one go.
    kernel.set_room(2 * MOUNTS);
    kernel.echo();
    let good: Vec<u32> =
        ids.iter().enumerate().filter_map(|(n, id)| wrong(n).is_none().then_some(*id)).collect();
    seen.wait_for(|seen| seen.registered == good.len()).await.unwrap();
    assert_eq!(seen.borrow().mounts, MOUNTS);

    // What is repeated for the bad ones costs the good ones nothing.
    let mut events = cluster.events();
    for _ in 0..3 {
        kernel.echo();
        tokio::task::yield_now().await;
    }
    let to: IpAddr = "192.0.2.1".parse().unwrap();
    let step = Step::IpChange { who: Who::All, to: Destination::from(to) };
    cluster.run(step).await;
    let mut told: BTreeMap<u32, usize> = BTreeMap::new();
    while told.len() < good.len() {
        kernel.notified().await;
        for taken in kernel.take_notifications() {
            assert_eq!(taken.notification, Notification::IpChange { address: to });
            *told.entry(taken.id).or_default() += 1;
        }
    }
    assert!(told.values().all(|times| *times == 1));
    assert!(told.keys().eq(&good));
    assert_eq!(seen.borrow().registered, good.len());
    while let Ok(event) = events.try_recv() {
        let lost = matches!(event.what, Happening::Unregistered { .. });
        assert!(!lost, "{}", event.what);
    }
    daemon.abort();
}

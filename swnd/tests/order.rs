//! The kernel hears of a notification before the witness is asked for the next:
//! who asks first makes a mount wait for nothing.

#![allow(clippy::unwrap_used)]

use kernel_sim::{StandInKernel, known_account};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient::{Client, Config, RegistrationRequest};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::kernel::Link;
use swnd::kernel::link::{Datagram, Transport};
use swnd::report::Report;
use tokio::time::timeout;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
const NOTIFICATIONS: usize = 20;
/// For everything together on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Silent;

impl Observer for Silent {
    fn report(&self, _report: &Report) {}
}

/// The bytes that the client has sent, as the witness's sockets stand: those on
/// their way to it, and those that it has not read.
fn unread(subnet: [u8; 3]) -> Vec<usize> {
    let is_witness = |end: &str| {
        let (address, _port) = end.split_once(':').unwrap();
        let address = u32::from_str_radix(address, 16).unwrap();
        Ipv4Addr::from(address.to_ne_bytes()).octets().starts_with(&subnet)
    };
    let established = |line: &str| {
        let [_, local, remote, "01", queues, ..] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let (sent, received) = queues.split_once(':').unwrap();
        let queue = match (is_witness(local), is_witness(remote)) {
            (true, _) => received,
            (_, true) => sent,
            _ => return None,
        };
        Some(usize::from_str_radix(queue, 16).unwrap())
    };
    std::fs::read_to_string("/proc/self/net/tcp").unwrap().lines().filter_map(established).collect()
}

/// The stand-in for the kernel, which looks at the witness's sockets when it is
/// told something.
struct Watching {
    kernel: StandInKernel,
    family: Option<u16>,
    subnet: [u8; 3],
    seen: Arc<Mutex<Vec<Vec<usize>>>>,
}

impl Transport for Watching {
    async fn readable(&self) -> io::Result<()> {
        self.kernel.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.kernel.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        let kind = message.get(4..6).map(|kind| u16::from_ne_bytes(kind.try_into().unwrap()));
        if kind == self.family {
            self.seen.lock().unwrap().push(unread(self.subnet));
        }
        self.kernel.send(message)
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.kernel.join(group)
    }
}

#[tokio::test]
async fn the_kernel_is_told_before_the_next_call_is_made() {
    timeout(LIMIT, notifications()).await.expect("in time");
}

/// All in one thread: while the kernel is told, the witness reads nothing.
async fn notifications() {
    let subnet = unused_subnet();
    let mut config = ClusterConfig::new(Profile::Samba, 2, subnet);
    config.mapper_port = MAPPER_PORT;
    let serves = config.address(NodeId(1)).unwrap();
    let cluster = RunningCluster::start(config).await.unwrap();
    let kernel = StandInKernel::with_module();
    let seen = Arc::default();
    let watching = Watching {
        kernel: kernel.clone(),
        family: kernel.family_id(),
        subnet,
        seen: Arc::clone(&seen),
    };
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let link = Link::open(watching).unwrap();
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
    let to: IpAddr = "192.0.2.1".parse().unwrap();
    for _ in 0..NOTIFICATIONS {
        let asked = |cluster: &witness_sim::Cluster| {
            cluster.registrations().any(|registration| !registration.waiting.is_empty())
        };
        cluster.wait_until(LIMIT, asked).await.unwrap();
        cluster.run(Step::IpChange { who: Who::All, to: Destination::from(to) }).await;
        while kernel.take_notifications().is_empty() {
            kernel.notified().await;
        }
    }
    // Both ends of the one connection, and nothing between them.
    assert_eq!(*seen.lock().unwrap(), vec![vec![0, 0]; NOTIFICATIONS]);
    daemon.abort();
}

//! A notification that the kernel does not take, because it holds the lock of a dead
//! connection, keeps no other from it.

#![allow(clippy::unwrap_used)]

use std::future::ready;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use swnclient::{Client, Config, RegistrationRequest, Secret};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer, Status};
use swnd::failover::driver::{Answer, Network, Observed};
use swnd::failover::{Connection, End, Look, TcpState};
use swnd::kernel::link::{Datagram, Transport};
use swnd::kernel::{KernelAuth, Link, StandInKernel};
use swnd::report::Report;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
const MOUNTS: usize = 100;
/// For everything together on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

struct Registered(watch::Sender<usize>);

impl Observer for Registered {
    fn report(&self, _report: &Report) {}

    fn status(&self, status: Status) {
        self.0.send_replace(status.registered);
    }
}

/// Holds the first notification until it is let go.
#[derive(Default)]
struct Gate {
    holds: Mutex<Option<bool>>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut holds = self.holds.lock().unwrap();
        if holds.is_none() {
            *holds = Some(true);
            drop(self.changed.wait_while(holds, |holds| *holds == Some(true)).unwrap());
        }
    }

    fn holds(&self) -> bool {
        *self.holds.lock().unwrap() == Some(true)
    }

    fn open(&self) {
        *self.holds.lock().unwrap() = Some(false);
        self.changed.notify_all();
    }
}

/// Lets the notification go where the test fails, or its thread would not end.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// The stand-in for the kernel, with a lock that somebody holds.
struct Stuck {
    kernel: StandInKernel,
    family: Option<u16>,
    gate: Arc<Gate>,
    taken: mpsc::UnboundedSender<()>,
}

impl Transport for Stuck {
    async fn readable(&self) -> io::Result<()> {
        self.kernel.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.kernel.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        let kind = message.get(4..6).map(|kind| u16::from_ne_bytes(kind.try_into().unwrap()));
        let is_notification = kind == self.family;
        if is_notification {
            self.gate.pass();
        }
        self.kernel.send(message)?;
        if is_notification {
            let _ = self.taken.send(());
        }
        Ok(())
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.kernel.join(group)
    }
}

/// One connection of the kernel's, and servers that all answer.
struct Served(IpAddr);

impl Served {
    fn connection(&self) -> Connection {
        let local: SocketAddr = (self.0, 50_000).into();
        Connection {
            cookie: 1,
            interface: 0,
            local,
            remote: (self.0, 445).into(),
            state: TcpState::Established,
            unacknowledged: 0,
            backoff: 0,
            since_ack: Duration::ZERO,
            received: 1000,
        }
    }
}

impl Network for Served {
    fn look(&self, connections: &[Connection]) -> Vec<Connection> {
        connections.to_vec()
    }

    fn observe(&self, debug_data: bool) -> Observed {
        let connections = vec![self.connection()];
        Observed::Look(Look { connections, debug_data: debug_data.then_some(None) })
    }

    fn end(&self, _connection: &Connection, _if_dead: Option<(u8, Duration)>) -> End {
        End::Gone
    }

    fn probe(&self, _address: IpAddr) -> Answer<bool> {
        Box::pin(ready(true))
    }

    fn look_up(&self, _name: smol_str::SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(ready(Vec::new()))
    }
}

#[tokio::test]
async fn one_that_the_kernel_does_not_take_keeps_no_other_from_it() {
    timeout(LIMIT, moves()).await.expect("in time");
}

async fn moves() {
    let mut config = ClusterConfig::new(Profile::Samba, 2, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    let serves = config.address(NodeId(1)).unwrap();
    let cluster = RunningCluster::start(config).await.unwrap();
    let kernel = StandInKernel::with_module();
    let gate = Arc::new(Gate::default());
    let _opens = Opens(Arc::clone(&gate));
    let (taken, mut is_taken) = mpsc::unbounded_channel();
    let stuck = Stuck {
        kernel: kernel.clone(),
        family: kernel.family_id(),
        gate: Arc::clone(&gate),
        taken,
    };
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let link = Link::open(stuck).unwrap();
    let mode = Mode::Verified(Arc::new(Served(serves)));
    let (registered, mut is_registered) = watch::channel(0);
    let daemon = Daemon::new(link, Registered(registered), Policy::default(), mode, |sink| {
        Client::start(config, sink)
    });
    let daemon = tokio::spawn(async move { daemon.run().await });
    // It joins the kernel's group.
    tokio::task::yield_now().await;

    let auth = KernelAuth::Ntlm {
        user: Some("alice".into()),
        domain: Some("EXAMPLE".into()),
        password: Some(Secret::new("secret")),
    };
    for number in 0..MOUNTS {
        let request = RegistrationRequest {
            net_name: "cluster.example.test".into(),
            share_name: Some(smol_str::format_smolstr!("data{number}")),
            ip_address: Some(serves),
            net_name_notify: true,
            share_name_notify: true,
            ip_notify: true,
        };
        kernel.mount(&request, &auth);
    }
    is_registered.wait_for(|registered| *registered == MOUNTS).await.unwrap();

    let to: IpAddr = "192.0.2.1".parse().unwrap();
    let started = Instant::now();
    cluster.run(Step::ClientMove { who: Who::All, to: Destination::from(to) }).await;
    for _ in 1..MOUNTS {
        is_taken.recv().await.unwrap();
    }
    println!("{} others after {:?}", MOUNTS - 1, started.elapsed());
    assert!(gate.holds(), "the first one waits still");
    gate.open();
    is_taken.recv().await.unwrap();
    daemon.abort();
}

//! A notification that the kernel holds, as it does while it holds the lock of a dead
//! connection, keeps no other from it.

use crate::client::{Call, FakeClient, auth, request};
use kernel_sim::StandInKernel;
use smol_str::{SmolStr, format_smolstr};
use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use swnclient::{Event, EventSink, Notification, RegistrationId, ScopedAddr};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::failover::driver::{Answer, Network, Observed};
use swnd::failover::{Connection, End, Look, TcpState};
use swnd::kernel::link::Datagram;
use swnd::kernel::{Link, Transport};
use swnd::report::Report;
use tokio::sync::mpsc;
use tokio::time::timeout;

const MOUNTS: u8 = 100;
const LIMIT: Duration = Duration::from_secs(60);

/// Says nothing.
struct Silent;

impl Observer for Silent {
    fn report(&self, _: &Report) {}
}

fn address(mount: u8) -> IpAddr {
    Ipv4Addr::new(10, 77, 1, mount).into()
}

/// A connection for each mount, and servers that all answer.
struct Served;

impl Served {
    fn connection(mount: u8) -> Connection {
        let local: SocketAddr = ([10, 77, 0, 3], 50_000 + u16::from(mount)).into();
        Connection {
            cookie: mount.into(),
            interface: 0,
            local,
            remote: (address(mount), 445).into(),
            state: TcpState::Established,
            unacknowledged: 0,
            backoff: 0,
            since_ack: Duration::ZERO,
            since_sent: Duration::ZERO,
            since_received: Duration::ZERO,
            received: 1000,
        }
    }
}

impl Network for Served {
    fn look(&self, connections: &[Connection]) -> Vec<Connection> {
        connections.to_vec()
    }

    fn observe(&self, debug_data: bool, _: bool) -> Observed {
        let connections = (1..=MOUNTS).map(Self::connection).collect();
        Observed::Look(Look { connections, debug_data: debug_data.then_some(None), mounts: None })
    }

    fn end(&self, _: &Connection, _: Option<(u8, Duration)>) -> End {
        End::Gone
    }

    fn probe(&self, _: ScopedAddr) -> Answer<bool> {
        Box::pin(ready(true))
    }

    fn look_up(&self, _: SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(ready(Vec::new()))
    }
}

/// Holds the first notification until it is opened.
#[derive(Default)]
struct Gate {
    /// `None` before the first.
    held: Mutex<Option<bool>>,
    changed: Condvar,
}

impl Gate {
    /// Returns whether it held this one.
    fn pass(&self) -> bool {
        let mut held = self.held.lock().unwrap();
        if held.is_some() {
            return false;
        }
        *held = Some(true);
        drop(self.changed.wait_while(held, |held| *held == Some(true)).unwrap());
        true
    }

    fn open(&self) {
        *self.held.lock().unwrap() = Some(false);
        self.changed.notify_all();
    }
}

/// Opens the gate where the test fails, or the held thread would keep the process.
struct OpensAtTheEnd(Arc<Gate>);

impl Drop for OpensAtTheEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A kernel that holds the lock of one connection.
struct Holding {
    kernel: StandInKernel,
    family: Option<u16>,
    gate: Arc<Gate>,
    /// Says of each notification that was taken whether it was the one held.
    taken: mpsc::UnboundedSender<bool>,
}

impl Transport for Holding {
    async fn readable(&self) -> io::Result<()> {
        self.kernel.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        self.kernel.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        let kind = message.get(4..6).map(|kind| u16::from_ne_bytes(kind.try_into().unwrap()));
        if kind != self.family {
            return self.kernel.send(message);
        }
        let held = self.gate.pass();
        self.kernel.send(message)?;
        let _ = self.taken.send(held);
        Ok(())
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.kernel.join(group)
    }
}

#[tokio::test]
async fn a_notification_that_the_kernel_holds_keeps_no_other_from_it() {
    let kernel = StandInKernel::with_module();
    let gate = Arc::new(Gate::default());
    let _opens = OpensAtTheEnd(Arc::clone(&gate));
    let (taken, mut is_taken) = mpsc::unbounded_channel();
    let family = kernel.family_id();
    let transport = Holding { kernel: kernel.clone(), family, gate: Arc::clone(&gate), taken };
    let link = Link::open(transport).unwrap();
    let mut sink = None;
    let mode = Mode::Verified(Arc::new(Served));
    let daemon = Daemon::new(link, Silent, Policy::default(), mode, |forwarder| {
        sink = Some(forwarder);
        FakeClient::default()
    });
    let mut sink = sink.unwrap();
    let happens = async {
        tokio::task::yield_now().await;
        for mount in 1..=MOUNTS {
            let name = format_smolstr!("cluster{mount}.example.test");
            kernel.mount(&request(&name, &address(mount).to_string()), &auth("alice"));
        }
        let mut registrations: BTreeSet<RegistrationId> = BTreeSet::new();
        while registrations.len() < MOUNTS.into() {
            tokio::task::yield_now().await;
            registrations.extend(daemon.client().take_calls().iter().filter_map(
                |call| match call {
                    Call::Register(registration, ..) => Some(*registration),
                    Call::Retry(..) | Call::TryNow(..) | Call::Unregister(..) => None,
                },
            ));
        }
        let start = Instant::now();
        let to = Ipv4Addr::new(192, 0, 2, 1).into();
        for registration in registrations {
            let moved = Notification::ClientMove { address: to };
            sink.event(registration, Event::Notification(moved));
        }
        for _ in 1..MOUNTS {
            assert_eq!(is_taken.recv().await, Some(false), "the first is held");
        }
        println!("{} others after {:?}", MOUNTS - 1, start.elapsed());
        gate.open();
        assert_eq!(is_taken.recv().await, Some(true));
        let mut told = BTreeMap::new();
        for notification in kernel.take_notifications() {
            *told.entry(notification.id).or_insert(0) += 1;
        }
        assert_eq!(told.len(), usize::from(MOUNTS), "each is told");
    };
    let run = async {
        tokio::select! {
            error = daemon.run() => panic!("{error}"),
            () = happens => {}
        }
    };
    timeout(LIMIT, run).await.expect("in time");
}

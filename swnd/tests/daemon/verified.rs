//! The daemon that looks before it tells the kernel something.

use crate::client::{Call, FakeClient, auth, request};
use kernel_sim::StandInKernel;
use smol_str::SmolStr;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient::{Event, EventSink, Notification, ResourceState, ScopedAddr};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::failover::driver::{Answer, Network, Observed};
use swnd::failover::{Connection, End};
use swnd::kernel::link::Datagram;
use swnd::kernel::{Link, Transport};
use swnd::report::Report;
use tokio::time::timeout;

const HERE: &str = "10.77.0.101";
const LIMIT: Duration = Duration::from_secs(10);

/// Keeps every line.
#[derive(Debug, Default, Clone)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Lines {
    fn report(&self, report: &Report) {
        self.0.lock().unwrap().push(report.to_string());
    }
}

/// A network in which every address answers, and no connection can be seen.
struct Blind {
    /// Set when an address has answered.
    answered: Arc<AtomicBool>,
}

impl Network for Blind {
    fn look(&self, _: &[Connection]) -> Vec<Connection> {
        Vec::new()
    }

    fn observe(&self, _: bool, _: bool) -> Observed {
        Observed::Blind(None)
    }

    fn end(&self, _: &Connection, _: Option<(u8, Duration)>) -> End {
        End::Impossible
    }

    fn probe(&self, _: ScopedAddr) -> Answer<bool> {
        self.answered.store(true, Ordering::Relaxed);
        Box::pin(std::future::ready(true))
    }

    fn look_up(&self, _: SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// A kernel that gives a number to another mount as soon as an address has answered.
struct Reusing {
    kernel: StandInKernel,
    number: u32,
    answered: Arc<AtomicBool>,
}

impl Transport for Reusing {
    async fn readable(&self) -> io::Result<()> {
        self.kernel.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        if self.answered.swap(false, Ordering::Relaxed) {
            self.kernel.unmount(self.number);
            let reused = self.kernel.mount(&request("other", HERE), &auth("swnuser"));
            assert_eq!(reused, self.number);
        }
        self.kernel.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.kernel.send(message)
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.kernel.join(group)
    }
}

#[tokio::test]
async fn a_number_that_goes_to_another_mount_meanwhile_gets_no_notification() {
    let kernel = StandInKernel::with_module();
    let answered = Arc::new(AtomicBool::new(false));
    let transport = Reusing { kernel: kernel.clone(), number: 2, answered: Arc::clone(&answered) };
    let link = Link::open(transport).unwrap();
    let lines = Lines::default();
    let mut events = None;
    let mode = Mode::Verified(Arc::new(Blind { answered }));
    let daemon = Daemon::new(link, lines.clone(), Policy::default(), mode, |forwarder| {
        events = Some(forwarder);
        FakeClient::default()
    });
    let mut events = events.unwrap();
    let happens = async {
        tokio::task::yield_now().await;
        for (net_name, number) in [("first", 1), ("second", 2)] {
            assert_eq!(kernel.mount(&request(net_name, HERE), &auth("swnuser")), number);
        }
        let registration = loop {
            tokio::task::yield_now().await;
            let calls = daemon.client().take_calls();
            if let Some(Call::Register(registration, ..)) = calls.first() {
                break *registration;
            }
        };
        let state = ResourceState::Unavailable;
        let down = Notification::ResourceChange { name: HERE.into(), state };
        events.event(registration, Event::Notification(down.clone()));
        kernel.notified().await;
        let taken: Vec<_> = kernel.take_notifications().into_iter().map(|it| it.id).collect();
        assert_eq!(taken, [1]);
    };
    let run = async {
        tokio::select! {
            error = daemon.run() => panic!("{error}"),
            () = happens => {}
        }
    };
    timeout(LIMIT, run).await.expect("in time");
    // Both were decided on together.
    let lines = lines.0.lock().unwrap();
    let dropped =
        r"\\second\data: 10.77.0.101 is unavailable: dropped, for the registration has ended";
    assert!(lines.iter().any(|line| line == dropped), "{lines:#?}");
}

#[tokio::test]
async fn what_nothing_follows_from_is_said_to_be_ignored() {
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let lines = Lines::default();
    let mut events = None;
    let mode = Mode::Verified(Arc::new(Blind { answered: Arc::default() }));
    let daemon = Daemon::new(link, lines.clone(), Policy::default(), mode, |forwarder| {
        events = Some(forwarder);
        FakeClient::default()
    });
    let mut events = events.unwrap();
    let settle = async || {
        tokio::select! {
            biased;
            error = daemon.run() => panic!("{error}"),
            () = std::future::ready(()) => {}
        }
    };
    settle().await;
    kernel.mount(&request("first", HERE), &auth("swnuser"));
    settle().await;
    let calls = daemon.client().take_calls();
    let [Call::Register(registration, ..)] = calls[..] else { panic!("{calls:?}") };
    let told = |address: &str| Notification::ClientMove { address: address.parse().unwrap() };
    let changed = |state| Notification::ResourceChange { name: HERE.into(), state };
    let other = "10.77.0.102".parse().unwrap();
    lines.take();
    for (notification, line) in [
        (
            Notification::ShareMove { address: other },
            "share move to 10.77.0.102: not used by this kernel",
        ),
        (
            Notification::IpChange { address: other },
            "address change to 10.77.0.102: not used by this kernel",
        ),
        (changed(ResourceState::Unknown), "10.77.0.101 is in an unknown state: nothing follows"),
        (told("127.0.0.1"), "client move to 127.0.0.1: nothing follows"),
        (told("10.77.0.102"), "client move to 10.77.0.102: asking that address first"),
        (
            changed(ResourceState::Unavailable),
            "10.77.0.101 is unavailable: looking at the kernel's connection",
        ),
    ] {
        events.event(registration, Event::Notification(notification));
        assert_eq!(lines.take(), [format!(r"\\first\data: {line}")]);
    }
    assert!(kernel.take_notifications().is_empty());
}

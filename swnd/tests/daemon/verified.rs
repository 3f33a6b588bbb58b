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

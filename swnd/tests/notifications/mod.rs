//! Notifications through the daemon, with the log as its observer.

#[path = "../daemon/client.rs"]
#[allow(dead_code)]
mod client;

use client::{Call, FakeClient, auth, request};
use kernel_sim::StandInKernel;
use std::time::{Duration, Instant};
use swnclient::{Event, EventSink, Notification, ResourceState};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, LogObserver, Mode};
use swnd::kernel::Link;

/// Hands on so many, and gives the time that each took.
pub(crate) fn hand_on(notifications: usize, mut each: impl FnMut(Duration)) {
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let mut events = None;
    let daemon = Daemon::new(link, LogObserver, Policy::default(), Mode::Forward, |forwarder| {
        events = Some(forwarder);
        FakeClient::default()
    });
    let mut events = events.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let settle = || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                error = daemon.run() => panic!("{error}"),
                () = std::future::ready(()) => {}
            }
        });
    };
    settle();
    kernel.mount(&request("witclu", "10.77.0.101"), &auth("swnuser"));
    settle();
    let calls = daemon.client().take_calls();
    let Some(Call::Register(registration, ..)) = calls.last() else { panic!("{calls:?}") };
    for nth in 0..notifications {
        let state = match nth % 2 {
            0 => ResourceState::Available,
            _ => ResourceState::Unavailable,
        };
        let change = Notification::ResourceChange { name: "10.77.0.101".into(), state };
        let reported = Instant::now();
        events.event(*registration, Event::Notification(change));
        assert_eq!(kernel.take_notifications().len(), 1);
        each(reported.elapsed());
    }
}

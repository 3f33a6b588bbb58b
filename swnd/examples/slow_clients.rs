//! How much longer a notification takes to the kernel while clients of the control socket
//! misbehave: as many as it takes that ask for events and read none, and another that
//! connects and goes, again and again. `docs/control-socket.md` has what it showed.
//!
//! `cargo run --release -p swnd --example slow_clients [NOTIFICATIONS]`

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an example that fails may say so by a panic"
)]

use kernel_sim::{StandInKernel, known_account};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use swnclient::{
    Credentials, Event, EventSink, Interface, Notification, RegistrationId, RegistrationRequest,
};
use swnd::authentication::Policy;
use swnd::control::{CLIENTS_MAX, Control, Monitors};
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::failover::driver::Answer;
use swnd::kernel::Link;
use swnd::report::Report;
use swnd::table::Registrar;

/// Between two notifications, so that they are not a flood themselves.
const PAUSE: Duration = Duration::from_micros(500);

struct Told(Monitors);

impl Observer for Told {
    fn report(&self, report: &Report) {
        self.0.report(report);
    }
}

/// A client that has one registration, and does nothing.
#[derive(Default)]
struct Quiet;

impl Registrar for Quiet {
    fn register(&self, _: RegistrationRequest, _: Credentials) -> RegistrationId {
        RegistrationId(1)
    }

    fn request_again(&self, _: RegistrationId, _: Credentials) {}

    fn try_now(&self, _: RegistrationId) {}

    fn unregister(&self, _: RegistrationId) {}

    fn attempt(
        &self,
        _: RegistrationRequest,
        _: Credentials,
    ) -> Answer<Result<(IpAddr, u8), swnclient::Error>> {
        Box::pin(async { Err(swnclient::Error::NoWitness) })
    }

    fn interfaces(&self, _: RegistrationId) -> Answer<Vec<Interface>> {
        Box::pin(async { Vec::new() })
    }

    fn witness_connections(&self) -> Answer<usize> {
        Box::pin(async { 0 })
    }
}

/// The times of notifications, sorted.
async fn times(
    daemon: &Daemon<StandInKernel, Told, Quiet>,
    events: &mut impl EventSink,
    kernel: &StandInKernel,
    count: usize,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let address = IpAddr::from([10, 0, 0, u8::try_from(n % 200).unwrap()]);
        let started = Instant::now();
        let moved = Event::Notification(Notification::ClientMove { address });
        events.event(RegistrationId(1), moved);
        // The kernel has taken it when the event has been handled.
        times.push(started.elapsed());
        assert_eq!(kernel.take_notifications().len(), 1);
        tokio::select! {
            biased;
            error = daemon.run() => panic!("{error}"),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    times.sort();
    times
}

fn show(name: &str, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_nanos() / 100;
    let micros = |tenths: u128| format!("{}.{}", tenths / 10, tenths % 10);
    println!(
        "{name:<40} median {:>6} µs, p99 {:>6} µs, longest {:>7} µs",
        micros(at(50)),
        micros(at(99)),
        micros(at(100)),
    );
}

/// Clients that ask for events, and read none.
fn unread(path: &Path) -> Vec<UnixStream> {
    let ask = |_| {
        let mut client = UnixStream::connect(path).unwrap();
        let call = "{\"method\":\"org.swnclient.Witness.Monitor\",\"more\":true}\0";
        client.write_all(call.as_bytes()).unwrap();
        client
    };
    (0..CLIENTS_MAX).map(ask).collect()
}

/// Connects and goes until it is told to end; counts how often.
fn flood(path: PathBuf, end: Arc<AtomicBool>, count: Arc<AtomicU64>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !end.load(Ordering::Relaxed) {
            if let Ok(mut client) = UnixStream::connect(&path) {
                let _ = client.write_all(b"{\"method\":\"org.swnclient.Witness.Status\"}\0");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count = std::env::args().nth(1).map_or(5000, |count| count.parse().unwrap());
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let monitors = Monitors::default();
    let mut events = None;
    let told = Told(monitors.clone());
    let daemon = Daemon::new(link, told, Policy::default(), Mode::Forward, |forwarder| {
        events = Some(forwarder);
        Quiet
    });
    let mut events = events.unwrap();
    let path = std::env::temp_dir().join(format!("swnd-slow-clients-{}", std::process::id()));
    let control = Control::start(&path, daemon.source(), monitors).unwrap();
    let settle = || async {
        tokio::select! {
            error = daemon.run() => panic!("{error}"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    };
    settle().await;
    let request = RegistrationRequest::new("cluster").share("data").served_by([10, 0, 0, 1].into());
    kernel.mount(&request, &known_account());
    settle().await;

    drop(times(&daemon, &mut events, &kernel, count / 10).await);
    show("no client", &times(&daemon, &mut events, &kernel, count).await);
    let clients = unread(&path);
    settle().await;
    let name = format!("{CLIENTS_MAX} that read nothing");
    show(&name, &times(&daemon, &mut events, &kernel, count).await);
    let end = Arc::new(AtomicBool::new(false));
    let connects = Arc::new(AtomicU64::new(0));
    let flooding = flood(path.clone(), Arc::clone(&end), Arc::clone(&connects));
    let started = Instant::now();
    show("and a flood of connects", &times(&daemon, &mut events, &kernel, count).await);
    let rate = u128::from(connects.load(Ordering::Relaxed)) * 1000 / started.elapsed().as_millis();
    end.store(true, Ordering::Relaxed);
    flooding.join().unwrap();
    println!("connects a second: {rate}");
    drop(clients);
    drop(control);
}

//! A panic ends the daemon, wherever it happens.
//!
//! This program starts itself again for each place: the child is the daemon between a
//! stand-in kernel and a cluster, and panics there.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use kernel_sim::{StandInKernel, known_account};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient::{Client, Config, RegistrationRequest, ScopedAddr};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::failover::driver::{Answer, Network, Observed};
use swnd::failover::{Connection, End, Look};
use swnd::kernel::Link;
use swnd::options::LogTarget;
use swnd::report::Report;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, NodeId, Profile, Step};

const MAPPER_PORT: u16 = 13_503;
/// How long a child may live.
const LIMIT: Duration = Duration::from_secs(10);
const SIGABRT: i32 = 6;

/// Where it panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The event sink, in the task that reads from a witness.
    Reader,
    /// The event sink, in the task that drives the client.
    Driver,
    /// A blocking job.
    Blocking,
    /// A task of the failover.
    Task,
    /// A thread that tokio knows nothing of.
    Thread,
    /// The log, which holds its lock.
    Log,
}

use Place::{Blocking, Driver, Log, Reader, Task, Thread};

const PLACES: [Place; 6] = [Reader, Driver, Blocking, Task, Thread, Log];

impl Place {
    fn reach(self, here: Self) {
        assert!(self != here, "reached {self:?}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    if let [_, child, place] = &arguments[..] {
        assert_eq!(child, "child");
        let place = PLACES.into_iter().find(|it| format!("{it:?}") == *place).unwrap();
        return run(place);
    }
    for place in PLACES {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args(["child", &format!("{place:?}")]).output();
        check(place, &output.unwrap());
    }
    println!("test panics ... ok");
}

fn check(place: Place, output: &Output) {
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{place:?}: {}\n{log}", output.status);
    // Where the log itself is what fails, there is no line.
    if place != Log {
        let line = format!(": reached {place:?}\n");
        assert!(log.contains("a bug in swnd, which ends: panicked at "), "{place:?}\n{log}");
        assert!(log.ends_with(&line), "{place:?}\n{log}");
    }
}

/// Runs a daemon that panics at a place; returns where it survives that.
fn run(place: Place) {
    swnd::panics::abort_on_panic();
    // No core dumps.
    swnd::hardening::harden(false);
    match place {
        Log => {
            log::set_boxed_logger(Box::new(FailingLog(Mutex::new(())))).unwrap();
            log::set_max_level(log::LevelFilter::Info);
        }
        _ => swnd::logging::init(Some(LogTarget::Stderr), log::LevelFilter::Info).unwrap(),
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(async { tokio::time::timeout(LIMIT, serve(place)).await });
}

async fn serve(place: Place) {
    let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    let serves = config.address(NodeId(1)).unwrap();
    let net_name = match place {
        // Refused without asking a server.
        Driver => SmolStr::new(serves.to_string()),
        _ => config.net_name.clone(),
    };
    let cluster = RunningCluster::start(config).await.unwrap();
    let kernel = StandInKernel::with_module();
    let mode = Mode::Verified(Arc::new(Panicking(place)));
    let link = Link::open(kernel.clone()).unwrap();
    let client = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let daemon = Daemon::new(link, Panicking(place), Policy::default(), mode, |sink| {
        Client::start(client, sink)
    });
    let happens = async {
        tokio::task::yield_now().await;
        let request =
            RegistrationRequest::new(net_name).share("data").served_by(serves).scale_out();
        kernel.mount(&request, &known_account());
        if place == Task {
            let registered = |cluster: &witness_sim::Cluster| cluster.registrations().len() == 1;
            cluster.wait_until(LIMIT, registered).await.unwrap();
            cluster.run(Step::NodeDown { node: NodeId(1), silent: true }).await;
        }
        if place == Thread {
            std::thread::spawn(move || place.reach(Thread));
        }
    };
    let _ = tokio::join!(daemon.run(), happens);
}

/// Watches the daemon, and is its network.
struct Panicking(Place);

impl Observer for Panicking {
    fn report(&self, report: &Report) {
        match report {
            Report::Registered { .. } => self.0.reach(Reader),
            Report::Failed { .. } => self.0.reach(Driver),
            _ => log::info!("{report}"),
        }
    }
}

impl Network for Panicking {
    fn look(&self, _: &[Connection]) -> Vec<Connection> {
        Vec::new()
    }

    fn observe(&self, _: bool, _: bool) -> Observed {
        self.0.reach(Blocking);
        Observed::Look(Look::default())
    }

    fn end(&self, _: &Connection, _: Option<(u8, Duration)>) -> End {
        End::Gone
    }

    fn probe(&self, _: ScopedAddr) -> Answer<bool> {
        let place = self.0;
        Box::pin(async move {
            tokio::task::yield_now().await;
            place.reach(Task);
            false
        })
    }

    fn look_up(&self, _: SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// A log that panics while it holds its lock.
struct FailingLog(Mutex<()>);

impl log::Log for FailingLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &log::Record<'_>) {
        let _lock = self.0.lock();
        Log.reach(Log);
    }

    fn flush(&self) {}
}

//! The daemon with many mounts and nothing to do, to be looked at:
//!
//!     cargo run --release -p swnd --example at_rest [MOUNTS [SECONDS [SOCKET]]]
//!
//! It says when all mounts are registered, how often its event loop woke up
//! in the seconds that follow, and how much memory it has before and after them. The
//! cluster is a process of its own, so that strace and perf see the daemon alone:
//!
//!     strace -f -r -p PID
//!
//! With SOCKET it has a control socket there, for `swnctl --socket SOCKET`.

use kernel_sim::{StandInKernel, Watched, numbered_mount, start_daemon};
use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swnclient::Config;
use swnd::control::Control;
use swnd::daemon::Mode;
use swnd::failover::driver::System;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Profile};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
const NODES: u8 = 3;
const CLUSTER: &str = "cluster";

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1).peekable();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if args.next_if_eq(CLUSTER).is_some() {
        return runtime.block_on(cluster());
    }
    let mounts = args.next().map_or(Ok(1000), |arg| arg.parse())?;
    let seconds = args.next().map_or(Ok(60), |arg| arg.parse())?;
    let socket = args.next().map(PathBuf::from);
    let mut cluster = Command::new(std::env::current_exe()?)
        .arg(CLUSTER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut subnet = String::new();
    BufReader::new(cluster.stdout.take().ok_or("no output")?).read_line(&mut subnet)?;
    runtime.block_on(rest(subnet.trim(), mounts, Duration::from_secs(seconds), socket))?;
    // It ends with its input.
    drop(cluster.stdin.take());
    cluster.wait()?;
    Ok(())
}

/// Runs a cluster until the input ends; says where.
async fn cluster() -> Outcome<()> {
    let subnet = unused_subnet();
    let mut config = ClusterConfig::new(Profile::Samba, NODES, subnet);
    config.mapper_port = MAPPER_PORT;
    let _cluster = RunningCluster::start(config).await?;
    let [a, b, c] = subnet;
    println!("{a}.{b}.{c}");
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn rest(subnet: &str, mounts: usize, time: Duration, socket: Option<PathBuf>) -> Outcome<()> {
    let kernel = StandInKernel::with_module();
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let mode = Mode::Verified(Arc::new(System::open()));
    let Watched { task: daemon, mut status, source, monitors } =
        start_daemon(&kernel, mounts, config, mode).await?;
    let _control = socket.map(|path| Control::start(&path, source, monitors)).transpose()?;
    for number in 0..mounts {
        let node = number % usize::from(NODES) + 1;
        let address: IpAddr = format!("{subnet}.{}", 10 + node).parse()?;
        let (request, auth) = numbered_mount(number, address);
        kernel.mount(&request, &auth);
    }
    status.wait_for(|status| status.registered == mounts).await?;
    // A thread of its own keeps the time: no timer of the event loop does.
    let (done, over) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        println!("process {}: {mounts} mounts registered, at rest from now on", std::process::id());
        println!("{}", memory());
        let before = wake_ups();
        let start = Instant::now();
        std::thread::sleep(time);
        let woken = wake_ups().zip(before).map(|(after, before)| after - before);
        println!("woken up {woken:?} times in {:.1} s", start.elapsed().as_secs_f64());
        println!("{}", memory());
        drop(done);
    });
    // It is dropped, not sent.
    let _ = over.await;
    daemon.abort();
    Ok(())
}

/// What the process has in memory, and how much of it no file has.
fn memory() -> String {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let of = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found.map_or("unknown", str::trim).to_owned()
    };
    format!("resident: {}, of it anonymous: {}", of("Rss:"), of("Anonymous:"))
}

/// How often the process's first thread, which is the event loop, gave up the
/// processor to wait.
fn wake_ups() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

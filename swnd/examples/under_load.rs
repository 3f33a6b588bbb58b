//! The daemon with ten thousand mounts at 300 witnesses, of which 100 are hostile, and with a
//! flood of the kernel's messages:
//!
//!     cargo run --release -p swnd --example under_load [MOUNTS [MESSAGES]]
//!
//! The clusters are a process of their own. It prints what docs/hostile-servers.md has.

use kernel_sim::{StandInKernel, Watched, numbered_mount, start_daemon};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swnclient::Config;
use swnd::daemon::Mode;
use tokio::runtime::Builder;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, NodeId, Profile, Step, Who};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
const CLUSTERS: usize = 3;
const NODES: u8 = 100;
/// The last so many nodes of each cluster do what these say, in turn.
const HOSTILE: u8 = 34;
const WORST: [&str; 6] = [
    "notify node {} always storm 1000",
    "notify node {} always empty",
    "notify node {} always status ERROR_NOT_FOUND",
    "register-ex node {} always status ERROR_INVALID_STATE",
    "connect node {} always refuse",
    "bind node {} always cut 7",
];
const CLUSTER: &str = "clusters";
/// For the change to arrive everywhere.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1).peekable();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if args.next_if_eq(CLUSTER).is_some() {
        return runtime.block_on(clusters());
    }
    let mounts = args.next().map_or(Ok(10_000), |arg| arg.parse())?;
    let messages = args.next().map_or(Ok(100_000), |arg| arg.parse())?;
    let mut clusters = Command::new(std::env::current_exe()?)
        .arg(CLUSTER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(clusters.stdout.take().ok_or("no output")?).lines();
    let subnets: Vec<String> = lines.by_ref().take(CLUSTERS).collect::<Result<_, _>>()?;
    let mut stdin = clusters.stdin.take().ok_or("no input")?;
    let change = move || -> Outcome<usize> {
        stdin.write_all(b"change\n")?;
        Ok(lines.next().ok_or("no answer")??.parse()?)
    };
    runtime.block_on(load(&subnets, mounts, messages, change))?;
    // They end with their input.
    clusters.wait()?;
    Ok(())
}

/// Runs the clusters until the input ends; says where. A line makes each tell everyone of a
/// change of addresses; how many of those are registered at a node in order is the answer.
async fn clusters() -> Outcome<()> {
    let mut clusters = Vec::new();
    for _ in 0..CLUSTERS {
        let subnet = unused_subnet();
        let mut config = ClusterConfig::new(Profile::Samba, NODES, subnet);
        config.mapper_port = MAPPER_PORT;
        config.events = false;
        let cluster = RunningCluster::start(config).await?;
        for (node, worst) in (NODES - HOSTILE + 1..=NODES).zip(WORST.iter().cycle()) {
            let step = format!("fault {}", worst.replace("{}", &node.to_string()));
            cluster.run(step.parse()?).await;
        }
        let [a, b, c] = subnet;
        println!("{a}.{b}.{c}");
        clusters.push(cluster);
    }
    let mut input = String::new();
    loop {
        let read = move || {
            let read = std::io::stdin().lock().read_line(&mut input);
            read.map(|length| (length, std::mem::take(&mut input)))
        };
        let (length, rest) = tokio::task::spawn_blocking(read).await??;
        if length == 0 {
            return Ok(());
        }
        input = rest;
        let to: IpAddr = [192, 0, 2, 1].into();
        let mut in_order = 0;
        for cluster in &clusters {
            let is_in_order = |node: NodeId| node.0 <= NODES - HOSTILE;
            let count = cluster.with(move |cluster, _| {
                cluster.registrations().filter(|it| is_in_order(it.node)).count()
            });
            in_order += count.await;
            cluster.run(Step::IpChange { who: Who::All, to: Destination::from(to) }).await;
        }
        println!("{in_order}");
    }
}

async fn load(
    subnets: &[String],
    mounts: usize,
    messages: usize,
    mut change: impl FnMut() -> Outcome<usize>,
) -> Outcome<()> {
    let kernel = StandInKernel::with_module();
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let Watched { task: daemon, status: mut watched, .. } =
        start_daemon(&kernel, mounts, config, Mode::Forward).await?;

    let started = Instant::now();
    for number in 0..mounts {
        mount(&kernel, subnets, number)?;
    }
    let mut first = None;
    let all = watched.wait_for(|status| {
        if status.registered * 100 >= mounts * 99 && first.is_none() {
            first = Some(started.elapsed());
        }
        status.registered == mounts
    });
    drop(all.await?);
    println!(
        "{mounts} mounts, {} witnesses, {} of them hostile: 99 % registered after {:.1} s, all after {:.1} s",
        CLUSTERS * usize::from(NODES),
        CLUSTERS * usize::from(HOSTILE),
        first.unwrap_or_default().as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    usage("when all were registered")?;

    kernel.take_notifications();
    let started = Instant::now();
    let in_order = change()?;
    let mut told = BTreeMap::<u32, usize>::new();
    while told.len() < in_order && started.elapsed() < CHANGE_LIMIT {
        let _ = tokio::time::timeout(CHANGE_LIMIT, kernel.notified()).await;
        for taken in kernel.take_notifications() {
            if matches!(taken.notification, swnclient::Notification::IpChange { .. }) {
                *told.entry(taken.id).or_default() += 1;
            }
        }
    }
    let twice = told.values().filter(|times| **times > 1).count();
    println!(
        "{in_order} of them have a witness in order: a change told to {} within {:.2} s, twice to {twice}",
        told.len(),
        started.elapsed().as_secs_f64()
    );
    usage("then")?;

    let started = Instant::now();
    for number in 0..messages {
        match number % 4 {
            0 => kernel.inject(Some(0), vec![0xa5; number % 300]),
            1 => kernel.inject(Some(77), vec![0; 40]),
            2 => mount(&kernel, subnets, number % mounts)?,
            // A command that the family does not have.
            _ => kernel.inject(Some(0), unknown_command(kernel.family_id().unwrap_or_default())),
        }
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let registered = watched.borrow().registered;
    println!(
        "{messages} messages of the kernel, three of four of no use, in {:.2} s; {registered} registered",
        started.elapsed().as_secs_f64()
    );
    usage("in the end")?;
    daemon.abort();
    Ok(())
}

fn unknown_command(family: u16) -> Vec<u8> {
    let mut message = 20u32.to_ne_bytes().to_vec();
    message.extend(family.to_ne_bytes());
    message.extend([0; 10]);
    message.extend([99, 1, 0, 0]);
    message
}

/// What this process has used so far.
fn usage(when: &str) -> Outcome<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|it| it.parse::<u32>().ok()).sum::<u32>();
    println!("  {when}: {} of memory, {} ms of processor time", memory.trim(), ticks * 10);
    Ok(())
}

fn mount(kernel: &StandInKernel, subnets: &[String], number: usize) -> Outcome<()> {
    // The nodes that serve are in order.
    let node = number / CLUSTERS % usize::from(NODES - HOSTILE) + 1;
    let subnet = subnets.get(number % CLUSTERS).ok_or("no cluster")?;
    let address: IpAddr = format!("{subnet}.{}", 10 + node).parse()?;
    let (request, auth) = numbered_mount(number, address);
    kernel.mount(&request, &auth);
    Ok(())
}

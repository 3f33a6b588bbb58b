//! Witnesses that do their worst, on real sockets: what each makes the daemon use and do has
//! bounds, and another mount hears of everything meanwhile.
//!
//! This program starts itself again for each world: the child is the daemon; the parent plays
//! the kernel, a cluster that is in order, and a hostile one, and looks at the child from
//! outside. It prints a table of what it saw. `SECONDS=60` looks for longer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails, which is what it is for"
)]

mod apart;

use apart::{Running, pump};
use kernel_sim::{StandInKernel, known_account};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::time::{Duration, Instant};
use swnclient::{Client, Config, Notification, RegistrationRequest, ResourceState};
use swnclient_proto::wire::{AddressInfo, NotifyMessages, Status};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, LogObserver, Mode};
use swnd::options::{LogTarget, Seccomp};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::UnboundedReceiver;
use witness_sim::net::{RunningCluster, Way, unused_subnet};
use witness_sim::{ClusterConfig, Destination, Event, Happening, NodeId, Profile, Step, Who};

const MAPPER_PORT: u16 = 13_506;
const LIMIT: Duration = Duration::from_secs(20);
/// How often something is told to the other mount, at least.
const ROUNDS: u32 = 10;
/// For how many seconds it is looked at, at least: so long that what is not paced is far
/// beyond its bound. `SECONDS` in the environment says otherwise.
const SECONDS: u32 = 3;
/// More resident memory than where all is in order, in KiB.
const MEMORY: u64 = 2048;
/// What a witness may make it do at once, before it is paced: calls, and attempts to connect.
const AT_ONCE: usize = 200;
/// And for each second.
const EACH_SECOND: usize = 12;
/// Lines beyond those that one registration and its loss make.
const LINES: usize = 400;

/// What the hostile cluster does.
#[derive(Clone, Copy)]
enum Does {
    /// Nothing wrong.
    Nothing,
    /// This step, once the mount is registered.
    Run(&'static str),
    /// The same from the start, so that nothing is ever registered.
    FromTheStart(&'static str),
    /// Each AsyncNotify is answered by this at once.
    Tells(fn() -> NotifyMessages),
    /// Faults from the way, for each call that may be under way.
    Forges,
}

struct World {
    name: &'static str,
    way: Way,
    nodes: u8,
    does: Does,
}

const fn world(name: &'static str, does: Does) -> World {
    World { name, way: Way::Plain, nodes: 3, does }
}

/// The first is what the others are compared with.
const WORLDS: [World; 18] = [
    world("in order", Does::Nothing),
    world("a storm: 1000 changes in each answer", Does::Run("fault notify always storm 1000")),
    world("empty answers", Does::Run("fault notify always empty")),
    world("names of 250,000 characters", Does::Tells(huge_name)),
    world("moves to offline addresses", Does::Tells(offline_move)),
    world("moves to a list of 20,000 addresses", Does::Tells(wide_move)),
    World {
        nodes: 150,
        ..world(
            "a list of 150 nodes that fail",
            Does::FromTheStart("fault register-ex always status ERROR_INVALID_STATE"),
        )
    },
    world("accepts, and then fails", Does::Run("fault notify always status ERROR_NOT_FOUND")),
    world("accepts, and then resets", Does::Run("fault notify always cut 0")),
    world("refuses connections", Does::FromTheStart("fault connect always refuse")),
    world("resets at the mapper", Does::FromTheStart("fault mapper-bind always cut 0")),
    world("says nothing", Does::FromTheStart("fault bind always no-reply")),
    world("counts that lie", Does::FromTheStart("fault list always huge-counts")),
    world("lengths that lie", Does::Run("fault notify always huge-length")),
    world("answers to other calls", Does::Run("fault notify always wrong-call-id")),
    World {
        way: Way::ByteByByte,
        ..world("a byte at a time, a storm", Does::Run("fault notify always storm 100"))
    },
    World {
        way: Way::Unread { after: 1200 },
        ..world("a window that closes", Does::Run("fault notify always storm 100"))
    },
    world("forged faults on the way", Does::Forges),
];

fn huge_name() -> NotifyMessages {
    let name = "\u{202e}n".repeat(125_000);
    NotifyMessages::ResourceChange(vec![(name.into(), ResourceState::Unavailable)])
}

fn offline_move() -> NotifyMessages {
    NotifyMessages::ClientMove(vec![AddressInfo::new(Ipv4Addr::new(192, 0, 2, 77).into(), false)])
}

fn wide_move() -> NotifyMessages {
    let address = |n: u16| {
        let [high, low] = n.to_be_bytes();
        AddressInfo::new(Ipv4Addr::new(198, 18, high, low).into(), true)
    };
    NotifyMessages::ClientMove((0..20_000).map(address).collect())
}

/// A fault PDU without a signature, as anyone on the way can make it: access denied.
fn fault(call: u32) -> Vec<u8> {
    let mut pdu = vec![5, 0, 3, 3, 0x10, 0, 0, 0, 32, 0, 0, 0];
    pdu.extend(call.to_le_bytes());
    pdu.extend([0; 8]);
    pdu.extend(5u32.to_le_bytes());
    pdu.extend([0; 4]);
    pdu
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some("child") {
        return child();
    }
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    // Side by side: mostly they wait.
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let threads = WORLDS.iter().map(|world| scope.spawn(|| observe(world)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().expect("the world is bounded")).collect()
    });
    let honest = &seen[0];
    println!(
        "{:<38} {:>8} {:>8} {:>7} {:>7} {:>8}",
        "the other cluster", "RSS KiB", "CPU ms", "of ms", "lines", "connects"
    );
    for (world, it) in WORLDS.iter().zip(&seen) {
        let Seen { memory, processor, elapsed, lines, connects, calls } = *it;
        let (cpu, of) = (processor.as_millis(), elapsed.as_millis());
        println!(
            "{:<38} {memory:>8} {cpu:>8} {of:>7} {lines:>7} {connects:>8}; {calls} calls",
            world.name
        );
    }
    for (world, it) in WORLDS.iter().zip(&seen) {
        let seconds = usize::try_from(it.elapsed.as_secs()).unwrap() + 1;
        let repeats = AT_ONCE + EACH_SECOND * seconds;
        assert!(it.memory <= honest.memory + MEMORY, "{}: memory {} KiB", world.name, it.memory);
        assert!(it.lines <= honest.lines + LINES, "{}: {} lines", world.name, it.lines);
        assert!(it.connects <= repeats, "{}: {} connects", world.name, it.connects);
        assert!(it.calls <= repeats, "{}: {} calls", world.name, it.calls);
        // What comes at once, and then one part of a hundred of one processor.
        let allowed = Duration::from_secs(1) + it.elapsed / 100;
        assert!(it.processor <= allowed, "{}: {:?} of CPU", world.name, it.processor);
        println!("test {} ... ok", world.name);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn child() {
    swnd::panics::abort_on_panic();
    swnd::hardening::harden(true);
    swnd::privileges::reduce().unwrap();
    swnd::seccomp::install(Seccomp::Kill).unwrap();
    swnd::logging::init(Some(LogTarget::Stderr), log::LevelFilter::Info).unwrap();
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    runtime().block_on(async {
        let daemon =
            Daemon::new(apart::link(), LogObserver, Policy::default(), Mode::Forward, |sink| {
                Client::start(config, sink)
            });
        panic!("{}", daemon.run().await);
    });
}

fn seconds() -> u32 {
    std::env::var("SECONDS").map_or(SECONDS, |it| it.parse().unwrap())
}

/// What was seen of the child.
struct Seen {
    /// Resident memory in KiB, without the pages of files.
    memory: u64,
    processor: Duration,
    elapsed: Duration,
    lines: usize,
    /// At the hostile cluster.
    connects: usize,
    calls: usize,
}

fn observe(world: &World) -> Seen {
    runtime().block_on(async {
        tokio::time::timeout(LIMIT * (ROUNDS + seconds()), run(world)).await.expect(world.name)
    })
}

fn request(config: &ClusterConfig) -> RegistrationRequest {
    RegistrationRequest::new(config.net_name.clone())
        .share("data")
        .served_by(config.address(NodeId(1)).unwrap())
        .scale_out()
}

async fn run(world: &World) -> Seen {
    let auth = known_account();
    let config = |nodes| {
        let mut config = ClusterConfig::new(Profile::Samba, nodes, unused_subnet());
        config.mapper_port = MAPPER_PORT;
        config
    };
    let (honest, mut hostile) = (config(3), config(world.nodes));
    hostile.net_name = "HOSTILE".into();
    let (good, bad) = (request(&honest), request(&hostile));
    let honest = RunningCluster::start(honest).await.unwrap();
    let hostile = RunningCluster::start_behind(hostile, world.way).await.unwrap();

    let (ours, theirs) = StdDatagram::pair().unwrap();
    let daemon = Running::start(theirs, &[]);
    let kernel = StandInKernel::with_module();
    ours.set_nonblocking(true).unwrap();
    let pump = tokio::spawn(pump(kernel.clone(), UnixDatagram::from_std(ours).unwrap()));
    daemon.wait_log("listening to the cifs module").await;
    let id = kernel.mount(&good, &auth);
    honest.wait_until(LIMIT, |it| it.registrations().len() == 1).await.unwrap();

    let started = Instant::now();
    let mut events = hostile.events();
    if let Does::FromTheStart(step) = world.does {
        hostile.run(step.parse().unwrap()).await;
    }
    kernel.mount(&bad, &auth);
    if !matches!(world.does, Does::FromTheStart(_)) && world.way == Way::Plain {
        hostile.wait_until(LIMIT, |it| it.registrations().len() == 1).await.unwrap();
    }
    if let Does::Run(step) = world.does {
        hostile.run(step.parse().unwrap()).await;
    }
    // It has something to answer then.
    let change = NotifyMessages::ResourceChange(vec![("x".into(), ResourceState::Available)]);
    let step = Step::Answer { who: Who::All, notice: Ok::<_, Status>(Some(change)) };
    hostile.run(step).await;

    let (mut connects, mut calls) = (0, 0);
    let mut round = 0;
    while round < ROUNDS || started.elapsed() < Duration::from_secs(seconds().into()) {
        round += 1;
        let (more_connects, more_calls) = misbehave(world, &hostile, &mut events).await;
        connects += more_connects;
        calls += more_calls;
        let to = IpAddr::from(0xc000_0200u32.wrapping_add(round).to_be_bytes());
        let step = Step::IpChange { who: Who::All, to: Destination::from(to) };
        honest.run(step).await;
        // Exactly that one, and those before it have come.
        let told = next(&kernel, id).await;
        assert_eq!(told, Notification::IpChange { address: to }, "{}", world.name);
    }
    pump.abort();
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process.id())).unwrap();
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    Seen {
        memory: field("RssAnon:"),
        processor: processor_time(daemon.process.id()),
        elapsed: started.elapsed(),
        lines: daemon.log().lines().count(),
        connects,
        calls,
    }
}

/// The next notification of a mount's; those of the other one go.
async fn next(kernel: &StandInKernel, id: u32) -> Notification {
    loop {
        let found = kernel.take_notifications().into_iter().find(|taken| taken.id == id);
        match found {
            Some(taken) => return taken.notification,
            None => kernel.notified().await,
        }
    }
}

/// Lets the cluster go on until it has done its worst once more, or half a second has
/// passed in which it was left alone. Returns how many connections and calls there were.
async fn misbehave(
    world: &World,
    hostile: &RunningCluster,
    events: &mut UnboundedReceiver<Event>,
) -> (usize, usize) {
    const PATIENCE: Duration = Duration::from_millis(500);
    let (mut connects, mut calls) = (0, 0);
    match world.does {
        Does::Forges => (1..16).for_each(|call| hostile.forge(fault(call))),
        Does::Tells(what) => {
            let step = Step::Answer { who: Who::All, notice: Ok::<_, Status>(Some(what())) };
            hostile.run(step).await;
        }
        Does::Nothing | Does::Run(_) | Does::FromTheStart(_) => {}
    }
    while let Ok(event) = tokio::time::timeout(PATIENCE, events.recv()).await {
        match event.expect("it runs").what {
            Happening::Connected { .. } => connects += 1,
            Happening::Called { .. } => calls += 1,
            Happening::Faulted { .. } | Happening::Notified { .. } => {
                calls += 1;
                break;
            }
            _ => {}
        }
    }
    while let Ok(event) = events.try_recv() {
        match event.what {
            Happening::Connected { .. } => connects += 1,
            Happening::Called { .. } | Happening::Faulted { .. } | Happening::Notified { .. } => {
                calls += 1
            }
            _ => {}
        }
    }
    (connects, calls)
}

/// What a process has used of the processors.
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap());
    let ticks: u64 = ticks.sum();
    // USER_HZ.
    Duration::from_millis(ticks * 10)
}

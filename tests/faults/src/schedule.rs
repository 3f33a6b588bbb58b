//! A random life: some mounts, a cluster, and whatever may happen to them. The
//! seed alone decides it, and [`run`] says what it was where it goes wrong.

use crate::{Bench, ECHO, MountId};
use dcerpc_proto::association::FaultStatus;
use fastrand::Rng;
use std::cell::RefCell;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::wire::{AddressInfo, Status};
use witness_sim::world::{ClientId, NetworkConfig};
use witness_sim::{ClusterConfig, Destination, Fault, NodeId, Profile, Stage, Step, What, Who};

/// How long after the last fault everything must be in order: a call that was
/// not answered, and the longest backoff with what belongs to it.
const RECOVERY: Duration = Duration::from_secs(400);

/// Something that happens.
#[derive(Debug, Clone)]
enum Act {
    /// To the cluster.
    Cluster(Step),
    /// The consumer takes a mount back.
    Unmount(MountId),
    /// It mounts it again.
    Mount(MountId),
    /// The kernel has reconnected to another node's address.
    Reconnect(MountId, IpAddr),
    /// The kernel repeats everything.
    Echo,
    /// The user gets another password, in the cluster and in the mounts.
    Password(String),
    /// A client's clock leaps.
    Leap(ClientId, Duration),
}

/// Runs the schedule of a seed; with `trace` it prints all that happens.
///
/// # Panics
/// Where a promise is broken: it prints the seed and the schedule.
pub fn run(seed: u64, trace: bool) {
    let diary = RefCell::new(Vec::new());
    let result = catch_unwind(AssertUnwindSafe(|| live(seed, trace, &diary)));
    if let Err(cause) = result {
        eprintln!("the schedule of seed {seed}:");
        for line in diary.borrow().iter() {
            eprintln!("  {line}");
        }
        eprintln!("to run it again: SCHEDULE_SEED={seed} cargo test -p faults --test schedules");
        resume_unwind(cause);
    }
}

fn address(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

fn live(seed: u64, trace: bool, diary: &RefCell<Vec<String>>) {
    let mut rng = Rng::with_seed(seed);
    let profile = *choose(&mut rng, &Profile::ALL);
    let nodes = rng.u8(2..=3);
    let mut config = ClusterConfig::new(profile, nodes, [10, 0, 0]);
    config.traits = choose(&mut rng, &profile.ways()).clone();
    config.traits.multiplexing &= rng.u8(..) < 200;
    let mut limits = Limits { version_1: !config.traits.version_2, unanswered: false };
    let require_header_signing = config.traits.header_signing;
    diary.borrow_mut().push(format!("{profile}, {nodes} nodes, {:?}", config.traits));

    let mut bench = Bench::new(config, NetworkConfig::default(), rng.u64(..));
    bench.trace = trace;
    let spread = Duration::from_secs(rng.u64(0..16));
    for client in 0..rng.usize(1..=2) {
        let config = Config {
            loss_spread: spread,
            require_header_signing,
            max_registrations_per_link: rng.usize(1..=3),
            kept_links_max: rng.usize(0..=2),
            ..Config::default()
        };
        bench.add_client(config, rng.u64(..));
        let mut nodes: Vec<u8> = (1..=nodes).collect();
        rng.shuffle(&mut nodes);
        // One client's mounts are served by different nodes: it is how they
        // are told apart where the server speaks version 1.
        for node in nodes.iter().take(rng.usize(1..=2)) {
            bench.mount(ClientId(client), address(*node));
        }
    }
    let mut moves = 0;
    for _ in 0..rng.usize(1..16) {
        let pause = pause(&mut rng);
        bench.pass(pause);
        let act = act(&mut rng, &bench, &mut limits, &mut moves);
        let now = bench.world.now();
        diary.borrow_mut().push(format!("{now:?} {act:?}"));
        apply(&mut bench, act);
        forget(&mut bench);
    }

    diary.borrow_mut().push(format!("{:?} all is well again", bench.world.now()));
    heal(&mut bench);
    let end = bench.world.now() + RECOVERY;
    // A refusal may still be on its way, and a new password comes with an echo.
    bench.try_refused_now();
    bench.pass(ECHO);
    bench.try_refused_now();
    let in_order = bench.pass_until(end, |bench| {
        forget(bench);
        bench.all_in_order()
    });
    let state: Vec<String> =
        bench.mounts().map(|(id, mount)| format!("{mount:?} {:?}", bench.witnesses(id))).collect();
    assert!(in_order, "{end:?}: stuck: {state:#?}");
    // What was sent arrives, and what was ended leaves nothing behind.
    bench.pass(Config::default().call_timeout + Duration::from_secs(20));
    // (It may be under way to another witness just then.)
    let end = bench.world.now() + Duration::from_secs(60);
    let in_order =
        bench.pass_until(end, |bench| bench.all_in_order() && bench.all_watched_by_others());
    let state: Vec<String> =
        bench.mounts().map(|(id, mount)| format!("{mount:?} {:?}", bench.witnesses(id))).collect();
    assert!(in_order, "not for long: {state:#?}");
    let wanted = bench.mounts().filter(|(_, mount)| mount.wanted).count();
    let cluster = bench.world.cluster();
    assert_eq!(cluster.registrations().len(), wanted, "registrations without a client are left");
    assert_eq!(bench.ledger.undelivered(cluster), 0, "notifications were lost");
}

fn forget(bench: &mut Bench) {
    bench.happened.clear();
    bench.told.clear();
}

/// From "in the same round trip" to "minutes later".
fn pause(rng: &mut Rng) -> Duration {
    let most = *choose(rng, &[1_000, 1_000_000, 20_000_000, 120_000_000]);
    Duration::from_micros(rng.u64(0..most))
}

fn choose<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn act(rng: &mut Rng, bench: &Bench, limits: &mut Limits, moves: &mut u8) -> Act {
    let nodes = nodes(bench);
    let node = NodeId(rng.u8(1..=nodes));
    let mount = MountId(rng.usize(..bench.mounts().len()));
    match rng.u8(0..30) {
        0 => Act::Cluster(Step::NodeDown { node, silent: rng.bool() }),
        1 => Act::Cluster(Step::NodeCut { node }),
        2..=4 => Act::Cluster(Step::NodeUp { node }),
        5 => Act::Cluster(Step::AddressMove { address: address(rng.u8(1..=nodes)), node }),
        6 => Act::Cluster(Step::AddressState { address: address(node.0), online: rng.bool() }),
        7 => Act::Cluster(Step::Service { node, port: None }),
        8 | 9 => Act::Cluster(Step::Service { node, port: Some(rng.u16(50_000..60_000)) }),
        10..=12 => {
            let to = destination(rng, moves);
            let who = Who::All;
            Act::Cluster(match rng.u8(0..3) {
                0 => Step::ClientMove { who, to },
                1 => Step::ShareMove { who, to },
                _ => Step::IpChange { who, to },
            })
        }
        13 => Act::Cluster(Step::Answer { who: Who::Witness(node), notice: notice(rng) }),
        14 => Act::Cluster(Step::ForceUnregister { who: Who::Witness(node) }),
        15 if bench.get(mount).wanted => Act::Unmount(mount),
        15 | 16 if can_mount(bench, mount) => Act::Mount(mount),
        17 => {
            let free = free_addresses(bench, mount);
            match free.is_empty() {
                true => Act::Echo,
                false => Act::Reconnect(mount, *choose(rng, &free)),
            }
        }
        18 => Act::Echo,
        19 => Act::Password(format!("password {}", rng.u8(..))),
        20 => Act::Leap(bench.get(mount).client, Duration::from_secs(rng.u64(1..4000))),
        _ => Act::Cluster(Step::Fault(fault(rng, nodes, limits))),
    }
}

/// How many nodes there are.
fn nodes(bench: &Bench) -> u8 {
    u8::try_from(bench.world.cluster().topology().nodes().len()).expect("there are few")
}

/// Whether the consumer knows that the mount's registration is over.
fn has_ended(bench: &Bench, mount: MountId) -> bool {
    bench.ledger.has_ended(bench.get(mount).id)
}

/// Whether the mount is not there, and no other of its client has its address.
fn can_mount(bench: &Bench, mount: MountId) -> bool {
    let known = bench.get(mount);
    !known.wanted
        && has_ended(bench, mount)
        && known.request.ip_address.is_some_and(|ip| !is_taken(bench, mount, ip))
}

/// The addresses that the mount's client does not use, nor did until lately.
fn free_addresses(bench: &Bench, mount: MountId) -> Vec<IpAddr> {
    let own = bench.get(mount).request.ip_address;
    let free = |ip: &IpAddr| Some(*ip) != own && !is_taken(bench, mount, *ip);
    (1..=nodes(bench)).map(address).filter(free).collect()
}

/// Whether another mount of the same client uses an address.
fn is_taken(bench: &Bench, mount: MountId, ip: IpAddr) -> bool {
    let client = bench.get(mount).client;
    bench.mounts().any(|(id, other)| {
        id != mount
            && other.client == client
            && other.request.ip_address == Some(ip)
            && (other.wanted || !has_ended(bench, id))
    })
}

/// Addresses that are named only once, so that each move is like no other.
fn destination(rng: &mut Rng, moves: &mut u8) -> Destination {
    let list = (0..rng.usize(0..4)).map(|_| {
        *moves = moves.wrapping_add(1);
        let ip = if rng.u8(0..4) == 0 {
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, (*moves).into()])
        } else {
            IpAddr::from([192, 0, 2, *moves])
        };
        AddressInfo::new(ip, rng.u8(0..4) != 0)
    });
    Destination::Addresses(list.collect())
}

fn notice(rng: &mut Rng) -> witness_sim::Notice {
    match rng.u8(0..4) {
        0 => Ok(None),
        1 => Err(Status::TIMEOUT),
        2 => Err(Status::NOT_FOUND),
        _ => Err(Status::INVALID_STATE),
    }
}

fn fault(rng: &mut Rng, nodes: u8, limits: &mut Limits) -> Fault {
    let on = *choose(rng, &Stage::ALL);
    let node = rng.bool().then(|| NodeId(rng.u8(1..=nodes)));
    let times = match rng.u8(0..4) {
        0 => None,
        1 => Some(rng.u32(2..6)),
        _ => Some(1),
    };
    let mut what = match rng.u8(0..18) {
        0 => What::Refuse,
        1 | 2 => What::NoReply,
        3 => What::Drop,
        4 => What::Delay(Duration::from_millis(rng.u64(1..200_000))),
        5 => What::Cut(rng.usize(0..100)),
        6 => What::Garble(rng.usize(0..200)),
        7 => What::Chunks,
        8 => What::Fragments(rng.usize(1..20)),
        9 => What::HugeCounts,
        10 => What::HugeLength,
        11 => What::Truncate(rng.usize(0..40)),
        12 => What::WrongCallId,
        13 => What::Unprotected,
        14 => What::BindNak(rng.u16(0..10)),
        15 => What::Empty,
        16 => What::Fault(*choose(
            rng,
            &[
                FaultStatus::ACCESS_DENIED,
                FaultStatus::OP_RNG_ERROR,
                FaultStatus::PROTO_ERROR,
                FaultStatus::CONTEXT_MISMATCH,
                FaultStatus::SERVER_TOO_BUSY,
            ],
        )),
        _ => What::Status(*choose(
            rng,
            &[
                Status::ACCESS_DENIED,
                Status::INVALID_PARAMETER,
                Status::CALL_NOT_IMPLEMENTED,
                Status::NOT_FOUND,
                Status::REVISION_MISMATCH,
                Status::TIMEOUT,
                Status::INVALID_STATE,
            ],
        )),
    };
    limits.keep(on, &mut what);
    // Elsewhere it is another call's answer, and may say by chance what isn't so.
    if on != Stage::AsyncNotify && what == What::Empty {
        what = What::Truncate(0);
    }
    // A witness that says it does not know a registration does not keep it.
    if on == Stage::UnRegister && says_unknown(what) {
        what = What::Refuse;
    }
    Fault { on, node, times, what }
}

/// What must not come together.
struct Limits {
    /// Whether a registration may be of version 1.
    version_1: bool,
    /// Whether an AsyncNotify may stay without its answer.
    unanswered: bool,
}

impl Limits {
    /// Version 1 has no keep-alive: it can't be noticed that an AsyncNotify has
    /// got lost while its connection stands.
    fn keep(&mut self, on: Stage, what: &mut What) {
        let refuses_version_2 = matches!(
            *what,
            What::Fault(FaultStatus::OP_RNG_ERROR)
                | What::Status(Status::CALL_NOT_IMPLEMENTED | Status::REVISION_MISMATCH)
        );
        match (on, *what) {
            (Stage::AsyncNotify, What::NoReply) if self.version_1 => *what = What::Drop,
            (Stage::AsyncNotify, What::NoReply) => self.unanswered = true,
            // At the end of a logon it may be the answer to RegisterEx, too.
            (Stage::RegisterEx | Stage::Auth, _) if refuses_version_2 => match self.unanswered {
                true => *what = What::Refuse,
                false => self.version_1 = true,
            },
            _ => {}
        }
    }
}

/// Whether this answer to UnRegister is that of a witness without the
/// registration.
fn says_unknown(what: What) -> bool {
    matches!(
        what,
        What::Status(Status::NOT_FOUND | Status::INVALID_PARAMETER)
            | What::Fault(FaultStatus::CONTEXT_MISMATCH)
    )
}

fn apply(bench: &mut Bench, act: Act) {
    match act {
        Act::Cluster(step) => bench.run(step),
        Act::Unmount(mount) => bench.unregister(mount),
        Act::Mount(mount) => bench.register(mount),
        Act::Reconnect(mount, to) => bench.reconnect(mount, to),
        Act::Echo => bench.echo(),
        Act::Password(password) => {
            bench.set_password(&password);
            let password = password.into();
            bench.run(Step::Password { user: "alice".into(), password });
        }
        Act::Leap(client, time) => bench.leap(client, time),
    }
}

/// Everything works again.
fn heal(bench: &mut Bench) {
    bench.run(Step::NoFaults);
    for number in 1..=nodes(bench) {
        let node = NodeId(number);
        let works = bench.world.cluster().topology().node(node).map(|node| node.witness_port);
        if works == Some(None) {
            bench.run(Step::Service { node, port: Some(49_999) });
        }
        bench.run(Step::NodeUp { node });
        // Where one node has all addresses, there is no witness.
        let address = address(number);
        bench.run(Step::AddressMove { address, node });
        bench.run(Step::AddressState { address, online: true });
    }
}

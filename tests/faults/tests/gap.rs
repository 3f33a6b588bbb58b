//! A mount is never without a witness where a living one could have it: not
//! behind the move of its address, and for a moment only where a witness drops it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use faults::{Bench, MountId};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::{Error, Event, Notification};
use witness_sim::world::NetworkConfig;
use witness_sim::{ClusterConfig, Happening, NodeId, Profile, Step, Time, Who};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How many random courses each promise is tried in.
const COURSES: u64 = 300;

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

fn elsewhere(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// A mount of the share of node 1 that is in order.
fn mounted(cluster: ClusterConfig, seed: u64) -> (Bench, MountId) {
    let mut bench = Bench::new(cluster, NetworkConfig::default(), seed);
    let client = bench.add_client(Config::default(), seed);
    let mount = bench.mount(client, ip(1));
    let end = bench.world.now() + MINUTE;
    assert!(bench.pass_until(end, |bench| bench.is_in_order(mount)));
    bench.told.clear();
    bench.happened.clear();
    (bench, mount)
}

/// A Samba cluster of some nodes, of a kind that the seed decides.
fn samba(rng: &mut fastrand::Rng) -> ClusterConfig {
    let mut cluster = ClusterConfig::new(Profile::Samba, rng.u8(2..=4), [10, 0, 0]);
    cluster.traits.multiplexing = rng.bool();
    cluster
}

/// Another node than the first.
fn other(bench: &Bench, rng: &mut fastrand::Rng) -> NodeId {
    let nodes = bench.world.cluster().config().nodes.len();
    NodeId(rng.u8(2..=u8::try_from(nodes).unwrap()))
}

/// Lets time pass; the longest that the cluster had no registration of a mount.
fn longest_gap(bench: &mut Bench, mount: MountId, time: Duration) -> Duration {
    let end = bench.world.now() + time;
    let (mut longest, mut since) = (Duration::ZERO, None::<Time>);
    bench.pass_until(end, |bench| {
        let now = bench.world.now();
        match bench.witnesses(mount).is_empty() {
            true => longest = longest.max(now - *since.get_or_insert(now)),
            false => {
                longest = longest.max(since.take().map_or(Duration::ZERO, |since| now - since));
            }
        }
        false
    });
    longest
}

fn failures(bench: &Bench) -> Vec<(Error, Option<Duration>)> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Failed { error, retry_in } => Some((error.clone(), *retry_in)),
        _ => None,
    })
    .collect()
}

fn moves(bench: &Bench) -> Vec<IpAddr> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Notification(Notification::ClientMove { address }) => Some(*address),
        _ => None,
    })
    .collect()
}

fn registered(bench: &Bench) -> usize {
    let registered = |what: &&Happening| matches!(what, Happening::Registered { .. });
    bench.happened.iter().filter(registered).count()
}

fn move_client(bench: &mut Bench, number: u8) {
    bench.run(Step::ClientMove { who: Who::All, to: elsewhere(number).into() });
}

#[test]
fn a_mount_whose_address_moves_is_never_without_a_witness() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(samba(&mut rng), seed);
        for _ in 0..3 {
            let node = other(&bench, &mut rng);
            bench.run(Step::AddressMove { address: ip(1), node });
            let gap = longest_gap(&mut bench, mount, 7 * SECOND + rng.u32(..10) * SECOND);
            assert_eq!(gap, Duration::ZERO, "seed {seed}: {:#?}", bench.told);
            assert!(bench.is_in_order(mount), "seed {seed}");
            // Nor was the consumer told so.
            assert_eq!(failures(&bench), [], "seed {seed}");
            bench.told.clear();
            bench.run(Step::AddressMove { address: ip(1), node: NodeId(1) });
            let gap = longest_gap(&mut bench, mount, 10 * SECOND);
            assert_eq!(gap, Duration::ZERO, "seed {seed}: {:#?}", bench.told);
            assert_eq!(failures(&bench), [], "seed {seed}");
        }
    }
}

#[test]
fn a_mount_whose_node_dies_is_never_without_a_witness() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(samba(&mut rng), seed);
        bench.run(Step::NodeDown { node: NodeId(1), silent: rng.bool() });
        let gap = longest_gap(&mut bench, mount, 30 * SECOND);
        assert_eq!(gap, Duration::ZERO, "seed {seed}: {:#?}", bench.told);
        assert!(bench.is_in_order(mount), "seed {seed}");
        assert_eq!(failures(&bench), [], "seed {seed}");
    }
}

#[test]
fn client_moves_at_any_moment_of_an_address_move_arrive_once_and_in_order() {
    for seed in 0..2 * COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(samba(&mut rng), seed);
        let node = other(&bench, &mut rng);
        bench.run(Step::AddressMove { address: ip(1), node });
        if rng.bool() {
            bench.pass(Duration::from_micros(rng.u64(..3_000_000)));
        } else {
            // Just when one registration takes over from the other.
            let end = bench.world.now() + 4 * SECOND;
            assert!(bench.pass_until(end, |bench| bench.witnesses(mount).len() == 2), "{seed}");
            bench.pass(Duration::from_micros(rng.u64(..600_000)));
        }
        for number in 1..=3 {
            move_client(&mut bench, number);
            let most = if rng.bool() { 2_000 } else { 500_000 };
            bench.pass(Duration::from_micros(rng.u64(500..most)));
        }
        bench.pass(4 * SECOND);
        assert_eq!(moves(&bench), [1, 2, 3].map(elsewhere), "seed {seed}: {:#?}", bench.told);
    }
}

#[test]
fn the_same_client_move_twice_behind_an_address_move_arrives_twice() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, _) = mounted(samba(&mut rng), seed);
        let node = other(&bench, &mut rng);
        bench.run(Step::AddressMove { address: ip(1), node });
        bench.pass(Duration::from_micros(rng.u64(..3_000_000)));
        for _ in 0..2 {
            move_client(&mut bench, 1);
            bench.pass(SECOND + SECOND / 10);
        }
        assert_eq!(moves(&bench), [1, 1].map(elsewhere), "seed {seed}: {:#?}", bench.told);
    }
}

#[test]
fn what_a_living_witness_drops_is_registered_again_within_a_second() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(samba(&mut rng), seed);
        match rng.u8(..3) {
            0 => bench.run(Step::ForceUnregister { who: Who::All }),
            // Dropped five seconds later, without another node that could serve.
            1 => bench.run(Step::AddressState { address: ip(1), online: false }),
            // Dropped as well, where the client stays.
            _ => move_client(&mut bench, 1),
        }
        let gap = longest_gap(&mut bench, mount, 10 * SECOND);
        assert!(gap < SECOND, "seed {seed}: {gap:?}, {:#?}", bench.told);
        assert_eq!(failures(&bench).len(), 1, "seed {seed}: {:#?}", bench.told);
        assert!(!bench.witnesses(mount).is_empty(), "seed {seed}");
    }
}

#[test]
fn a_witness_that_accepts_and_drops_at_once_is_not_asked_in_a_loop() {
    for seed in 0..20 {
        let cluster = ClusterConfig::new(Profile::Samba, 2, [10, 0, 0]);
        let (mut bench, mount) = mounted(cluster, seed);
        bench.run("fault notify always status ERROR_NOT_FOUND".parse().unwrap());
        bench.run(Step::ForceUnregister { who: Who::All });
        bench.pass(MINUTE);
        let first = registered(&bench);
        assert!((3..=16).contains(&first), "seed {seed}: {first}");
        bench.pass(4 * MINUTE);
        bench.happened.clear();
        bench.pass(20 * MINUTE);
        let later = registered(&bench);
        assert!((20..=80).contains(&later), "seed {seed}: {later}");
        // Once registrations last again, it is as at first.
        bench.run(Step::NoFaults);
        let end = bench.world.now() + 2 * MINUTE;
        assert!(bench.pass_until(end, |bench| bench.is_in_order(mount)), "seed {seed}");
        bench.pass(MINUTE);
        bench.told.clear();
        bench.run(Step::ForceUnregister { who: Who::All });
        let gap = longest_gap(&mut bench, mount, MINUTE);
        assert!(gap < SECOND, "seed {seed}: {gap:?}");
    }
}

#[test]
fn an_address_that_flaps_does_not_make_its_clients_register_in_a_loop() {
    for seed in 0..20 {
        let cluster = ClusterConfig::new(Profile::Windows2012R2, 3, [10, 0, 0]);
        let (mut bench, _) = mounted(cluster, seed);
        for _ in 0..600 {
            for online in [false, true] {
                bench.run(Step::AddressState { address: ip(1), online });
                bench.pass(SECOND / 4);
            }
        }
        let registered = registered(&bench);
        assert!((5..=100).contains(&registered), "seed {seed}: {registered} in five minutes");
    }
}

/// Goes to the moment at which a mount has two registrations, and on a bit.
fn overlapping(seed: u64, profile: Profile) -> (Bench, MountId, [NodeId; 2]) {
    let mut cluster = ClusterConfig::new(profile, 4, [10, 0, 0]);
    cluster.traits.multiplexing = seed % 2 == 0;
    let (mut bench, mount) = mounted(cluster, seed);
    let before = bench.witnesses(mount)[0];
    let node = NodeId((2..=4).find(|node| *node != before.0).unwrap());
    bench.run(Step::AddressMove { address: ip(1), node });
    let end = bench.world.now() + 4 * SECOND;
    assert!(bench.pass_until(end, |bench| bench.witnesses(mount).len() == 2), "{seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    bench.pass(Duration::from_micros(rng.u64(..400_000)));
    let witnesses = bench.witnesses(mount);
    bench.told.clear();
    (bench, mount, [witnesses[0], witnesses[1]])
}

#[test]
fn a_witness_that_dies_while_another_takes_over_is_no_loss() {
    let mut cases = [0, 0];
    for seed in 0..100 {
        for victim in [0, 1] {
            let (mut bench, mount, nodes) = overlapping(seed, Profile::Windows2012R2);
            if nodes[0] == nodes[1] {
                continue;
            }
            cases[victim] += 1;
            bench.run(Step::NodeDown { node: nodes[victim], silent: false });
            bench.pass(20 * SECOND);
            let told = &bench.told;
            assert_eq!(failures(&bench), [], "seed {seed}, {victim}: {told:#?}");
            assert!(bench.is_in_order(mount), "seed {seed}, {victim}: {told:#?}");
            move_client(&mut bench, 1);
            bench.pass(SECOND);
            assert_eq!(moves(&bench), [elsewhere(1)], "seed {seed}, {victim}");
        }
    }
    assert!(cases[0] > 10 && cases[1] > 10, "{cases:?}");
}

#[test]
fn a_registration_that_ends_during_an_address_move_leaves_nothing() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(samba(&mut rng), seed);
        let node = other(&bench, &mut rng);
        let hold = rng.bool();
        if hold {
            // It ends while the witness has not answered.
            bench.run("fault register-ex delay 3s".parse().unwrap());
        }
        bench.run(Step::AddressMove { address: ip(1), node });
        bench.pass(Duration::from_micros(rng.u64(..4_000_000)));
        bench.unregister(mount);
        bench.pass(if hold { 4 * SECOND } else { SECOND / 10 });
        assert_eq!(bench.world.cluster().registrations().len(), 0, "seed {seed}");
        assert_eq!(bench.world.open_connections(), 0, "seed {seed}");
        assert!(bench.ledger.has_ended(bench.get(mount).id), "seed {seed}");
    }
}

#[test]
fn a_mount_whose_address_cannot_be_reached_gets_a_witness_that_was_listed_before() {
    for seed in 0..COURSES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut bench, mount) = mounted(ClusterConfig::new(Profile::Samba, 4, [10, 0, 0]), seed);
        // The address does not answer new connections where it is now, for as long as
        // its neighbours have its old place in their tables; Samba drops the registration.
        let node = other(&bench, &mut rng);
        bench.run(format!("fault connect node {} always no-reply", node.0).parse().unwrap());
        bench.run(Step::AddressMove { address: ip(1), node });
        bench.pass(6 * SECOND);
        let end = bench.world.now() + 10 * SECOND;
        let is_in_order = bench
            .pass_until(end, |bench| bench.is_in_order(mount) && bench.witnesses(mount) != [node]);
        assert!(is_in_order, "seed {seed}: {:#?}", bench.told);
    }
}

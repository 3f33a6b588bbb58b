//! What servers do that the client must cope with, each thing by itself: from Microsoft's
//! protocol tests and what vendors say (docs/conformance.md).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use faults::Bench;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Config, Event, Notification, ResourceState};
use witness_sim::world::{ClientId, NetworkConfig};
use witness_sim::{ClusterConfig, NodeId, Profile, Step};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

fn bench(cluster: ClusterConfig) -> (Bench, ClientId) {
    let require_header_signing = cluster.traits.header_signing;
    let mut bench = Bench::new(cluster, NetworkConfig::default(), 1);
    let client = bench.add_client(Config { require_header_signing, ..Config::default() }, 1);
    (bench, client)
}

/// A cluster of a vendor in each way that it may behave.
fn ways(profile: Profile, nodes: u8) -> impl Iterator<Item = ClusterConfig> {
    profile.ways().into_iter().map(move |traits| ClusterConfig {
        traits,
        ..ClusterConfig::new(profile, nodes, [10, 0, 0])
    })
}

/// Lets time pass until everything is in order.
fn settle(bench: &mut Bench) {
    let end = bench.world.now() + MINUTE;
    assert!(bench.pass_until(end, |bench| bench.all_in_order()), "{:#?}", bench.told);
}

fn failures(bench: &Bench) -> usize {
    bench.told.iter().filter(|(.., event)| matches!(event, Event::Failed { .. })).count()
}

fn notifications(bench: &Bench) -> Vec<Notification> {
    let told = bench.told.iter();
    told.filter_map(|(.., event)| match event {
        Event::Notification(notification) => Some(notification.clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn the_version_that_a_list_claims_decides_nothing() {
    for profile in Profile::ALL {
        for list_version in [0x0001_0001, 0x0002_0000, 0xffff_ffff, 0, 7] {
            let mut cluster = ClusterConfig::new(profile, 3, [10, 0, 0]);
            cluster.traits.list_version = list_version;
            let version = if cluster.traits.version_2 { 2 } else { 1 };
            let (mut bench, client) = bench(cluster);
            bench.mount(client, ip(1));
            settle(&mut bench);
            let registered = bench.world.cluster().registrations().next().unwrap();
            assert_eq!(registered.version.number(), version, "{profile}, {list_version:#x}");
        }
    }
}

#[test]
fn a_list_that_waits_for_a_witness_is_waited_for() {
    for profile in Profile::ALL {
        for cluster in ways(profile, 2).filter(|it| it.traits.list_waits_for_witness) {
            let (mut bench, client) = bench(cluster);
            bench.run(Step::NodeDown { node: NodeId(2), silent: false });
            bench.pass(SECOND);
            let mount = bench.mount(client, ip(1));
            bench.pass(2 * MINUTE);
            assert_eq!(failures(&bench), 0, "{profile}: {:#?}", bench.told);
            bench.run(Step::NodeUp { node: NodeId(2) });
            bench.pass(2 * SECOND);
            assert!(bench.is_in_order(mount), "{profile}: {:#?}", bench.told);
        }
    }
}

#[test]
fn the_share_move_of_an_asymmetric_share_is_told_and_moves_nothing_else() {
    // Samba has none: its share moves are its administrator's.
    for profile in Profile::ALL.into_iter().filter(|it| *it != Profile::Samba) {
        for mut cluster in ways(profile, 3) {
            let owner = NodeId(2);
            cluster.share_owner = Some(owner);
            let has_shares = cluster.traits.version_2;
            let (mut bench, client) = bench(cluster);
            let mount = bench.mount(client, ip(1));
            settle(&mut bench);
            bench.pass(10 * MINUTE);
            let told = notifications(&bench);
            let is_move = |it: &Notification| matches!(it, Notification::ShareMove { .. });
            assert!(told.iter().all(is_move), "{profile}: {told:?}");
            assert_eq!(told.len(), usize::from(has_shares), "{profile}: {told:?}");
            assert!(bench.is_in_order(mount), "{profile}");
            // Whose kernel goes there all the same is told nothing.
            bench.told.clear();
            bench.reconnect(mount, ip(owner.0));
            bench.pass(10 * MINUTE);
            assert_eq!(notifications(&bench), [], "{profile}");
            assert!(bench.is_in_order(mount), "{profile}");
        }
    }
}

#[test]
fn a_share_that_no_node_has_is_asked_for_at_longer_and_longer_intervals() {
    for profile in Profile::ALL {
        for mut cluster in ways(profile, 3) {
            cluster.shares = vec!["other".into()];
            let refused = cluster.traits.version_2 && cluster.traits.checks_shares;
            let (mut bench, client) = bench(cluster);
            let mount = bench.mount(client, ip(1));
            bench.pass(10 * MINUTE);
            assert_eq!(bench.is_in_order(mount), !refused, "{profile}: {:#?}", bench.told);
            let failures = failures(&bench);
            let most = if refused { 10..=45 } else { 0..=0 };
            assert!(most.contains(&failures), "{profile}: {failures}");
        }
    }
}

#[test]
fn a_role_that_fails_over_is_told_and_watched_by_the_node_that_is_left() {
    for cluster in ways(Profile::WindowsRole, 2) {
        let (mut bench, client) = bench(cluster);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        bench.told.clear();
        bench.run(Step::NodeDown { node: NodeId(1), silent: true });
        bench.pass(5 * SECOND);
        let states: Vec<_> = notifications(&bench)
            .into_iter()
            .map(|it| match it {
                Notification::ResourceChange { state, .. } => state,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(states, [ResourceState::Unavailable, ResourceState::Available]);
        // It stays where it is when the node is back, which watches it from then on.
        bench.pass(10 * MINUTE);
        bench.run(Step::NodeUp { node: NodeId(1) });
        bench.pass(3 * MINUTE);
        assert_eq!(bench.witnesses(mount), [NodeId(1)], "{:#?}", bench.told);
        assert!(bench.all_in_order() && bench.all_watched_by_others());
    }
}

#[test]
fn a_giveback_that_ontap_says_nothing_of_leaves_no_mount_without_a_witness() {
    for cluster in ways(Profile::Ontap, 2) {
        let (mut bench, client) = bench(cluster);
        bench.mount(client, ip(1));
        bench.mount(client, ip(2));
        settle(&mut bench);
        for node in [1, 2].map(NodeId) {
            bench.run(Step::NodeDown { node, silent: true });
            bench.pass(5 * MINUTE);
            bench.run(Step::NodeUp { node });
            bench.pass(10 * MINUTE);
            assert!(bench.all_in_order(), "{node}: {:#?}", bench.told);
            assert!(bench.all_watched_by_others(), "{node}: {:#?}", bench.told);
        }
    }
}

#[test]
fn a_server_without_multiplexing_and_header_signing_is_served_where_that_is_allowed() {
    for cluster in ways(Profile::OneFs, 3).filter(|it| !it.traits.header_signing) {
        assert!(!cluster.traits.multiplexing);
        let (mut allowed, client) = bench(cluster.clone());
        for node in 1..=3 {
            allowed.mount(client, ip(node));
        }
        settle(&mut allowed);
        assert_eq!(allowed.world.open_connections(), 3, "each has its own");
        let mut refused = Bench::new(cluster, NetworkConfig::default(), 1);
        let client = refused.add_client(Config::default(), 1);
        refused.mount(client, ip(1));
        refused.pass(MINUTE);
        assert_eq!(refused.world.cluster().registrations().len(), 0);
        let is_named = |event: &Event| matches!(event, Event::Failed { error, .. } if error.is_lack_of_header_signing());
        assert!(refused.told.iter().any(|(.., event)| is_named(event)), "{:#?}", refused.told);
    }
}

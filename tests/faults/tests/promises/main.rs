//! What is promised beyond the matrix, each promise by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod changes;

use faults::{Bench, MountId};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::wire::{AddressFlags, AddressInfo, NotifyMessages, Status};
use swnclient_proto::{Event, Notification, ResourceState};
use witness_sim::world::{ClientId, NetworkConfig};
use witness_sim::{
    ClusterConfig, Destination, Fault, Happening, NodeId, Profile, Stage, Step, What, Who,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

fn bench(profile: Profile, nodes: u8) -> (Bench, ClientId) {
    with(ClusterConfig::new(profile, nodes, [10, 0, 0]), Config::default(), 1)
}

fn with(cluster: ClusterConfig, client: Config, seed: u64) -> (Bench, ClientId) {
    let mut bench = Bench::new(cluster, NetworkConfig::default(), seed);
    let client = bench.add_client(client, seed);
    (bench, client)
}

fn step(bench: &mut Bench, text: &str) {
    bench.run(text.parse().unwrap());
}

/// Lets time pass until everything is in order.
fn settle(bench: &mut Bench) {
    let end = bench.world.now() + MINUTE;
    assert!(bench.pass_until(end, |bench| bench.all_in_order()), "{:#?}", bench.told);
}

fn failures(bench: &Bench) -> Vec<Option<Duration>> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Failed { retry_in, .. } => Some(*retry_in),
        _ => None,
    })
    .collect()
}

fn notifications(bench: &Bench) -> Vec<Notification> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Notification(notification) => Some(notification.clone()),
        _ => None,
    })
    .collect()
}

fn versions(bench: &Bench) -> Vec<u8> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Registered { version, .. } => Some(*version),
        _ => None,
    })
    .collect()
}

/// How often a fault rule for RegisterEx applied.
fn refused_register_ex(bench: &Bench) -> usize {
    let stage =
        |what: &&Happening| matches!(what, Happening::Faulted { stage: Stage::RegisterEx, .. });
    bench.happened.iter().filter(stage).count()
}

#[test]
fn a_request_that_is_repeated_is_heard_at_once_but_only_once_a_second() {
    let (mut bench, client) = bench(Profile::Samba, 3);
    for node in 1..=3 {
        step(&mut bench, &format!("node {node} down"));
    }
    bench.mount(client, ip(1));
    bench.pass(5 * MINUTE + 30 * SECOND);
    bench.told.clear();
    bench.echo();
    bench.pass(SECOND / 100);
    assert_eq!(failures(&bench).len(), 1);
    for _ in 0..100 {
        bench.pass(SECOND / 10);
        bench.echo();
    }
    let attempts = failures(&bench).len();
    assert!((10..=11).contains(&attempts), "{attempts}");
}

#[test]
fn the_backoff_doubles_from_one_second_to_sixty_and_starts_over_after_a_registration_of_five_seconds()
 {
    let (mut bench, client) = bench(Profile::OneFs, 3);
    let bounds = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60];
    for round in 0..2 {
        for node in 1..=3 {
            step(&mut bench, &format!("node {node} down"));
        }
        match round {
            0 => drop(bench.mount(client, ip(1))),
            // The spread after the loss of the witness is another thing.
            _ => bench.told.clear(),
        }
        bench.pass(30 * MINUTE);
        let mut delays = failures(&bench);
        delays.drain(..round);
        for (delay, bound) in delays.iter().zip(bounds) {
            assert!(delay.unwrap() <= bound * SECOND, "{delays:?}");
        }
        let longest = delays.iter().flatten().max().unwrap();
        assert!(*longest > 30 * SECOND && *longest <= MINUTE, "{longest:?}");
        for node in 1..=3 {
            step(&mut bench, &format!("node {node} up"));
        }
        let end = bench.world.now() + 2 * MINUTE;
        assert!(bench.pass_until(end, |bench| bench.all_in_order()));
        bench.pass(5 * SECOND);
    }
}

#[test]
fn version_1_is_remembered_of_a_witness_until_it_restarts() {
    for refusal in [
        "fault 0x1c010002",
        "fault 0x6d1",
        "status ERROR_REVISION_MISMATCH",
        "status ERROR_CALL_NOT_IMPLEMENTED",
    ] {
        let mut cluster = ClusterConfig::new(Profile::Windows2012R2, 2, [10, 0, 0]);
        cluster.nodes[0].addresses.push(ip(11));
        let (mut bench, client) = with(cluster, Config::default(), 1);
        step(&mut bench, &format!("fault register-ex always {refusal}"));
        bench.mount(client, ip(1));
        settle(&mut bench);
        bench.mount(client, ip(11));
        settle(&mut bench);
        assert_eq!(versions(&bench), [1, 1], "{refusal}");
        assert_eq!(refused_register_ex(&bench), 1, "{refusal}");

        bench.told.clear();
        step(&mut bench, "no-faults");
        step(&mut bench, "service node 2 port 50000");
        settle(&mut bench);
        assert_eq!(versions(&bench), [2, 2], "{refusal}");
    }
}

#[test]
fn version_1_is_forgotten_with_the_last_registration_at_a_witness() {
    let (mut bench, client) = bench(Profile::Windows2012R2, 2);
    step(&mut bench, "fault register-ex fault 0x1c010002");
    let mount = bench.mount(client, ip(1));
    settle(&mut bench);
    bench.unregister(mount);
    bench.pass(SECOND);
    bench.register(mount);
    settle(&mut bench);
    assert_eq!(versions(&bench), [1, 2]);
}

#[test]
fn a_cluster_that_does_not_know_its_dns_name_is_registered_at_by_the_first_label() {
    for profile in Profile::ALL {
        let mut cluster = ClusterConfig::new(profile, 3, [10, 0, 0]);
        cluster.traits.netbios_name_only = true;
        let (mut bench, client) = with(cluster, Config::default(), 1);
        bench.mount(client, ip(1));
        settle(&mut bench);
        let names: Vec<_> =
            bench.world.cluster().registrations().map(|it| it.net_name.clone()).collect();
        assert_eq!(names, ["cluster"], "{profile}");
        assert!(failures(&bench).is_empty(), "{profile}");
    }
}

#[test]
fn a_name_that_no_witness_knows_is_tried_in_both_forms_at_each_and_reported() {
    let mut cluster = ClusterConfig::new(Profile::Samba, 3, [10, 0, 0]);
    cluster.net_name = "OTHER".into();
    let (mut bench, client) = with(cluster, Config::default(), 1);
    bench.mount(client, ip(1));
    bench.pass(SECOND);
    assert_eq!(bench.world.cluster().registrations().len(), 0);
    let errors: Vec<String> = bench
        .told
        .iter()
        .map(|(_, _, event)| match event {
            Event::Failed { error, .. } => error.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!errors.is_empty());
    for error in errors {
        assert!(error.contains("ERROR_INVALID_PARAMETER"), "{error}");
    }
}

#[test]
fn the_last_interface_list_is_known_as_long_as_the_registration() {
    let (mut bench, client) = bench(Profile::Windows2012R2, 3);
    let mount = bench.mount(client, ip(1));
    settle(&mut bench);
    let id = bench.get(mount).id;
    let states = |bench: &Bench| -> Vec<_> {
        let list = bench.world.client(client).unwrap().interfaces(id).iter();
        list.map(|interface| interface.state).collect()
    };
    assert_eq!(states(&bench), [ResourceState::Available; 3]);
    // The next witness's list is newer.
    let witness = bench.witnesses(mount)[0];
    bench.run(Step::NodeDown { node: witness, silent: false });
    bench.pass(MINUTE);
    let available = |state: &&ResourceState| **state == ResourceState::Available;
    assert_eq!(states(&bench).iter().filter(available).count(), 2);
    bench.unregister(mount);
    bench.pass(SECOND);
    assert_eq!(states(&bench), []);
}

#[test]
fn a_list_that_does_not_come_keeps_nobody_from_news() {
    for multiplexing in [true, false] {
        let mut cluster = ClusterConfig::new(Profile::Windows2012, 3, [10, 0, 0]);
        cluster.traits.multiplexing = multiplexing;
        let (mut bench, client) = with(cluster, Config::default(), 1);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        let node = bench.witnesses(mount)[0];
        let other = 5 - node.0;
        step(&mut bench, &format!("fault list node {other} always no-reply"));
        bench.run(Step::NodeDown { node, silent: false });
        settle(&mut bench);
        bench.told.clear();
        step(&mut bench, "client-move all to 192.0.2.1");
        bench.pass(SECOND);
        assert_eq!(notifications(&bench).len(), 1, "multiplexing: {multiplexing}");
        // Nor does it cost the registration, later.
        bench.pass(10 * MINUTE);
        assert_eq!(failures(&bench), [], "multiplexing: {multiplexing}");
        assert_eq!(bench.world.open_connections(), 1, "multiplexing: {multiplexing}");
    }
}

#[test]
fn what_is_registered_after_its_end_is_taken_back() {
    let mut cluster = ClusterConfig::new(Profile::Windows2012, 2, [10, 0, 0]);
    cluster.nodes[0].addresses.push(ip(11));
    // Its answer comes after the end, or never; another registration needs the
    // connection.
    for fault in ["delay 20s", "no-reply"] {
        let (mut bench, client) = with(cluster.clone(), Config::default(), 1);
        let stays = bench.mount(client, ip(1));
        settle(&mut bench);
        step(&mut bench, &format!("fault register {fault}"));
        let goes = bench.mount(client, ip(11));
        bench.pass(SECOND);
        bench.unregister(goes);
        bench.pass(11 * SECOND);
        assert!(bench.ledger.has_ended(bench.get(goes).id), "{fault}");
        assert_eq!(bench.witnesses(goes).len(), 1, "{fault}");
        bench.pass(200 * SECOND);
        assert!(bench.witnesses(goes).is_empty(), "{fault}");
        assert!(bench.is_in_order(stays), "{fault}");
    }
}

#[test]
fn a_registration_whose_handle_cannot_be_read_is_taken_back() {
    let mut cluster = ClusterConfig::new(Profile::Windows2012, 3, [10, 0, 0]);
    cluster.nodes[0].addresses.push(ip(11));
    let (mut bench, client) = with(cluster, Config::default(), 1);
    let first = bench.mount(client, ip(1));
    settle(&mut bench);
    let witness = bench.witnesses(first)[0];
    step(&mut bench, &format!("fault register {witness} truncate 8"));
    let other = 5 - witness.0;
    step(&mut bench, &format!("fault connect node {other} refuse"));
    let second = bench.mount(client, ip(11));
    bench.pass(MINUTE);
    assert_eq!([first, second].map(|mount| bench.witnesses(mount).len()), [1, 1]);
    assert!(bench.all_in_order());
}

#[test]
fn a_witness_that_will_not_unregister_is_left() {
    let mut cluster = ClusterConfig::new(Profile::Windows2012, 2, [10, 0, 0]);
    cluster.nodes[0].addresses.push(ip(11));
    let (mut bench, client) = with(cluster, Config::default(), 1);
    let stays = bench.mount(client, ip(1));
    let goes = bench.mount(client, ip(11));
    settle(&mut bench);
    step(&mut bench, "fault unregister fault 0x1c01000b");
    bench.unregister(goes);
    bench.pass(SECOND);
    assert!(bench.witnesses(goes).is_empty());
    settle(&mut bench);
    assert!(bench.is_in_order(stays));
}

/// Two registrations by one connection; the address of one moves to the
/// witness's node.
#[test]
fn a_witness_is_changed_without_harm_to_who_shares_the_connection() {
    let mut shared = 0;
    for seed in 0..16 {
        let mut cluster = ClusterConfig::new(Profile::Windows2012R2, 3, [10, 0, 0]);
        cluster.nodes[0].addresses.push(ip(11));
        let (mut bench, client) = with(cluster, Config::default(), seed);
        let mounts: [MountId; 2] = [bench.mount(client, ip(1)), bench.mount(client, ip(11))];
        settle(&mut bench);
        let [moves, stays] = mounts.map(|mount| bench.witnesses(mount)[0]);
        shared += usize::from(moves == stays);
        bench.told.clear();
        bench.run(Step::AddressMove { address: ip(1), node: moves });
        bench.pass(MINUTE);
        assert_eq!(failures(&bench), [], "seed {seed}: {:#?}", bench.told);
        assert!(bench.all_in_order() && bench.all_watched_by_others(), "seed {seed}");
        assert_eq!(bench.witnesses(mounts[1]), [stays], "seed {seed}");
    }
    assert!(shared > 3);
}

#[test]
fn an_answer_that_does_not_go_on_ends_the_connection() {
    // The length of the PDU is another: more seems to come.
    let (mut bench, client) = bench(Profile::OneFs, 3);
    step(&mut bench, "fault notify garble 9");
    let mount = bench.mount(client, ip(1));
    settle(&mut bench);
    step(&mut bench, "client-move all to 192.0.2.1");
    bench.pass(179 * SECOND);
    assert_eq!(failures(&bench).len(), 0, "{:#?}", bench.told);
    bench.pass(30 * SECOND);
    assert_eq!(failures(&bench).len(), 1, "{:#?}", bench.told);
    assert!(bench.is_in_order(mount));
}

/// A client that told its own time, and not the server's, would be refused.
#[test]
fn wall_clocks_that_differ_or_are_set_change_nothing() {
    const DAYS: i64 = 90 * 24 * 3600;
    for profile in Profile::ALL {
        let (mut bench, client) = bench(profile, 3);
        bench.mount(client, ip(1));
        settle(&mut bench);
        bench.told.clear();
        for ahead in [DAYS, -DAYS] {
            step(&mut bench, &format!("clock {ahead}"));
            bench.pass(10 * MINUTE);
            assert!(bench.told.is_empty(), "{profile}: {:?}", bench.told);
            // Nor does it where everybody must log on again.
            for node in 1..=3 {
                step(&mut bench, &format!("service node {node} port {}", 50_000 + ahead % 7));
            }
            settle(&mut bench);
            assert_eq!(failures(&bench).len(), 1, "{profile}: {:?}", bench.told);
            bench.told.clear();
        }
    }
}

/// A cluster of two nodes whose role's address is in no list, served by node 1.
fn role(profile: Profile) -> (Bench, ClientId, IpAddr) {
    let address = ip(101);
    let mut cluster = ClusterConfig::new(profile, 2, [10, 0, 0]);
    cluster.nodes[0].addresses.push(address);
    cluster.unlisted.push(address);
    let (bench, client) = with(cluster, Config::default(), 1);
    (bench, client, address)
}

#[test]
fn the_address_of_a_role_that_no_list_has_is_not_out_of_service() {
    for profile in Profile::ALL {
        let (mut bench, client, address) = role(profile);
        bench.mount(client, address);
        settle(&mut bench);
        for online in [false, true] {
            bench.run(Step::AddressState { address, online });
            bench.pass(MINUTE);
        }
        bench.told.clear();
        // The witness is another one afterwards, which tells what was missed.
        step(&mut bench, "node 2 down");
        bench.pass(5 * SECOND);
        step(&mut bench, "node 2 up");
        bench.pass(10 * MINUTE);
        assert_eq!(notifications(&bench), [], "{profile}");
        assert!(bench.all_in_order(), "{profile}");
    }
}

#[test]
fn of_two_nodes_the_other_one_is_the_witness_again_when_it_is_back() {
    for profile in Profile::ALL {
        for away in [30 * SECOND, 10 * MINUTE] {
            let (mut bench, client, address) = role(profile);
            bench.mount(client, address);
            settle(&mut bench);
            // Node 2 is the witness, and then it serves the role.
            step(&mut bench, "node 1 down");
            bench.run(Step::AddressMove { address, node: NodeId(2) });
            bench.pass(away);
            step(&mut bench, "node 1 up");
            bench.pass(3 * MINUTE);
            assert!(bench.all_in_order(), "{profile}, {away:?}");
            assert!(bench.all_watched_by_others(), "{profile}, {away:?}");
        }
    }
}

#[test]
fn a_witness_of_an_old_list_that_serves_the_role_by_now_gives_way_to_the_other_node() {
    for profile in Profile::ALL {
        let (mut bench, client, address) = role(profile);
        let refuse = |bench: &mut Bench, stage| {
            let refused = What::Status(Status::NO_SYSTEM_RESOURCES);
            bench.run(Step::Fault(Fault::always(stage, refused)));
        };
        refuse(&mut bench, Stage::Register);
        refuse(&mut bench, Stage::RegisterEx);
        bench.mount(client, address);
        bench.pass(10 * SECOND);
        assert!(!failures(&bench).is_empty(), "{profile}");
        // Nothing has been registered, so nothing is told: the role is on the only candidate.
        bench.run(Step::AddressMove { address, node: NodeId(2) });
        bench.run(Step::NoFaults);
        refuse(&mut bench, Stage::GetInterfaceList);
        let end = bench.world.now() + 5 * MINUTE;
        let is_there = |bench: &mut Bench| bench.world.cluster().registrations().len() == 1;
        assert!(bench.pass_until(end, is_there), "{profile}");
        assert!(!bench.all_watched_by_others(), "{profile}");
        bench.run(Step::NoFaults);
        bench.pass(3 * MINUTE);
        assert!(bench.all_in_order(), "{profile}");
        assert!(bench.all_watched_by_others(), "{profile}");
    }
}

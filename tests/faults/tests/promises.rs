//! What is promised beyond the matrix, each promise by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use faults::{Bench, MountId};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::wire::{AddressFlags, AddressInfo, NotifyMessages};
use swnclient_proto::{Event, Notification, ResourceState};
use witness_sim::world::{ClientId, NetworkConfig};
use witness_sim::{ClusterConfig, Destination, Happening, NodeId, Profile, Stage, Step, Who};

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
fn a_change_that_nobody_could_report_is_reported_once_by_the_next_witness() {
    for profile in [Profile::Windows2012, Profile::Windows2012R2, Profile::OneFs] {
        let (mut bench, client) = bench(profile, 4);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        let witness = bench.witnesses(mount)[0];
        bench.told.clear();
        // Both at once: the witness has nothing to say any more.
        bench.run(Step::NodeDown { node: witness, silent: true });
        bench.run(Step::NodeDown { node: NodeId(1), silent: true });
        settle(&mut bench);
        bench.pass(10 * MINUTE);
        let gone = |what: &Notification| {
            matches!(what, Notification::ResourceChange { state: ResourceState::Unavailable, .. })
        };
        let told = notifications(&bench);
        assert!(told.len() == 1 && told.iter().all(gone), "{profile}: {told:?}");
    }
}

#[test]
fn a_change_that_the_last_witness_reported_is_not_reported_by_the_next() {
    for profile in [Profile::Windows2012, Profile::Windows2012R2, Profile::OneFs] {
        let (mut bench, client) = bench(profile, 4);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        bench.told.clear();
        bench.run(Step::NodeDown { node: NodeId(1), silent: true });
        bench.pass(SECOND);
        assert_eq!(notifications(&bench).len(), 1, "{profile}");
        let node = bench.witnesses(mount)[0];
        bench.run(Step::NodeDown { node, silent: true });
        bench.pass(MINUTE);
        assert_ne!(bench.witnesses(mount), [node], "{profile}");
        assert_eq!(notifications(&bench).len(), 1, "{profile}: {:?}", bench.told);
    }
}

/// Loses the witness of a mount on node 1, goes through some steps before there
/// is another, and returns when there is.
fn change_witness(multiplexing: bool, meanwhile: &[&str]) -> Bench {
    let mut cluster = ClusterConfig::new(Profile::Windows2012R2, 4, [10, 0, 0]);
    cluster.traits.multiplexing = multiplexing;
    let (mut bench, client) = with(cluster, Config::default(), 1);
    let mount = bench.mount(client, ip(1));
    settle(&mut bench);
    let lost = bench.witnesses(mount)[0];
    bench.told.clear();
    bench.run(Step::NodeDown { node: lost, silent: false });
    for text in meanwhile {
        step(&mut bench, text);
    }
    let end = bench.world.now() + MINUTE;
    assert!(bench.pass_until(end, |bench| !versions(bench).is_empty()));
    bench
}

fn states(bench: &Bench) -> Vec<ResourceState> {
    let told = notifications(bench).into_iter();
    told.filter_map(|notification| match notification {
        Notification::ResourceChange { state, .. } => Some(state),
        _ => None,
    })
    .collect()
}

#[test]
fn a_change_that_both_the_list_and_the_witness_tell_is_heard_once() {
    use ResourceState::{Available, Unavailable};
    for multiplexing in [true, false] {
        let mut bench = change_witness(multiplexing, &["fault notify delay 5s"]);
        step(&mut bench, "address 10.0.0.11 offline");
        bench.pass(SECOND);
        assert_eq!(states(&bench), [Unavailable], "multiplexing: {multiplexing}");
        bench.pass(10 * SECOND);
        assert_eq!(states(&bench), [Unavailable], "multiplexing: {multiplexing}");
        // What follows is news.
        for (text, state) in [("online", Available), ("offline", Unavailable)] {
            bench.told.clear();
            step(&mut bench, &format!("address 10.0.0.11 {text}"));
            bench.pass(SECOND);
            assert_eq!(states(&bench), [state], "multiplexing: {multiplexing}");
        }
    }
}

#[test]
fn a_list_that_is_older_than_what_the_witness_told_tells_nothing() {
    use ResourceState::{Available, Unavailable};
    let mut bench = change_witness(true, &["fault list delay 2s"]);
    // The list has it as available.
    bench.pass(SECOND);
    step(&mut bench, "address 10.0.0.11 offline");
    bench.pass(10 * SECOND);
    assert_eq!(states(&bench), [Unavailable]);
    step(&mut bench, "address 10.0.0.11 online");
    bench.pass(10 * SECOND);
    assert_eq!(states(&bench), [Unavailable, Available]);
}

#[test]
fn a_missed_change_is_told_though_the_list_fails_at_first() {
    for fault in ["status ERROR_INVALID_STATE", "fault 0x1c01000b"] {
        for multiplexing in [true, false] {
            let list = format!("fault list times 2 {fault}");
            let mut bench = change_witness(multiplexing, &[&list, "address 10.0.0.11 offline"]);
            bench.pass(MINUTE);
            let missed = [ResourceState::Unavailable];
            assert_eq!(states(&bench), missed, "{fault}, multiplexing: {multiplexing}");
        }
    }
}

#[test]
fn a_list_of_addresses_becomes_one_move_to_the_best() {
    let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2]);
    let entry = AddressInfo::new;
    let cases = [
        (vec![entry(ip(2), false), entry(v6, true), entry(ip(3), true)], Some(ip(3))),
        (vec![entry(ip(2), true), entry(ip(3), true)], Some(ip(2))),
        (vec![entry(ip(2), false), entry(v6, true)], Some(v6)),
        (vec![entry(ip(2), false), entry(v6, false)], None),
        (vec![], None),
    ];
    for (list, best) in cases {
        let (mut bench, client) = bench(Profile::Samba, 3);
        bench.mount(client, ip(1));
        settle(&mut bench);
        let to = Destination::Addresses(list.clone());
        bench.run(Step::ClientMove { who: Who::All, to });
        bench.pass(SECOND);
        let expected: Vec<_> =
            best.into_iter().map(|address| Notification::ClientMove { address }).collect();
        assert_eq!(notifications(&bench), expected, "{list:?}");
    }
}

/// An entry of an IP change, with the flags as Windows sets them.
fn address_info(address: IpAddr, flags: u32) -> AddressInfo {
    AddressInfo { flags: AddressFlags::from_bits_retain(flags), ..AddressInfo::new(address, true) }
}

#[test]
fn an_ip_change_that_takes_the_own_address_away_tells_that_it_is_unavailable() {
    let gone = Notification::ResourceChange {
        name: ip(1).to_string().into(),
        state: ResourceState::Unavailable,
    };
    let to = |address| Notification::IpChange { address };
    let lists = [
        // IPv4 and offline; IPv4 and online.
        (vec![address_info(ip(1), 0x11), address_info(ip(2), 0x09)], vec![gone.clone(), to(ip(2))]),
        (vec![address_info(ip(1), 0x11)], vec![gone.clone()]),
        (vec![address_info(ip(3), 0x11), address_info(ip(2), 0x09)], vec![to(ip(2))]),
        (vec![address_info(ip(1), 0x09)], vec![to(ip(1))]),
    ];
    for (list, expected) in lists {
        let (mut bench, client) = bench(Profile::Windows2012R2, 3);
        bench.mount(client, ip(1));
        settle(&mut bench);
        let to = Destination::Addresses(list.clone());
        bench.run(Step::IpChange { who: Who::All, to: to.clone() });
        bench.pass(SECOND);
        assert_eq!(notifications(&bench), expected, "{list:?}");
        // What the consumer knows already is not said again.
        bench.told.clear();
        bench.run(Step::IpChange { who: Who::All, to });
        bench.pass(SECOND);
        let expected: Vec<_> = expected.into_iter().filter(|told| *told != gone).collect();
        assert_eq!(notifications(&bench), expected, "{list:?}");
    }
}

#[test]
fn the_flags_of_an_ip_change_mean_nothing_in_version_1() {
    let (mut bench, client) = bench(Profile::Windows2012R2, 3);
    step(&mut bench, "fault register-ex status ERROR_CALL_NOT_IMPLEMENTED");
    bench.mount(client, ip(1));
    settle(&mut bench);
    assert_eq!(versions(&bench), [1]);
    let list = vec![address_info(ip(1), 0x11), address_info(ip(2), 0x09)];
    let notice = Ok(Some(NotifyMessages::IpChange(list)));
    bench.run(Step::Answer { who: Who::All, notice });
    bench.pass(SECOND);
    // Neither is out of service, so the first is as good as the other.
    assert_eq!(notifications(&bench), [Notification::IpChange { address: ip(1) }]);
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

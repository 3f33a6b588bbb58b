//! The connection to the node that serves the share, which is kept for what its end tells.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::wire::NotifyMessages;
use swnclient_proto::{
    Client, Config, ConnectionId, Credentials, Error, Event, NtlmCredentials, RegistrationId,
    RegistrationRequest, ResourceState,
};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeId, Profile, Stage, Step, Who};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The second connection of a client that has opened none before: the first was to the
/// endpoint mapper.
const KEPT: ConnectionId = ConnectionId(2);

type Swn = World<Client>;

fn world(profile: Profile, kept_links_max: usize) -> (Swn, ClientId) {
    let cluster = Cluster::new(ClusterConfig::new(profile, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let config = Config { kept_links_max, ..Config::default() };
    let client = world.add_client(Client::new(config, 1));
    (world, client)
}

fn node(number: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + number])
}

fn mount(world: &mut Swn, client: ClientId, id: u64, served_by: u8) {
    world.with_client(client, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test").served_by(node(served_by));
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        client.register(RegistrationId(id), request, Credentials::Ntlm(alice), now);
    });
}

/// A mount by node 1 that has been registered for some time.
fn mounted(profile: Profile, kept_links_max: usize) -> (Swn, ClientId) {
    let (mut world, client) = world(profile, kept_links_max);
    mount(&mut world, client, 1, 1);
    world.pass(2 * MINUTE);
    events(&mut world);
    (world, client)
}

fn step(world: &mut Swn, text: &str) {
    world.run(text.parse().unwrap());
}

fn events(world: &mut Swn) -> Vec<WorldEvent<(RegistrationId, Event)>> {
    std::iter::from_fn(|| world.poll_event()).collect()
}

/// How connections that were kept have ended since last asked, as far as it was told.
fn lost(world: &mut Swn) -> Vec<(RegistrationId, IpAddr, ErrorKind)> {
    let lost = |event| match event {
        WorldEvent::Client { event: (id, Event::ServerLost { address, error }), .. } => {
            let Error::Lost { kind, .. } = error else { panic!("{error}") };
            Some((id, address, kind))
        }
        _ => None,
    };
    events(world).into_iter().filter_map(lost).collect()
}

/// The cluster's number of the only registration, and its witness.
fn registration(world: &Swn) -> (witness_sim::RegistrationId, NodeId) {
    let all: Vec<_> = world.cluster().registrations().map(|it| (it.id, it.node)).collect();
    assert_eq!(all.len(), 1);
    all[0]
}

fn is_list(event: &WorldEvent<(RegistrationId, Event)>) -> bool {
    matches!(event, WorldEvent::Cluster(event)
        if matches!(event.what, Happening::Faulted { stage: Stage::GetInterfaceList, .. }))
}

#[test]
fn the_death_of_a_node_is_told_where_its_witness_is_mute() {
    for (profile, how, kind) in [
        (Profile::Samba, "down", ErrorKind::ConnectionReset),
        // By the node that has taken its address over.
        (Profile::Samba, "down silent", ErrorKind::ConnectionReset),
        (Profile::OneFs, "down silent", ErrorKind::TimedOut),
        (Profile::OneFs, "cut", ErrorKind::TimedOut),
    ] {
        let (mut world, client) = world(profile, 1);
        step(&mut world, "fault notify always no-reply");
        mount(&mut world, client, 1, 1);
        world.pass(MINUTE);
        assert_eq!(world.open_connections(), 2, "{profile} {how}");
        events(&mut world);
        step(&mut world, &format!("node 1 {how}"));
        world.pass(Config::default().dead_after + SECOND);
        assert_eq!(lost(&mut world), [(RegistrationId(1), node(1), kind)], "{profile} {how}");
    }
}

#[test]
fn the_node_that_has_the_address_then_is_kept_in_its_turn_and_the_mount_registered_again() {
    let (mut world, client) = world(Profile::OneFs, 1);
    step(&mut world, "fault notify always no-reply");
    mount(&mut world, client, 1, 1);
    world.pass(MINUTE);
    let mut holder = NodeId(1);
    for _ in 0..2 {
        let (last, witness) = registration(&world);
        // The witness can stay, and may drop what was registered before the move.
        let others = [1, 2, 3].map(NodeId).into_iter();
        holder = others.filter(|it| *it != witness).find(|it| *it != holder).unwrap();
        step(&mut world, &format!("address 10.0.0.11 to {holder}"));
        world.pass(MINUTE + 10 * SECOND);
        assert_eq!((world.open_connections(), lost(&mut world).len()), (2, 1));
        assert!(registration(&world).0 > last);
    }
}

#[test]
fn with_a_word_of_the_witness_the_connection_is_made_anew() {
    let (mut world, _) = mounted(Profile::Samba, 1);
    let change = vec![("10.0.0.11".into(), ResourceState::Available)];
    let notice = Ok(Some(NotifyMessages::ResourceChange(change)));
    world.run(Step::Answer { who: Who::All, notice });
    world.pass(Duration::from_millis(10));
    assert_eq!(world.open_connections(), 1);
    world.pass(10 * SECOND);
    assert_eq!((world.open_connections(), lost(&mut world)), (2, vec![]));
}

#[test]
fn what_the_witness_tells_too_makes_one_registration_and_not_two() {
    for (profile, how) in [
        (Profile::Samba, "address 10.0.0.11 to node 2"),
        (Profile::OneFs, "address 10.0.0.11 to node 2"),
        (Profile::Samba, "node 1 cut"),
    ] {
        let last = |kept_links_max| {
            let (mut world, _) = mounted(profile, kept_links_max);
            step(&mut world, how);
            world.pass(2 * MINUTE);
            world.cluster().registrations().map(|it| it.id).max()
        };
        assert_eq!(last(1), last(0), "{profile} {how}");
    }
}

#[test]
fn mounts_by_one_node_keep_one_connection() {
    let (mut world, client) = mounted(Profile::Samba, 2);
    for id in 2..5 {
        mount(&mut world, client, id, 1);
        world.pass(5 * SECOND);
        // One of another witness may come.
        assert!(world.open_connections() <= 3);
    }
    step(&mut world, "address 10.0.0.11 to node 2");
    world.pass(5 * SECOND);
    assert_eq!(lost(&mut world).len(), 4);
}

#[test]
fn there_are_as_many_as_there_may_be() {
    for (kept_links_max, told) in [(0, 0), (1, 0), (2, 1)] {
        let (mut world, client) = world(Profile::OneFs, kept_links_max);
        step(&mut world, "fault notify always no-reply");
        for (id, served_by) in [(1, 1), (2, 2)] {
            mount(&mut world, client, id, served_by);
            world.pass(5 * SECOND);
        }
        events(&mut world);
        step(&mut world, "node 2 down silent");
        world.pass(20 * SECOND);
        assert_eq!(lost(&mut world).len(), told, "of {kept_links_max}");
    }
}

#[test]
fn a_node_that_says_goodbye_is_not_dead_and_is_kept_again() {
    let (mut world, client) = mounted(Profile::Samba, 1);
    world.with_client(client, |client, now| {
        client.handle_closed(KEPT, ErrorKind::UnexpectedEof, now);
    });
    assert_eq!((world.open_connections(), lost(&mut world)), (1, vec![]));
    world.pass(10 * SECOND);
    assert_eq!(world.open_connections(), 2);
}

#[test]
fn a_node_that_ends_each_connection_is_asked_for_its_list_once_and_seldom_after_that() {
    let (mut world, _) = mounted(Profile::Samba, 1);
    step(&mut world, "fault list node 1 always delay 0s");
    let (mut told, mut lists) = (0, 0);
    for _ in 0..600 {
        step(&mut world, "service node 1 port 49200");
        world.pass(SECOND);
        let events = events(&mut world);
        lists += events.iter().filter(|event| is_list(event)).count();
        told += events
            .iter()
            .filter(|event| {
                matches!(event, WorldEvent::Client { event: (_, Event::ServerLost { .. }), .. })
            })
            .count();
    }
    assert!((1..=20).contains(&lists), "{lists} in ten minutes");
    assert!((1..=20).contains(&told), "{told} in ten minutes");
}

#[test]
fn a_connection_that_is_kept_and_may_be_dead_is_not_used_for_a_new_registration() {
    let (mut world, client) = mounted(Profile::Samba, 1);
    // The address is on another node half a second later.
    step(&mut world, "node 1 cut");
    mount(&mut world, client, 2, 1);
    let is_registered = |world: &Swn| world.cluster().registrations().len() == 2;
    assert!(world.pass_until(6 * SECOND, is_registered));
    let has_failed = |it| matches!(it, WorldEvent::Client { event: (_, Event::Failed { .. }), .. });
    assert!(!events(&mut world).into_iter().any(has_failed));
}

#[test]
fn nothing_is_kept_for_a_registration_that_has_ended() {
    let (mut world, client) = mounted(Profile::Samba, 1);
    world.with_client(client, |client, now| client.unregister(RegistrationId(1), now));
    world.pass(SECOND);
    assert_eq!(world.open_connections(), 0);
}

#[test]
fn a_node_that_gets_the_address_while_it_is_registered_at_does_not_stay_the_witness() {
    // By the connection that is kept, and where there is none because the list is old by then.
    for (kept_links_max, fault, moves_after) in
        [(1, "delay 5s", 2 * SECOND), (0, "no-reply", MINUTE)]
    {
        for holder in [2, 3].map(NodeId) {
            let (mut world, client) = world(Profile::OneFs, kept_links_max);
            step(&mut world, "fault notify always no-reply");
            step(&mut world, &format!("fault register times 1 {fault}"));
            mount(&mut world, client, 1, 1);
            world.pass(moves_after);
            step(&mut world, &format!("address 10.0.0.11 to {holder}"));
            world.pass(4 * MINUTE);
            assert_ne!(registration(&world).1, holder, "{fault}");
        }
    }
}

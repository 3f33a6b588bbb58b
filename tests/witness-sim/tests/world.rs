//! The project's client and the cluster in virtual time.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient_proto::{Client, ClientName, Config};
use swnclient_proto::{
    Credentials, Event, Notification, NtlmCredentials, RegistrationId, RegistrationRequest,
    ResourceState,
};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeId, Profile, Step};

const SECOND: Duration = Duration::from_secs(1);

type Swn = World<Client>;

fn world(profile: Profile, seed: u64) -> Swn {
    let cluster = Cluster::new(ClusterConfig::new(profile, 3, [10, 0, 0]));
    World::new(cluster, NetworkConfig::default(), seed)
}

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

/// Adds a client with one registration, served by a node.
fn mount(world: &mut Swn, served_by: u8, seed: u64) -> ClientId {
    mount_as(world, served_by, format!("ws{seed}").into(), seed)
}

fn mount_as(world: &mut Swn, served_by: u8, client_name: ClientName, seed: u64) -> ClientId {
    let config = Config { client_name, ..Config::default() };
    let id = world.add_client(Client::new(config, seed));
    world.with_client(id, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(ip(served_by))
            .scale_out();
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        client.register(RegistrationId(1), request, Credentials::Ntlm(alice), now);
    });
    id
}

fn step(world: &mut Swn, text: &str) {
    let step: Step = text.parse().unwrap();
    world.run(step);
}

/// What clients told their consumers since last asked.
fn told(world: &mut Swn) -> Vec<Event> {
    std::iter::from_fn(|| world.poll_event())
        .filter_map(|event| match event {
            WorldEvent::Client { event: (_, event), .. } => Some(event),
            WorldEvent::Cluster(_) => None,
        })
        .collect()
}

fn notifications(world: &mut Swn) -> Vec<Notification> {
    told(world)
        .into_iter()
        .filter_map(|event| match event {
            Event::Notification(notification) => Some(notification),
            _ => None,
        })
        .collect()
}

fn witness(world: &Swn) -> NodeId {
    let all: Vec<NodeId> = world.cluster().registrations().map(|r| r.node).collect();
    assert_eq!(all.len(), 1);
    all.first().copied().unwrap()
}

#[test]
fn a_client_registers_with_another_node_than_the_one_that_serves_it() {
    for profile in Profile::ALL {
        let mut world = world(profile, 1);
        mount(&mut world, 1, 1);
        world.pass(5 * SECOND);
        assert_ne!(witness(&world), NodeId(1), "{profile}");
        let registration = world.cluster().registrations().next().unwrap();
        assert_eq!(registration.waiting.len(), 1);
        let version = if profile.traits().version_2 { 2 } else { 1 };
        assert_eq!(registration.version.number(), version);
        assert_eq!(world.open_connections(), 1);
        assert_eq!(world.cluster().connections(), 1);
    }
}

#[test]
fn that_there_is_no_news_is_passed_on_each_keep_alive_and_not_where_it_is_said_at_once() {
    let count = |world: &mut Swn| told(world).iter().filter(|it| **it == Event::NoNews).count();
    for profile in Profile::ALL {
        let mut world = world(profile, 1);
        mount(&mut world, 1, 1);
        world.pass(5 * Config::default().keep_alive - SECOND);
        // Version 1 has no keep-alive.
        let expected = if profile.traits().version_2 { 4 } else { 0 };
        assert_eq!(count(&mut world), expected, "{profile}");
        step(&mut world, "fault notify always empty");
        world.pass(2 * Config::default().keep_alive);
        let pending = usize::from(profile.traits().version_2);
        assert!(count(&mut world) <= pending, "{profile}");
    }
}

#[test]
fn each_registration_has_the_hosts_name_as_it_is_by_then_and_its_domain() {
    for profile in Profile::ALL {
        let mut world = world(profile, 1);
        let host = Arc::new(Mutex::new("localhost"));
        let read = Arc::clone(&host);
        let name = ClientName::of_host(move || (*read.lock().unwrap()).into());
        mount_as(&mut world, 1, name, 1);
        world.pass(5 * SECOND);
        let seen = |world: &Swn| world.cluster().registrations().next().map(|r| r.client.clone());
        assert_eq!(seen(&world).as_deref(), Some("localhost.example.test"), "{profile}");
        // The network is up, and the host has its name.
        *host.lock().unwrap() = "laptop";
        let before = witness(&world);
        step(&mut world, &format!("{before} down"));
        let is_again = |world: &Swn| world.cluster().registrations().any(|r| r.node != before);
        assert!(world.pass_until(60 * SECOND, is_again), "{profile}");
        assert_eq!(seen(&world).as_deref(), Some("laptop.example.test"), "{profile}");
    }
}

#[test]
fn a_client_move_arrives_within_the_latency() {
    let mut world = world(Profile::Samba, 1);
    mount(&mut world, 1, 1);
    world.pass(5 * SECOND);
    told(&mut world);
    step(&mut world, "client-move all to node 3");
    world.pass(Duration::from_millis(1));
    assert_eq!(notifications(&mut world), [Notification::ClientMove { address: ip(3) }]);
}

#[test]
fn a_dead_witness_is_replaced_whether_it_says_so_or_not() {
    for how in ["down", "down silent", "cut"] {
        let mut world = world(Profile::OneFs, 1);
        mount(&mut world, 1, 1);
        world.pass(5 * SECOND);
        let before = witness(&world);
        step(&mut world, &format!("{before} {how}"));
        let replaced = world.pass_until(60 * SECOND, |world| {
            world.cluster().registrations().any(|r| r.node != before)
        });
        assert!(replaced, "{how}");
        step(&mut world, &format!("{before} up"));
        world.pass(SECOND);
        assert_ne!(witness(&world), before, "{how}");
    }
}

#[test]
fn a_silent_peer_is_noticed_by_tcp() {
    let mut world = world(Profile::OneFs, 1);
    mount(&mut world, 1, 1);
    world.pass(5 * SECOND);
    let before = witness(&world);
    step(&mut world, &format!("{before} down silent"));
    world.pass(9 * SECOND);
    assert_eq!(world.open_connections(), 1);
    world.pass(SECOND);
    assert_eq!(world.cluster().connections(), 0);
}

#[test]
fn a_dead_server_is_told_by_the_witness() {
    let mut world = world(Profile::OneFs, 1);
    mount(&mut world, 1, 1);
    world.pass(5 * SECOND);
    told(&mut world);
    step(&mut world, "node 1 down silent");
    world.pass(2 * SECOND);
    let gone = Notification::ResourceChange {
        name: "10.0.0.11".into(),
        state: ResourceState::Unavailable,
    };
    assert_eq!(notifications(&mut world), [gone]);
}

#[test]
fn the_seed_reproduces_the_run() {
    let run = |seed| {
        let mut world = world(Profile::Samba, seed);
        for client in 0..20 {
            mount(&mut world, 1, client);
        }
        let script = "at 5s node 2 down\nat 9s client-move all to node 3\nat 20s node 2 up\n\
                      at 30s node 3 cut\nat 50s node 3 up";
        world.play(&script.parse().unwrap());
        world.pass(120 * SECOND);
        let mut trace = Vec::new();
        while let Some(event) = world.poll_event() {
            trace.push(match event {
                WorldEvent::Cluster(event) => format!("{:?} {}", event.at, event.what),
                WorldEvent::Client { at, client, event } => format!("{at:?} {client:?} {event:?}"),
            });
        }
        trace
    };
    let first = run(7);
    assert!(first.len() > 200);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}

#[test]
fn a_thousand_clients_come_through_the_death_of_a_node() {
    let mut world = world(Profile::Samba, 1);
    for client in 0..1000 {
        mount(&mut world, 1 + u8::try_from(client % 3).unwrap(), client);
    }
    let all_there = |world: &Swn| {
        if world.cluster().registrations().len() != 1000 {
            return false;
        }
        let mut by_client: BTreeMap<_, usize> = BTreeMap::new();
        for registration in world.cluster().registrations() {
            *by_client.entry(registration.client.clone()).or_default() += 1;
        }
        by_client.len() == 1000 && by_client.values().all(|count| *count == 1)
    };
    assert!(world.pass_until(60 * SECOND, all_there));
    step(&mut world, "node 2 down");
    world.pass(SECOND);
    assert!(!all_there(&world));
    assert!(world.pass_until(120 * SECOND, all_there));
    assert!(world.cluster().registrations().all(|r| r.node != NodeId(2)));
    let dropped = std::iter::from_fn(|| world.poll_event()).filter(|event| {
        matches!(event, WorldEvent::Cluster(event)
            if matches!(event.what, Happening::Unregistered { .. }))
    });
    assert!(dropped.count() > 300);
}

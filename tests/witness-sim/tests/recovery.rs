//! The project's client through outages of a whole cluster, in virtual time.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{ClientId, NetworkConfig, World};
use witness_sim::{Cluster, ClusterConfig, NodeId, Power, Profile};

const SECOND: Duration = Duration::from_secs(1);
const ID: RegistrationId = RegistrationId(1);
/// The longest backoff, and what an attempt takes.
const SOON: Duration = Duration::from_secs(70);

fn credentials(password: &str) -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", password))
}

fn world(profile: Profile) -> (World<Client>, ClientId) {
    let cluster = Cluster::new(ClusterConfig::new(profile, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let client = world.add_client(Client::new(Config::default(), 1));
    (world, client)
}

fn mount(world: &mut World<Client>, client: ClientId) {
    world.with_client(client, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(IpAddr::from([10, 0, 0, 11]))
            .scale_out();
        client.register(ID, request, credentials("secret"), now);
    });
}

fn step(world: &mut World<Client>, text: &str) {
    world.run(text.parse().unwrap());
}

fn in_order(world: &World<Client>) -> bool {
    let cluster = world.cluster();
    let mut all = cluster.registrations();
    all.len() == 1
        && all.next().is_some_and(|r| {
            let node = cluster.topology().node(r.node).unwrap();
            r.waiting.len() == 1 && node.power == Power::Up
        })
}

#[test]
fn a_registration_waits_for_a_witness_to_appear() {
    for profile in Profile::ALL {
        let (mut world, client) = world(profile);
        step(&mut world, "node 2 down");
        step(&mut world, "node 3 down silent");
        world.pass(10 * SECOND);
        mount(&mut world, client);
        world.pass(600 * SECOND);
        assert!(!in_order(&world), "{profile}");
        step(&mut world, "node 3 up");
        assert!(world.pass_until(SOON, in_order), "{profile}");
    }
}

#[test]
fn a_registration_outlives_an_hour_without_any_node() {
    for profile in Profile::ALL {
        for how in ["down", "down silent", "cut"] {
            let (mut world, client) = world(profile);
            mount(&mut world, client);
            world.pass(10 * SECOND);
            assert!(in_order(&world));
            for node in 1..=3 {
                step(&mut world, &format!("node {node} {how}"));
            }
            world.pass(3600 * SECOND);
            assert!(world.open_connections() <= 1, "{profile} {how}");
            for node in 1..=3 {
                step(&mut world, &format!("node {node} up"));
            }
            assert!(world.pass_until(SOON, in_order), "{profile} {how}");
            world.pass(SOON);
            assert!(in_order(&world), "{profile} {how}");
        }
    }
}

#[test]
fn a_new_password_takes_effect_when_the_consumer_brings_it() {
    let (mut world, client) = world(Profile::Samba);
    mount(&mut world, client);
    world.pass(10 * SECOND);
    step(&mut world, "password alice other");
    step(&mut world, "answer all ERROR_NOT_FOUND");
    step(&mut world, "service node 1 port 50001");
    step(&mut world, "service node 2 port 50002");
    step(&mut world, "service node 3 port 50003");
    world.pass(600 * SECOND);
    assert!(!in_order(&world));
    world.with_client(client, |client, now| client.request_again(ID, credentials("other"), now));
    assert!(world.pass_until(5 * SECOND, in_order));
}

#[test]
fn a_cut_that_heals_leaves_one_registration() {
    for profile in Profile::ALL {
        for seconds in [1, 5, 9, 11, 30, 100, 200] {
            let (mut world, client) = world(profile);
            mount(&mut world, client);
            world.pass(10 * SECOND);
            let witness = world.cluster().registrations().next().unwrap().node;
            step(&mut world, &format!("{witness} cut"));
            world.pass(seconds * SECOND);
            step(&mut world, &format!("{witness} up"));
            assert!(world.pass_until(SOON, in_order), "{profile} {seconds}");
            world.pass(SOON);
            assert!(in_order(&world), "{profile} {seconds}");
        }
    }
}

#[test]
fn a_service_that_moved_is_found_at_its_new_port() {
    let (mut world, client) = world(Profile::Samba);
    mount(&mut world, client);
    world.pass(10 * SECOND);
    for round in 0..5 {
        for node in 1..=3 {
            step(&mut world, &format!("service node {node} port {}", 50_000 + 10 * round + node));
        }
        assert!(world.pass_until(SOON, in_order));
        assert_eq!(world.cluster().topology().nodes().len(), 3);
        assert_ne!(world.cluster().registrations().next().unwrap().node, NodeId(1));
    }
}

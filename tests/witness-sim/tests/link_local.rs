//! A cluster whose addresses are good on one link only (`fe80::/10`), in virtual time.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config, Event, Notification};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, NodeId, Profile, Topology};

const SECOND: Duration = Duration::from_secs(1);
const ID: RegistrationId = RegistrationId(1);

fn address(node: u16) -> IpAddr {
    IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, node])
}

fn world(profile: Profile) -> World<Client> {
    let mut config = ClusterConfig::new(profile, 3, [10, 0, 0]);
    for (number, node) in (1..).zip(&mut config.nodes) {
        node.addresses = vec![address(number)];
    }
    World::new(Cluster::new(config), NetworkConfig::default(), 1)
}

fn request(link: u32) -> RegistrationRequest {
    let request = RegistrationRequest::new("cluster.example.test").share("data");
    request.served_by(address(1)).on_link(link)
}

fn alice() -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", "secret"))
}

/// The node whose witness the only registration is at.
fn witness(world: &World<Client>) -> Option<NodeId> {
    let mut all = world.cluster().registrations().map(|it| it.node);
    all.next().filter(|_| all.next().is_none())
}

#[test]
fn each_witness_of_the_list_is_reached_on_the_link_of_the_serving_address() {
    for profile in Profile::ALL {
        let mut world = world(profile);
        let client = world.add_client(Client::new(Config::default(), 1));
        world.with_client(client, |client, now| {
            client.register(ID, request(Topology::LINK), alice(), now);
        });
        world.pass(10 * SECOND);
        let first = witness(&world).unwrap();
        assert_ne!(first, NodeId(1), "{profile}");
        world.run(format!("node {} down silent", first.0).parse().unwrap());
        world.pass(120 * SECOND);
        let second = witness(&world).unwrap();
        assert!(![first, NodeId(1)].contains(&second), "{profile}");
        world.run(format!("client-move all to node {}", second.0).parse().unwrap());
        world.pass(SECOND);
        let mut moved = false;
        while let Some(event) = world.poll_event() {
            if let WorldEvent::Client { event: (_, Event::Notification(told)), .. } = event {
                moved |= told == Notification::ClientMove { address: address(second.0.into()) };
            }
        }
        assert!(moved, "{profile}");
    }
}

#[test]
fn the_same_address_on_another_link_is_another_server() {
    let mut world = world(Profile::Samba);
    let client = world.add_client(Client::new(Config::default(), 1));
    let other = RegistrationId(2);
    world.with_client(client, |client, now| {
        client.register(other, request(Topology::LINK + 1), alice(), now);
        client.register(ID, request(Topology::LINK), alice(), now);
    });
    world.pass(60 * SECOND);
    assert_ne!(witness(&world).unwrap(), NodeId(1));
    let client = world.client(client).unwrap();
    assert!(client.interfaces(other).is_empty());
    assert!(!client.interfaces(ID).is_empty());
}

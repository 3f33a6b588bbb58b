//! The OneFS flow, the acceptance scenario for version 1 of the protocol, step
//! by step, in virtual time.

#![allow(clippy::unwrap_used)]

use dcerpc_proto::Operation;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::wire::RegisterEx;
use swnclient_proto::{Client, Config};
use swnclient_proto::{
    Credentials, Event, Notification, NtlmCredentials, RegistrationId, RegistrationRequest,
    ResourceState,
};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeId, Profile, Stage, Step};

/// One thing that happened, without what varies.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Listed(NodeId),
    RegisterExRefused(NodeId),
    Registered { at: NodeId, serving: IpAddr, version: u8 },
    Unregistered(NodeId),
    Told(Notification),
}

fn address(node: NodeId) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node.0])
}

fn mount(world: &mut World<Client>, client: ClientId, id: u64, serving: NodeId) {
    world.with_client(client, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(address(serving))
            .scale_out();
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        client.register(RegistrationId(id), request, Credentials::Ntlm(alice), now);
    });
}

fn seen(world: &mut World<Client>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(event) = world.poll_event() {
        let event = match event {
            WorldEvent::Client { event: (_, Event::Notification(told)), .. } => Seen::Told(told),
            WorldEvent::Client { .. } => continue,
            WorldEvent::Cluster(event) => match event.what {
                Happening::Called { node, stage: Stage::GetInterfaceList, .. } => {
                    Seen::Listed(node)
                }
                Happening::CallRefused { node, opnum: RegisterEx::OPNUM, .. } => {
                    Seen::RegisterExRefused(node)
                }
                Happening::Registered { registration, .. } => Seen::Registered {
                    at: registration.node,
                    serving: registration.address,
                    version: registration.version.number(),
                },
                Happening::Unregistered { node, .. } => Seen::Unregistered(node),
                _ => continue,
            },
        };
        seen.push(event);
    }
    seen
}

#[test]
fn a_client_of_onefs_goes_from_node_to_node() {
    let cluster = Cluster::new(ClusterConfig::new(Profile::OneFs, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let client = world.add_client(Client::new(Config::default(), 1));

    // It lands on node 1, asks there, and registers with another node, first
    // by version 2.
    mount(&mut world, client, 1, NodeId(1));
    world.pass(Duration::from_secs(1));
    let witness = world.cluster().registrations().next().unwrap().node;
    let registered =
        |serving| Seen::Registered { at: witness, serving: address(serving), version: 1 };
    assert_ne!(witness, NodeId(1));
    assert_eq!(
        seen(&mut world),
        [Seen::Listed(NodeId(1)), Seen::RegisterExRefused(witness), registered(NodeId(1))]
    );

    // Node 1 dies; the witness says so.
    world.run(Step::NodeDown { node: NodeId(1), silent: true });
    world.pass(Duration::from_secs(1));
    let gone = Notification::ResourceChange {
        name: "10.0.0.11".into(),
        state: ResourceState::Unavailable,
    };
    assert_eq!(seen(&mut world), [Seen::Told(gone)]);

    // It reconnects by name. Say that it lands on its witness: it unregisters,
    // and starts over with the only node that is left besides.
    assert_eq!(world.cluster().resolve(), [address(NodeId(2)), address(NodeId(3))]);
    world.with_client(client, |client, now| client.unregister(RegistrationId(1), now));
    mount(&mut world, client, 2, witness);
    world.pass(Duration::from_secs(1));
    let other = NodeId(5 - witness.0);
    let seen = seen(&mut world);
    assert!(seen.contains(&Seen::Unregistered(witness)));
    let again: Vec<Seen> =
        seen.into_iter().filter(|seen| *seen != Seen::Unregistered(witness)).collect();
    assert_eq!(
        again,
        [
            Seen::Listed(witness),
            Seen::RegisterExRefused(other),
            Seen::Registered { at: other, serving: address(witness), version: 1 },
        ]
    );
    assert_eq!(world.cluster().registrations().len(), 1);
}

#[test]
fn a_client_of_onefs_may_keep_its_witness_when_it_moves() {
    let cluster = Cluster::new(ClusterConfig::new(Profile::OneFs, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let client = world.add_client(Client::new(Config::default(), 1));
    mount(&mut world, client, 1, NodeId(1));
    world.pass(Duration::from_secs(1));
    let witness = world.cluster().registrations().next().unwrap().node;
    let other = NodeId(5 - witness.0);
    world.run(Step::NodeDown { node: NodeId(1), silent: true });
    world.pass(Duration::from_secs(1));
    seen(&mut world);

    world.with_client(client, |client, now| client.unregister(RegistrationId(1), now));
    mount(&mut world, client, 2, other);
    world.pass(Duration::from_secs(1));
    let seen = seen(&mut world);
    assert!(seen.contains(&Seen::Unregistered(witness)));
    let last = Seen::Registered { at: witness, serving: address(other), version: 1 };
    assert_eq!(seen.last(), Some(&last));
    assert_eq!(world.cluster().registrations().len(), 1);
}

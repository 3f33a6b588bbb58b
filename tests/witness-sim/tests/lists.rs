//! What the project's client keeps of the lists that nodes give.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{NetworkConfig, World};
use witness_sim::{Cluster, ClusterConfig, NodeId, Profile};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn all_registrations_at_a_node_have_its_last_list() {
    let cluster = Cluster::new(ClusterConfig::new(Profile::Samba, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let client = world.add_client(Client::new(Config::default(), 1));
    for id in 1..=3 {
        if id > 1 {
            // The node that is no witness yet: the registrations go on.
            let witness = world.cluster().registrations().next().unwrap().node;
            let other = if witness == NodeId(2) { 3 } else { 2 };
            let change = if id == 2 { "down" } else { "up" };
            world.run(format!("node {other} {change}").parse().unwrap());
            world.pass(10 * SECOND);
        }
        world.with_client(client, |client, now| {
            let request = RegistrationRequest::new("cluster.example.test")
                .share(format!("data{id}"))
                .served_by(IpAddr::from([10, 0, 0, 11]))
                .scale_out();
            let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
            client.register(RegistrationId(id), request, Credentials::Ntlm(alice), now);
        });
        world.pass(10 * SECOND);
        let client = world.client(client).unwrap();
        let newest = client.interfaces(RegistrationId(id));
        assert!(!newest.is_empty());
        for earlier in 1..id {
            assert!(std::ptr::eq(client.interfaces(RegistrationId(earlier)), newest), "{earlier}");
        }
    }
}

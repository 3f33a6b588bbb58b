//! A registration's own handle, at a cluster on real sockets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use swnclient::{
    Client, ClientName, Config, Credentials, Event, Notification, NtlmCredentials, Registration,
    RegistrationRequest,
};
use tokio::sync::mpsc;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, NodeId, Profile, Step, Who};

const MAPPER_PORT: u16 = 13_500;

const SOON: Duration = Duration::from_secs(10);

async fn cluster() -> (RunningCluster, IpAddr) {
    let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    let node = config.address(NodeId(1)).expect("a node");
    (RunningCluster::start(config).await.expect("the cluster starts"), node)
}

/// A client, and what its sink is told.
fn client() -> (Client, mpsc::UnboundedReceiver<Event>) {
    let (sender, told) = mpsc::unbounded_channel();
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    (Client::start(config, move |_, event| drop(sender.send(event))), told)
}

fn register(client: &Client, node: IpAddr) -> Registration {
    let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
    let request = RegistrationRequest::new("cluster.example.test").share("data").served_by(node);
    client.registration(request, Credentials::Ntlm(alice))
}

async fn next(registration: &mut Registration) -> Option<Event> {
    tokio::time::timeout(SOON, registration.next_event()).await.expect("an event, or the end")
}

#[tokio::test]
async fn a_handle_has_its_events_and_the_sink_does_not() {
    let (cluster, node) = cluster().await;
    let (client, mut told) = client();
    let mut registration = register(&client, node);
    assert!(matches!(next(&mut registration).await, Some(Event::Registered { .. })));
    let moved = Step::ClientMove { who: Who::All, to: Destination::Node(NodeId(2)) };
    cluster.run(moved).await;
    let event = next(&mut registration).await;
    assert!(
        matches!(event, Some(Event::Notification(Notification::ClientMove { .. }))),
        "{event:?}"
    );
    client.unregister(registration.id());
    assert_eq!(next(&mut registration).await, Some(Event::Unregistered));
    assert_eq!(next(&mut registration).await, None);
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_dropped_handle_is_unregistered_and_leaves_the_others_in_place() {
    let (cluster, node) = cluster().await;
    let (client, mut told) = client();
    let mut registration = register(&client, node);
    let mut other = register(&client, node);
    for registration in [&mut registration, &mut other] {
        assert!(matches!(next(registration).await, Some(Event::Registered { .. })));
    }
    drop(registration);
    cluster.wait_until(SOON, |cluster| cluster.registrations().len() == 1).await.unwrap();
    client.shutdown(SOON).await;
    assert_eq!(next(&mut other).await, Some(Event::Unregistered));
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn registrations_with_a_witness_share_a_connection_which_is_counted() {
    let (cluster, node) = cluster().await;
    let (client, _told) = client();
    assert_eq!(client.witness_connections().await, 0);
    let mut registrations = [register(&client, node), register(&client, node)];
    let mut witnesses = BTreeSet::new();
    for registration in &mut registrations {
        match next(registration).await {
            Some(Event::Registered { witness, .. }) => witnesses.insert(witness),
            event => panic!("{event:?}"),
        };
    }
    assert_eq!(client.witness_connections().await, witnesses.len());
    client.shutdown(SOON).await;
    drop(registrations);
    assert_eq!(client.witness_connections().await, 0);
    drop(cluster);
}

#[tokio::test]
async fn a_handle_that_is_not_asked_keeps_the_last_events() {
    let (cluster, node) = cluster().await;
    let (client, _told) = client();
    let mut registration = register(&client, node);
    assert!(matches!(next(&mut registration).await, Some(Event::Registered { .. })));
    let moved = Step::ClientMove { who: Who::All, to: Destination::Node(NodeId(2)) };
    let mut other = register(&client, node);
    assert!(matches!(next(&mut other).await, Some(Event::Registered { .. })));
    for _ in 0..100 {
        cluster.run(moved.clone()).await;
        // The first handle is told of it, too: one move, one event for each.
        next(&mut other).await;
    }
    client.shutdown(SOON).await;
    let mut count = 0;
    while next(&mut registration).await.is_some() {
        count += 1;
    }
    assert_eq!(count, 64);
}

#[tokio::test]
async fn a_host_without_a_domain_is_registered_once_its_full_name_has_been_looked_up() {
    let (cluster, node) = cluster().await;
    let client_name = ClientName::of_host(|| "localhost".into());
    let config = Config { mapper_port: MAPPER_PORT, client_name, ..Config::default() };
    let client = Client::start(config, |_, _| {});
    let mut registration = register(&client, node);
    assert!(matches!(next(&mut registration).await, Some(Event::Registered { .. })));
    client.shutdown(SOON).await;
    drop(cluster);
}

//! A cluster on real sockets.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used)]

use dcerpc_proto::Operation;
use dcerpc_proto::association::{Association, AssociationConfig, Event, Reply};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::pdu::SyntaxId;
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use swnclient_proto::wire::{
    self, AsyncNotify, GetInterfaceList, NotifyMessages, Register, RegisterEx, Version,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use witness_sim::net::{RunningCluster, StartError, unused_subnet};
use witness_sim::{ClusterConfig, Happening, NodeId, Profile, Step};

const SOON: Duration = Duration::from_secs(5);
/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;

struct Client {
    stream: TcpStream,
    association: Association,
}

impl Client {
    async fn connect(to: SocketAddr, interface: SyntaxId) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let config = AssociationConfig::new(interface);
        let credentials = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        let ntlm = NtlmInitiator::new(credentials, &[0x5a; 24], SystemTime::now());
        let association = if interface == wire::INTERFACE {
            Association::new(config, Some(Box::new(ntlm)))
        } else {
            Association::new(config, None)
        };
        Self { stream, association: association.unwrap() }
    }

    async fn send<O: Operation>(&mut self, operation: &O) {
        self.association.invoke(operation).unwrap();
        let bytes = self.association.take_transmit();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn reply(&mut self) -> std::io::Result<Reply> {
        let mut buffer = [0; 4096];
        loop {
            let bytes = self.association.take_transmit();
            self.stream.write_all(&bytes).await?;
            while let Some(event) = self.association.poll_event() {
                if let Event::Reply { reply, .. } = event {
                    return Ok(reply.unwrap());
                }
            }
            let len = timeout(SOON, self.stream.read(&mut buffer)).await??;
            if len == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.association.receive(buffer.get_mut(..len).unwrap()).unwrap();
        }
    }

    async fn call<O: Operation>(&mut self, operation: &O) -> O::Output
    where
        O::Status: std::fmt::Debug,
    {
        self.send(operation).await;
        self.reply().await.unwrap().decode::<O>().unwrap()
    }
}

async fn start(profile: Profile) -> RunningCluster {
    let mut config = ClusterConfig::new(profile, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    config.detection = Duration::from_millis(50);
    RunningCluster::start(config).await.unwrap()
}

async fn endpoint(cluster: &RunningCluster, node: u8) -> SocketAddr {
    let ip = cluster.with(move |cluster, _| cluster.config().address(NodeId(node)).unwrap()).await;
    let mut mapper = Client::connect((ip, MAPPER_PORT).into(), epm::INTERFACE).await;
    let port = mapper.call(&EptMap::new(wire::INTERFACE)).await;
    (ip, port).into()
}

#[tokio::test]
async fn a_client_move_arrives_over_tcp() {
    let cluster = start(Profile::Samba).await;
    let mut events = cluster.events();
    let address = endpoint(&cluster, 1).await.ip().to_string();
    let to = endpoint(&cluster, 2).await;
    let mut client = Client::connect(to, wire::INTERFACE).await;
    let register = Register {
        version: Version::V2.to_wire(),
        net_name: Some("cluster.example.test".into()),
        share_name: Some("data".into()),
        ip_address: Some(address.into()),
        client_name: Some("ws1".into()),
        ip_notify: true,
        keep_alive: 120,
    };
    let handle = client.call(&RegisterEx(register)).await;
    client.send(&AsyncNotify(handle)).await;
    let waiting =
        cluster.wait_until(SOON, |cluster| cluster.registrations().any(|r| !r.waiting.is_empty()));
    waiting.await.unwrap();
    let step: Step = "client-move all to node 3".parse().unwrap();
    cluster.run(step).await;
    let reply = client.reply().await.unwrap();
    let told = reply.decode::<AsyncNotify>();
    assert!(matches!(told, Ok(Some(NotifyMessages::ClientMove(_)))));

    let mut notified = false;
    while let Ok(event) = events.try_recv() {
        notified |= matches!(event.what, Happening::Notified { .. });
    }
    assert!(notified);
}

#[tokio::test]
async fn a_killed_node_resets_and_refuses() {
    let cluster = start(Profile::Samba).await;
    let to = endpoint(&cluster, 1).await;
    let mut client = Client::connect(to, wire::INTERFACE).await;
    client.call(&GetInterfaceList).await;
    let node = NodeId(1);
    cluster.run(Step::NodeDown { node, silent: false }).await;
    let error = client.reply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = TcpStream::connect(to).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

    // Its address is served by another node soon, on that one's port.
    let taken_over = cluster.wait_until(SOON, move |cluster| {
        cluster.topology().address(to.ip()).unwrap().owner != node
    });
    taken_over.await.unwrap();
    assert_ne!(endpoint(&cluster, 1).await.port(), to.port());
}

#[tokio::test]
async fn a_node_that_vanished_does_not_answer_until_it_is_back() {
    let cluster = start(Profile::OneFs).await;
    let to = endpoint(&cluster, 1).await;
    let mut client = Client::connect(to, wire::INTERFACE).await;
    client.call(&GetInterfaceList).await;
    let node = NodeId(1);
    cluster.run(Step::NodeDown { node, silent: true }).await;
    let shortly = Duration::from_millis(300);
    client.send(&GetInterfaceList).await;
    assert!(timeout(shortly, client.reply()).await.is_err());
    assert!(timeout(shortly, TcpStream::connect(to)).await.is_err());

    cluster.run(Step::NodeUp { node }).await;
    let error = client.reply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut client = Client::connect(to, wire::INTERFACE).await;
    client.call(&GetInterfaceList).await;
}

#[tokio::test]
async fn a_cut_node_goes_on_where_it_was_when_the_way_is_open_again() {
    let cluster = start(Profile::OneFs).await;
    let to = endpoint(&cluster, 1).await;
    let mut client = Client::connect(to, wire::INTERFACE).await;
    client.call(&GetInterfaceList).await;
    let node = NodeId(1);
    cluster.run(Step::NodeCut { node }).await;
    client.send(&GetInterfaceList).await;
    let shortly = Duration::from_millis(300);
    assert!(timeout(shortly, client.reply()).await.is_err());
    cluster.run(Step::NodeUp { node }).await;
    client.reply().await.unwrap();
}

#[tokio::test]
async fn two_clusters_do_not_share_addresses() {
    let subnet = unused_subnet();
    let mut config = ClusterConfig::new(Profile::Samba, 3, subnet);
    config.mapper_port = MAPPER_PORT;
    let first = RunningCluster::start(config.clone()).await.unwrap();
    let error = RunningCluster::start(config.clone()).await.unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }));
    drop(first);
    timeout(SOON, async {
        while RunningCluster::start(config.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_library_tells_which_nodes_a_registration_s_cluster_has() {
    let cluster = start(Profile::Samba).await;
    let [first, second, third] = cluster
        .with(|cluster, _| [1, 2, 3].map(|node| cluster.config().address(NodeId(node)).unwrap()))
        .await;
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    let config = swnclient::Config { mapper_port: MAPPER_PORT, ..Default::default() };
    let client = swnclient::Client::start(config, move |_, event| drop(events.send(event)));
    let request = swnclient::RegistrationRequest::new("cluster.example.test").served_by(first);
    let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
    let id = client.register(request, swnclient::Credentials::Ntlm(alice));
    let event = timeout(SOON, told.recv()).await.unwrap().unwrap();
    assert!(matches!(event, swnclient::Event::Registered { .. }), "{event:?}");

    let list = timeout(SOON, client.interfaces(id)).await.unwrap();
    let interface = |address, may_be_witness| swnclient::Interface {
        group_name: "cluster.example.test".into(),
        state: swnclient::ResourceState::Available,
        addresses: vec![address],
        may_be_witness,
    };
    assert_eq!(list, [(first, false), (second, true), (third, true)].map(|(a, w)| interface(a, w)));
    // Nothing is known of what isn't registered, nor once the client has ended.
    let unknown = client.interfaces(swnclient::RegistrationId(id.0 + 1));
    assert_eq!(timeout(SOON, unknown).await.unwrap(), []);
    client.shutdown(SOON).await;
    assert_eq!(timeout(SOON, client.interfaces(id)).await.unwrap(), []);
}

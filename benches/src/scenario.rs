//! What is measured inside of one process: the sans-IO client in virtual time,
//! at the cluster in a box. Only what the client does counts, not the cluster
//! around it.

use smol_str::{SmolStr, format_smolstr};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient_proto::{Client, Config};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{Action, ClientConn, ClientId, NetworkConfig, VirtualClient, World};
use witness_sim::{Cluster, ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// Measures what it calls.
pub trait Meter {
    /// Calls and measures.
    fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T;
}

/// What one mount asks for.
pub fn request(net_name: &str, share: SmolStr, serves: IpAddr) -> RegistrationRequest {
    RegistrationRequest::new(net_name).share(share).served_by(serves).scale_out()
}

/// What a mount with `sec=ntlmssp` authenticates with.
pub fn credentials(user: &str, password: &str, domain: &str) -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password(user, domain, password))
}

/// A client at a cluster of two nodes.
#[derive(Debug)]
pub struct Scenario<M: Meter> {
    world: World<Measured<M>>,
    id: ClientId,
    serves: IpAddr,
    registrations: usize,
}

impl<M: Meter> Scenario<M> {
    /// A client without registrations, which is not measured yet.
    ///
    /// # Panics
    /// Never: the cluster has the nodes that are asked for.
    pub fn new(meter: M) -> Self {
        let config =
            ClusterConfig { events: false, ..ClusterConfig::new(Profile::Samba, 2, [10, 0, 0]) };
        let serves = config.address(NodeId(1)).expect("two nodes");
        let mut world = World::new(Cluster::new(config), NetworkConfig::default(), 1);
        let client = Client::new(Config { client_name: "bench".into(), ..Config::default() }, 1);
        let id = world.add_client(Measured { client, meter, on: false });
        Self { world, id, serves, registrations: 0 }
    }

    /// From now on the client is measured, or not any more.
    pub fn measure(&mut self, on: bool) {
        self.world.with_client(self.id, |client, _| client.on = on);
    }

    /// Looks at the meter.
    ///
    /// # Panics
    /// Never: there is a client.
    pub fn meter<T>(&mut self, look: impl FnOnce(&mut M) -> T) -> T {
        let looked = self.world.with_client(self.id, |client, _| look(&mut client.meter));
        looked.expect("the client is there")
    }

    /// Registers for `count` more shares, one after the other.
    ///
    /// # Panics
    /// Where one cannot.
    pub fn register(&mut self, count: usize) {
        let wanted = self.registrations + count;
        for number in self.registrations..wanted {
            let share = format_smolstr!("data{number}");
            let request = request("cluster.example.test", share, self.serves);
            let credentials = credentials("alice", "secret", "EXAMPLE");
            let id = RegistrationId(u64::try_from(number).expect("few") + 1);
            self.world.with_client(self.id, |client, now| {
                client.call(|client| client.register(id, request, credentials, now));
            });
            self.world.pass(Duration::from_millis(100));
        }
        self.registrations = wanted;
        assert_eq!(self.world.cluster().registrations().len(), wanted, "all could register");
    }

    /// The witness tells every registration to go where it is, and the client
    /// asks again.
    ///
    /// # Panics
    /// Where it does not.
    pub fn notify(&mut self) {
        let to = Destination::Node(NodeId(1));
        self.world.run(Step::ClientMove { who: Who::All, to });
        self.world.pass(Duration::from_secs(1));
        // What was told is of no use here.
        while self.world.poll_event().is_some() {}
        let waiting = self.world.cluster().registrations().filter(|r| !r.waiting.is_empty());
        assert_eq!(waiting.count(), self.registrations, "all ask again");
    }
}

/// A client that is measured.
#[derive(Debug)]
struct Measured<M> {
    client: Client,
    meter: M,
    on: bool,
}

impl<M: Meter> Measured<M> {
    fn call<T>(&mut self, call: impl FnOnce(&mut Client) -> T) -> T {
        if self.on { self.meter.measure(|| call(&mut self.client)) } else { call(&mut self.client) }
    }
}

impl<M: Meter> VirtualClient for Measured<M> {
    type Event = <Client as VirtualClient>::Event;

    fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.call(|client| VirtualClient::poll_action(client, now))
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.call(Client::poll_event)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.client.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.call(|client| client.handle_timeout(now));
    }

    fn handle_resolved(&mut self, host: &str, addresses: Vec<IpAddr>, now: Instant) {
        self.call(|client| VirtualClient::handle_resolved(client, host, addresses, now));
    }

    fn handle_connected(&mut self, conn: ClientConn, now: Instant) {
        self.call(|client| VirtualClient::handle_connected(client, conn, now));
    }

    fn handle_received(&mut self, conn: ClientConn, bytes: &mut [u8], now: Instant) {
        self.call(|client| VirtualClient::handle_received(client, conn, bytes, now));
    }

    fn handle_closed(&mut self, conn: ClientConn, why: ErrorKind, now: Instant) {
        self.call(|client| VirtualClient::handle_closed(client, conn, why, now));
    }
}

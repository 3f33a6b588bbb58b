//! A cluster and any number of sans-IO clients in virtual time, with a network
//! between them that has latency and order and no sockets.
//!
//! Everything happens in an order that the seed alone decides. (What NTLM draws
//! for itself is random, and changes neither lengths nor times.)
//!
//! ```
//! use std::time::{Duration, Instant};
//! use swnclient_proto::{Client, Config};
//! use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
//! use witness_sim::world::{NetworkConfig, World};
//! use witness_sim::{Cluster, ClusterConfig, Profile};
//!
//! let config = ClusterConfig::new(Profile::Samba, 3, [10, 0, 0]);
//! let served_by = config.address(witness_sim::NodeId(1)).unwrap();
//! let mut world = World::new(Cluster::new(config), NetworkConfig::default(), 1);
//! let id = world.add_client(Client::new(Config::default(), 1));
//! world.with_client(id, |client, now| {
//!     let request = RegistrationRequest::new("cluster.example.test").share("data").served_by(served_by);
//!     let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
//!     client.register(RegistrationId(1), request, Credentials::Ntlm(alice), now);
//! });
//! world.pass(Duration::from_secs(10));
//! assert_eq!(world.cluster().registrations().len(), 1);
//! ```

mod network;
mod swn;

use crate::{Cluster, Event, Script, Step, Time};
use network::{Delivery, Network, WireId};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// A connection's number as its client has it. Never used twice by one client.
pub type ClientConn = u64;

/// What a client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look a host's addresses up.
    Resolve {
        /// The host.
        host: SmolStr,
    },
    /// Open a connection.
    Connect {
        /// What it is called from now on.
        conn: ClientConn,
        /// Where to.
        to: SocketAddr,
    },
    /// Send bytes in one segment.
    Transmit {
        /// Where.
        conn: ClientConn,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a connection, or stop opening it.
    Close {
        /// Which.
        conn: ClientConn,
    },
}

/// A client without sockets and without a clock.
pub trait VirtualClient {
    /// What it tells its consumer.
    type Event;

    /// What it wants done next.
    fn poll_action(&mut self, now: Instant) -> Option<Action>;
    /// What it tells its consumer next.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// When [`VirtualClient::handle_timeout`] must be called.
    fn next_deadline(&self) -> Option<Instant>;
    /// The time has come.
    fn handle_timeout(&mut self, now: Instant);
    /// A host's addresses are known, or it has none.
    fn handle_resolved(&mut self, host: &str, addresses: Vec<IpAddr>, now: Instant);
    /// A connection is open.
    fn handle_connected(&mut self, conn: ClientConn, now: Instant);
    /// Bytes have arrived.
    fn handle_received(&mut self, conn: ClientConn, bytes: &mut [u8], now: Instant);
    /// A connection could not be opened, or has ended.
    fn handle_closed(&mut self, conn: ClientConn, why: ErrorKind, now: Instant);
}

/// Names a client within its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub usize);

/// What the network is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// How long a segment takes, one way.
    pub latency: RangeInclusive<Duration>,
    /// How long DNS takes.
    pub dns_latency: Duration,
    /// How long a peer may be silent on TCP's level before the client's side
    /// of the connection ends by a timeout (keepalive and TCP_USER_TIMEOUT).
    pub dead_after: Duration,
    /// How long TCP goes on trying to connect to who doesn't answer.
    pub connect_timeout: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(100)..=Duration::from_micros(500),
            dns_latency: Duration::from_millis(1),
            dead_after: Duration::from_secs(10),
            // Linux with tcp_syn_retries = 6.
            connect_timeout: Duration::from_secs(127),
        }
    }
}

/// Something that happened, in the cluster or at a client.
#[derive(Debug, Clone)]
pub enum WorldEvent<E> {
    /// In the cluster.
    Cluster(Event),
    /// A client told its consumer something.
    Client {
        /// When.
        at: Time,
        /// Which client.
        client: ClientId,
        /// What.
        event: E,
    },
}

/// A cluster, its clients and the network between them.
#[derive(Debug)]
pub struct World<C: VirtualClient> {
    cluster: Cluster,
    clients: Vec<C>,
    network: Network,
    /// What virtual time counts from. Only differences to it matter.
    origin: Instant,
    now: Time,
    /// What is on its way, by arrival.
    queue: BTreeMap<(Time, u64), Delivery>,
    last_delivery: u64,
    /// The clients' deadlines.
    deadlines: BTreeSet<(Time, ClientId)>,
    deadline_of: Vec<Option<Time>>,
    /// How far each client's clock is ahead of the world's.
    ahead: Vec<Duration>,
    events: VecDeque<WorldEvent<C::Event>>,
}

impl<C: VirtualClient> World<C> {
    /// A world without clients.
    pub fn new(cluster: Cluster, network: NetworkConfig, seed: u64) -> Self {
        Self {
            cluster,
            clients: Vec::new(),
            network: Network::new(network, seed),
            origin: Instant::now(),
            now: Time::ZERO,
            queue: BTreeMap::new(),
            last_delivery: 0,
            deadlines: BTreeSet::new(),
            deadline_of: Vec::new(),
            ahead: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// The time, from the start.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Does something to the cluster.
    pub fn run(&mut self, step: Step) {
        self.cluster.run(self.now, step);
        self.after_cluster();
    }

    /// Runs a script from now on.
    pub fn play(&mut self, script: &Script) {
        self.cluster.play(self.now, script);
    }

    /// Adds a client.
    pub fn add_client(&mut self, client: C) -> ClientId {
        let id = ClientId(self.clients.len());
        self.clients.push(client);
        self.deadline_of.push(None);
        self.ahead.push(Duration::ZERO);
        self.after_client(id);
        id
    }

    /// One client.
    pub fn client(&self, id: ClientId) -> Option<&C> {
        self.clients.get(id.0)
    }

    /// All clients.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = (ClientId, &C)> {
        self.clients.iter().enumerate().map(|(index, client)| (ClientId(index), client))
    }

    /// Does something with a client. `None` for one that there isn't.
    pub fn with_client<T>(
        &mut self,
        id: ClientId,
        job: impl FnOnce(&mut C, Instant) -> T,
    ) -> Option<T> {
        let now = self.clock(id);
        let result = job(self.clients.get_mut(id.0)?, now);
        self.after_client(id);
        Some(result)
    }

    /// Lets a client's clock leap, as that of a machine that was asleep; what
    /// becomes due by that is due now.
    pub fn leap(&mut self, id: ClientId, time: Duration) {
        if let Some(ahead) = self.ahead.get_mut(id.0) {
            *ahead += time;
        }
        self.after_client(id);
    }

    /// What a client's clock says.
    fn clock(&self, id: ClientId) -> Instant {
        let ahead = self.ahead.get(id.0).copied().unwrap_or_default();
        self.origin + self.now + ahead
    }

    /// How many connections clients have open, or are opening.
    pub fn open_connections(&self) -> usize {
        self.network.open_connections()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<WorldEvent<C::Event>> {
        self.events.pop_front()
    }

    /// When something happens next.
    pub fn next_deadline(&self) -> Option<Time> {
        let delivery = self.queue.first_key_value().map(|((at, _), _)| *at);
        let client = self.deadlines.first().map(|(at, _)| *at);
        [delivery, client, self.cluster.next_deadline()].into_iter().flatten().min()
    }

    /// Goes to when something happens next, and lets it happen; `false` where
    /// nothing will until somebody does something.
    ///
    /// # Panics
    /// Where a client lets its deadline pass: time would stand still.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_deadline() else {
            return false;
        };
        self.now = self.now.max(at);
        if self.cluster.next_deadline().is_some_and(|at| at <= self.now) {
            self.cluster.handle_timeout(self.now);
            self.after_cluster();
        }
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let delivery = entry.remove();
            self.deliver(delivery);
        }
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now)
        {
            let before = self.clients.get(id.0).and_then(VirtualClient::next_deadline);
            self.with_client(id, |client, now| client.handle_timeout(now));
            let after = self.clients.get(id.0).and_then(VirtualClient::next_deadline);
            assert!(after.is_none() || after != before, "{id:?} does not see to its deadline");
        }
        true
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next_deadline().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until a condition holds; `false` where it doesn't within
    /// `limit`.
    pub fn pass_until(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        loop {
            if condition(self) {
                return true;
            }
            if self.next_deadline().is_none_or(|at| at > end) {
                self.now = end;
                return condition(self);
            }
            self.step();
        }
    }

    fn schedule(&mut self, at: Time, delivery: Delivery) {
        self.last_delivery += 1;
        self.queue.insert((at, self.last_delivery), delivery);
    }

    /// Carries out what a client wants and takes what it tells.
    fn after_client(&mut self, id: ClientId) {
        loop {
            let now = self.clock(id);
            let Some(client) = self.clients.get_mut(id.0) else {
                return;
            };
            if let Some(action) = client.poll_action(now) {
                self.act(id, action);
            } else if let Some(event) = client.poll_event() {
                self.events.push_back(WorldEvent::Client { at: self.now, client: id, event });
            } else {
                break;
            }
        }
        let deadline = self.clients.get(id.0).and_then(VirtualClient::next_deadline);
        let clock = self.clock(id);
        let deadline = deadline.map(|at| self.now + at.saturating_duration_since(clock));
        if let Some(known) = self.deadline_of.get_mut(id.0).filter(|known| **known != deadline) {
            if let Some(at) = std::mem::replace(known, deadline) {
                self.deadlines.remove(&(at, id));
            }
            self.deadlines.extend(deadline.map(|at| (at, id)));
        }
    }

    /// Carries out what the cluster wants and takes what happened in it.
    fn after_cluster(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            self.output(output);
        }
        while let Some(event) = self.cluster.poll_event() {
            self.events.push_back(WorldEvent::Cluster(event));
        }
    }

    /// A connection has ended for its client.
    fn closed(&mut self, wire: WireId, why: ErrorKind) {
        if let Some((id, conn)) = self.network.end_client_side(wire) {
            self.with_client(id, |client, now| client.handle_closed(conn, why, now));
        }
    }
}

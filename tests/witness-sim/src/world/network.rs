//! What is on its way between clients and cluster.

use super::{Action, ClientConn, ClientId, NetworkConfig, VirtualClient, World};
use crate::{ConnId, Connect, Output, Time};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Names a connection within the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WireId(u64);

/// What arrives somewhere.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A connection attempt, at the cluster; with the pause before the next.
    Syn(WireId, Duration),
    /// The cluster's acceptance, at the client.
    Accepted(WireId),
    ToCluster(WireId, Vec<u8>),
    ToClient(WireId, Vec<u8>),
    /// The client's close, at the cluster.
    ClosedByClient(WireId),
    /// The end of the connection, at the client.
    ClosedByPeer(WireId, ErrorKind),
    /// The client's TCP gives a silent peer up, if it has been silent since then.
    GivenUp(WireId, Time),
    /// DNS answers.
    Resolved(ClientId, SmolStr),
}

/// A connection, from the first attempt until both sides have forgotten it.
#[derive(Debug)]
struct Wire {
    client: ClientId,
    /// The client's number for it; `None` once it has ended there.
    client_side: Option<ClientConn>,
    /// The cluster's; `None` before it accepts and once it has ended there.
    cluster_side: Option<ConnId>,
    to: SocketAddr,
    /// When the first attempt was made.
    since: Time,
    silent_since: Option<Time>,
    /// When the last segment arrives, each way: none overtakes another.
    last_to_cluster: Time,
    last_to_client: Time,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) config: NetworkConfig,
    pub(super) rng: fastrand::Rng,
    wires: BTreeMap<WireId, Wire>,
    by_client: BTreeMap<(ClientId, ClientConn), WireId>,
    by_cluster: BTreeMap<ConnId, WireId>,
    last: u64,
}

impl Network {
    pub(super) fn new(config: NetworkConfig, seed: u64) -> Self {
        Self {
            config,
            rng: fastrand::Rng::with_seed(seed),
            wires: BTreeMap::new(),
            by_client: BTreeMap::new(),
            by_cluster: BTreeMap::new(),
            last: 0,
        }
    }

    pub(super) fn open_connections(&self) -> usize {
        self.by_client.len()
    }

    fn latency(&mut self) -> Duration {
        let (low, high) = (*self.config.latency.start(), *self.config.latency.end());
        let spread = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        low + Duration::from_nanos(self.rng.u64(0..=spread))
    }

    /// When a segment that is sent now arrives at the cluster.
    fn at_cluster(&mut self, wire: WireId, now: Time) -> Time {
        let at = now + self.latency();
        let Some(wire) = self.wires.get_mut(&wire) else {
            return at;
        };
        wire.last_to_cluster = wire.last_to_cluster.max(at);
        wire.last_to_cluster
    }

    /// When a segment that is sent now arrives at the client.
    fn at_client(&mut self, wire: WireId, now: Time) -> Time {
        let at = now + self.latency();
        let Some(wire) = self.wires.get_mut(&wire) else {
            return at;
        };
        wire.last_to_client = wire.last_to_client.max(at);
        wire.last_to_client
    }

    /// The client forgets the connection; who it is, and its number for it.
    pub(super) fn end_client_side(&mut self, id: WireId) -> Option<(ClientId, ClientConn)> {
        let wire = self.wires.get_mut(&id)?;
        let conn = wire.client_side.take()?;
        let key = (wire.client, conn);
        self.by_client.remove(&key);
        self.forget_unless_needed(id);
        Some(key)
    }

    /// The cluster forgets the connection; its number for it.
    fn end_cluster_side(&mut self, id: WireId) -> Option<ConnId> {
        let wire = self.wires.get_mut(&id)?;
        let conn = wire.cluster_side.take();
        if let Some(conn) = conn {
            self.by_cluster.remove(&conn);
        }
        self.forget_unless_needed(id);
        conn
    }

    fn forget_unless_needed(&mut self, id: WireId) {
        let needed = |wire: &Wire| wire.client_side.is_some() || wire.cluster_side.is_some();
        if self.wires.get(&id).is_some_and(|wire| !needed(wire)) {
            self.wires.remove(&id);
        }
    }
}

impl<C: VirtualClient> World<C> {
    /// Carries out what a client wants.
    pub(super) fn act(&mut self, client: ClientId, action: Action) {
        let now = self.now;
        let network = &mut self.network;
        match action {
            Action::Resolve { host } => {
                let at = now + network.config.dns_latency;
                self.schedule(at, Delivery::Resolved(client, host));
            }
            Action::Connect { conn, to } => {
                network.last += 1;
                let id = WireId(network.last);
                let wire = Wire {
                    client,
                    client_side: Some(conn),
                    cluster_side: None,
                    to,
                    since: now,
                    silent_since: None,
                    last_to_cluster: now,
                    last_to_client: now,
                };
                network.wires.insert(id, wire);
                network.by_client.insert((client, conn), id);
                let at = network.at_cluster(id, now);
                self.schedule(at, Delivery::Syn(id, Duration::from_secs(1)));
            }
            Action::Transmit { conn, bytes } => {
                if let Some(&wire) = network.by_client.get(&(client, conn)) {
                    let at = network.at_cluster(wire, now);
                    self.schedule(at, Delivery::ToCluster(wire, bytes));
                }
            }
            Action::Close { conn } => {
                if let Some(&wire) = network.by_client.get(&(client, conn)) {
                    let at = network.at_cluster(wire, now);
                    network.end_client_side(wire);
                    self.schedule(at, Delivery::ClosedByClient(wire));
                }
            }
        }
    }

    /// Carries out what the cluster wants.
    pub(super) fn output(&mut self, output: Output) {
        let now = self.now;
        let conn = match &output {
            Output::Transmit { conn, .. }
            | Output::Close { conn, .. }
            | Output::Silence { conn }
            | Output::Resume { conn } => *conn,
        };
        let network = &mut self.network;
        let Some(&id) = network.by_cluster.get(&conn) else {
            return;
        };
        match output {
            Output::Transmit { bytes, .. } => {
                let at = network.at_client(id, now);
                self.schedule(at, Delivery::ToClient(id, bytes));
            }
            Output::Close { reset, .. } => {
                let at = network.at_client(id, now);
                network.end_cluster_side(id);
                let why = if reset { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
                self.schedule(at, Delivery::ClosedByPeer(id, why));
            }
            Output::Silence { .. } => {
                let at = now + network.config.dead_after;
                if let Some(wire) = network.wires.get_mut(&id) {
                    wire.silent_since = Some(now);
                }
                self.schedule(at, Delivery::GivenUp(id, now));
            }
            Output::Resume { .. } => {
                if let Some(wire) = network.wires.get_mut(&id) {
                    wire.silent_since = None;
                }
            }
        }
    }

    /// Something arrives.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Syn(id, pause) => self.connect(id, pause),
            Delivery::Accepted(id) => {
                if let Some((client, conn)) = self.client_side(id) {
                    self.with_client(client, |client, now| client.handle_connected(conn, now));
                }
            }
            Delivery::ToCluster(id, bytes) => {
                let wire = self.network.wires.get(&id);
                if let Some(conn) = wire.and_then(|wire| wire.cluster_side) {
                    self.cluster.receive(now, conn, &bytes);
                    self.after_cluster();
                }
            }
            Delivery::ToClient(id, mut bytes) => {
                if let Some((client, conn)) = self.client_side(id) {
                    self.with_client(client, |client, now| {
                        client.handle_received(conn, &mut bytes, now);
                    });
                }
            }
            Delivery::ClosedByClient(id) => {
                if let Some(conn) = self.network.end_cluster_side(id) {
                    self.cluster.closed(now, conn);
                    self.after_cluster();
                }
            }
            Delivery::ClosedByPeer(id, why) => self.closed(id, why),
            Delivery::GivenUp(id, since) => {
                let wire = self.network.wires.get(&id);
                if wire.is_some_and(|wire| wire.silent_since == Some(since)) {
                    self.closed(id, ErrorKind::TimedOut);
                    self.deliver(Delivery::ClosedByClient(id));
                }
            }
            Delivery::Resolved(client, host) => {
                let mut addresses = self.resolve(&host);
                // Round robin, as DNS does for the name of a cluster.
                if !addresses.is_empty() {
                    let first = self.network.rng.usize(..addresses.len());
                    addresses.rotate_left(first);
                }
                self.with_client(client, |client, now| {
                    client.handle_resolved(&host, addresses, now);
                });
            }
        }
    }

    fn client_side(&self, id: WireId) -> Option<(ClientId, ClientConn)> {
        let wire = self.network.wires.get(&id)?;
        Some((wire.client, wire.client_side?))
    }

    fn connect(&mut self, id: WireId, pause: Duration) {
        let now = self.now;
        let Some(wire) = self.network.wires.get(&id).filter(|wire| wire.client_side.is_some())
        else {
            return;
        };
        let (to, since) = (wire.to, wire.since);
        match self.cluster.connect(now, to) {
            Connect::Accepted(conn) => {
                self.network.by_cluster.insert(conn, id);
                if let Some(wire) = self.network.wires.get_mut(&id) {
                    wire.cluster_side = Some(conn);
                }
                let at = self.network.at_client(id, now);
                self.schedule(at, Delivery::Accepted(id));
            }
            Connect::Refused => {
                let at = self.network.at_client(id, now);
                self.schedule(at, Delivery::ClosedByPeer(id, ErrorKind::ConnectionRefused));
            }
            Connect::NoAnswer => {
                let end = since + self.network.config.connect_timeout;
                if now + pause < end {
                    self.schedule(now + pause, Delivery::Syn(id, 2 * pause));
                } else {
                    self.schedule(end, Delivery::ClosedByPeer(id, ErrorKind::TimedOut));
                }
            }
        }
        self.after_cluster();
    }

    fn resolve(&self, host: &str) -> Vec<IpAddr> {
        if self.cluster.config().is_known_as(host) {
            self.cluster.resolve()
        } else {
            host.parse().into_iter().collect()
        }
    }
}

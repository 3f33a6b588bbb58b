//! The cluster: connections, time, and what goes where.

use crate::connection::{ConnId, Connection, Flow, Held};
use crate::event::{Event, Happening};
use crate::fault::Faults;
use crate::registration::{GroupId, Registration, RegistrationId, Registrations};
use crate::rpc::{Answer, Incoming, Logons, Options, ServerAssociation};
use crate::{ClusterConfig, NodeId, Reach, Service, Stage, Step, Time, Topology, What};
use dcerpc_proto::epm;
use dcerpc_proto::security::ntlm::{NtlmCredentials, ServerNames};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use swnclient_proto::wire;

/// What becomes of a connection attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// It is accepted.
    Accepted(ConnId),
    /// It is refused (RST).
    Refused,
    /// Nothing comes back.
    NoAnswer,
}

/// What a cluster wants done to a connection, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes, in a segment of their own.
    Transmit {
        /// Where.
        conn: ConnId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close the connection. The cluster has forgotten it.
    Close {
        /// Which.
        conn: ConnId,
        /// By RST instead of FIN.
        reset: bool,
    },
    /// The connection's other end is out of reach: TCP itself gets no answers.
    Silence {
        /// Which.
        conn: ConnId,
    },
    /// It is in reach again.
    Resume {
        /// Which.
        conn: ConnId,
    },
}

/// What the cluster does by itself at some time.
#[derive(Debug)]
pub(crate) enum Timer {
    /// The cluster notices how a node is.
    Notice(NodeId),
    /// A delayed answer is sent.
    Answer(ConnId, Answer),
    /// A step of a script.
    Step(Step),
}

/// A witness cluster. See the crate's description.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) config: ClusterConfig,
    pub(crate) topology: Topology,
    pub(crate) registrations: Registrations,
    pub(crate) connections: BTreeMap<ConnId, Connection>,
    pub(crate) faults: Faults,
    /// Calls of GetInterfaceList that wait for a witness to list.
    pub(crate) waiting_lists: Vec<(ConnId, u32)>,
    logons: Option<Arc<Logons>>,
    /// The nodes and numbers of connections of association groups.
    groups: BTreeMap<GroupId, (NodeId, usize)>,
    timers: BTreeMap<(Time, u64), Timer>,
    last_timer: u64,
    last_conn: u64,
    last_group: u32,
    outputs: VecDeque<Output>,
    events: VecDeque<Event>,
}

impl Cluster {
    /// A cluster with all its nodes up.
    pub fn new(config: ClusterConfig) -> Self {
        let mut this = Self {
            topology: Topology::new(&config),
            config,
            registrations: Registrations::default(),
            connections: BTreeMap::new(),
            faults: Faults::default(),
            waiting_lists: Vec::new(),
            logons: None,
            groups: BTreeMap::new(),
            timers: BTreeMap::new(),
            last_timer: 0,
            last_conn: 0,
            last_group: 0,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        };
        this.renew_logons();
        this
    }

    /// What it is made of. The topology has what has become of it.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Its nodes and addresses now.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// All registrations, oldest first.
    pub fn registrations(&self) -> impl ExactSizeIterator<Item = &Registration> {
        self.registrations.iter()
    }

    /// One registration.
    pub fn registration(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(id)
    }

    /// The addresses that DNS has for the cluster's name.
    pub fn resolve(&self) -> Vec<IpAddr> {
        let live_only = self.config.traits.dns_live_only;
        let addresses = self.topology.addresses().iter();
        addresses
            .filter(|address| !live_only || self.topology.is_available(address))
            .map(|address| address.ip)
            .collect()
    }

    /// How many connections it has, silent ones included.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many connections one of its nodes has, silent ones included.
    pub fn connections_to(&self, node: NodeId) -> usize {
        self.connections.values().filter(|connection| connection.node == node).count()
    }

    /// A client connects.
    pub fn connect(&mut self, now: Time, to: SocketAddr) -> Connect {
        let (reach, target) = self.topology.reach(to);
        let (node, service) = match (reach, target) {
            (Reach::Accepts, Some(target)) => target,
            (Reach::Silent, _) => return Connect::NoAnswer,
            _ => return Connect::Refused,
        };
        let stage = match service {
            Service::Mapper => Stage::MapperConnect,
            Service::Witness => Stage::Connect,
        };
        let fault = self.take_fault(now, stage, node);
        match fault {
            Some(What::Refuse | What::Cut(_)) => return Connect::Refused,
            Some(What::NoReply) => return Connect::NoAnswer,
            _ => {}
        }
        let traits = &self.config.traits;
        let rpc = ServerAssociation::new(Options {
            interface: match service {
                Service::Mapper => epm::INTERFACE,
                Service::Witness => wire::INTERFACE,
            },
            port: to.port(),
            multiplexing: traits.multiplexing,
            header_signing: traits.header_signing,
            max_fragment: traits.max_fragment,
            logons: self.logons.clone(),
            anonymous: service == Service::Mapper && !traits.mapper_wants_logon,
        });
        self.last_conn += 1;
        self.last_group += 1;
        let (conn, group) = (ConnId(self.last_conn), GroupId(self.last_group));
        self.groups.insert(group, (node, 1));
        let connection = Connection::new(to, node, service, group, rpc);
        self.connections.insert(conn, connection);
        self.happened(now, Happening::Connected { conn, to, node, service });
        if fault == Some(What::Drop) {
            self.swallow(conn);
        }
        Connect::Accepted(conn)
    }

    /// Bytes from a client.
    pub fn receive(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.flow {
            Flow::Swallowed => {}
            Flow::Held => connection.held_input.push(Held::Received(bytes.to_vec())),
            Flow::Open => {
                connection.rpc.feed(bytes);
                self.process(now, conn);
            }
        }
    }

    /// A client closed a connection.
    pub fn closed(&mut self, now: Time, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            if connection.flow == Flow::Held {
                connection.held_input.push(Held::Closed);
            } else {
                self.forget(now, conn, "closed by the client");
            }
        }
    }

    /// Time has come to `now`: what is due happens.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Timer::Notice(node) => self.notice(now, node),
                Timer::Answer(conn, answer) => self.answer(now, conn, answer, None),
                Timer::Step(step) => self.run(now, step),
            }
        }
        self.expire_registrations(now);
    }

    /// When [`Cluster::handle_timeout`] must be called next.
    pub fn next_deadline(&self) -> Option<Time> {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        let registration = self.registrations.next_deadline();
        timer.into_iter().chain(registration).min()
    }

    /// What must be done to a connection next.
    pub fn poll_output(&mut self) -> Option<Output> {
        take(&mut self.outputs)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        take(&mut self.events)
    }

    /// Runs a step at a later time.
    pub fn schedule(&mut self, at: Time, step: Step) {
        self.start_timer(at, Timer::Step(step));
    }

    fn process(&mut self, now: Time, conn: ConnId) {
        while let Some(connection) = self.connections.get_mut(&conn) {
            if connection.flow != Flow::Open {
                return;
            }
            match connection.rpc.next() {
                Ok(None) => return,
                Ok(Some(incoming)) => self.incoming(now, conn, incoming),
                Err(hangup) => return self.close(now, conn, false, &hangup.to_string()),
            }
        }
    }

    fn incoming(&mut self, now: Time, conn: ConnId, incoming: Incoming) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        let (node, service) = (connection.node, connection.service);
        match incoming {
            Incoming::Bind(request) => {
                let own = connection.group;
                let group = request.group().unwrap_or(own);
                let group = self.join(node, own, group);
                let Some(connection) = self.connections.get_mut(&conn) else {
                    return;
                };
                connection.group = group.unwrap_or(own);
                let answer = connection.rpc.accept_bind(request, group);
                let stage = match service {
                    Service::Mapper => Stage::MapperBind,
                    Service::Witness => Stage::Bind,
                };
                let fault = self.take_fault(now, stage, node);
                self.answer(now, conn, answer, fault.map(|what| (stage, what)));
            }
            Incoming::Leg(answer) => {
                let fault = self.take_fault(now, Stage::Auth, node);
                self.answer(now, conn, answer, fault.map(|what| (Stage::Auth, what)));
            }
            Incoming::Call(call) => self.call(now, conn, call),
            Incoming::GiveUp { call, orphaned } => self.give_up(now, conn, call, orphaned),
        }
    }

    /// Moves a connection from its own association group to that which its
    /// client wants; `None` where the node has no such group.
    fn join(&mut self, node: NodeId, own: GroupId, wanted: GroupId) -> Option<GroupId> {
        if own != wanted {
            let (_, connections) = self.groups.get_mut(&wanted).filter(|(n, _)| *n == node)?;
            *connections += 1;
            self.groups.remove(&own);
        }
        Some(wanted)
    }

    /// Asks the fault rules; the one place where they are consulted.
    pub(crate) fn take_fault(&mut self, now: Time, stage: Stage, node: NodeId) -> Option<What> {
        let what = self.faults.take(stage, node)?;
        self.happened(now, Happening::Faulted { node, stage, what });
        Some(what)
    }

    /// The connection becomes a hole: nothing comes through any more.
    pub(crate) fn swallow(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            let was = std::mem::replace(&mut connection.flow, Flow::Swallowed);
            if was == Flow::Open {
                self.outputs.push_back(Output::Silence { conn });
            }
        }
    }

    /// Holds or lets through what comes, as the way is now.
    pub(crate) fn hold(&mut self, now: Time, conn: ConnId, hold: bool) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match (connection.flow, hold) {
            (Flow::Open, true) => {
                connection.flow = Flow::Held;
                self.outputs.push_back(Output::Silence { conn });
            }
            (Flow::Held, false) => {
                connection.flow = Flow::Open;
                self.outputs.push_back(Output::Resume { conn });
                for bytes in std::mem::take(&mut connection.held_output) {
                    self.outputs.push_back(Output::Transmit { conn, bytes });
                }
                for held in std::mem::take(&mut connection.held_input) {
                    match held {
                        Held::Received(bytes) => self.receive(now, conn, &bytes),
                        Held::Closed => self.closed(now, conn),
                    }
                }
            }
            _ => {}
        }
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, now: Time, conn: ConnId, reset: bool, why: &str) {
        if self.connections.contains_key(&conn) {
            self.forget(now, conn, why);
            self.outputs.push_back(Output::Close { conn, reset });
        }
    }

    /// Forgets a connection and what hung on it.
    fn forget(&mut self, now: Time, conn: ConnId, why: &str) {
        let Some(connection) = self.connections.remove(&conn) else {
            return;
        };
        let why_closed = why.into();
        self.happened(now, Happening::Closed { conn, why: why_closed });
        self.waiting_lists.retain(|(waiting, _)| *waiting != conn);
        let group = connection.group;
        for id in self.registrations.of_group(group) {
            self.registrations.update(id, &self.config.traits, |r| {
                r.waiting.retain(|waiting| waiting.conn != conn);
            });
        }
        if let Some((_, connections)) = self.groups.get_mut(&group) {
            *connections -= 1;
            if *connections == 0 {
                self.groups.remove(&group);
                for id in self.registrations.of_group(group) {
                    self.drop_registration(now, id, "its connection is gone");
                }
            }
        }
    }

    /// Sends bytes, now or when the way is open again.
    pub(crate) fn transmit(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.flow {
            Flow::Open => self.outputs.push_back(Output::Transmit { conn, bytes }),
            Flow::Held => connection.held_output.push(bytes),
            Flow::Swallowed => {}
        }
    }

    pub(crate) fn start_timer(&mut self, at: Time, timer: Timer) {
        self.last_timer += 1;
        self.timers.insert((at, self.last_timer), timer);
    }

    pub(crate) fn happened(&mut self, at: Time, what: Happening) {
        log::debug!("{at:?} {what}");
        if self.config.events {
            self.events.push_back(Event { at, what });
        }
    }

    /// Takes over who may log on.
    pub(crate) fn renew_logons(&mut self) {
        let config = &self.config;
        let account = |user: &crate::User| {
            // Any domain: clients give what the mount has.
            NtlmCredentials::from_password(&user.name, "", &user.password)
        };
        let logons = Logons {
            accounts: config.users.iter().map(account).collect(),
            names: ServerNames {
                netbios_domain: config
                    .users
                    .first()
                    .map(|user| user.domain.clone())
                    .unwrap_or_default(),
                netbios_computer: config.net_name.clone(),
                dns_domain: config.domain.clone(),
                dns_computer: config.dns_name(),
            },
            clock_ahead: config.clock_ahead,
        };
        self.logons = (!config.users.is_empty()).then(|| Arc::new(logons));
    }
}

/// The next of a queue. An empty one does not keep the room that thousands
/// needed at once.
fn take<T>(queue: &mut VecDeque<T>) -> Option<T> {
    const KEPT: usize = 64;
    let next = queue.pop_front();
    if next.is_none() {
        queue.shrink_to(KEPT);
    }
    next
}

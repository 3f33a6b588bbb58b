//! The witness client without sockets, between a cluster and a fuzzer that loses,
//! damages and invents what passes, and that has the clock.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient_proto::{Action, Client, Config, ConnectionId, RegistrationId, RegistrationRequest};
use swnclient_proto::{Credentials, Event, FullName, NtlmCredentials};
use witness_sim::{Cluster, ClusterConfig, ConnId, Connect, Output, Profile, Step, Time};

/// How many operations an input may have.
const OPERATIONS: usize = 200;
/// How much passes within one of them.
const PASSES: usize = 200;

/// What is done to the cluster, each by its number.
const STEPS: &[&str] = &[
    "node 1 down",
    "node 2 down silent",
    "node 3 cut",
    "node 1 up",
    "node 2 up",
    "node 3 up",
    "address 10.0.0.11 to node 2",
    "address 10.0.0.11 offline",
    "client-move all to node 2",
    "share-move all to 10.0.0.12",
    "ip-change all to 10.0.0.11 offline, fd00::12, 10.0.0.13",
    "answer all ERROR_NOT_FOUND",
    "answer all empty",
    "force-unregister all",
    "password alice other",
    "service node 2 stop",
    "service node 2 port 50000",
    "fault list fragments 20",
    "fault list huge-counts",
    "fault list truncate 30",
    "fault register-ex fault 0x1c010002",
    "fault register-ex wrong-call-id",
    "fault register-ex no-reply",
    "fault register-ex unprotected",
    "fault notify storm 100",
    "fault notify fragments 9",
    "fault notify fault 5",
    "fault unregister no-reply",
    "fault bind nak 8",
    "fault auth fault 0x721",
    "fault ept-map truncate 40",
    "no-faults",
];

/// The bytes are a first one with the configuration, and operations: [`Play::operate`].
pub(crate) fn client(data: &[u8]) {
    play(data);
}

/// How often a witness has accepted a registration.
fn play(data: &[u8]) -> usize {
    let Some((&first, rest)) = data.split_first() else {
        return 0;
    };
    let mut play = Play::new(first);
    let mut rest = Bytes(rest);
    for _ in 0..OPERATIONS {
        let Some(operation) = rest.byte() else { break };
        play.operate(operation, &mut rest);
        play.carry_out();
    }
    let now = play.now();
    play.client.unregister_all(now);
    play.settle();
    play.registered
}

/// An input, from its beginning to its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Up to `length` bytes.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct Play {
    client: Client,
    cluster: Cluster,
    origin: Instant,
    time: Time,
    /// The client's connections; `None`: not open, or no longer at the cluster.
    connections: BTreeMap<ConnectionId, Option<ConnId>>,
    /// What the cluster has sent.
    sent: VecDeque<(ConnectionId, Vec<u8>)>,
    resolving: VecDeque<String>,
    last_id: u64,
    registered: usize,
}

impl Play {
    fn new(first: u8) -> Self {
        let profile = Profile::ALL.get(usize::from(first >> 4)).copied().unwrap_or(Profile::Samba);
        let mut config = Config { spnego: first & 1 == 1, kept_links_max: 1, ..Config::default() };
        if first & 2 == 2 {
            config.max_response = 4096;
        }
        if first & 4 == 4 {
            config.loss_spread = Duration::ZERO;
        }
        let mut play = Self {
            client: Client::new(config, 1),
            cluster: Cluster::new(ClusterConfig::new(profile, 3, [10, 0, 0])),
            origin: Instant::now(),
            time: Time::ZERO,
            connections: BTreeMap::new(),
            sent: VecDeque::new(),
            resolving: VecDeque::new(),
            last_id: 0,
            registered: 0,
        };
        play.register(first & 8 == 8);
        play.carry_out();
        play
    }

    fn now(&self) -> Instant {
        self.origin + self.time
    }

    fn operate(&mut self, operation: u8, rest: &mut Bytes<'_>) {
        let (now, newest) = (self.now(), self.connections.keys().next_back().copied());
        let argument = rest.byte().unwrap_or_default();
        match operation & 7 {
            0 => self.settle(),
            // Damages what comes next.
            1 => {
                if let Some((connection, mut bytes)) = self.sent.pop_front() {
                    let at = usize::from(argument) * bytes.len() / 256;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= operation >> 3 | 1;
                    }
                    self.client.handle_received(connection, &mut bytes, now);
                }
            }
            // Invents something.
            2 => {
                let mut bytes = rest.take(argument.into()).to_vec();
                if let Some(connection) = newest {
                    self.client.handle_received(connection, &mut bytes, now);
                }
            }
            3 => {
                let nth = usize::from(argument) % self.connections.len().max(1);
                if let Some(connection) = self.connections.keys().nth(nth).copied() {
                    let kinds =
                        [ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::UnexpectedEof];
                    let kind = kinds.get(usize::from(operation >> 3) % 3).copied();
                    self.client.handle_closed(connection, kind.unwrap_or(ErrorKind::Other), now);
                    self.close(connection);
                }
            }
            4 => self.pass(Duration::from_millis(u64::from(argument).pow(2))),
            // To where something is due.
            5 => {
                let client = self.client.next_deadline().map(|at| at.duration_since(self.origin));
                let next = [client, self.cluster.next_deadline()].into_iter().flatten().min();
                if let Some(at) = next {
                    self.pass(at.saturating_sub(self.time));
                }
            }
            6 => {
                if let Some(step) = STEPS.get(usize::from(argument) % STEPS.len()) {
                    if let Ok(step) = step.parse::<Step>() {
                        self.cluster.run(self.time, step);
                    }
                }
            }
            _ => self.consume(argument),
        }
    }

    /// What the consumer does.
    fn consume(&mut self, argument: u8) {
        let (now, id) = (self.now(), RegistrationId(self.last_id.max(1)));
        match argument & 7 {
            0 if self.last_id < 8 => self.register(argument & 8 == 8),
            1 => self.client.unregister(id, now),
            2 => self.client.request_again(id, credentials("other"), now),
            3 => self.client.request_again(id, credentials("secret"), now),
            4 => {
                if let Some(host) = self.resolving.pop_front() {
                    let addresses = match argument & 8 {
                        0 => Ok(vec![IpAddr::from([10, 0, 0, 11]), IpAddr::from([10, 0, 0, 99])]),
                        _ => Err("no such host".into()),
                    };
                    self.client.handle_resolved(&host, addresses, now);
                }
            }
            _ => drop(self.client.interfaces(id).len()),
        }
    }

    fn register(&mut self, by_name: bool) {
        self.last_id += 1;
        let request = RegistrationRequest {
            net_name: "cluster.example.test".into(),
            share_name: Some("data".into()),
            ip_address: (!by_name).then(|| [10, 0, 0, 11].into()),
            scope_id: 0,
            net_name_notify: true,
            share_name_notify: true,
            ip_notify: true,
        };
        let (id, now) = (RegistrationId(self.last_id), self.now());
        self.client.register(id, request, credentials("secret"), now);
    }

    fn pass(&mut self, time: Duration) {
        self.time += time;
        if self.cluster.next_deadline().is_some_and(|at| at <= self.time) {
            self.cluster.handle_timeout(self.time);
        }
        let now = self.now();
        // What follows may be due at once, but not again and again.
        for _ in 0..PASSES {
            self.client.handle_timeout(now);
            self.carry_out();
            if self.client.next_deadline().is_none_or(|at| at > now) {
                return;
            }
        }
        panic!("time stands still");
    }

    /// Lets everything pass until nothing is left.
    fn settle(&mut self) {
        for _ in 0..PASSES {
            self.carry_out();
            let Some((connection, mut bytes)) = self.sent.pop_front() else { return };
            let now = self.now();
            self.client.handle_received(connection, &mut bytes, now);
        }
    }

    /// Does what the client and the cluster want done.
    fn carry_out(&mut self) {
        loop {
            while let Some((_, event)) = self.client.poll_event() {
                self.registered += usize::from(matches!(event, Event::Registered { .. }));
            }
            if let Some(action) = self.client.poll_action() {
                self.act(action);
            } else if let Some(output) = self.cluster.poll_output() {
                self.put_out(output);
            } else {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        let now = self.now();
        match action {
            Action::Resolve { host } => self.resolving.push_back(host.into()),
            Action::FindFullName { host } => {
                self.client.handle_full_name(&host, FullName::Unknown, now);
            }
            Action::Connect { connection, address } => {
                let opened = self.cluster.connect(self.time, address);
                let conn = match opened {
                    Connect::Accepted(conn) => Some(conn),
                    Connect::Refused | Connect::NoAnswer => None,
                };
                self.connections.insert(connection, conn);
                match opened {
                    Connect::Accepted(_) => self.client.handle_connected(connection, now),
                    Connect::Refused => {
                        self.client.handle_closed(connection, ErrorKind::ConnectionRefused, now);
                    }
                    Connect::NoAnswer => {}
                }
            }
            Action::Transmit { connection, bytes } => {
                if let Some(Some(conn)) = self.connections.get(&connection) {
                    self.cluster.receive(self.time, *conn, &bytes);
                }
            }
            Action::Close { connection } => self.close(connection),
            Action::Authenticate { connection, job } => {
                self.client.handle_authenticated(connection, job.run(), now);
            }
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        if let Some(Some(conn)) = self.connections.remove(&connection) {
            self.cluster.closed(self.time, conn);
        }
    }

    fn put_out(&mut self, output: Output) {
        let of = |conn| {
            let mut known = self.connections.iter();
            known.find(|(_, known)| **known == Some(conn)).map(|(connection, _)| *connection)
        };
        match output {
            Output::Transmit { conn, bytes } => {
                if let Some(connection) = of(conn) {
                    self.sent.push_back((connection, bytes));
                }
            }
            Output::Close { conn, reset } => {
                if let Some(connection) = of(conn) {
                    self.connections.insert(connection, None);
                    let kind =
                        if reset { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
                    let now = self.now();
                    self.client.handle_closed(connection, kind, now);
                }
            }
            Output::Silence { .. } | Output::Resume { .. } => {}
        }
    }
}

fn credentials(password: &str) -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", password))
}

/// Inputs that come far: a registration by either mechanism, and what is done to the
/// cluster afterwards.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for first in [0, 1, 0x10, 0x21, 0x0a] {
        seeds.push(vec![first, 7, 4, 0, 0]);
    }
    // What is due, and what follows from it.
    let goes_on = [5, 0, 0, 0].repeat(8);
    for step in 0..u8::try_from(STEPS.len()).unwrap_or(u8::MAX) {
        // Before the registration, and after it.
        seeds.push([&[0x20, 6, step, 0, 0][..], &goes_on[..]].concat());
        seeds.push([&[0x21, 0, 0, 6, step, 0, 0][..], &goes_on[..], &[7, 1, 0, 0]].concat());
    }
    seeds.push([&[0x20, 0, 0, 2, 60][..], &[5; 60], &[0, 0, 3, 0, 5, 0, 0, 0]].concat());
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use witness_sim::NodeId;

    #[test]
    fn every_step_is_one_of_the_simulator_s() {
        for step in STEPS {
            assert!(step.parse::<Step>().is_ok(), "{step}");
        }
        let node = NodeId(1);
        let config = ClusterConfig::new(Profile::Samba, 3, [10, 0, 0]);
        assert_eq!(config.address(node), Some([10, 0, 0, 11].into()));
    }

    #[test]
    fn the_seeds_get_as_far_as_to_their_registrations() {
        let registered: Vec<usize> = seeds().iter().map(|seed| play(seed)).collect();
        assert!(registered.iter().filter(|times| **times > 0).count() > 50, "{registered:?}");
        assert!(registered.iter().filter(|times| **times > 1).count() > 10, "{registered:?}");
    }
}

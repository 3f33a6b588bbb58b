//! A kernel and its servers in virtual time, after `fs/smb/client/connect.c` of
//! Linux 6.12 (docs/kernel.md has what of it matters here).

use super::super::*;
use std::net::SocketAddr;
use std::time::Duration;
use swnclient::{Notification, ResourceState};

mod deeds;
mod seen;

pub(super) use deeds::Owed;

pub(super) const ECHO: Duration = Duration::from_secs(5);
pub(super) const STEP: Duration = Duration::from_millis(10);
/// `generic_ip_connect` waits so long for an answer, `__cifs_reconnect` sleeps so long
/// after it.
const CONNECT: Duration = Duration::from_secs(5);
const SLEEP: Duration = Duration::from_secs(3);
pub(super) const NAME: &str = "witclu";

pub(super) fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, last])
}

pub(super) fn mount(share: &str) -> Mount {
    Mount::from(&RegistrationRequest {
        net_name: NAME.into(),
        share_name: Some(share.into()),
        ip_address: None,
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Connected { cookie: u64, since: Instant, unanswered: Option<Instant>, received: u64 },
    Connecting { cookie: u64, until: Instant },
    Sleeping { until: Instant },
}

/// `struct TCP_Server_Info`.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: IpAddr,
    pub(super) swn_address: Option<IpAddr>,
    pub(super) state: State,
    last_response: Instant,
    pub(super) instance: u32,
    /// Something is written all the time.
    pub(super) is_busy: bool,
    /// The node owes an answer to a request that it has acknowledged, and nothing else is
    /// sent before it.
    pub(super) owed: Option<Owed>,
    /// Since when nothing has gone over the connection.
    quiet_since: Instant,
    /// When the node last acknowledged something.
    acked: Instant,
}

/// What is under way.
enum Pending {
    /// A request that swnd has the kernel send.
    Ask(Mount, IpAddr),
    /// It has, over the connection of that number.
    Sent(Mount, IpAddr, u32),

    Observe {
        debug_data: bool,
        mounts: bool,
    },
    Probe(IpAddr),
    LookUp(SmolStr),
    List(u32),
    Notify(u32, Notification),
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) failover: Failover,
    pub(super) servers: Vec<Server>,
    /// Which server each of the kernel's registrations uses.
    pub(super) registrations: BTreeMap<u32, (Mount, usize, bool)>,
    /// The nodes' addresses that answer; the number changes with the node.
    pub(super) alive: BTreeMap<IpAddr, u32>,
    /// The name's addresses.
    pub(super) named: Vec<IpAddr>,
    /// What the kernel takes in place of the first of them.
    pub(super) kernels_first: Option<IpAddr>,
    /// The kernel asks the failover first, for mounts that are adopted.
    pub(super) asks: bool,
    /// What the witness lists.
    pub(super) listed: Vec<IpAddr>,
    /// A new holder of an address answers what it doesn't know with a reset.
    pub(super) resets: bool,
    holders: BTreeMap<u64, u32>,
    pending: Vec<(Instant, Pending)>,
    pub(super) can_end: bool,
    pub(super) can_see: bool,
    pub(super) has_debug_data: bool,
    last_cookie: u64,
    /// Connections that were ended although their node was well.
    pub(super) ended_alive: u32,
    pub(super) ends: Vec<u64>,
    pub(super) notified: Vec<(u32, Notification)>,
    pub(super) lines: Vec<String>,
    /// How often the kernel was brought to send something.
    pub(super) asked: u32,
    /// How often the connections were looked at, all of them.
    pub(super) looks: u32,
    /// The number of the request that is owed an answer.
    pub(super) request: u32,
    /// swnd reaches the mount's path.
    pub(super) has_path: bool,
    /// The node acknowledges and answers nothing.
    pub(super) is_stuck: bool,
    /// The addresses that no mount is served by any more.
    pub(super) forgotten: Vec<IpAddr>,
    pub(super) probes_max: usize,
    /// How long one goes on that is not answered.
    pub(super) probe_takes: Duration,
    /// How long the kernel holds each notification.
    pub(super) notify_takes: Duration,
    /// How old a connection is when the kernel drops it, and whether it drops all.
    pub(super) drops_after: Duration,
    pub(super) drops_all: bool,
}

impl World {
    /// Three addresses that are alive, and a mount on the first.
    pub(super) fn new() -> Self {
        Self::that_sees(true, true)
    }

    pub(super) fn that_sees(connections: bool, debug_data: bool) -> Self {
        let now = Instant::now();
        let alive = [(ip(1), 1), (ip(2), 2), (ip(3), 3)];
        let mut world = Self {
            now,
            failover: Failover::default(),
            servers: Vec::new(),
            registrations: BTreeMap::new(),
            alive: alive.into_iter().collect(),
            named: vec![ip(1)],
            kernels_first: None,
            asks: false,
            listed: Vec::new(),
            resets: true,
            holders: BTreeMap::new(),
            pending: Vec::new(),
            can_end: true,
            can_see: connections,
            has_debug_data: debug_data,
            last_cookie: 0,
            ended_alive: 0,
            ends: Vec::new(),
            notified: Vec::new(),
            lines: Vec::new(),
            asked: 0,
            looks: 0,
            request: 1,
            has_path: true,
            is_stuck: false,
            forgotten: Vec::new(),
            probes_max: 0,
            probe_takes: Duration::from_secs(1),
            notify_takes: Duration::from_millis(1),
            drops_after: Duration::ZERO,
            drops_all: false,
        };
        world.connect(ip(1));
        world.mount(1, "data", 0);
        world.run(Duration::from_secs(1));
        world.looks = 0;
        world
    }

    /// The same, with a mount that is adopted.
    pub(super) fn adopted() -> Self {
        let mut world = Self::new();
        world.registrations.clear();
        world.failover.unmounted(1);
        world.mount(FIRST_ADOPTED, "data", 0);
        world.run(Duration::from_secs(1));
        world
    }

    /// The same, without a witness: watched by its connection, which no reset ends.
    pub(super) fn watched_by_connection() -> Self {
        let mut world = Self::adopted();
        world.failover.watch_connection(FIRST_ADOPTED, world.now);
        world.resets = false;
        world.run(Duration::from_secs(2));
        world
    }

    /// One more connection of the kernel.
    pub(super) fn connect(&mut self, address: IpAddr) -> usize {
        let state = self.connected(address);
        let server = Server {
            address,
            swn_address: None,
            state,
            last_response: self.now,
            instance: 1,
            is_busy: true,
            owed: None,
            quiet_since: self.now,
            acked: self.now,
        };
        self.servers.push(server);
        self.servers.len() - 1
    }

    fn connected(&mut self, address: IpAddr) -> State {
        self.last_cookie += 1;
        self.holders.insert(self.last_cookie, self.alive[&address]);
        let (cookie, since) = (self.last_cookie, self.now);
        State::Connected { cookie, since, unanswered: None, received: 1 }
    }

    pub(super) fn mount(&mut self, id: u32, share: &str, server: usize) {
        self.registrations.insert(id, (mount(share), server, false));
        self.register(id);
        self.failover.watched(id, true, self.now);
    }

    /// The kernel's REGISTER.
    pub(super) fn register(&mut self, id: u32) {
        let (mount, server, scale_out) = self.registrations[&id].clone();
        let server = &self.servers[server];
        let address = server.swn_address.unwrap_or(server.address);
        self.failover.mounted(id, &mount, address, scale_out, self.now);
    }

    /// A node dies: nothing comes from its address.
    pub(super) fn kill(&mut self, address: IpAddr) {
        self.alive.remove(&address);
    }

    /// Another node takes the address, with or without a reset for each client.
    pub(super) fn take_over(&mut self, address: IpAddr, tickles: bool) {
        self.alive.insert(address, 100 + u32::try_from(self.holders.len()).unwrap());
        if tickles {
            for index in 0..self.servers.len() {
                let server = &self.servers[index];
                let is_connected = matches!(server.state, State::Connected { .. });
                if server.address == address && is_connected {
                    self.reconnect(index);
                }
            }
        }
    }

    pub(super) fn unavailable(&mut self, id: u32) {
        self.failover.state_changed(id, ResourceState::Unavailable, self.now);
        self.act();
    }

    pub(super) fn available(&mut self, id: u32) {
        self.failover.state_changed(id, ResourceState::Available, self.now);
        self.act();
    }

    /// The witness's client has lost its connection to the server.
    pub(super) fn server_lost(&mut self, id: u32, address: IpAddr) {
        let kind = std::io::ErrorKind::ConnectionReset;
        let error = swnclient::Error::Lost { address: (address, 49152).into(), kind };
        self.failover.server_lost(id, address, &error, self.now);
        self.act();
    }

    pub(super) fn order(&mut self, id: u32, target: IpAddr) {
        self.failover.move_ordered(id, target, self.now);
        self.act();
    }

    /// Where the first server's connection is, if the node is alive.
    pub(super) fn served_by(&self, server: usize) -> Option<IpAddr> {
        let server = &self.servers[server];
        match server.state {
            State::Connected { cookie, .. } if self.is_well(server.address, cookie) => {
                Some(server.address)
            }
            _ => None,
        }
    }

    fn is_well(&self, address: IpAddr, cookie: u64) -> bool {
        self.alive.get(&address).is_some_and(|holder| self.holders.get(&cookie) == Some(holder))
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until the first server is served, and returns how long that took.
    pub(super) fn run_until_served(&mut self, server: usize, limit: Duration) -> Duration {
        let start = self.now;
        while self.served_by(server).is_none() {
            assert!(self.now - start < limit, "not served: {:#?}\n{:#?}", self.servers, self.lines);
            self.step();
        }
        self.now - start
    }

    pub(super) fn step(&mut self) {
        self.now += STEP;
        for index in 0..self.servers.len() {
            self.step_server(index);
        }
        let (due, rest) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= self.now);
        self.pending = rest;
        for (_, pending) in due {
            self.finish(pending);
        }
        if self.failover.next_deadline().is_some_and(|at| at <= self.now) {
            self.failover.handle_timeout(self.now);
        }
        self.act();
    }

    fn step_server(&mut self, index: usize) {
        let now = self.now;
        let server = &self.servers[index];
        let (address, is_busy) = (server.address, server.is_busy);
        match server.state {
            State::Connected { cookie, since, .. } if self.is_well(address, cookie) => {
                let (is_young, drops_all) = (now < since + self.drops_after, self.drops_all);
                let server = &mut self.servers[index];
                let is_busy = is_busy && server.owed.is_none();
                if is_busy {
                    (server.quiet_since, server.acked) = (now, now);
                }
                let is_late = now > server.last_response + 3 * ECHO;
                let dropped = (drops_all || is_late) && !is_young;
                if !is_young {
                    server.last_response = now;
                }
                if let State::Connected { received, unanswered, .. } = &mut server.state {
                    *received += u64::from(is_busy);
                    *unanswered = None;
                }
                if dropped {
                    self.reconnect(index);
                }
            }
            State::Connected { unanswered, .. } => {
                let is_taken_over = self.alive.contains_key(&address);
                let server = &mut self.servers[index];
                let is_busy = is_busy && server.owed.is_none();
                let gives_up = now > server.last_response + 3 * ECHO;
                if let State::Connected { unanswered, .. } = &mut server.state {
                    if is_busy {
                        unanswered.get_or_insert(now);
                    }
                }
                let is_retransmitted =
                    is_busy && backoff(unanswered, now) > backoff(unanswered, now - STEP);
                if gives_up || is_taken_over && self.resets && is_retransmitted {
                    self.reconnect(index);
                }
            }
            State::Connecting { until, .. } => {
                if self.alive.contains_key(&address) {
                    self.establish(index);
                } else if now >= until {
                    self.servers[index].state = State::Sleeping { until: now + SLEEP };
                }
            }
            State::Sleeping { until } if now >= until => self.attempt(index),
            State::Sleeping { .. } => {}
        }
    }

    /// `__cifs_reconnect`.
    pub(super) fn reconnect(&mut self, index: usize) {
        self.servers[index].last_response = self.now;
        self.servers[index].owed = None;
        self.attempt(index);
    }

    fn attempt(&mut self, index: usize) {
        self.last_cookie += 1;
        let (cookie, until) = (self.last_cookie, self.now + CONNECT);
        let asked = self.asks.then(|| self.ask()).flatten();
        let first = asked.or(self.kernels_first).or(self.named.first().copied());
        let server = &mut self.servers[index];
        server.address = server.swn_address.or(first).unwrap_or(server.address);
        server.state = State::Connecting { cookie, until };
    }

    fn establish(&mut self, index: usize) {
        let address = self.servers[index].address;
        let state = self.connected(address);
        let server = &mut self.servers[index];
        server.state = state;
        (server.quiet_since, server.acked) = (self.now, self.now);
        server.swn_address = None;
        server.instance += 1;
    }

    /// Does what the failover wants.
    pub(super) fn act(&mut self) {
        let ms = Duration::from_millis;
        // One that comes again at the same instant would never end.
        let most = 100 + 10 * self.registrations.len();
        let mut count = 0;
        while let Some(action) = self.failover.poll_action() {
            count += 1;
            assert!(count <= most, "{most} actions at one instant, then {action:?}");
            let (after, pending) = match action {
                Action::Look(before) => {
                    let all = self.connections();
                    let is_known = |it: &Connection| before.iter().any(|b| b.cookie == it.cookie);
                    let after: Vec<_> = all.into_iter().filter(is_known).collect();
                    self.failover.looked(&before, &after, self.now);
                    continue;
                }
                Action::Observe { debug_data, mounts } => {
                    (ms(2), Pending::Observe { debug_data, mounts })
                }
                Action::Probe(address) => {
                    let is_alive = self.alive.contains_key(&address);
                    let takes = if is_alive { ms(1) } else { self.probe_takes };
                    (takes, Pending::Probe(address))
                }
                Action::LookUp(name) => (ms(5), Pending::LookUp(name)),
                Action::List(id) => (ms(5), Pending::List(id)),
                Action::Notify { id, notification } => {
                    self.notified.push((id, notification.clone()));
                    (self.notify_takes, Pending::Notify(id, notification))
                }
                Action::End { connection, if_dead } => {
                    let end = self.end(&connection, if_dead);
                    self.failover.ended(&connection, end, self.now);
                    continue;
                }
                Action::Relocate { id, address } => {
                    self.failover.relocated(id, address, self.now);
                    continue;
                }
                Action::Forget { address, .. } => {
                    self.forgotten.push(address);
                    continue;
                }
                Action::Ask { mount, address } => {
                    self.asked += 1;
                    (ms(1), Pending::Ask(mount, address))
                }
                Action::Report { line, .. } => {
                    self.lines.push(line.to_string());
                    continue;
                }
            };
            self.pending.push((self.now + after, pending));
            let probes = self.pending.iter().filter(|(_, it)| matches!(it, Pending::Probe(_)));
            self.probes_max = self.probes_max.max(probes.count());
        }
    }

    fn finish(&mut self, pending: Pending) {
        let now = self.now;
        match pending {
            Pending::Observe { debug_data, mounts } => {
                self.looks += 1;
                let data = self.has_debug_data.then(|| self.debug_data());
                if self.can_see {
                    let debug_data = debug_data.then_some(data);
                    let mounts = mounts.then(|| self.mounts());
                    let look = Look { connections: self.connections(), debug_data, mounts };
                    self.failover.observed(look, now);
                } else {
                    self.failover.observed_without_sight(data, now);
                }
            }
            Pending::Probe(address) => {
                self.failover.probed(address, self.alive.contains_key(&address), now);
            }
            Pending::LookUp(name) => {
                let named = if name == NAME { self.named.clone() } else { Vec::new() };
                self.failover.set_resolver(self.asks);
                self.failover.looked_up(&name, &named, now);
            }
            Pending::Ask(mount, address) => self.send_something(mount, address),
            Pending::Sent(mount, address, instance) => self.await_answer(mount, address, instance),
            Pending::List(id) => self.failover.listed(id, &self.listed.clone(), now),
            Pending::Notify(id, notification) => self.notify(id, &notification),
        }
    }
}

/// The retransmission timeout is 200 ms at first, and doubles.
fn backoff(unanswered: Option<Instant>, now: Instant) -> u8 {
    let Some(since) = unanswered else { return 0 };
    let passed = (now - since).as_millis();
    let mut backoff = 0;
    while passed >= 200 * ((2 << backoff) - 1) {
        backoff += 1;
    }
    backoff
}

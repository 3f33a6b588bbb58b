//! A cluster, its clients, and a consumer that behaves as the kernel does.

use crate::Ledger;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config};
use swnclient_proto::{Credentials, Event, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeId, Step, Time};

/// How often the kernel repeats each registration (`echo_interval`).
pub const ECHO: Duration = Duration::from_secs(60);

/// Names a mount within its bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountId(pub usize);

/// A share that is mounted. A mount that has ended may start again, under
/// another number.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Whose.
    pub client: ClientId,
    /// Its number at the client.
    pub id: RegistrationId,
    /// What it asks for.
    pub request: RegistrationRequest,
    /// Whether it is there; otherwise it has been unregistered.
    pub wanted: bool,
}

/// See the module's description.
#[derive(Debug)]
pub struct Bench {
    /// The cluster and the clients.
    pub world: World<Client>,
    /// What was promised.
    pub ledger: Ledger,
    /// Whether everything that happens is printed.
    pub trace: bool,
    mounts: Vec<Mount>,
    password: String,
    last_id: u64,
    next_echo: Time,
    /// What happened in the cluster; to be taken or cleared by who looks at it.
    pub happened: Vec<Happening>,
    /// What the consumer was told; to be taken or cleared by who looks at it.
    pub told: Vec<(Time, RegistrationId, Event)>,
    /// Whose credentials were refused when they were last told something.
    refused: BTreeSet<RegistrationId>,
}

impl Bench {
    /// A cluster without clients.
    pub fn new(config: ClusterConfig, network: NetworkConfig, seed: u64) -> Self {
        Self {
            ledger: Ledger::new(&config),
            world: World::new(Cluster::new(config), network, seed),
            trace: false,
            mounts: Vec::new(),
            password: "secret".into(),
            last_id: 0,
            next_echo: ECHO,
            happened: Vec::new(),
            told: Vec::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Adds a client; its name is `ws` and its number.
    pub fn add_client(&mut self, config: Config, seed: u64) -> ClientId {
        let number = self.world.clients().len();
        let client_name = format!("ws{number}").into();
        self.ledger.expect_within(&config);
        self.world.add_client(Client::new(Config { client_name, ..config }, seed))
    }

    /// Mounts a share from the node at an address.
    pub fn mount(&mut self, client: ClientId, served_by: IpAddr) -> MountId {
        let mount = MountId(self.mounts.len());
        let request = RegistrationRequest::new("cluster.example.test")
            .share(format!("data{}", mount.0))
            .served_by(served_by)
            .scale_out();
        self.mounts.push(Mount { client, id: RegistrationId(0), request, wanted: false });
        self.register(mount);
        mount
    }

    /// Registers a mount that isn't registered.
    pub fn register(&mut self, mount: MountId) {
        self.last_id += 1;
        let credentials = self.credentials();
        let known = &mut self.mounts[mount.0];
        known.id = RegistrationId(self.last_id);
        known.wanted = true;
        let known = known.clone();
        self.ledger.asked(self.world.now(), known.id, &known);
        self.world.with_client(known.client, |client, now| {
            client.register(known.id, known.request, credentials, now);
        });
        self.settle();
    }

    /// Unregisters a mount.
    pub fn unregister(&mut self, mount: MountId) {
        let known = &mut self.mounts[mount.0];
        known.wanted = false;
        let (client, id) = (known.client, known.id);
        self.ledger.asked_to_end(self.world.now(), id);
        self.world.with_client(client, |client, now| client.unregister(id, now));
        self.settle();
    }

    /// The kernel has reconnected to another address: it takes the old
    /// registration back and makes a new one.
    pub fn reconnect(&mut self, mount: MountId, served_by: IpAddr) {
        if self.mounts[mount.0].wanted {
            self.unregister(mount);
        }
        self.mounts[mount.0].request.ip_address = Some(served_by);
        self.register(mount);
    }

    /// The kernel repeats what it wants registered.
    pub fn echo(&mut self) {
        let wanted = self.mounts.iter().filter(|mount| mount.wanted);
        let wanted: Vec<_> = wanted.map(|mount| (mount.client, mount.id)).collect();
        for (client, id) in wanted {
            let credentials = self.credentials();
            self.world
                .with_client(client, |client, now| client.request_again(id, credentials, now));
        }
        self.settle();
    }

    /// A person wants what was refused to be presented again: all are tried at once that
    /// wait for nothing else, and no others.
    pub fn try_refused_now(&mut self) {
        let wanted = self.mounts.iter().filter(|mount| mount.wanted);
        let wanted: Vec<_> = wanted.map(|mount| (mount.client, mount.id)).collect();
        for (client, id) in wanted {
            if self.refused.contains(&id) || self.ledger.is_registered(id) {
                self.world.with_client(client, |client, now| client.try_now(id, now));
            }
        }
        self.settle();
    }

    /// The password that the mounts use from their next echo on.
    pub fn set_password(&mut self, password: &str) {
        self.password = password.to_owned();
    }

    /// Does something to the cluster.
    pub fn run(&mut self, step: Step) {
        self.world.run(step);
        self.settle();
    }

    /// Lets a client's clock leap.
    pub fn leap(&mut self, client: ClientId, time: Duration) {
        self.world.leap(client, time);
        self.ledger.excuse_all(self.world.now());
        self.settle();
    }

    /// One mount.
    pub fn get(&self, mount: MountId) -> &Mount {
        &self.mounts[mount.0]
    }

    /// All mounts.
    pub fn mounts(&self) -> impl ExactSizeIterator<Item = (MountId, &Mount)> {
        self.mounts.iter().enumerate().map(|(index, mount)| (MountId(index), mount))
    }

    /// The witnesses of a mount, by what the cluster knows.
    pub fn witnesses(&self, mount: MountId) -> Vec<NodeId> {
        let mount = self.get(mount);
        let client = format!("ws{}", mount.client.0);
        let registrations = self.world.cluster().registrations();
        registrations
            .filter(|r| r.client == client && Some(r.address) == mount.request.ip_address)
            .map(|r| r.node)
            .collect()
    }

    /// Whether a mount is in order: registered exactly once where the witness
    /// can be reached, with an AsyncNotify to answer.
    pub fn is_in_order(&self, mount: MountId) -> bool {
        let mount = self.get(mount);
        let client = format!("ws{}", mount.client.0);
        let cluster = self.world.cluster();
        let mut found = cluster.registrations().filter(|r| {
            r.client == client
                && Some(r.address) == mount.request.ip_address
                && crate::ledger::is_reachable(cluster, r.node)
        });
        let (Some(one), None) = (found.next(), found.next()) else {
            return false;
        };
        one.waiting.len() == 1 && self.ledger.is_registered(mount.id)
    }

    /// Whether all that is wanted is in order.
    pub fn all_in_order(&self) -> bool {
        self.mounts().filter(|(_, mount)| mount.wanted).all(|(id, _)| self.is_in_order(id))
    }

    /// Whether no mount has its witness on the node that serves it, whose death
    /// none would report then.
    pub fn all_watched_by_others(&self) -> bool {
        let topology = self.world.cluster().topology();
        self.mounts().filter(|(_, mount)| mount.wanted).all(|(id, mount)| {
            let address = mount.request.ip_address.and_then(|ip| topology.address(ip));
            address.is_none_or(|address| !self.witnesses(id).contains(&address.owner))
        })
    }

    /// Lets time pass until `end`, or until a condition holds, which is looked
    /// at whenever something has happened; `false` where it doesn't.
    pub fn pass_until(&mut self, end: Time, mut condition: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if condition(self) {
                return true;
            }
            let next = self.world.next_deadline().unwrap_or(Duration::MAX).min(self.next_echo);
            if next > end {
                let rest = end.saturating_sub(self.world.now());
                self.world.pass(rest);
                self.settle();
                return condition(self);
            }
            if next == self.next_echo {
                let rest = next.saturating_sub(self.world.now());
                self.world.pass(rest);
                self.next_echo += ECHO;
                self.echo();
            } else {
                self.world.step();
                self.settle();
            }
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        self.pass_until(end, |_| false);
    }

    fn credentials(&self) -> Credentials {
        Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", &self.password))
    }

    /// Takes in what has happened.
    fn settle(&mut self) {
        while let Some(event) = self.world.poll_event() {
            match event {
                WorldEvent::Cluster(event) => {
                    if self.trace {
                        eprintln!("{:?} {}", event.at, event.what);
                    }
                    self.ledger.happened(event.at, &event.what);
                    self.happened.push(event.what);
                }
                WorldEvent::Client { at, event: (id, event), client } => {
                    if self.trace {
                        eprintln!("{at:?} ws{} {}: {event:?}", client.0, id.0);
                    }
                    self.ledger.told(at, id, &event);
                    // These say nothing of the registration.
                    if matches!(event, Event::NoNews | Event::ServerLost { .. }) {
                        continue;
                    }
                    match &event {
                        Event::Failed { error, retry_in: None } if error.is_refusal() => {
                            self.refused.insert(id);
                        }
                        _ => {
                            self.refused.remove(&id);
                        }
                    }
                    self.told.push((at, id, event));
                }
            }
        }
        self.ledger.look(self.world.now(), self.world.cluster());
    }
}

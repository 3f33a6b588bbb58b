//! Many clients of one cluster, and the death of one of its nodes: how many
//! register in each second with each of the others, and when all are there.

mod document;
mod plot;

pub use document::{document, row};
pub use plot::plot;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeId, Profile, Step, Time};

/// How long the clients take to mount, one after the other.
const MOUNTING: Duration = Duration::from_secs(60);
/// How long is looked at what follows.
const WATCHED: Duration = Duration::from_secs(180);

/// The result of one fleet.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many clients there are.
    pub clients: usize,
    /// How many nodes there were.
    pub nodes: u8,
    /// The longest wait of a client that lost its witness, in the
    /// configuration ([`Config::loss_spread`]).
    pub spread: Duration,
    /// How many of them had the dead node for their witness.
    pub concerned: usize,
    /// When each of those was registered again, counted from the death, in
    /// order.
    pub again: Vec<Duration>,
    /// How many registered with each surviving node in each second after the
    /// death.
    pub per_second: BTreeMap<NodeId, Vec<u32>>,
}

impl Outcome {
    /// When so many percent of the concerned clients were registered again;
    /// `None` where they never were.
    pub fn percent(&self, percent: usize) -> Option<Duration> {
        let needed = (self.concerned * percent).div_ceil(100).max(1);
        self.again.get(needed - 1).copied()
    }

    /// The most registrations in one second at one witness.
    pub fn peak(&self) -> u32 {
        self.per_second.values().flatten().copied().max().unwrap_or(0)
    }
}

/// Runs a fleet. The plug of the last of the nodes, of which there are three at
/// least, is pulled: it is silent from then on.
pub fn run(clients: usize, nodes: u8, spread: Duration, seed: u64) -> Outcome {
    let dead = NodeId(nodes);
    let mut rng = fastrand::Rng::with_seed(seed);
    let cluster = ClusterConfig::new(Profile::Windows2012R2, nodes, [10, 0, 0]);
    let addresses: Vec<IpAddr> =
        (1..=nodes).filter_map(|node| cluster.address(NodeId(node))).collect();
    let mut world = World::new(Cluster::new(cluster), NetworkConfig::default(), seed);
    for number in 0..clients {
        let config = Config {
            client_name: format!("ws{number}").into(),
            loss_spread: spread,
            kept_links_max: 1,
            ..Config::default()
        };
        let client = world.add_client(Client::new(config, rng.u64(..)));
        mount(&mut world, client, addresses[number % addresses.len()]);
        pass(&mut world, MOUNTING / u32::try_from(clients).unwrap_or(u32::MAX), |_, _| {});
    }
    pass(&mut world, MOUNTING, |_, _| {});
    assert_eq!(world.cluster().registrations().len(), clients, "not all could register");

    let lost = world.cluster().registrations().filter(|r| r.node == dead);
    let mut missing: BTreeSet<_> = lost.map(|r| r.client.clone()).collect();
    let survivors = (1..=nodes).map(NodeId).filter(|node| *node != dead);
    let seconds = usize::try_from(WATCHED.as_secs()).unwrap_or(usize::MAX);
    let mut outcome = Outcome {
        clients,
        nodes,
        spread,
        concerned: missing.len(),
        again: Vec::with_capacity(missing.len()),
        per_second: survivors.map(|node| (node, vec![0; seconds + 1])).collect(),
    };
    let death = world.now();
    world.run(Step::NodeDown { node: dead, silent: true });
    pass(&mut world, WATCHED, |at, what| {
        let Happening::Registered { registration, .. } = what else {
            return;
        };
        let after = at - death;
        if missing.remove(&registration.client) {
            outcome.again.push(after);
        }
        let second = usize::try_from(after.as_secs()).unwrap_or(seconds);
        if let Some(per_second) = outcome.per_second.get_mut(&registration.node) {
            per_second[second.min(seconds)] += 1;
        }
    });
    outcome
}

fn mount(world: &mut World<Client>, client: ClientId, served_by: IpAddr) {
    world.with_client(client, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(served_by)
            .scale_out();
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        client.register(RegistrationId(1), request, Credentials::Ntlm(alice), now);
    });
}

/// Lets time pass; nothing that happens is kept.
fn pass(world: &mut World<Client>, time: Duration, mut happened: impl FnMut(Time, &Happening)) {
    let end = world.now() + time;
    while world.next_deadline().is_some_and(|at| at <= end) {
        world.step();
        while let Some(event) = world.poll_event() {
            if let WorldEvent::Cluster(event) = event {
                happened(event.at, &event.what);
            }
        }
    }
    let rest = end.saturating_sub(world.now());
    world.pass(rest);
}

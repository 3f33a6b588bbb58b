//! Servers that can't be reached: a list names addresses of networks that the client has no
//! way to, and a name may have some, too.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{
    Client, Config, Credentials, Event, NtlmCredentials, RegistrationId, RegistrationRequest,
};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{
    Cluster, ClusterConfig, Fault, Happening, NodeId, Profile, Service, Stage, Step, Time, What,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A mount's registration.
const ID: RegistrationId = RegistrationId(1);

fn ip(node: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node])
}

/// A cluster, a client, and what has happened.
struct Net {
    world: World<Client>,
    client: ClientId,
    happened: Vec<(Time, Happening)>,
    told: Vec<(Time, Event)>,
}

impl Net {
    fn new(profile: Profile, nodes: u8, network: NetworkConfig, seed: u64) -> Self {
        let cluster = Cluster::new(ClusterConfig::new(profile, nodes, [10, 0, 0]));
        let mut world = World::new(cluster, network, seed);
        // A loss is mended at once, so that nothing but the network takes time.
        let config = Config { loss_spread: Duration::ZERO, ..Config::default() };
        let client = world.add_client(Client::new(config, seed));
        Self { world, client, happened: Vec::new(), told: Vec::new() }
    }

    fn fault(&mut self, stage: Stage, node: u8, what: What) {
        self.world.run(Step::Fault(Fault::always(stage, what).at(NodeId(node))));
    }

    /// Registers for what the first node serves, or for the name alone.
    fn register(&mut self, served_by: Option<IpAddr>) {
        let request = RegistrationRequest::new("cluster.example.test").share("data").scale_out();
        let request = RegistrationRequest { ip_address: served_by, ..request };
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        self.world.with_client(self.client, |client, now| {
            client.register(ID, request, Credentials::Ntlm(alice), now);
        });
    }

    /// How long it takes until it is registered.
    fn until_registered(&mut self) -> Duration {
        let start = self.world.now();
        let is_registered =
            |world: &World<Client>| world.cluster().registrations().next().is_some();
        assert!(self.world.pass_until(5 * MINUTE, is_registered));
        let took = self.world.now() - start;
        self.world.pass(SECOND);
        self.take_in();
        took
    }

    fn take_in(&mut self) {
        while let Some(event) = self.world.poll_event() {
            match event {
                WorldEvent::Cluster(event) => self.happened.push((event.at, event.what)),
                WorldEvent::Client { at, event: (_, event), .. } => self.told.push((at, event)),
            }
        }
    }

    fn witness(&self) -> NodeId {
        self.world.cluster().registrations().next().unwrap().node
    }

    fn connections(&self, service: Service) -> usize {
        let happened = self.happened.iter();
        let is_one = |what: &Happening| matches!(what, Happening::Connected { service: s, .. } if *s == service);
        happened.filter(|(_, what)| is_one(what)).count()
    }

    fn faulted(&self, stage: Stage) -> Vec<Time> {
        let is_one =
            |what: &Happening| matches!(what, Happening::Faulted { stage: s, .. } if *s == stage);
        self.happened.iter().filter(|(_, what)| is_one(what)).map(|(at, _)| *at).collect()
    }
}

/// The median, the 90th percentile and the worst.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 9 / 10], times[times.len() - 1]]
}

/// Sixteen of the 24 nodes that could be the witness are silent, at one of these. Returns how
/// long it takes to register, and to register elsewhere when the witness has died.
fn sixteen_silent(profile: Profile, stages: &[Stage], seed: u64) -> (Duration, Duration) {
    let mut net = Net::new(profile, 25, NetworkConfig::default(), seed);
    for node in 2..=17 {
        net.fault(stages[usize::from(node) % stages.len()], node, What::NoReply);
    }
    net.register(Some(ip(1)));
    let first = net.until_registered();
    net.world.run(Step::NodeDown { node: net.witness(), silent: false });
    (first, net.until_registered())
}

#[test]
fn with_16_of_24_candidates_silent_it_is_registered_in_two_seconds_and_ten_at_the_worst() {
    for profile in Profile::ALL {
        for stages in [&[Stage::MapperConnect][..], &[Stage::MapperConnect, Stage::Connect]] {
            let runs = (0..200).map(|seed| sixteen_silent(profile, stages, seed));
            let (first, again): (Vec<_>, Vec<_>) = runs.unzip();
            for (what, times) in [("first", first), ("after a loss", again)] {
                let [median, most, worst] = percentiles(times);
                println!("{profile}, {stages:?}, {what}: {median:?}, {most:?}, {worst:?}");
                assert!(median <= 2 * SECOND && worst <= 10 * SECOND, "{profile}, {what}");
            }
        }
    }
}

#[test]
fn sixteen_silent_candidates_that_all_come_first_cost_less_than_ten_seconds_and_then_nothing() {
    // The addresses of a role's nodes are all in another network than its own.
    for profile in Profile::ALL.into_iter().filter(|it| *it != Profile::WindowsRole) {
        // Those of the serving node's network, which all the others are not in.
        let mut cluster = ClusterConfig::new(profile, 25, [10, 0, 0]);
        for (node, number) in cluster.nodes.iter_mut().skip(17).zip(1..) {
            node.addresses = vec![IpAddr::from([10, 0, 1, number])];
        }
        let mut net = Net::new(profile, 25, NetworkConfig::default(), 1);
        net.world = World::new(Cluster::new(cluster), NetworkConfig::default(), 1);
        net.client = net.world.add_client(Client::new(
            Config { loss_spread: Duration::ZERO, ..Config::default() },
            1,
        ));
        for node in 2..=17 {
            net.fault(Stage::MapperConnect, node, What::NoReply);
        }
        net.register(Some(ip(1)));
        let first = net.until_registered();
        assert!(first < 10 * SECOND, "{profile}: {first:?}");
        net.world.run(Step::NodeDown { node: net.witness(), silent: false });
        let again = net.until_registered();
        assert!(again < SECOND / 10, "{profile}: {again:?}");
    }
}

#[test]
fn of_those_that_are_tried_at_once_one_is_authenticated_to() {
    for profile in Profile::ALL {
        // Each is slower than a quarter of a second, so several are tried at once.
        let latency = Duration::from_millis(300)..=Duration::from_millis(400);
        let network = NetworkConfig { latency, ..NetworkConfig::default() };
        for seed in 0..20 {
            let mut net = Net::new(profile, 9, network.clone(), seed);
            for node in 1..=9 {
                net.fault(Stage::Bind, node, What::Delay(Duration::ZERO));
            }
            net.register(Some(ip(1)));
            net.until_registered();
            assert!(net.connections(Service::Mapper) > 2, "{profile}, {seed}");
            // The list's and the witness's.
            assert_eq!(net.faulted(Stage::Bind).len(), 2, "{profile}, {seed}");
            // None of the others is left open. So slow a network makes the list old, which is
            // then got once more.
            net.world.pass(20 * SECOND);
            assert_eq!(net.world.cluster().connections(), 1, "{profile}, {seed}");
        }
    }
}

#[test]
fn of_twenty_addresses_of_a_name_the_one_that_answers_is_found_in_ten_seconds() {
    for profile in Profile::ALL {
        let mut net = Net::new(profile, 21, NetworkConfig::default(), 1);
        for node in 1..=19 {
            net.fault(Stage::MapperConnect, node, What::NoReply);
        }
        net.register(None);
        let took = net.until_registered();
        assert!(took < 10 * SECOND, "{profile}: {took:?}");
        // The serving node is the one whose list it is.
        let registration = net.world.cluster().registrations().next().unwrap();
        assert_eq!((registration.address, registration.node), (ip(20), NodeId(21)), "{profile}");
    }
}

#[test]
fn of_several_that_fail_one_after_the_other_the_rest_is_still_tried() {
    for profile in Profile::ALL {
        let mut net = Net::new(profile, 12, NetworkConfig::default(), 1);
        for node in 2..=4 {
            net.fault(Stage::MapperConnect, node, What::NoReply);
        }
        for node in 5..=8 {
            net.fault(Stage::MapperConnect, node, What::Refuse);
        }
        for node in 9..=11 {
            net.fault(Stage::Bind, node, What::Cut(0));
        }
        net.register(Some(ip(1)));
        let took = net.until_registered();
        assert!(took < 10 * SECOND, "{profile}: {took:?}");
        assert_eq!(net.witness(), NodeId(12), "{profile}");
        let failed = net.told.iter().filter(|(_, event)| matches!(event, Event::Failed { .. }));
        assert_eq!(failed.count(), 0, "{profile}");
    }
}

#[test]
fn a_list_of_many_that_refuse_at_once_is_tried_eight_at_once_and_then_four_a_second() {
    for profile in Profile::ALL {
        let mut net = Net::new(profile, 60, NetworkConfig::default(), 1);
        for node in 2..=60 {
            net.fault(Stage::MapperConnect, node, What::Refuse);
        }
        net.register(Some(ip(1)));
        net.world.pass(60 * SECOND);
        net.take_in();
        let tried = net.faulted(Stage::MapperConnect);
        for second in 0..60 {
            let within = |at: &&Time| (second * SECOND..(second + 1) * SECOND).contains(*at);
            let count = tried.iter().filter(within).count();
            assert!(count <= 12, "{profile}: {count} in second {second}");
        }
        assert!(tried.len() > 32, "{profile}: {}", tried.len());
    }
}

#[test]
fn what_is_tried_ends_with_the_registration() {
    for profile in Profile::ALL {
        let mut net = Net::new(profile, 12, NetworkConfig::default(), 1);
        for node in 2..=12 {
            net.fault(Stage::MapperConnect, node, What::NoReply);
        }
        net.register(Some(ip(1)));
        net.world.pass(2 * SECOND);
        assert!(net.world.open_connections() > 5, "{profile}");
        net.world.with_client(net.client, |client, now| client.unregister(ID, now));
        assert_eq!(net.world.open_connections(), 0, "{profile}");
        assert!(net.world.client(net.client).unwrap().is_empty(), "{profile}");
    }
}

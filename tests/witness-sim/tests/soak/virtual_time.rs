//! A client for each registration, in virtual time.

use crate::allocations::live;
use crate::script::{Trouble, heal, script};
use crate::{NODES, Settings, alone, credentials, kib, request};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use swnclient_proto::RegistrationId;
use swnclient_proto::{Client, Config};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, NodeId, Profile};

const SECOND: Duration = Duration::from_secs(1);
const SUBNET: [u8; 3] = [10, 0, 0];
const ID: RegistrationId = RegistrationId(1);
/// A call that was not answered, and the longest backoff with what belongs to it.
const RECOVERY: Duration = Duration::from_secs(600);

/// The world and what was told in it.
struct Soak {
    world: World<Client>,
    /// Of every event of every client and its time.
    told: DefaultHasher,
}

impl Soak {
    fn new(settings: Settings) -> Self {
        let cluster = Cluster::new(ClusterConfig {
            events: false,
            ..ClusterConfig::new(Profile::Samba, NODES, SUBNET)
        });
        let world = World::new(cluster, NetworkConfig::default(), settings.seed);
        Self { world, told: DefaultHasher::new() }
    }

    fn mount(&mut self, number: u64) {
        let config = Config {
            client_name: format!("ws{number}").into(),
            kept_links_max: 1,
            ..Config::default()
        };
        let id = self.world.add_client(Client::new(config, number));
        self.world.with_client(id, |client, now| {
            client.register(ID, request(number, SUBNET), credentials(), now);
        });
    }

    fn each_client(&mut self, mut job: impl FnMut(&mut Client, std::time::Instant)) {
        let clients = self.world.clients().len();
        for number in 0..clients {
            self.world.with_client(ClientId(number), &mut job);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.world.pass(time);
        while let Some(event) = self.world.poll_event() {
            if let WorldEvent::Client { at, client, event } = event {
                (at, client, format!("{event:?}")).hash(&mut self.told);
            }
        }
    }

    fn suffer(&mut self, trouble: Trouble) {
        self.world.run(trouble.harm);
        self.pass(trouble.lasts);
        self.world.run(trouble.repair);
        self.pass(trouble.rest);
        // As the kernel does, whose word a refused client waits for.
        self.each_client(|client, now| client.request_again(ID, credentials(), now));
    }

    /// Whether each client is registered once, with an AsyncNotify pending, and
    /// nothing else is there.
    fn check(&self) {
        let mut by_client: BTreeMap<_, Vec<NodeId>> = BTreeMap::new();
        for registration in self.world.cluster().registrations() {
            by_client.entry(registration.client.clone()).or_default().push(registration.node);
            assert_eq!(registration.waiting.len(), 1, "{}", registration.client);
        }
        let doubled: Vec<_> = by_client.iter().filter(|(_, nodes)| nodes.len() != 1).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
        let expected = self.world.clients().len();
        assert_eq!(by_client.len(), expected);
        // One to the witness, and one to the node that serves, where that was there.
        let connections = self.world.open_connections();
        assert!((expected..=2 * expected).contains(&connections), "{connections}");
        assert_eq!(self.world.cluster().connections(), connections);
    }
}

/// Runs it all; a number that stands for all that was told.
fn soak(settings: Settings) -> u64 {
    let before = live();
    let mut soak = Soak::new(settings);
    (0..settings.registrations).for_each(|number| soak.mount(number));
    soak.pass(RECOVERY);
    soak.check();
    let registered = live();

    let troubles = script(settings.seed, settings.faults, SUBNET, 10..20_000, 0..5000);
    troubles.into_iter().for_each(|trouble| soak.suffer(trouble));
    heal(SUBNET).into_iter().for_each(|step| soak.world.run(step));
    soak.pass(RECOVERY);
    soak.check();
    let recovered = live();

    soak.each_client(|client, now| client.unregister_all(now));
    soak.pass(30 * SECOND);
    assert_eq!(soak.world.cluster().registrations().len(), 0);
    assert_eq!(soak.world.open_connections(), 0);
    assert_eq!(soak.world.cluster().connections(), 0);
    let ended = live();
    let told = soak.told.finish();
    drop(soak);
    let [registered, recovered, ended, dropped] =
        [registered, recovered, ended, live()].map(|bytes| bytes.saturating_sub(before));
    println!(
        "virtual time: {settings:?}: told {told:016x}; held when registered {}, after the faults \
         {}, unregistered {}, after the end {}",
        kib(registered),
        kib(recovered),
        kib(ended),
        kib(dropped)
    );
    assert!(recovered <= registered + registered / 20, "memory is kept");
    told
}

#[test]
fn in_virtual_time_all_are_registered_once_and_the_seed_reproduces_it() {
    let _alone = alone();
    let settings = Settings::new(100, 100);
    let told = soak(settings);
    assert_eq!(soak(settings), told);
    let other = Settings { seed: settings.seed + 1, ..settings };
    assert_ne!(soak(Settings { faults: settings.faults.min(10), ..other }), told);
}

//! All registrations of one client, as a daemon has them, on real sockets.

use crate::allocations::live;
use crate::script::{Trouble, heal, script};
use crate::{NODES, Settings, alone, credentials, kib, request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swnclient::{Client, Config, Event, RegistrationId};
use tokio::runtime::Handle;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{Cluster, ClusterConfig, Profile};

/// One that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
/// Longer than anything that a client waits for here.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether the consumer takes each registration for registered.
type Told = Arc<Mutex<BTreeMap<RegistrationId, bool>>>;

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    tasks: usize,
    bytes: usize,
}

impl Held {
    fn now() -> Self {
        Self {
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            bytes: live(),
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { descriptors, tasks, bytes } = self;
        write!(f, "{descriptors} descriptors, {tasks} tasks, {}", kib(*bytes))
    }
}

/// Everything goes faster here than in life, so that it ends.
fn hurried() -> Config {
    Config {
        client_name: "laptop".into(),
        mapper_port: MAPPER_PORT,
        connect_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_secs(5),
        unregister_timeout: Duration::from_secs(2),
        keep_alive: Duration::from_secs(3),
        backoff_min: Duration::from_millis(50),
        backoff_max: Duration::from_secs(2),
        loss_spread: Duration::from_millis(500),
        dead_after: Duration::from_secs(2),
        ..Config::default()
    }
}

struct Soak {
    cluster: RunningCluster,
    client: Client,
    told: Told,
    ids: Vec<RegistrationId>,
}

impl Soak {
    async fn start(subnet: [u8; 3]) -> Self {
        let mut config = ClusterConfig::new(Profile::Samba, NODES, subnet);
        config.mapper_port = MAPPER_PORT;
        config.detection = Duration::from_millis(50);
        let cluster = RunningCluster::start(config).await.unwrap();
        let told = Told::default();
        let sink = Arc::clone(&told);
        let client = Client::start(hurried(), move |id, event: Event| {
            let mut told = sink.lock().unwrap();
            match event {
                Event::Registered { .. } => drop(told.insert(id, true)),
                Event::Failed { .. } => drop(told.insert(id, false)),
                Event::Unregistered => drop(told.remove(&id)),
                _ => {}
            }
        });
        Self { cluster, client, told, ids: Vec::new() }
    }

    /// Waits until each is registered once, with an AsyncNotify pending, and
    /// has said so.
    async fn settle(&self) {
        let (told, expected) = (Arc::clone(&self.told), self.ids.len());
        let settled = move |cluster: &Cluster| {
            let told = told.lock().unwrap();
            told.len() == expected && told.values().all(|registered| *registered) && {
                let mut shares: Vec<_> = cluster.registrations().map(|r| &r.share_name).collect();
                let all = shares.len();
                shares.sort_unstable();
                shares.dedup();
                let waiting = cluster.registrations().all(|r| r.waiting.len() == 1);
                waiting && shares.len() == expected && all == expected
            }
        };
        if self.cluster.wait_until(LIMIT, settled).await.is_err() {
            let missing =
                self.told.lock().unwrap().values().filter(|registered| !**registered).count();
            let there = self.cluster.with(|cluster, _| cluster.registrations().len()).await;
            panic!("after {LIMIT:?} {there} of {expected}, {missing} know that they miss");
        }
    }

    /// Waits until the registrations have brought nothing more to the process
    /// than what was held before them.
    async fn let_go(&self, before: Held) -> Held {
        let end = Instant::now() + LIMIT;
        loop {
            let held = Held::now();
            if (held.descriptors, held.tasks) == (before.descriptors, before.tasks) {
                return held;
            }
            assert!(Instant::now() < end, "left behind: {held}, before: {before}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn suffer(&self, trouble: Trouble) {
        self.cluster.run(trouble.harm).await;
        tokio::time::sleep(trouble.lasts).await;
        self.cluster.run(trouble.repair).await;
        tokio::time::sleep(trouble.rest).await;
        // As the kernel does, whose word a refused client waits for.
        for id in &self.ids {
            self.client.request_again(*id, credentials());
        }
    }
}

#[test]
fn on_sockets_all_are_registered_once_and_nothing_is_left_behind() {
    let _alone = alone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(Settings::new(200, 10)));
}

async fn run(settings: Settings) {
    let subnet = unused_subnet();
    let mut soak = Soak::start(subnet).await;
    soak.settle().await;
    let before = Held::now();
    for number in 0..settings.registrations {
        let id = soak.client.register(request(number, subnet), credentials());
        soak.told.lock().unwrap().insert(id, false);
        soak.ids.push(id);
    }
    soak.settle().await;
    // A keep-alive makes room for what comes with it, once.
    tokio::time::sleep(hurried().call_timeout).await;
    soak.settle().await;
    let registered = Held::now();

    let start = Instant::now();
    let troubles = script(settings.seed, settings.faults, subnet, 10..500, 0..200);
    for trouble in troubles {
        soak.suffer(trouble).await;
    }
    for step in heal(subnet) {
        soak.cluster.run(step).await;
    }
    let (faults, healed) = (start.elapsed(), Instant::now());
    soak.settle().await;
    let settled = healed.elapsed();
    // Connections that others took the place of may still be closing.
    tokio::time::sleep(hurried().call_timeout).await;
    soak.settle().await;
    let recovered = Held::now();

    for id in &soak.ids {
        soak.client.unregister(*id);
    }
    soak.ids.clear();
    soak.settle().await;
    let ended = soak.let_go(before).await;
    println!(
        "sockets: {settings:?}: faults for {:.1} s, all registered {:.1} s after the last\n  before \
         {before}\n  registered {registered}\n  after the faults {recovered}\n  unregistered {ended}",
        faults.as_secs_f64(),
        settled.as_secs_f64()
    );
    // What is there once: threads, and room in tables and queues.
    let room = 256 * 1024;
    assert!(recovered.bytes <= registered.bytes + registered.bytes / 20 + room, "memory is kept");
    assert!(ended.bytes <= before.bytes + registered.bytes / 20 + room, "memory is kept");
}

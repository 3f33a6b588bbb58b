//! Many clients through many faults, at random, in virtual time. The seed
//! reproduces the run: `SOAK_SEED=7 SOAK_CLIENTS=2000 SOAK_FAULTS=200`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use swnclient::proto::{Client, Config};
use swnclient::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{ClientId, NetworkConfig, World};
use witness_sim::{Cluster, ClusterConfig, NodeId, Profile, Step};

const SECOND: Duration = Duration::from_secs(1);
const NODES: u8 = 5;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn credentials() -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", "secret"))
}

fn mount(world: &mut World<Client>, number: u64) -> ClientId {
    let config = Config { client_name: format!("ws{number}").into(), ..Config::default() };
    let id = world.add_client(Client::new(config, number));
    let served_by = u8::try_from(number % u64::from(NODES)).unwrap() + 1;
    world.with_client(id, |client, now| {
        let request = RegistrationRequest {
            net_name: "cluster.example.test".into(),
            share_name: Some("data".into()),
            ip_address: Some(IpAddr::from([10, 0, 0, 10 + served_by])),
            net_name_notify: true,
            share_name_notify: true,
            ip_notify: true,
        };
        client.register(RegistrationId(number), request, credentials(), now);
    });
    id
}

/// A fault, and what puts it right.
fn trouble(rng: &mut fastrand::Rng) -> (String, String) {
    let node = rng.u8(1..=NODES);
    let other = rng.u8(1..=NODES);
    let up = format!("node {node} up");
    let address = format!("address 10.0.0.{}", 10 + node);
    let rule = |rule: &str| (format!("fault {rule}"), "no-faults".to_owned());
    match rng.u8(0..16) {
        0 | 1 => (format!("node {node} down"), up),
        2 | 3 => (format!("node {node} down silent"), up),
        4 => (format!("node {node} cut"), up),
        5 => (format!("{address} offline"), format!("{address} online")),
        6 => (format!("{address} to node {other}"), format!("{address} to node {node}")),
        7 => (
            format!("service node {node} stop"),
            format!("service node {node} port {}", rng.u16(49_152..)),
        ),
        8 => (format!("force-unregister witness {node}"), up),
        9 => (format!("answer witness {node} ERROR_NOT_FOUND"), up),
        10 => rule("register-ex times 50 no-reply"),
        11 => rule("notify times 50 garble 60"),
        12 => rule("list times 20 status ERROR_INVALID_STATE"),
        13 => rule("bind times 20 cut 30"),
        14 => rule("register-ex times 20 delay 2s"),
        _ => rule("ept-map times 20 drop"),
    }
}

#[test]
fn clients_come_through_random_faults_each_registered_once() {
    let clients = setting("SOAK_CLIENTS", 50);
    let faults = setting("SOAK_FAULTS", 100);
    let seed = setting("SOAK_SEED", 1);
    let cluster = Cluster::new(ClusterConfig {
        events: false,
        ..ClusterConfig::new(Profile::Samba, NODES, [10, 0, 0])
    });
    let mut world = World::new(cluster, NetworkConfig::default(), seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let ids: Vec<ClientId> = (0..clients).map(|number| mount(&mut world, number)).collect();
    world.pass(30 * SECOND);

    let run = |world: &mut World<Client>, text: &str| world.run(text.parse::<Step>().unwrap());
    for _ in 0..faults {
        let (harm, repair) = trouble(&mut rng);
        run(&mut world, &harm);
        world.pass(Duration::from_millis(rng.u64(10..20_000)));
        run(&mut world, &repair);
        world.pass(Duration::from_millis(rng.u64(0..5000)));
        // As the kernel does, whose word a refused client waits for.
        for id in &ids {
            world.with_client(*id, |client, now| {
                client.retry(RegistrationId(id.0 as u64), credentials(), now);
            });
        }
        while world.poll_event().is_some() {}
    }

    run(&mut world, "no-faults");
    for node in 1..=NODES {
        run(&mut world, &format!("node {node} up"));
    }
    world.pass(600 * SECOND);
    let mut by_client: BTreeMap<_, Vec<NodeId>> = BTreeMap::new();
    for registration in world.cluster().registrations() {
        by_client.entry(registration.client.clone()).or_default().push(registration.node);
        assert_eq!(registration.waiting.len(), 1, "{}", registration.client);
    }
    let expected = usize::try_from(clients).unwrap();
    let doubled: Vec<_> = by_client.iter().filter(|(_, nodes)| nodes.len() != 1).collect();
    assert!(doubled.is_empty(), "seed {seed}: {doubled:?}");
    assert_eq!(by_client.len(), expected, "seed {seed}");
    assert_eq!(world.open_connections(), expected);
    assert_eq!(world.cluster().connections(), expected);

    for id in ids {
        world.with_client(id, |client, now| client.unregister_all(now));
    }
    world.pass(30 * SECOND);
    assert_eq!(world.cluster().registrations().len(), 0);
    assert_eq!(world.open_connections(), 0);
    assert_eq!(world.cluster().connections(), 0);
}

//! Instructions for a registration and for a notification, by callgrind: a
//! check that is stable on a noisy machine. The client is the sans-IO one, in
//! virtual time; only what it does is counted, not the cluster around it.

use crate::source;
use smol_str::format_smolstr;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swnclient::RegistrationId;
use swnclient::proto::{Client, Config};
use witness_sim::world::{Action, ClientConn, ClientId, NetworkConfig, VirtualClient, World};
use witness_sim::{Cluster, ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// Growth by more than this is a failure, in percent.
const TOLERANCE: f64 = 5.0;
const BASELINE: &str = "benches/baseline.json";
/// What is counted: its name, and how many registrations or notifications it has.
const SCENARIOS: [(&str, usize); 3] = [
    ("the first registration of a cluster", 1),
    ("a further registration", 1000),
    ("a notification", 1000),
];
/// Registrations that are there, where there are others.
const THERE: usize = 100;

/// Counts all scenarios, and compares them with the baseline or writes it anew.
pub(crate) fn run(update: bool) -> bool {
    let counted: BTreeMap<String, f64> =
        SCENARIOS.iter().map(|(name, each)| ((*name).into(), count(name, *each))).collect();
    let path = source(BASELINE);
    if update {
        let text = serde_json::to_string_pretty(&counted).expect("plain data") + "\n";
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let baseline: BTreeMap<String, f64> =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut good = true;
    for (name, now) in &counted {
        let then = *baseline.get(name).unwrap_or_else(|| panic!("{BASELINE} lacks {name:?}"));
        let percent = (now / then - 1.0) * 100.0;
        let verdict = match percent {
            p if p > TOLERANCE => "TOO MUCH",
            p if p < -TOLERANCE => "better; write it down with --update",
            _ => "as before",
        };
        good &= percent <= TOLERANCE;
        println!(
            "{name:40} {now:>9.0} instructions, baseline {then:>9.0}, {percent:+.2} %: {verdict}"
        );
    }
    if !good {
        println!(
            "\nThe client executes over {TOLERANCE} percent more instructions than {BASELINE} says.\n\
             Find out why: callgrind_annotate shows where. If it has to be so, say in the commit\n\
             why, and write the new baseline with `benches/run count --update`."
        );
    }
    good
}

fn count(name: &str, each: usize) -> f64 {
    let output = Command::new("setarch")
        .args([
            "--addr-no-randomize",
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
        ])
        .args(["--collect-atstart=no", "--toggle-collect=*counted_*"])
        .arg(std::env::current_exe().expect("a program knows where it is"))
        .args(["scenario", name])
        // Neither the length of the environment nor the allocator's tuning matters.
        .env_clear()
        .stdout(Stdio::null())
        .output()
        .expect("valgrind can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let collected = collected.unwrap_or_else(|| panic!("callgrind counted nothing:\n{said}"));
    let instructions: f64 = collected.1.trim().parse().expect("a number");
    assert!(instructions > 0.0, "callgrind does not find the functions to count:\n{said}");
    instructions / crate::stats::float(each)
}

/// Runs a scenario, to be counted from outside.
pub(crate) fn scenario(name: &str) {
    let index = SCENARIOS.iter().position(|(known, _)| *known == name);
    let each = SCENARIOS[index.expect("a scenario")].1;
    let config =
        ClusterConfig { events: false, ..ClusterConfig::new(Profile::Samba, 2, [10, 0, 0]) };
    let serves = config.address(NodeId(1)).expect("two nodes");
    let mut world = World::new(Cluster::new(config), NetworkConfig::default(), 1);
    let id = world.add_client(Counted {
        client: Client::new(Config { client_name: "bench".into(), ..Config::default() }, 1),
        counting: false,
    });
    match name {
        "the first registration of a cluster" => {
            counting(&mut world, id, true);
            register(&mut world, id, serves, 0..each);
        }
        "a further registration" => {
            register(&mut world, id, serves, 0..THERE);
            counting(&mut world, id, true);
            register(&mut world, id, serves, THERE..THERE + each);
        }
        _ => {
            register(&mut world, id, serves, 0..THERE);
            counting(&mut world, id, true);
            for _ in 0..each / THERE {
                let to = Destination::Node(NodeId(1));
                world.run(Step::ClientMove { who: Who::All, to });
                world.pass(Duration::from_secs(1));
            }
        }
    }
    // Dropping it all does not count.
    counting(&mut world, id, false);
}

fn counting(world: &mut World<Counted>, id: ClientId, counting: bool) {
    world.with_client(id, |client, _| client.counting = counting);
}

/// One after the other, each for a share of its own.
fn register(
    world: &mut World<Counted>,
    id: ClientId,
    serves: IpAddr,
    numbers: std::ops::Range<usize>,
) {
    let there = numbers.end;
    for number in numbers {
        let share = format_smolstr!("data{number}");
        let request = crate::worker::request("cluster.example.test", share, serves);
        let credentials = crate::worker::credentials("alice", "secret", "EXAMPLE");
        let id_of_it = RegistrationId(u64::try_from(number).expect("few") + 1);
        world.with_client(id, |client, now| {
            client.count(|client| client.register(id_of_it, request, credentials, now));
        });
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.cluster().registrations().len(), there, "all could register");
}

/// A client whose instructions are counted.
struct Counted {
    client: Client,
    counting: bool,
}

/// What callgrind counts, by this name.
#[inline(never)]
fn counted_call<T>(client: &mut Client, call: impl FnOnce(&mut Client) -> T) -> T {
    call(client)
}

impl Counted {
    fn count<T>(&mut self, call: impl FnOnce(&mut Client) -> T) -> T {
        if self.counting { counted_call(&mut self.client, call) } else { call(&mut self.client) }
    }
}

impl VirtualClient for Counted {
    type Event = <Client as VirtualClient>::Event;

    fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.count(|client| VirtualClient::poll_action(client, now))
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.count(Client::poll_event)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.client.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.count(|client| client.handle_timeout(now));
    }

    fn handle_resolved(&mut self, host: &str, addresses: Vec<IpAddr>, now: Instant) {
        self.count(|client| VirtualClient::handle_resolved(client, host, addresses, now));
    }

    fn handle_connected(&mut self, conn: ClientConn, now: Instant) {
        self.count(|client| VirtualClient::handle_connected(client, conn, now));
    }

    fn handle_received(&mut self, conn: ClientConn, bytes: &mut [u8], now: Instant) {
        self.count(|client| VirtualClient::handle_received(client, conn, bytes, now));
    }

    fn handle_closed(&mut self, conn: ClientConn, why: ErrorKind, now: Instant) {
        self.count(|client| VirtualClient::handle_closed(client, conn, why, now));
    }
}

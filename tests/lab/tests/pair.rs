//! Two servers behind an address that moves, without a witness: `watch = "connection"`.

use std::net::Ipv4Addr;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lab::{Cluster, Guest, Mount, MountOptions, Swnd, Writer, WriterOptions, wait_until};

const PROMPTLY: Duration = Duration::from_secs(10);
/// `samba-pair`.
struct Pair;

impl Pair {
    const NAME: &'static str = "pair";
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 201);

    fn up() -> Pair {
        Pair::call(&["down"]);
        Pair::call(&["up"]);
        Pair
    }

    fn call(arguments: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/samba-pair");
        let status = Command::new(script).args(arguments).status();
        assert!(status.expect("it can be run").success(), "samba-pair {arguments:?}");
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        Pair::call(&["down"]);
    }
}

/// When the server dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// The mount is not used before the address has moved.
    Idle,
    /// It is used a moment later.
    Quiet,
    /// In the midst of a writer's requests.
    Writing,
    /// It has received a request, and not answered.
    Owing,
}

fn guest_that_watches() -> Guest {
    let guest = Guest::boot();
    guest.ok(&format!("echo '{} {}' >> /etc/hosts", Pair::ADDRESS, Pair::NAME));
    guest
}

/// Mounts from the pair, with the kernel's own echo interval: a minute.
fn mount(guest: &Guest) -> Mount<'_> {
    mount_with(guest, Mount::DEFAULT_ECHO_INTERVAL)
}

/// Mounts from the pair, and has swnd watch it.
fn watched_mount(guest: &Guest, echo_interval: Duration) -> (Swnd<'_>, Mount<'_>) {
    let swnd = Swnd::start_watching(guest, Pair::NAME);
    let mounted = mount_with(guest, echo_interval);
    swnd.wait_log("that it is watched", PROMPTLY, |line| line.contains("without a witness"));
    (swnd, mounted)
}

fn mount_with(guest: &Guest, echo_interval: Duration) -> Mount<'_> {
    let options = MountOptions {
        server: Pair::NAME.into(),
        user: None,
        echo_interval,
        more: "guest".into(),
        ..MountOptions::default()
    };
    Mount::by(guest, Pair::ADDRESS, options)
}

/// Waits until a request waits in the guest's kernel that the stopped server has received.
fn wait_owed(guest: &Guest) {
    wait_until("a request that is acknowledged and not answered", PROMPTLY, || {
        let data = guest.ok("cat /proc/fs/cifs/DebugData");
        let sockets = guest.ok(&format!("ss -Htn dst {}", Pair::ADDRESS));
        let is_sent = sockets.lines().any(|line| line.split_whitespace().nth(2) == Some("0"));
        if data.contains(" mid ") && is_sent { Ok(()) } else { Err(sockets) }
    });
}

/// Waits until a request of swnd's waits in the guest's kernel.
fn wait_asked(guest: &Guest) {
    wait_until("a request of swnd's waits in the kernel", PROMPTLY, || {
        let data =
            guest.ok("cat /proc/fs/cifs/DebugData; echo threads:; ls /proc/$(pidof swnd)/task");
        let (data, threads) = data.rsplit_once("threads:").unwrap_or((&data, ""));
        let threads: Vec<&str> = threads.split_whitespace().collect();
        let is_swnds = |line: &str| {
            let pid = line.split_once(" pid: ").and_then(|(_, it)| it.split_whitespace().next());
            pid.is_some_and(|pid| threads.contains(&pid))
        };
        if data.lines().any(is_swnds) { Ok(()) } else { Err(format!("{threads:?} {data}")) }
    });
}

/// Kills the server at a moment, has the other one take its address, and waits for the writer.
/// Returns how long that took once the address had moved.
fn strike(guest: &Guest, writer: &Writer, moment: Moment, delay: u64) -> Duration {
    if moment == Moment::Owing {
        Pair::call(&["hang"]);
        wait_owed(guest);
    }
    Pair::call(&["cut"]);
    let early = (moment != Moment::Idle).then(|| writer.go());
    Pair::call(&["take", &delay.to_string()]);
    let moved = Instant::now();
    writer.wait_for_bytes(early.unwrap_or_else(|| writer.go()));
    moved.elapsed()
}

#[test]
fn a_mount_without_a_witness_goes_on_once_its_address_has_moved() {
    // For the network.
    let _cluster = Cluster::fresh();
    let guest = guest_that_watches();
    // How often a server dies at each moment.
    let rounds = std::env::var("LAB_ROUNDS").map_or(1, |it| it.parse().expect("a number"));
    let moments = [Moment::Idle, Moment::Quiet, Moment::Writing, Moment::Owing];
    for round in 0..rounds {
        // The same line is logged ten times at most.
        let swnd = Swnd::start_watching(&guest, Pair::NAME);
        let deaths = moments.iter().flat_map(|moment| [(*moment, 0), (*moment, 3)]);
        for (nth, (moment, delay)) in deaths.enumerate() {
            let _pair = Pair::up();
            let mounted = mount(&guest);
            wait_until("it is watched", PROMPTLY, || {
                let log = swnd.log();
                if log.matches("without a witness").count() > nth { Ok(()) } else { Err(log) }
            });
            let idle = matches!(moment, Moment::Idle | Moment::Quiet);
            let options = WriterOptions { idle, ..WriterOptions::default() };
            let writer = mounted.writer_with(&format!("pair-{round}-{nth}"), options);
            let on = strike(&guest, &writer, moment, delay);
            // What was under way when the connection ended may have failed, as without swnd.
            let (written, _) = writer.end();
            let stall = written.stall();
            println!(
                "{moment:?}, moved after {delay} s: stall {stall:?}, on {on:?} after the move"
            );
            let log = swnd.log();
            let limit = Duration::from_secs(delay) + PROMPTLY;
            assert!(stall < limit, "{moment:?}, moved after {delay} s\n{log}");
            let ended = log.matches("ended the kernel's dead connection").count();
            assert_eq!(ended, nth + 1, "{moment:?}, moved after {delay} s\n{log}");
            mounted.unmount();
        }
        swnd.stop();
    }
}

#[test]
fn swnd_ends_at_once_while_the_kernel_waits_for_a_server_that_is_gone() {
    let _cluster = Cluster::fresh();
    let guest = guest_that_watches();
    let _pair = Pair::up();
    let (swnd, mounted) = watched_mount(&guest, Mount::DEFAULT_ECHO_INTERVAL);
    let writer = mounted.writer("pair-gone");
    Pair::call(&["hang"]);
    wait_owed(&guest);
    wait_asked(&guest);
    Pair::call(&["cut"]);
    let since = Instant::now();
    swnd.stop();
    println!("swnd ended after {:?}", since.elapsed());
    drop(writer);
    guest.abandon();
}

#[test]
fn killed_over_a_dead_connection_swnd_leaves_the_mount_to_the_kernels_echoes() {
    let _cluster = Cluster::fresh();
    let guest = guest_that_watches();
    let _pair = Pair::up();
    let (swnd, mounted) = watched_mount(&guest, Mount::ECHO_INTERVAL);
    let writer = mounted.writer("pair-killed");
    Pair::call(&["hang"]);
    wait_asked(&guest);
    Pair::call(&["cut"]);
    swnd.kill();
    Pair::call(&["take"]);
    writer.wait_for_progress();
    let (written, _) = writer.end();
    println!("swnd is killed in it: stall {:?}", written.stall());
    mounted.unmount();
}

#[test]
fn a_server_that_is_merely_slow_keeps_its_connection() {
    let _cluster = Cluster::fresh();
    let guest = guest_that_watches();
    let _pair = Pair::up();
    let (swnd, mounted) = watched_mount(&guest, Mount::DEFAULT_ECHO_INTERVAL);
    let writer = mounted.writer("pair-slow");
    let before = guest.ok(&format!("ss -Htn dst {}", Pair::ADDRESS));
    let port = |sockets: &str| sockets.split_whitespace().nth(3).map(str::to_owned);
    Pair::call(&["hang"]);
    wait_owed(&guest);
    sleep(Duration::from_secs(8));
    Pair::call(&["go-on"]);
    writer.wait_for_progress();
    let after = guest.ok(&format!("ss -Htn dst {}", Pair::ADDRESS));
    assert_eq!(port(&after), port(&before), "{}", swnd.log());
    assert!(!swnd.log().contains("dead connection"), "{}", swnd.log());
    writer.stop();
    mounted.unmount();
    swnd.stop();
}

//! A mount with a writer that something is about to happen to.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Outcome, Stall, Variant};
use crate::{
    Cluster, Connection, Guest, Mount, MountOptions, Registration, Swnd, Trace, Writer,
    WriterOptions, wait_until,
};

/// How long the writer is watched after it has got on. A second, needless loss shows within that time: the kernel looks
/// at a mark on its connection after seven seconds at most, and reconnects then.
const WATCHED: Duration = Duration::from_secs(10);
/// A writer that has not got on for so long stalls.
const STALLS: Duration = Duration::from_millis(500);
/// How long registering may take: a witness that isn't there has to be found out, and the clients come back over 15 s.
const REGISTERED: Duration = Duration::from_secs(60);

/// How a mount is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The name of the writer's file.
    pub name: &'static str,
    /// The mount's echo interval.
    pub echo_interval: Duration,
    /// More mount options.
    pub options: &'static str,
    /// How many addresses the cluster's name has; the mount's is the first.
    pub addresses: usize,
    /// How the writer writes.
    pub writer: WriterOptions,
    /// How long a stall may last before it counts as one without end.
    pub limit: Duration,
    /// Whether to wait in the end until the mount is registered again.
    pub registered: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            name: "scenario",
            echo_interval: Mount::ECHO_INTERVAL,
            options: "hard",
            addresses: 1,
            writer: WriterOptions::default(),
            limit: Duration::from_secs(60),
            registered: true,
        }
    }
}

/// A mount that is registered where there is a daemon, with a writer at work.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The guest with the mount.
    pub guest: &'a Guest,
    /// The address that the share is mounted from.
    pub address: Ipv4Addr,
    /// The node that holds it.
    pub node: usize,
    /// The writer.
    pub writer: Writer<'a>,
    daemon: Option<Swnd<'a>>,
    mount: Mount<'a>,
    setup: Setup,
}

impl<'a> Stage<'a> {
    /// Mounts from the first address of a healthy cluster, and starts a writer.
    ///
    /// # Panics
    /// Where that fails.
    pub fn set(
        cluster: &'a Cluster,
        guest: &'a Guest,
        variant: &Variant,
        setup: Setup,
    ) -> Stage<'a> {
        // The first is the one that the kernel tries, whichever of them answers.
        let addresses: Vec<Ipv4Addr> = cluster.holders().into_keys().collect();
        guest.set_cluster_addresses(&addresses[..setup.addresses]);
        let address = addresses[0];
        let node = cluster.holder(address);
        let daemon = match variant {
            Variant::Without => None,
            Variant::Swnd(options) => Some(Swnd::start_with(guest, "", options)),
            Variant::Other(program) => Some(Swnd::start_other(guest, program)),
        };
        let witness = if daemon.is_some() { "witness" } else { "rw" };
        let options = MountOptions {
            echo_interval: setup.echo_interval,
            more: format!("{},{witness}", setup.options),
            ..MountOptions::default()
        };
        let mount = Mount::by(guest, address, options);
        if daemon.is_some() {
            wait_until("the mount is registered", Duration::from_secs(15), || {
                let list = cluster.registrations();
                if list.len() == 1 { Ok(()) } else { Err(format!("{list:?}")) }
            });
        }
        let writer = mount.writer_with(setup.name, setup.writer);
        Stage { cluster, guest, address, node, writer, daemon, mount, setup }
    }

    /// The mount's registration.
    ///
    /// # Panics
    /// Where there isn't exactly one.
    pub fn registration(&self) -> Registration {
        let list = self.cluster.registrations();
        assert_eq!(list.len(), 1, "{list:#?}");
        list[0].clone()
    }

    /// Whether there is a daemon.
    pub fn is_watched(&self) -> bool {
        self.daemon.is_some()
    }

    /// The daemon's log so far; nothing without one.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Swnd::log).unwrap_or_default()
    }

    /// Lets it happen, watches the writer until it has got over it, and counts.
    ///
    /// # Panics
    /// Where the file isn't what was written.
    pub fn measure(self, strike: impl FnOnce(&Stage<'a>)) -> Outcome {
        let before = self.guest.connections();
        let at = unix_ms();
        strike(&self);
        match self.watch_writer() {
            Ok(()) => self.finish(&before, at),
            Err(stalled) => self.give_up(at, stalled),
        }
    }

    /// Returns when the writer has written without a stall for as long as it is watched; the error is how long it has
    /// stalled.
    fn watch_writer(&self) -> Result<(), Duration> {
        let Setup { limit, writer: WriterOptions { idle, .. }, .. } = self.setup;
        let (mut bytes, mut last) = (self.writer.bytes(), Instant::now());
        let mut well_since: Option<Instant> = None;
        loop {
            sleep(Duration::from_millis(50));
            let now = self.writer.bytes();
            if now > bytes {
                well_since =
                    well_since.filter(|_| idle || last.elapsed() < STALLS).or(Some(Instant::now()));
                (bytes, last) = (now, Instant::now());
            }
            if last.elapsed() >= limit {
                return Err(last.elapsed());
            }
            let well = idle || last.elapsed() < STALLS;
            if well && well_since.is_some_and(|since| since.elapsed() >= WATCHED) {
                return Ok(());
            }
        }
    }

    fn finish(self, before: &[Connection], at: u64) -> Outcome {
        let well = Instant::now();
        let registrations = (self.daemon.is_some() && self.setup.registered)
            .then(|| self.wait_registered_where_it_is());
        let registered_after = registrations.is_some().then(|| well.elapsed());
        let after = self.guest.connections();
        let losses = losses(before, &after);
        let address = after.iter().find_map(|connection| connection.address);
        let log = self.log();
        let (written, trace) = self.writer.end();
        drop(self.mount);
        Outcome {
            stall: Stall::Ended(written.stall()),
            losses,
            address,
            written: Some(written),
            trace: relative(&trace, at),
            registrations,
            registered_after,
            log,
        }
    }

    /// The writer stalls without end: what it has done so far is all there will be.
    fn give_up(self, at: u64, stalled: Duration) -> Outcome {
        let (log, trace) = (self.log(), self.writer.trace());
        self.guest.abandon();
        Outcome {
            stall: Stall::Over(stalled),
            losses: Vec::new(),
            address: None,
            written: None,
            trace: relative(&trace, at),
            registrations: None,
            registered_after: None,
            log,
        }
    }

    /// Waits until the only registration is for the address that the kernel's session is with, and returns what is
    /// registered then or after a minute.
    fn wait_registered_where_it_is(&self) -> Vec<Registration> {
        let start = Instant::now();
        loop {
            let session = self.guest.session_addresses();
            let list = self.cluster.registrations();
            let served: Vec<IpAddr> = list.iter().map(|entry| entry.ip_address).collect();
            if served == session || start.elapsed() >= REGISTERED {
                return list;
            }
            sleep(Duration::from_millis(500));
        }
    }
}

/// How many TCP connections each of the connections has had since.
pub(super) fn losses(before: &[Connection], after: &[Connection]) -> Vec<u64> {
    let since = |old: &Connection| {
        let now = after.iter().find(|new| new.id == old.id);
        now.map_or(u64::MAX, |new| new.instance.saturating_sub(old.instance))
    };
    before.iter().map(since).collect()
}

/// Seconds since `at`, and MiB since then.
fn relative(trace: &Trace, at: u64) -> Vec<(f64, f64)> {
    const MIB: f64 = 1_048_576.0;
    let number = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let start = trace.iter().take_while(|(time, _)| *time <= at).last().map_or(0, |point| point.1);
    let signed = |a: u64, b: u64| if a >= b { number(a - b) } else { -number(b - a) };
    trace
        .iter()
        .map(|(time, bytes)| (signed(*time, at) / 1e3, signed(*bytes, start) / MIB))
        .collect()
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

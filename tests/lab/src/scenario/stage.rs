//! A mount with a writer that something is about to happen to.

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::probe::Probe;
use super::{Outcome, Stall, Variant};
use crate::{
    Cluster, Connection, Guest, Mount, MountOptions, Registration, SHARE, Swnd, Trace, USER,
    Writer, WriterOptions, Written, wait_until,
};

/// How long the writer is watched after it has got on. A second, needless loss shows within that time: the kernel looks
/// at a mark on its connection after seven seconds at most, and reconnects then.
const WATCHED: Duration = Duration::from_secs(10);
/// A writer that has not got on for so long stalls.
const STALLS: Duration = Duration::from_millis(500);
/// CTDB's KeepaliveInterval: a dead node is found out at one of these ticks. The steps before have a fixed distance to
/// them, and another one with a daemon than without, so what happens is a random part of one later.
const KEEPALIVE: Duration = Duration::from_secs(1);
/// How much the first writer writes before anything happens.
const WELL_BEFORE: u64 = 100 * 4096;
/// How long registering may take: a witness that isn't there has to be found out, and the clients come back over 15 s.
const REGISTERED: Duration = Duration::from_secs(60);

/// One of the mounts.
#[derive(Debug, Clone)]
pub struct MountPlan {
    /// The share.
    pub share: String,
    /// The user.
    pub user: String,
    /// More mount options than those of [`Setup`].
    pub more: &'static str,
    /// Whether a program writes there.
    pub writes: bool,
}

impl Default for MountPlan {
    fn default() -> MountPlan {
        MountPlan { share: SHARE.into(), user: USER.into(), more: "rw", writes: true }
    }
}

/// How the mounts are set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The mounts; the first has a writer.
    pub mounts: Vec<MountPlan>,
    /// How many registrations they are: one for each share.
    pub registrations: usize,
    /// The mounts' echo interval.
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
            mounts: vec![MountPlan::default()],
            registrations: 1,
            echo_interval: Mount::ECHO_INTERVAL,
            options: "hard",
            addresses: 1,
            writer: WriterOptions::default(),
            limit: Duration::from_secs(60),
            registered: true,
        }
    }
}

/// Mounts that are registered where there is a daemon, with writers at work.
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
    /// The writers.
    pub writers: Vec<Writer<'a>>,
    daemon: Option<Swnd<'a>>,
    mounts: Vec<Mount<'a>>,
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
            Variant::Adopted(options) => Some(Swnd::start_adopting(guest, options)),
            Variant::Resolving(options) => {
                Swnd::install_resolver(guest);
                Some(Swnd::start_adopting(guest, options))
            }
            Variant::Other(program) => Some(Swnd::start_other(guest, program)),
        };
        let witness = match variant {
            Variant::Without | Variant::Adopted(_) | Variant::Resolving(_) => "rw",
            Variant::Swnd(_) | Variant::Other(_) => "witness",
        };
        let mut mounts = Vec::new();
        for (index, MountPlan { share, user, more, .. }) in setup.mounts.iter().enumerate() {
            let options = MountOptions {
                share: share.clone(),
                user: Some(user.clone()),
                point: format!("{}{index}", Mount::POINT),
                echo_interval: setup.echo_interval,
                more: format!("{},{witness},{more}", setup.options),
                ..MountOptions::default()
            };
            mounts.push(Mount::by(guest, address, options));
        }
        if daemon.is_some() {
            wait_until("the mounts are registered", Duration::from_secs(30), || {
                let list = cluster.registrations();
                if list.len() == setup.registrations { Ok(()) } else { Err(format!("{list:?}")) }
            });
        }
        let writers = mounts
            .iter()
            .enumerate()
            .filter(|(index, _)| setup.mounts[*index].writes)
            .map(|(index, mount)| mount.writer_with(&format!("written{index}"), setup.writer))
            .collect();
        Stage { cluster, guest, address, node, writers, daemon, mounts, setup }
    }

    /// The first writer.
    pub fn writer(&self) -> &Writer<'a> {
        &self.writers[0]
    }

    /// Where one of the mounts is.
    pub fn point(&self, index: usize) -> &str {
        self.mounts[index].point()
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

    /// Lets it happen, watches the writers until they have got over it, and counts.
    ///
    /// # Panics
    /// Where a file isn't what was written.
    pub fn measure(self, strike: impl FnOnce(&Stage<'a>)) -> Outcome {
        if !self.setup.writer.idle {
            // A second or two.
            let well = self.writer().bytes() + WELL_BEFORE;
            assert!(self.writer().reaches(well, self.setup.limit), "the writer doesn't get on");
        }
        let before = self.guest.connections();
        let written: Vec<u64> = self.writers.iter().map(Writer::bytes).collect();
        sleep(KEEPALIVE.mul_f64(fastrand::f64()));
        let (at, since) = (unix_ms(), Instant::now());
        strike(&self);
        let probe = Probe::start(self.address, since);
        let watched = self.watch_writers(&written);
        let answers_after = probe.end();
        let is_watched = self.is_watched();
        let outcome = match watched {
            Ok(()) => self.finish(&before, at),
            Err(stalled) => self.give_up(at, stalled),
        };
        Outcome {
            answers_after,
            told_after: told_after(&outcome.log, at),
            unwatched: is_watched.then(|| unwatched(&outcome.log, at)),
            ..outcome
        }
    }

    /// As [`Stage::measure`], and looks at the cluster's list of registrations all the time.
    ///
    /// # Panics
    /// As that.
    pub fn measure_with_list(self, strike: impl FnOnce(&Stage<'a>)) -> Outcome {
        let (cluster, ended) = (self.cluster, AtomicBool::new(false));
        std::thread::scope(|scope| {
            let list = scope.spawn(|| longest_unlisted(cluster, &ended));
            let outcome = catch_unwind(AssertUnwindSafe(|| self.measure(strike)));
            ended.store(true, Ordering::SeqCst);
            let unlisted = list.join().ok();
            match outcome {
                Ok(outcome) => Outcome { unlisted, ..outcome },
                Err(panic) => resume_unwind(panic),
            }
        })
    }

    /// Returns when all writers have written without a stall for as long as they are watched; the error is how long one
    /// has stalled.
    fn watch_writers(&self, written: &[u64]) -> Result<(), Duration> {
        let mut watches: Vec<Watch<'_>> = self.writers.iter().map(Watch::new).collect();
        // An idle one writes once, when it is told to, and may have done so.
        for (watch, written) in watches.iter_mut().zip(written).filter(|_| self.setup.writer.idle) {
            watch.bytes = *written;
        }
        loop {
            sleep(Duration::from_millis(50));
            for watch in &mut watches {
                watch.look(self.setup.writer.idle);
            }
            let longest = watches.iter().map(|watch| watch.last.elapsed()).max();
            if let Some(stalled) = longest.filter(|stalled| *stalled >= self.setup.limit) {
                return Err(stalled);
            }
            if watches.iter().all(|watch| watch.is_well_for(WATCHED, self.setup.writer.idle)) {
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
        let (written, traces): (Vec<_>, Vec<_>) = self.writers.into_iter().map(Writer::end).unzip();
        // Unmounting is another matter, and takes its time.
        self.guest.abandon();
        let stall = written.iter().map(Written::stall).max().unwrap_or_default();
        Outcome {
            stall: Stall::Ended(stall),
            losses,
            address,
            written,
            trace: relative(&traces[0], at),
            registrations,
            answers_after: None,
            told_after: None,
            unwatched: None,
            unlisted: None,
            registered_after,
            log,
        }
    }

    /// A writer stalls without end: what the first has done so far is all there will be.
    fn give_up(self, at: u64, stalled: Duration) -> Outcome {
        let (log, trace) = (self.log(), self.writer().trace());
        self.guest.abandon();
        Outcome {
            stall: Stall::Over(stalled),
            losses: Vec::new(),
            address: None,
            written: Vec::new(),
            trace: relative(&trace, at),
            registrations: None,
            answers_after: None,
            told_after: None,
            unwatched: None,
            unlisted: None,
            registered_after: None,
            log,
        }
    }

    /// Waits until each share has one registration, for an address that the kernel has a session with, and returns what
    /// is registered then or after a minute.
    fn wait_registered_where_it_is(&self) -> Vec<Registration> {
        let start = Instant::now();
        loop {
            let sessions = self.guest.session_addresses();
            let list = self.cluster.registrations();
            let right = list.len() == self.setup.registrations
                && list.iter().all(|entry| sessions.contains(&entry.ip_address));
            if right || start.elapsed() >= REGISTERED {
                return list;
            }
            sleep(Duration::from_millis(500));
        }
    }
}

/// What is seen of a writer.
struct Watch<'a> {
    writer: &'a Writer<'a>,
    bytes: u64,
    /// When it last had written something.
    last: Instant,
    /// Since when it has not stalled.
    well_since: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(writer: &'a Writer<'a>) -> Self {
        Watch { writer, bytes: writer.bytes(), last: Instant::now(), well_since: None }
    }

    fn look(&mut self, idle: bool) {
        let bytes = self.writer.bytes();
        if bytes > self.bytes {
            let goes_on = idle || self.last.elapsed() < STALLS;
            self.well_since = self.well_since.filter(|_| goes_on).or(Some(Instant::now()));
            (self.bytes, self.last) = (bytes, Instant::now());
        }
    }

    fn is_well_for(&self, time: Duration, idle: bool) -> bool {
        (idle || self.last.elapsed() < STALLS)
            && self.well_since.is_some_and(|since| since.elapsed() >= time)
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

/// How long after `at` a line was logged, and nothing where it was before. It begins with the time of day, in UTC.
fn logged_after(line: &str, at: u64) -> Option<Duration> {
    const DAY_MS: u64 = 86_400_000;
    let of_day = |line: &str| {
        let clock = line.split_whitespace().next()?.trim_end_matches('Z');
        let (hours, rest) = clock.split_once(':')?;
        let (minutes, seconds) = rest.split_once(':')?;
        let minutes = hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?;
        let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some(minutes * 60_000 + u64::try_from(seconds.as_millis()).ok()?)
    };
    let after = (of_day(line)? + DAY_MS - at % DAY_MS) % DAY_MS;
    // Half a day after is before.
    (after < DAY_MS / 2).then(|| Duration::from_millis(after))
}

/// How long after `at` the daemon has logged the first notification.
fn told_after(log: &str, at: u64) -> Option<Duration> {
    let tells = |line: &&str| {
        ["is unavailable", "client move", "move to"].iter().any(|words| line.contains(words))
    };
    log.lines().filter(tells).find_map(|line| logged_after(line, at))
}

/// The longest time since `at` that the mount was without a witness, by the daemon's log.
fn unwatched(log: &str, at: u64) -> Duration {
    let ends = |line: &str| {
        ["next attempt", "is watched no more"].iter().any(|words| line.contains(words))
    };
    let (mut longest, mut since) = (Duration::ZERO, None);
    for line in log.lines() {
        let Some(time) = logged_after(line, at) else { continue };
        if line.contains("registered at witness") {
            longest = longest.max(since.take().map_or(Duration::ZERO, |since| time - since));
        } else if ends(line) {
            since.get_or_insert(time);
        }
    }
    longest
}

/// The longest time that the cluster's list was empty, from the last look that found something to the next one that did.
fn longest_unlisted(cluster: &Cluster, ended: &AtomicBool) -> Duration {
    let (mut longest, mut listed, mut was_empty) = (Duration::ZERO, Instant::now(), false);
    while !ended.load(Ordering::SeqCst) {
        let before = Instant::now();
        let is_empty = cluster.registrations().is_empty();
        if !is_empty {
            if was_empty {
                longest = longest.max(listed.elapsed());
            }
            listed = before;
        }
        was_empty = is_empty;
    }
    longest
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! One address that may be out of service, or that mounts are to leave: what is
//! known of it, and what follows.
//!
//! ```text
//!      a witness's word, a connection's silence, or its end
//!                               |
//!    settled, or elsewhere      v        a target answers
//!   <---------------------- Watching -----------------------> Moving
//!                               ^                               |
//!                               |  given up                     | the kernel has
//!                               +----------------- Landing <----+ accepted it
//!                                                     |
//!   <-------------------------------------------------+  stays where it was moved to
//! ```

mod moving;
mod targets;
mod unseen;
mod watching;

use super::connection::{Connection, TcpState};
use super::debug_data::DebugData;
use super::line::Line;
use super::pace;
use super::probes::Probes;
use super::{Context, Sight};
use crate::mount::Mount;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

/// Why an incident was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A witness told of a change.
    Word,
    /// The kernel's connection is dead, and no witness watches the address.
    Silence,
    /// The connection to the server beside the kernel's has ended, and no witness said why.
    Lost,
    /// A witness ordered mounts to move.
    Order,
}

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is more to see.
    Open,
    /// Nothing is left to do.
    Closed,
}

/// What has been seen of one connection since the incident began.
#[derive(Debug)]
struct Seen {
    first_at: Instant,
    received: u64,
    /// It was made since.
    is_new: bool,
    /// When it was first, and last, seen to have brought something since.
    proven: Option<Instant>,
    last_proof: Option<Instant>,
    ended: bool,
}

/// How far an incident is.
#[derive(Debug)]
enum Step {
    /// Looks at the connection and asks the address.
    Watching,
    /// The kernel has been told to move, and has not answered yet.
    Moving {
        pending: BTreeSet<u32>,
        accepted: usize,
        asked: Instant,
        /// The connections were ended for the kernel to answer.
        freed: bool,
        /// When the kernel had acted on the last one.
        all_sent: Option<Instant>,
    },
    /// The kernel has accepted it.
    Landing { since: Instant, landed: Option<(u64, Instant)> },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Incident {
    pub(super) address: IpAddr,
    cause: Cause,
    started: Instant,
    /// The last word on it.
    since: Instant,
    /// The mounts that the address served when it began, or since.
    pub(super) mounts: BTreeSet<Mount>,
    /// Where a witness has ordered mounts to go, and when.
    orders: BTreeMap<Mount, (IpAddr, Instant)>,
    probes: Probes,
    seen: BTreeMap<u64, Seen>,
    /// Whether the connections have been looked at.
    looked: bool,
    /// Whether the kernel was brought to send something since the last word.
    asked: bool,
    looked_up: Option<Instant>,
    by_name: BTreeMap<SmolStr, Vec<IpAddr>>,
    by_witness: BTreeMap<Mount, Vec<IpAddr>>,
    step: Step,
    /// Where the mounts are moved to, in the steps Moving and Landing.
    moves: BTreeMap<Mount, IpAddr>,
    /// The connections that there were before.
    before: BTreeSet<u64>,
    moved: u8,
    move_again: Instant,
    /// When the last connection was ended.
    ended: Option<Instant>,
    fallback: Fallback,
    pub(super) next_look: Instant,
    /// When a connection was last seen here.
    last_here: Instant,
}

/// What the kernel says of a connection that can't be seen.
#[derive(Debug, Default)]
struct Fallback {
    /// How often in sequence no connection was seen that the kernel says is good.
    hidden: u8,
    /// `Instance` of the connections at the address, before the incident or when it
    /// was first read in it.
    instance: Option<u32>,
    /// When the address answered first.
    answered: Option<Instant>,
}

/// How many looks in sequence must have found nothing.
const HIDDEN_AFTER: u8 = 2;

impl Incident {
    pub(super) fn new(address: IpAddr, cause: Cause, instance: Option<u32>, now: Instant) -> Self {
        Self {
            address,
            cause,
            started: now,
            since: now,
            mounts: BTreeSet::new(),
            orders: BTreeMap::new(),
            probes: Probes::default(),
            seen: BTreeMap::new(),
            looked: false,
            asked: false,
            looked_up: None,
            by_name: BTreeMap::new(),
            by_witness: BTreeMap::new(),
            step: Step::Watching,
            moves: BTreeMap::new(),
            before: BTreeSet::new(),
            moved: 0,
            move_again: now,
            ended: None,
            fallback: Fallback { instance, ..Fallback::default() },
            next_look: now,
            last_here: now,
        }
    }

    /// Takes another word on the address.
    pub(super) fn word(&mut self, cause: Cause, now: Instant) {
        match cause {
            Cause::Order => {}
            // The witness has said more.
            Cause::Lost if self.cause == Cause::Word => {}
            _ => self.cause = cause,
        }
        self.since = now;
        self.asked = false;
        self.next_look = now;
    }

    /// Takes the order to move a mount. A later one replaces an earlier one.
    pub(super) fn order(&mut self, mount: Mount, target: IpAddr, now: Instant) {
        self.orders.insert(mount, (target, now));
        self.next_look = now;
    }

    /// Whether it is about a mount.
    pub(super) fn is_about(&self, mount: &Mount) -> bool {
        self.mounts.contains(mount) || self.moves(mount)
    }

    /// Whether it moves a mount, or sees it arrive.
    pub(super) fn moves(&self, mount: &Mount) -> bool {
        self.moves.contains_key(mount)
    }

    /// Leaves mounts to the incident of another address, of which there is news.
    pub(super) fn leave(&mut self, mounts: &BTreeSet<Mount>, now: Instant) {
        self.mounts.retain(|mount| !mounts.contains(mount));
        self.orders.retain(|mount, _| !mounts.contains(mount));
        self.moves.retain(|mount, _| !mounts.contains(mount));
        if self.moves.is_empty() {
            self.step = Step::Watching;
        }
        self.next_look = now;
    }

    pub(super) fn probed(&mut self, address: IpAddr, answered: bool, now: Instant) {
        self.probes.result(address, answered, now);
    }

    pub(super) fn looked_up(&mut self, name: &SmolStr, addresses: Vec<IpAddr>) {
        self.by_name.insert(name.clone(), addresses);
    }

    pub(super) fn listed(&mut self, mount: &Mount, addresses: Vec<IpAddr>) {
        if self.mounts.contains(mount) {
            self.by_witness.insert(mount.clone(), addresses);
        }
    }

    /// Whether the kernel's answer to a notification of a move is awaited.
    pub(super) fn is_notifying(&self, id: u32) -> bool {
        matches!(&self.step, Step::Moving { pending, .. } if pending.contains(&id))
    }

    /// Takes the kernel's answer to a notification of a move.
    pub(super) fn answered(&mut self, id: u32, accepted: bool) {
        if let Step::Moving { pending, accepted: count, .. } = &mut self.step {
            if pending.remove(&id) && accepted {
                *count += 1;
            }
        }
    }

    /// Takes that the kernel has acted on one, though its answer may have been lost.
    pub(super) fn sent(&mut self, id: u32, now: Instant) {
        if let Step::Moving { pending, all_sent, .. } = &mut self.step {
            if pending.contains(&id) {
                *all_sent = Some(now);
            }
        }
    }

    /// Takes a complete look at the connections.
    pub(super) fn looked(&mut self, ctx: &Context<'_>, now: Instant) {
        let first = !std::mem::replace(&mut self.looked, true);
        for connection in ctx.view.at(self.address) {
            self.see(connection, !first, now);
            self.last_here = now;
        }
        self.seen.retain(|cookie, _| ctx.view.at(self.address).any(|it| it.cookie == *cookie));
        self.count_hidden(ctx);
    }

    /// Takes a look at the connections that were known before.
    pub(super) fn looked_again(&mut self, connection: &Connection, now: Instant) {
        if connection.address() == self.address {
            self.see(connection, false, now);
        }
    }

    fn see(&mut self, connection: &Connection, is_new: bool, now: Instant) {
        let seen = self.seen.entry(connection.cookie).or_insert(Seen {
            first_at: now,
            received: if is_new { 0 } else { connection.received },
            is_new,
            proven: None,
            last_proof: None,
            ended: false,
        });
        if connection.received > seen.received {
            seen.proven.get_or_insert(now);
            seen.last_proof = Some(now);
            seen.received = connection.received;
        }
    }

    /// Does what follows from all that is known.
    pub(super) fn evaluate(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
        // While it moves, the kernel unregisters a mount and registers it again.
        if matches!(self.step, Step::Watching) {
            self.mounts.retain(|mount| ctx.mounted(mount).is_some());
            self.orders.retain(|mount, _| self.mounts.contains(mount));
        }
        if self.mounts.is_empty() {
            return Verdict::Closed;
        }
        let verdict = match self.step {
            Step::Watching => self.watch(ctx, now),
            Step::Moving { .. } => self.await_answers(ctx, now),
            Step::Landing { .. } => self.land(ctx, now),
        };
        if verdict == Verdict::Open {
            self.ask(ctx, now);
        }
        verdict
    }

    /// When to evaluate again.
    pub(super) fn deadline(&self) -> Instant {
        self.probes.deadline().map_or(self.next_look, |at| at.min(self.next_look))
    }

    /// Notes that a look is on its way.
    pub(super) fn looking(&mut self, now: Instant) {
        let age = match self.step {
            Step::Watching => now.saturating_duration_since(self.since),
            Step::Moving { asked: since, .. } | Step::Landing { since, .. } => {
                now.saturating_duration_since(since)
            }
        };
        self.next_look = now + pace::look_every(age);
    }

    /// Whether `DebugData` can tell more than the connections do.
    pub(super) fn wants_debug_data(&self, ctx: &Context<'_>, now: Instant) -> bool {
        match self.step {
            Step::Watching => {
                ctx.sight == Sight::None
                    || !ctx.view.at(self.address).any(|it| it.state == TcpState::Established)
            }
            Step::Moving { .. } => false,
            Step::Landing { since, landed } => {
                landed.is_none() && now.saturating_duration_since(since) > pace::NOTIFY_BLOCKED
            }
        }
    }

    pub(super) fn report(&self, ctx: &mut Context<'_>, line: Line) {
        if let Some(mount) = self.mounts.first() {
            let mount = mount.clone();
            ctx.report(&mount, self.mounts.len() - 1, line);
        }
    }

    pub(super) fn report_moves(&self, ctx: &mut Context<'_>, moves: &BTreeMap<Mount, IpAddr>) {
        if let Some(target) = moves.values().next() {
            self.report(ctx, Line::Steering { address: self.address, target: *target });
        }
    }
}

/// `Instance` of the connections at an address, where all of them are good.
pub(super) fn instance(data: &DebugData, address: IpAddr) -> Option<u32> {
    let mut servers = data.at(address).peekable();
    servers.peek()?;
    servers.try_fold(0u32, |sum, it| it.is_good.then(|| sum.wrapping_add(it.instance)))
}

/// Whether a server can have the address.
pub(super) fn is_usable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            !(it.is_unspecified() || it.is_loopback() || it.is_multicast() || it.is_broadcast())
        }
        IpAddr::V6(it) => !(it.is_unspecified() || it.is_loopback() || it.is_multicast()),
    }
}

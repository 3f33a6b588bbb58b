//! One address that may be out of service, or that mounts are to leave: what is
//! known of it, and what follows.
//!
//! ```text
//!            a witness's word, or the connection's silence
//!                               |
//!    settled, or elsewhere      v        a target answers
//!   <---------------------- Watching -----------------------> Moving
//!                               ^                               |
//!                               |  given up                     | the kernel has
//!                               +----------------- Landing <----+ accepted it
//!                                                     |
//!   <-------------------------------------------------+  stays where it was moved to
//! ```

use super::connection::{Connection, TcpState};
use super::debug_data::DebugData;
use super::line::Line;
use super::pace;
use super::probes::Probes;
use super::{Action, Context, End, Sight};
use crate::report::Mount;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient::{Notification, ResourceState};

/// Why an incident was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A witness told of a change.
    Word,
    /// The kernel's connection is dead, and no witness watches the address.
    Silence,
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
        }
    }

    /// Takes another word on the address.
    pub(super) fn word(&mut self, cause: Cause, now: Instant) {
        if cause != Cause::Order {
            self.cause = cause;
        }
        self.since = now;
        self.next_look = now;
    }

    /// Takes the order to move a mount. A later one replaces an earlier one.
    pub(super) fn order(&mut self, mount: Mount, target: IpAddr, now: Instant) {
        self.orders.insert(mount, (target, now));
        self.next_look = now;
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

    pub(super) fn looked_up(&mut self, name: &SmolStr, addresses: &[IpAddr]) {
        self.by_name.insert(name.clone(), addresses.to_vec());
    }

    pub(super) fn listed(&mut self, mount: &Mount, addresses: &[IpAddr]) {
        if self.mounts.contains(mount) {
            self.by_witness.insert(mount.clone(), addresses.to_vec());
        }
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

    // Watching.

    fn watch(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
        if !self.orders.is_empty() {
            if self.looked {
                self.follow_orders(ctx, now);
            }
            return Verdict::Open;
        }
        if self.cause == Cause::Order {
            return Verdict::Closed;
        }
        self.end_dead(ctx, now);
        if ctx.sight == Sight::None || self.fallback.hidden >= HIDDEN_AFTER {
            if self.fall_back(ctx, now) {
                return Verdict::Closed;
            }
        } else if let Some(line) = self.settled(ctx, now) {
            self.report(ctx, line);
            return Verdict::Closed;
        }
        if now.saturating_duration_since(self.since) >= pace::GIVE_UP {
            self.report(ctx, Line::GaveUp);
            return Verdict::Closed;
        }
        if let Some(moves) = self.steer(ctx, now) {
            self.report_moves(ctx, &moves);
            self.start_moving(ctx, moves, now);
        }
        Verdict::Open
    }

    /// Begins the moves that were ordered and whose target answers.
    fn follow_orders(&mut self, ctx: &mut Context<'_>, now: Instant) {
        let mut moves = BTreeMap::new();
        let mut late = Vec::new();
        for (mount, (target, since)) in &self.orders {
            if self.kernel_address(ctx, mount) == Some(*target) {
                late.push((mount.clone(), Line::AlreadyAt { address: *target }));
            } else if self.probes.is_fresh(*target, now) {
                moves.insert(mount.clone(), *target);
            } else if now.saturating_duration_since(*since) >= pace::TARGET_LIMIT {
                late.push((mount.clone(), Line::TargetSilent { target: *target }));
            }
        }
        for (mount, line) in late {
            self.orders.remove(&mount);
            if let Line::AlreadyAt { address } = line {
                ctx.relocate(&mount, address);
            }
            ctx.report(&mount, 0, line);
        }
        if !moves.is_empty() {
            self.orders.retain(|mount, _| !moves.contains_key(mount));
            self.moved = 0;
            self.start_moving(ctx, moves, now);
        }
    }

    /// Ends the connections that are dead, now that the address answers: not before,
    /// and each once.
    fn end_dead(&mut self, ctx: &mut Context<'_>, now: Instant) {
        if !self.probes.is_fresh(self.address, now) {
            return;
        }
        let is_dead = |it: &&Connection| self.seen.contains_key(&it.cookie) && self.is_dead(it);
        let dead: Vec<Connection> = ctx.view.at(self.address).filter(is_dead).cloned().collect();
        for connection in dead {
            self.end(ctx, connection, Some(self.dead_after()), now);
        }
    }

    fn dead_after(&self) -> (u8, Duration) {
        match self.cause {
            Cause::Word | Cause::Order => pace::DEAD_AFTER_WORD,
            Cause::Silence => pace::DEAD_AFTER_SILENCE,
        }
    }

    fn is_dead(&self, connection: &Connection) -> bool {
        let (retransmissions, silence) = self.dead_after();
        connection.is_dead(retransmissions, silence)
    }

    /// Ends a connection; with `if_dead`, only where it is still as dead.
    fn end(
        &mut self,
        ctx: &mut Context<'_>,
        connection: Connection,
        if_dead: Option<(u8, Duration)>,
        now: Instant,
    ) {
        self.see(&connection, false, now);
        if let Some(seen) = self.seen.get_mut(&connection.cookie) {
            if !std::mem::replace(&mut seen.ended, true) {
                ctx.act(Action::End { connection, if_dead });
            }
        }
    }

    /// Takes the result of [`Action::End`].
    pub(super) fn ended(&mut self, ctx: &mut Context<'_>, cookie: u64, end: End, now: Instant) {
        let Some(seen) = self.seen.get_mut(&cookie) else { return };
        match end {
            End::Ended => {
                self.ended = Some(now);
                if matches!(self.step, Step::Watching) {
                    self.report(ctx, Line::EndedDead { address: self.address });
                }
            }
            End::Gone => {}
            End::Alive => seen.ended = false,
            End::Impossible if matches!(self.step, Step::Watching) => self.tell_unavailable(ctx),
            End::Impossible => {}
        }
        self.next_look = now;
    }

    /// Whether the kernel is seen to be well, here or elsewhere.
    fn settled(&self, ctx: &mut Context<'_>, now: Instant) -> Option<Line> {
        if !self.looked {
            return None;
        }
        let mut here =
            ctx.view.at(self.address).filter(|it| it.state != TcpState::Closing).peekable();
        if here.peek().is_none() {
            return self.settled_elsewhere(ctx);
        }
        let is_settled = |connection: &Connection| {
            let Some(seen) = self.seen.get(&connection.cookie) else { return false };
            let age = |since: Instant| now.saturating_duration_since(since.max(self.since));
            match seen.proven {
                _ if seen.ended || connection.is_waiting(pace::DEAD_AFTER_WORD.1) => false,
                Some(at) if seen.is_new => age(at) >= pace::SETTLE_NEW,
                Some(at) => age(at) >= pace::SETTLE_OLD,
                None => {
                    connection.state == TcpState::Established
                        && age(seen.first_at) >= pace::WATCH_IDLE
                }
            }
        };
        if !here.all(is_settled) {
            return None;
        }
        let made = self.seen.values().filter(|it| it.is_new).filter_map(|it| it.proven).min();
        Some(match (self.ended, made) {
            (Some(ended), Some(made)) => {
                Line::Reconnected { after: made.saturating_duration_since(ended) }
            }
            (None, Some(_)) => Line::ReconnectedByItself,
            _ => Line::GoesOn,
        })
    }

    /// Where no connection is left here: whether all mounts have one elsewhere.
    fn settled_elsewhere(&self, ctx: &mut Context<'_>) -> Option<Line> {
        let mut found = Vec::new();
        for mount in &self.mounts {
            let address = self.kernel_address(ctx, mount).filter(|it| *it != self.address)?;
            let is_served = |it: &Connection| it.state == TcpState::Established && it.received > 0;
            if !ctx.view.at(address).any(is_served) {
                return None;
            }
            found.push((mount.clone(), address));
        }
        let (_, address) = found.first()?.clone();
        for (mount, address) in found {
            ctx.relocate(&mount, address);
        }
        Some(Line::ServedBy { address, after: None })
    }

    /// The address that the kernel uses or tries for a mount.
    fn kernel_address(&self, ctx: &Context<'_>, mount: &Mount) -> Option<IpAddr> {
        let (id, mounted) = ctx.mounted(mount)?;
        let debug = ctx.view.debug_since(self.started);
        Some(debug.and_then(|data| data.registrations.get(&id).copied()).unwrap_or(mounted.address))
    }

    // Connections that can't be seen.

    /// Counts the looks that found no connection which the kernel says is good: it is
    /// in another network namespace, or not at port 445.
    fn count_hidden(&mut self, ctx: &Context<'_>) {
        if self.fallback.hidden >= HIDDEN_AFTER || ctx.sight == Sight::None {
            return;
        }
        let is_seen = ctx.view.at(self.address).next().is_some();
        let good = ctx.view.debug_of_this_look().and_then(|data| instance(data, self.address));
        if is_seen || good.is_none() || self.fallback.instance != good {
            self.fallback.hidden = 0;
        }
        self.fallback.hidden += u8::from(!is_seen && good.is_some());
        self.fallback.instance = good;
    }

    /// Tells the kernel, once the address answers, unless it says that it has
    /// reconnected by itself. Returns whether that is all.
    fn fall_back(&mut self, ctx: &mut Context<'_>, now: Instant) -> bool {
        if let Some(data) = ctx.view.debug_since(self.started) {
            let here = instance(data, self.address);
            if here.is_none() && data.at(self.address).next().is_some() {
                self.report(ctx, Line::Reconnecting);
                return true;
            }
            let before = self.fallback.instance.or(here);
            if before != here {
                self.report(ctx, Line::ReconnectedByItself);
                return true;
            }
            self.fallback.instance = before;
        }
        if !self.probes.is_fresh(self.address, now) {
            return false;
        }
        let answered = *self.fallback.answered.get_or_insert(now);
        if ctx.view.has_debug_data() && ctx.view.debug_since(answered).is_none() {
            self.next_look = now;
            return false;
        }
        self.tell_unavailable(ctx);
        true
    }

    /// Gives the kernel the plain notification: the way without `sock_diag`.
    pub(super) fn tell_unavailable(&self, ctx: &mut Context<'_>) {
        let state = ResourceState::Unavailable;
        let name = SmolStr::new(self.address.to_string());
        for mount in &self.mounts {
            if let Some((id, _)) = ctx.mounted(mount) {
                let notification = Notification::ResourceChange { name: name.clone(), state };
                ctx.act(Action::Notify { id, notification });
            }
        }
        self.report(ctx, Line::Told);
    }

    // Moving.

    /// Picks another address for each mount whose own stays silent.
    fn steer(&self, ctx: &Context<'_>, now: Instant) -> Option<BTreeMap<Mount, IpAddr>> {
        if now < self.move_again || !self.looked || self.cause == Cause::Order {
            return None;
        }
        let after = match self.cause {
            Cause::Silence => pace::STEER_AFTER_SILENCE,
            Cause::Word | Cause::Order => pace::STEER_AFTER_WORD,
        };
        let moves: BTreeMap<Mount, IpAddr> = self
            .mounts
            .iter()
            .filter_map(|mount| {
                let here = self.kernel_address(ctx, mount)?;
                if self.probes.silent_for(here, now) < after || self.is_served(ctx, here, now) {
                    return None;
                }
                let mut targets = self.candidates(ctx, mount).into_iter();
                let target = targets.find(|it| *it != here && self.probes.is_fresh(*it, now))?;
                Some((mount.clone(), target))
            })
            .collect();
        (!moves.is_empty()).then_some(moves)
    }

    /// Whether a connection to `address` has brought something lately.
    fn is_served(&self, ctx: &Context<'_>, address: IpAddr, now: Instant) -> bool {
        ctx.view.at(address).any(|it| {
            let lately = |at: Instant| now.saturating_duration_since(at) < pace::SETTLE_NEW;
            match self.seen.get(&it.cookie) {
                _ if self.is_dead(it) || it.state != TcpState::Established => false,
                Some(seen) => {
                    seen.last_proof.is_some_and(lately) || seen.is_new && lately(seen.first_at)
                }
                None => it.received > 0,
            }
        })
    }

    /// The addresses that may serve a mount, the nearest first.
    fn candidates(&self, ctx: &Context<'_>, mount: &Mount) -> Vec<IpAddr> {
        let named = self.by_name.get(mount.net_name()).into_iter().flatten();
        let is_scale_out = ctx.mounted(mount).is_some_and(|(_, it)| it.scale_out);
        let listed = self.by_witness.get(mount).into_iter().flatten();
        let listed = listed.filter(|_| is_scale_out);
        let mut all = vec![self.address];
        for address in named.chain(listed) {
            if is_usable(*address) && !all.contains(address) {
                all.push(*address);
            }
        }
        all.sort_by_key(|it| std::cmp::Reverse(nearness(*it, self.address)));
        all.truncate(pace::CANDIDATES_MAX);
        all
    }

    fn start_moving(
        &mut self,
        ctx: &mut Context<'_>,
        moves: BTreeMap<Mount, IpAddr>,
        now: Instant,
    ) {
        self.moved += 1;
        self.before = ctx.view.connections().iter().map(|it| it.cookie).collect();
        let mut pending = BTreeSet::new();
        for (mount, target) in &moves {
            if let Some((id, _)) = ctx.mounted(mount) {
                pending.insert(id);
                let notification = Notification::ClientMove { address: *target };
                ctx.act(Action::Notify { id, notification });
            }
        }
        self.moves = moves;
        self.step = Step::Moving { pending, accepted: 0, asked: now, freed: false, all_sent: None };
    }

    /// Waits for the kernel's answers. One that does not come may wait for the lock
    /// of a connection that is dead.
    fn await_answers(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
        let Step::Moving { pending, accepted, asked, freed, all_sent } = &mut self.step else {
            return Verdict::Open;
        };
        let is_lost = |at: Instant| now.saturating_duration_since(at) >= pace::ANSWER_LOST;
        if all_sent.is_some_and(is_lost) {
            *accepted += pending.len();
            pending.clear();
        }
        if !pending.is_empty() {
            let blocked = now.saturating_duration_since(*asked) >= pace::NOTIFY_BLOCKED;
            if blocked && !*freed && !self.probes.is_fresh(self.address, now) {
                *freed = true;
                self.end_left_behind(ctx, now);
            }
            return Verdict::Open;
        }
        if *accepted == 0 {
            self.give_up_move(now);
            return Verdict::Open;
        }
        self.step = Step::Landing { since: now, landed: None };
        self.end_left_behind(ctx, now);
        self.next_look = now + pace::look_every(Duration::ZERO);
        Verdict::Open
    }

    /// Ends the connections to what the mounts have been moved away from. Without
    /// that the kernel looks after up to seven seconds.
    fn end_left_behind(&mut self, ctx: &mut Context<'_>, now: Instant) {
        let mut left: BTreeSet<IpAddr> = [self.address].into();
        left.extend(self.moves.keys().filter_map(|mount| self.kernel_address(ctx, mount)));
        left.retain(|address| !self.moves.values().any(|target| target == address));
        let connections: Vec<Connection> = left
            .into_iter()
            .flat_map(|address| ctx.view.at(address))
            .filter(|it| it.state != TcpState::Closing)
            .cloned()
            .collect();
        for connection in connections {
            self.end(ctx, connection, None, now);
        }
    }

    fn give_up_move(&mut self, now: Instant) {
        self.step = Step::Watching;
        self.moves.clear();
        self.move_again = now + pace::MOVE_AGAIN_AFTER;
    }

    /// Looks where the kernel is after a move.
    fn land(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
        let Step::Landing { since, landed } = &mut self.step else { return Verdict::Open };
        let since = *since;
        let target = |address: IpAddr| self.moves.values().any(|it| *it == address);
        let is_there = |it: &Connection| {
            it.state == TcpState::Established
                && it.received > 0
                && !self.before.contains(&it.cookie)
        };
        let there = ctx.view.connections().iter().find(|it| target(it.address()) && is_there(it));
        match (there, &landed) {
            (Some(it), Some((cookie, at))) if it.cookie == *cookie => {
                if now.saturating_duration_since(*at) < pace::LANDED_FOR {
                    return Verdict::Open;
                }
                let (address, after) = (it.address(), at.saturating_duration_since(since));
                self.arrived(ctx, address, after);
                return self.next_order();
            }
            (Some(it), _) => {
                *landed = Some((it.cookie, now));
                return Verdict::Open;
            }
            (None, Some(_)) => *landed = None,
            (None, None) => {}
        }
        let waited = now.saturating_duration_since(since);
        let is_mounted = self.moves.keys().any(|mount| ctx.mounted(mount).is_some());
        if !is_mounted && waited >= pace::LANDED_FOR {
            return Verdict::Closed;
        }
        if ctx.sight == Sight::None || self.fallback.hidden >= HIDDEN_AFTER {
            return self.land_unseen(ctx, since, now);
        }
        // A kernel that sleeps between two attempts shows where it has tried last; one
        // that tries another address now has forgotten the target.
        let debug = ctx.view.debug_since(since);
        let is_elsewhere = debug.is_some_and(|data| {
            self.moves.iter().any(|(mount, target)| {
                let id = ctx.mounted(mount).map(|(id, _)| id);
                let address = id.and_then(|id| data.registrations.get(&id));
                let tried = address.filter(|it| *it != target).map(|it| ctx.view.at(*it));
                tried.is_some_and(|mut it| it.any(|it| !self.before.contains(&it.cookie)))
            })
        });
        if waited < pace::LANDING_LIMIT && !is_elsewhere {
            return Verdict::Open;
        }
        if self.moved >= pace::MOVES_MAX {
            self.report(ctx, Line::MoveFailed);
            self.moved = 0;
            self.give_up_move(now);
            if self.cause == Cause::Order {
                self.cause = Cause::Word;
            }
            return Verdict::Open;
        }
        let moves = std::mem::take(&mut self.moves);
        self.report(ctx, Line::MoveAgain);
        self.start_moving(ctx, moves, now);
        Verdict::Open
    }

    /// The same where only `DebugData` can tell, or nothing.
    fn land_unseen(&mut self, ctx: &mut Context<'_>, since: Instant, now: Instant) -> Verdict {
        let Some(target) = self.moves.values().next().copied() else { return Verdict::Closed };
        let is_good = |data: &DebugData| data.at(target).any(|it| it.is_good);
        let there = ctx.view.debug_since(since).is_some_and(is_good);
        let waited = now.saturating_duration_since(since);
        if there || !ctx.view.has_debug_data() || waited >= pace::LANDING_LIMIT * 3 {
            self.arrived(ctx, target, waited);
            return self.next_order();
        }
        Verdict::Open
    }

    fn arrived(&mut self, ctx: &mut Context<'_>, address: IpAddr, after: Duration) {
        self.report(ctx, Line::ServedBy { address, after: Some(after) });
        for (mount, target) in std::mem::take(&mut self.moves) {
            ctx.relocate(&mount, target);
        }
        // Those that share the connection have moved with it.
        for mount in &self.mounts {
            if self.kernel_address(ctx, mount) == Some(address) {
                ctx.relocate(mount, address);
            }
        }
    }

    /// After a move: an order that came meanwhile, or the end.
    fn next_order(&mut self) -> Verdict {
        self.step = Step::Watching;
        if self.orders.is_empty() { Verdict::Closed } else { Verdict::Open }
    }

    // Questions.

    /// Sends the probes and look-ups that are due.
    fn ask(&mut self, ctx: &mut Context<'_>, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        let mut wanted: BTreeSet<IpAddr> =
            self.orders.values().map(|(target, _)| *target).collect();
        let is_watching = matches!(self.step, Step::Watching);
        if is_watching && self.cause != Cause::Order {
            let here = ctx.view.at(self.address);
            let has_dead = here.into_iter().any(|it| {
                self.is_dead(it) && !self.seen.get(&it.cookie).is_some_and(|seen| seen.ended)
            });
            let silence = self.probes.silent_for(self.address, now);
            if has_dead || !self.probes.has_answered_since(self.address, self.since) {
                wanted.insert(self.address);
            }
            let unserved: Vec<IpAddr> = self
                .mounts
                .iter()
                .filter_map(|mount| self.kernel_address(ctx, mount))
                .filter(|address| !self.is_served(ctx, *address, now))
                .collect();
            if silence >= pace::LOOK_UP_AFTER || unserved.iter().any(|it| *it != self.address) {
                wanted.extend(&unserved);
                self.look_up(ctx, now);
                for mount in &self.mounts {
                    wanted.extend(self.candidates(ctx, mount));
                }
            }
        }
        let every = pace::probe_every(age);
        for address in self.probes.due(&wanted, every, now) {
            ctx.act(Action::Probe(address));
        }
    }

    /// Asks for other addresses of the mounts' names, and of the nodes that a witness
    /// knows where the share is scale-out.
    fn look_up(&mut self, ctx: &mut Context<'_>, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= pace::LOOK_UP_LASTS;
        if !self.looked_up.is_none_or(is_old) {
            return;
        }
        self.looked_up = Some(now);
        let names: BTreeSet<SmolStr> =
            self.mounts.iter().map(|mount| mount.net_name().clone()).collect();
        let listed = self.mounts.iter().filter_map(|mount| ctx.mounted(mount));
        let listed: Vec<u32> =
            listed.filter(|(_, mounted)| mounted.scale_out).map(|(id, _)| id).collect();
        for name in names {
            ctx.act(Action::LookUp(name));
        }
        for id in listed {
            ctx.act(Action::List(id));
        }
    }

    // Lines.

    fn report(&self, ctx: &mut Context<'_>, line: Line) {
        if let Some(mount) = self.mounts.first() {
            let mount = mount.clone();
            ctx.report(&mount, self.mounts.len() - 1, line);
        }
    }

    fn report_moves(&self, ctx: &mut Context<'_>, moves: &BTreeMap<Mount, IpAddr>) {
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

/// How many leading bits two addresses share; less than nothing across families.
fn nearness(address: IpAddr, to: IpAddr) -> Option<u32> {
    match (address, to) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

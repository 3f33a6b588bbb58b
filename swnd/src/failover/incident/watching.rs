//! The step Watching: what the connections to the address need.

use super::{Cause, HIDDEN_AFTER, Incident, Step, Verdict};
use crate::failover::connection::{Connection, TcpState};
use crate::failover::line::Line;
use crate::failover::view::View;
use crate::failover::{Action, Context, End, Sight, pace};
use crate::mount::Mount;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The address that the kernel was seen to use or to try for a mount, after `since`.
pub(super) fn seen_address(ctx: &Context<'_>, mount: &Mount, since: Instant) -> Option<IpAddr> {
    let (id, mounted) = ctx.mounted(mount)?;
    match ctx.can_tell(mount) {
        true => ctx.view.debug_since(since)?.registrations.get(&id).copied(),
        false => ctx.view.served_since(since, mount, mounted.address),
    }
}

impl Incident {
    pub(super) fn watch(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
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
            // The kernel's own may live: it is told what a witness says, and no guess.
            if self.cause == Cause::Lost || self.fall_back(ctx, now) {
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
            } else if self.can_reach(ctx, mount, *target) == Some(false) {
                late.push((mount.clone(), Line::NotByName { target: *target }));
            } else if self.probes.is_fresh(*target, now)
                && self.can_reach(ctx, mount, *target).is_some()
            {
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

    /// Whether nothing has shown since the last word that a connection lives, or that it is
    /// dead, and the kernel was not brought to send something over it.
    pub(in crate::failover) fn doubts(&self, view: &View) -> bool {
        let is_unproven = |it: &Connection| {
            it.state == TcpState::Established
                && it.unacknowledged == 0
                && self.seen.get(&it.cookie).is_some_and(|seen| seen.last_proof < Some(self.since))
        };
        matches!(self.step, Step::Watching)
            && self.orders.is_empty()
            && !self.asked
            && view.at(self.address).any(is_unproven)
    }

    /// The kernel is brought to send something.
    pub(in crate::failover) fn asked(&mut self) {
        self.asked = true;
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

    pub(super) fn dead_after(&self) -> (u8, Duration) {
        match self.cause {
            Cause::Word | Cause::Lost | Cause::Order => pace::DEAD_AFTER_WORD,
            Cause::Silence => pace::DEAD_AFTER_SILENCE,
        }
    }

    pub(super) fn is_dead(&self, connection: &Connection) -> bool {
        let (retransmissions, silence) = self.dead_after();
        connection.is_dead(retransmissions, silence)
    }

    /// Ends a connection; with `if_dead`, only where it is still as dead.
    pub(super) fn end(
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

    /// Whether it has seen this connection.
    pub(in crate::failover) fn sees(&self, cookie: u64) -> bool {
        self.seen.contains_key(&cookie)
    }

    /// Takes the result of [`Action::End`].
    pub(in crate::failover) fn ended(
        &mut self,
        ctx: &mut Context<'_>,
        cookie: u64,
        end: End,
        now: Instant,
    ) {
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
            return self.settled_elsewhere(ctx, now);
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
    fn settled_elsewhere(&self, ctx: &mut Context<'_>, now: Instant) -> Option<Line> {
        let is_shared = |mount| {
            ctx.mounted(mount).is_some_and(|(_, mounted)| mounted.is_shared_at(self.address))
        };
        // The other mount's connection says nothing of this one's.
        if self.mounts.iter().any(is_shared) {
            let absence = now.saturating_duration_since(self.last_here);
            return (absence >= pace::SHARED_GONE).then_some(Line::GoesOn);
        }
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
    pub(super) fn kernel_address(&self, ctx: &Context<'_>, mount: &Mount) -> Option<IpAddr> {
        let (_, mounted) = ctx.mounted(mount)?;
        Some(seen_address(ctx, mount, self.started).unwrap_or(mounted.address))
    }

    /// Whether the kernel can be brought to use an address for a mount: where it can't be
    /// told and doesn't ask, it takes the first address of the name. `None`: not known yet.
    pub(super) fn can_reach(
        &self,
        ctx: &Context<'_>,
        mount: &Mount,
        target: IpAddr,
    ) -> Option<bool> {
        if ctx.can_tell(mount) {
            return Some(true);
        }
        let named = self.by_name.get(mount.net_name())?;
        Some(ctx.has_resolver || named.first() == Some(&target))
    }
}

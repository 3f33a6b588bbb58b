//! The steps Moving and Landing.

use super::watching::seen_address;
use super::{Cause, HIDDEN_AFTER, Incident, Step, Verdict};
use crate::failover::connection::{Connection, TcpState};
use crate::failover::debug_data::DebugData;
use crate::failover::line::Line;
use crate::failover::{Action, Context, Sight, pace};
use crate::mount::Mount;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient::Notification;

impl Incident {
    pub(super) fn start_moving(
        &mut self,
        ctx: &mut Context<'_>,
        moves: BTreeMap<Mount, IpAddr>,
        now: Instant,
    ) {
        self.moved += 1;
        self.before = ctx.view.connections().iter().map(|it| it.cookie).collect();
        let mut pending = BTreeSet::new();
        // Where the kernel can't be told, the name leads it there.
        let mut accepted = 0;
        for (mount, target) in &moves {
            let Some((id, _)) = ctx.mounted(mount) else { continue };
            if !ctx.can_tell(mount) {
                accepted += 1;
                continue;
            }
            pending.insert(id);
            let notification = Notification::ClientMove { address: *target };
            ctx.act(Action::Notify { id, notification });
        }
        if pending.is_empty() {
            self.next_look = now;
        }
        self.moves = moves;
        self.step = Step::Moving { pending, accepted, asked: now, freed: false, all_sent: None };
    }

    /// Waits for the kernel's answers. One that does not come may wait for the lock
    /// of a connection that is dead.
    pub(super) fn await_answers(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
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
    pub(super) fn land(&mut self, ctx: &mut Context<'_>, now: Instant) -> Verdict {
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
        let is_elsewhere = self.moves.iter().any(|(mount, target)| {
            let address = seen_address(ctx, mount, since).filter(|it| it != target);
            let tried = address.map(|it| ctx.view.at(it));
            tried.is_some_and(|mut it| it.any(|it| !self.before.contains(&it.cookie)))
        });
        if waited < pace::LANDING_LIMIT && !is_elsewhere {
            return Verdict::Open;
        }
        // Another attempt would be another loss, and lead where the name leads.
        let can_repeat = self.moves.keys().any(|mount| ctx.can_steer(mount));
        if self.moved >= pace::MOVES_MAX || !can_repeat {
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
}

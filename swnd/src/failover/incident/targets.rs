//! Which addresses answer, and which of them may serve a mount.

use super::{Cause, Incident, Step, is_usable};
use crate::failover::connection::TcpState;
use crate::failover::{Action, Context, pace};
use crate::mount::Mount;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

impl Incident {
    /// Picks another address for each mount whose own stays silent.
    pub(super) fn steer(&self, ctx: &Context<'_>, now: Instant) -> Option<BTreeMap<Mount, IpAddr>> {
        if now < self.move_again || !self.looked || self.cause == Cause::Order {
            return None;
        }
        let after = match self.cause {
            Cause::Silence | Cause::Lost => pace::STEER_AFTER_SILENCE,
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
                let target = targets.find(|it| {
                    let may_go = || self.can_reach(ctx, mount, *it) == Some(true);
                    *it != here && self.probes.is_fresh(*it, now) && may_go()
                })?;
                Some((mount.clone(), target))
            })
            .collect();
        (!moves.is_empty()).then_some(moves)
    }

    /// Returns where the kernel should connect to for a mount now.
    pub(in crate::failover) fn lead(
        &self,
        ctx: &Context<'_>,
        mount: &Mount,
        now: Instant,
    ) -> Option<IpAddr> {
        self.moves.get(mount).copied().or_else(|| self.steer(ctx, now)?.get(mount).copied())
    }

    /// Whether a connection to `address` has brought something lately.
    pub(super) fn is_served(&self, ctx: &Context<'_>, address: IpAddr, now: Instant) -> bool {
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
    pub(super) fn candidates(&self, ctx: &Context<'_>, mount: &Mount) -> Vec<IpAddr> {
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

    /// Sends the probes and look-ups that are due.
    pub(super) fn ask(&mut self, ctx: &mut Context<'_>, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        let mut wanted: BTreeSet<IpAddr> =
            self.orders.values().map(|(target, _)| *target).collect();
        if self.orders.keys().any(|mount| !ctx.can_tell(mount)) {
            self.look_up(ctx, now);
        }
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
            ctx.probe(address, now);
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
}

/// How many leading bits two addresses share; less than nothing across families.
fn nearness(address: IpAddr, to: IpAddr) -> Option<u32> {
    match (address, to) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
        _ => None,
    }
}

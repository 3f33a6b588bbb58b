//! Connections that can't be seen.

use super::{HIDDEN_AFTER, Incident, instance};
use crate::failover::line::Line;
use crate::failover::mounts::Mounted;
use crate::failover::{Action, Context, Sight};
use smol_str::SmolStr;
use std::time::Instant;
use swnclient::{Notification, ResourceState};

impl Incident {
    /// Counts the looks that found no connection which the kernel says is good: it is
    /// in another network namespace, or not at port 445.
    pub(super) fn count_hidden(&mut self, ctx: &Context<'_>) {
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
    pub(super) fn fall_back(&mut self, ctx: &mut Context<'_>, now: Instant) -> bool {
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
        let (mut told, mut untold) = (0, 0);
        for mount in &self.mounts {
            let about_this = |(_, it): &(u32, &Mounted)| !it.is_shared_at(self.address);
            let Some((id, _)) = ctx.mounted(mount).filter(about_this) else { continue };
            if !ctx.can_tell(mount) {
                untold += 1;
                continue;
            }
            told += 1;
            let notification = Notification::ResourceChange { name: name.clone(), state };
            ctx.act(Action::Notify { id, notification });
        }
        if told > 0 {
            self.report(ctx, Line::Told);
        }
        if untold > 0 {
            self.report(ctx, Line::Powerless);
        }
    }
}

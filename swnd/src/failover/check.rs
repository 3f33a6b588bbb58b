//! Mounts whose witness may live and not tell: swnd looks at their connections when it is awake.

use super::{Action, Connection, Failover, Line, pace};
use crate::mount::Mount;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

impl Failover {
    /// Looks at the connections of mounts with a witness, which may live and not tell: where
    /// it has answered that there is no news, and where the kernel asks again for what it has.
    /// The kernel does so after an echo, of a mount that is idle or stuck. swnd is awake then.
    pub fn check(&mut self, now: Instant) {
        let is_due = |at: Instant| now.saturating_duration_since(at) >= pace::CHECK_EVERY;
        if self.checked.is_none_or(is_due) {
            self.checked = Some(now);
            self.is_checking = true;
            self.start_own_watch(now);
        }
    }

    /// The addresses of such mounts, while they are looked at, each with one of them.
    pub(super) fn to_check(&self, own: &BTreeMap<IpAddr, Vec<Mount>>) -> BTreeMap<IpAddr, Mount> {
        let mut checked = BTreeMap::<IpAddr, Mount>::new();
        for mounted in self.mounts.values().filter(|_| self.is_checking) {
            let address = mounted.address;
            if !self.incidents.contains_key(&address) && !own.contains_key(&address) {
                checked.entry(address).or_insert_with(|| mounted.mount.clone());
            }
        }
        checked
    }

    /// After a look at the connections to these addresses: begins incidents where one is dead,
    /// and looks again where the kernel waits, for its echo may have gone out just now.
    pub(super) fn check_seen(&mut self, checked: BTreeMap<IpAddr, Mount>, now: Instant) {
        let waits = |it: &Connection| it.is_waiting(pace::OWN_WATCH_CLOSE);
        for (address, mount) in checked {
            if !self.view.at(address).any(waits) {
                continue;
            }
            if self.begin_if_dead(address, now) && self.incidents.contains_key(&address) {
                let line = Line::Unsaid { address };
                self.actions.push_back(Action::Report { mount, others: 0, line });
                continue;
            }
            self.is_checking = true;
            self.own_watch = self.own_watch.map(|at| at.min(now + pace::OWN_WATCH_CLOSE));
        }
    }
}

//! Mounts without a witness: swnd looks at their connections itself, all of them at once.
//! So it does, when it is awake, where a witness has told nothing.

use super::incident::Cause;
use super::mounts::Mounted;
use super::{Action, Connection, Failover, Line, pace};
use crate::mount::Mount;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

impl Failover {
    /// A mount has a witness now, or has lost it. What happened in between may have gone
    /// unseen: an address that was taken over is available again. So having it
    /// back is a word, too.
    pub fn watched(&mut self, id: u32, watched: bool, now: Instant) {
        if watched {
            let was_unwatched = self.unwatched.remove(&id);
            let mounted = self.mounts.get(&id).filter(|_| was_unwatched);
            let is_moved = |it: &&Mounted| self.incidents.values().any(|i| i.moves(&it.mount));
            if let Some(address) = mounted.filter(|it| !is_moved(it)).map(|it| it.address) {
                self.incident(address, Cause::Word, None, now);
            }
        } else if self.mounts.contains_key(&id) {
            self.unwatched.insert(id);
        }
        self.start_own_watch(now);
    }

    /// Watches the connection of a mount that has no witness at all.
    pub fn watch_connection(&mut self, id: u32, now: Instant) {
        if self.mounts.contains_key(&id) {
            self.by_connection.insert(id);
            self.start_own_watch(now);
        }
    }

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

    fn start_own_watch(&mut self, now: Instant) {
        self.own_watch = self.own_watch.or(Some(now));
        self.stop_own_watch();
    }

    /// Stops where there is nothing to watch: nothing wakes swnd then.
    pub(super) fn stop_own_watch(&mut self) {
        if self.unwatched.is_empty() && self.by_connection.is_empty() && !self.is_checking {
            self.own_watch = None;
            self.questions.retain(&BTreeSet::new());
        }
    }

    /// Begins incidents where no witness watches, or none has told, and the connection is
    /// dead, after a look at the connections to all addresses, or to some; and asks where
    /// they don't tell.
    pub(super) fn watch_own(&mut self, looked_at: Option<&BTreeSet<IpAddr>>, now: Instant) {
        let is_open = |it: &&Mounted| !self.incidents.contains_key(&it.address);
        let watched = self.unwatched.union(&self.by_connection);
        let watched = watched.filter_map(|id| self.mounts.get(id)).filter(is_open);
        let mut addresses = BTreeMap::<IpAddr, Vec<Mount>>::new();
        for mounted in watched {
            addresses.entry(mounted.address).or_default().push(mounted.mount.clone());
        }
        let doubted = self.incidents.values().filter(|it| it.doubts(&self.view));
        addresses.extend(doubted.map(|it| (it.address, it.mounts.iter().cloned().collect())));
        self.questions.retain(&addresses.keys().copied().collect());
        let mut checked = BTreeMap::<IpAddr, Mount>::new();
        if self.is_checking {
            for mounted in self.mounts.values().filter(is_open) {
                if !addresses.contains_key(&mounted.address) {
                    checked.entry(mounted.address).or_insert_with(|| mounted.mount.clone());
                }
            }
        }
        let is_seen = |address: &IpAddr| looked_at.is_none_or(|it| it.contains(address));
        addresses.retain(|address, _| is_seen(address));
        for (address, mounts) in addresses {
            if self.incidents.contains_key(&address) || !self.begin_if_dead(address, now) {
                self.question(address, &mounts, now);
            }
        }
        self.is_checking &= looked_at.is_some();
        for (address, mount) in checked {
            // The echo may have gone out just now.
            let waits = |it: &Connection| it.is_waiting(pace::OWN_WATCH_CLOSE);
            if !is_seen(&address) || !self.view.at(address).any(waits) {
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
        self.stop_own_watch();
    }

    /// Begins an incident where a connection to the address is dead. Returns whether one is,
    /// or may be in a moment.
    fn begin_if_dead(&mut self, address: IpAddr, now: Instant) -> bool {
        let (retransmissions, silence) = pace::DEAD_AFTER_SILENCE;
        let any = |times, silence| self.view.at(address).any(|it| it.is_dead(times, silence));
        let (is_dead, may_be) = (any(retransmissions, silence), any(1, pace::OWN_WATCH_CLOSE));
        if is_dead {
            self.incident(address, Cause::Silence, None, now);
        } else if may_be {
            let soon = now + pace::OWN_WATCH_CLOSE;
            self.own_watch = self.own_watch.map(|at| at.min(soon));
        }
        is_dead || may_be
    }
}

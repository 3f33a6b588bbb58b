//! Mounts without a witness: swnd looks at their connections itself, all of them at once.

use super::incident::Cause;
use super::mounts::Mounted;
use super::{Failover, pace};
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

    pub(super) fn start_own_watch(&mut self, now: Instant) {
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

    /// The addresses of these mounts, but for those that are being worked on.
    pub(super) fn own_addresses(&self) -> BTreeMap<IpAddr, Vec<Mount>> {
        let mut addresses = BTreeMap::<IpAddr, Vec<Mount>>::new();
        let watched = self.unwatched.union(&self.by_connection);
        for mounted in watched.filter_map(|id| self.mounts.get(id)) {
            if !self.incidents.contains_key(&mounted.address) {
                addresses.entry(mounted.address).or_default().push(mounted.mount.clone());
            }
        }
        addresses
    }

    /// After a look at the connections to these addresses: begins incidents where one is dead,
    /// and asks where they don't tell.
    pub(super) fn watch_own(&mut self, own: BTreeMap<IpAddr, Vec<Mount>>, now: Instant) {
        for (address, mounts) in own {
            if !self.begin_if_dead(address, now) {
                self.question(address, &mounts, now);
            }
        }
    }

    /// Begins an incident where a connection to the address is dead. Returns whether one is,
    /// or may be in a moment.
    pub(super) fn begin_if_dead(&mut self, address: IpAddr, now: Instant) -> bool {
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

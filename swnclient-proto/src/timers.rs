//! The deadlines of everything: one ordered set, one wake-up for the next.

use std::collections::BTreeSet;
use std::time::Instant;

/// Deadlines of things named by `K`, one each at most. The thing itself keeps
/// its deadline, and changes it here.
#[derive(Debug)]
pub(super) struct Timers<K> {
    set: BTreeSet<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { set: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Changes the deadline of `key`, which is kept in `slot`.
    pub(super) fn set(&mut self, key: K, slot: &mut Option<Instant>, to: Option<Instant>) {
        if *slot == to {
            return;
        }
        if let Some(old) = slot.take() {
            self.set.remove(&(old, key));
        }
        if let Some(new) = to {
            self.set.insert((new, key));
        }
        *slot = to;
    }

    /// The first deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    /// What is due; its deadline remains until it is changed.
    pub(super) fn due(&self, now: Instant) -> Option<K> {
        self.set.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }
}

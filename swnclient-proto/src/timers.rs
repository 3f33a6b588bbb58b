//! Every deadline of the client, by name: one ordered set, one wake-up for the
//! next.

use super::link::LinkId;
use crate::RegistrationId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The name of a deadline. What is due at the same instant is handled in this
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    Link(LinkId, LinkTimer),
    Registration(RegistrationId, RegistrationTimer),
}

/// The deadlines of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkTimer {
    /// The connection to the endpoint mapper and its answer, or the connection to
    /// the witness service and the bind, take too long.
    Phase,
    /// GetInterfaceList takes too long.
    List,
    /// The calls that make or end a registration without an owner take too long.
    Release,
    /// The rest of a response that has arrived in part takes too long.
    Rest,
}

impl LinkTimer {
    const ALL: [Self; 4] = [Self::Phase, Self::List, Self::Release, Self::Rest];
}

/// The deadlines of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RegistrationTimer {
    /// Releases the previous registration.
    Overlap,
    /// Selects the witness again.
    Reselect,
    /// Register or RegisterEx takes too long.
    Call,
    /// Asks again for the list that tells what was missed.
    CatchUp,
    /// AsyncNotify takes too long, or its next call may be made.
    Notify,
    /// The next attempt.
    Retry,
    /// UnRegister takes too long.
    Unregister,
}

impl RegistrationTimer {
    const ALL: [Self; 7] = [
        Self::Overlap,
        Self::Reselect,
        Self::Call,
        Self::CatchUp,
        Self::Notify,
        Self::Retry,
        Self::Unregister,
    ];
}

/// The deadlines that are set, at most one of each name.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_key: BTreeMap<TimerKey, Instant>,
    by_time: BTreeSet<(Instant, TimerKey)>,
}

impl Timers {
    /// Sets a deadline, in place of the one that has its name.
    pub(super) fn set(&mut self, key: TimerKey, at: Instant) {
        let old = self.by_key.insert(key, at);
        if old == Some(at) {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        self.by_time.insert((at, key));
    }

    /// Removes a deadline.
    pub(super) fn clear(&mut self, key: TimerKey) {
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
    }

    /// Sets a deadline, or with `None` removes it.
    pub(super) fn replace(&mut self, key: TimerKey, at: Option<Instant>) {
        match at {
            Some(at) => self.set(key, at),
            None => self.clear(key),
        }
    }

    /// Removes every deadline of a registration.
    pub(super) fn clear_registration(&mut self, id: RegistrationId) {
        for timer in RegistrationTimer::ALL {
            self.clear(TimerKey::Registration(id, timer));
        }
    }

    /// Removes every deadline of a link.
    pub(super) fn clear_link(&mut self, id: LinkId) {
        for timer in LinkTimer::ALL {
            self.clear(TimerKey::Link(id, timer));
        }
    }

    /// Returns a deadline that is set.
    pub(super) fn get(&self, key: TimerKey) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// Returns the first deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Removes and returns the first deadline that is due. It is removed before
    /// it is acted on: one that is forgotten to be set again cannot keep the
    /// client busy.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_is_removed_before_it_is_returned() {
        let now = Instant::now();
        let retry = TimerKey::Registration(RegistrationId(1), RegistrationTimer::Retry);
        let mut timers = Timers::default();
        timers.set(retry, now);
        assert_eq!(timers.pop_due(now), Some(retry));
        assert_eq!((timers.pop_due(now), timers.next(), timers.get(retry)), (None, None, None));
    }

    #[test]
    fn a_deadline_replaces_the_one_of_its_name_and_no_other() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let list = TimerKey::Link(LinkId(1), LinkTimer::List);
        let rest = TimerKey::Link(LinkId(1), LinkTimer::Rest);
        let mut timers = Timers::default();
        timers.set(list, now);
        timers.set(rest, now);
        timers.set(list, later);
        assert_eq!((timers.next(), timers.get(list)), (Some(now), Some(later)));
        assert_eq!(timers.pop_due(now), Some(rest));
        assert_eq!((timers.pop_due(now), timers.next()), (None, Some(later)));
        timers.clear_link(LinkId(1));
        assert_eq!(timers.next(), None);
    }
}

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
    const FIRST: Self = Self::Phase;
    /// In order.
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
    const FIRST: Self = Self::Overlap;
    /// In order.
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

/// A key as one number in the same order, so that a comparison is one instruction:
/// a bit for a registration, the identifier, four bits for the timer.
type Packed = u64;

const TIMER_BITS: u32 = 4;
const REGISTRATION: Packed = 1 << 63;

impl TimerKey {
    /// Identifiers are counted up from 1, and never come near 2⁵⁹.
    fn pack(self) -> Packed {
        match self {
            Self::Link(id, timer) => (id.0 << TIMER_BITS) | timer as Packed,
            Self::Registration(id, timer) => REGISTRATION | (id.0 << TIMER_BITS) | timer as Packed,
        }
    }

    fn unpack(packed: Packed) -> Option<Self> {
        let timer = usize::try_from(packed & ((1 << TIMER_BITS) - 1)).ok()?;
        let id = (packed & !REGISTRATION) >> TIMER_BITS;
        Some(if packed & REGISTRATION == 0 {
            Self::Link(LinkId(id), *LinkTimer::ALL.get(timer)?)
        } else {
            Self::Registration(RegistrationId(id), *RegistrationTimer::ALL.get(timer)?)
        })
    }
}

/// The deadlines that are set, at most one of each name.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_key: BTreeMap<Packed, Instant>,
    by_time: BTreeSet<(Instant, Packed)>,
}

impl Timers {
    /// Sets a deadline, in place of the one that has its name.
    pub(super) fn set(&mut self, key: TimerKey, at: Instant) {
        let key = key.pack();
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
        self.remove(key.pack());
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
        self.clear_all(TimerKey::Registration(id, RegistrationTimer::FIRST));
    }

    /// Removes every deadline of a link.
    pub(super) fn clear_link(&mut self, id: LinkId) {
        self.clear_all(TimerKey::Link(id, LinkTimer::FIRST));
    }

    /// Removes every deadline of what this is the first one of.
    fn clear_all(&mut self, first: TimerKey) {
        let first = first.pack();
        let all = first..first + (1 << TIMER_BITS);
        while let Some((&key, _)) = self.by_key.range(all.clone()).next() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Packed) {
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
    }

    /// Returns a deadline that is set.
    pub(super) fn get(&self, key: TimerKey) -> Option<Instant> {
        self.by_key.get(&key.pack()).copied()
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
        TimerKey::unpack(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_packed_key_is_the_same_key_in_the_same_order() {
        let mut keys = Vec::new();
        for id in [1, 2, 1 << 40] {
            keys.extend(LinkTimer::ALL.map(|timer| TimerKey::Link(LinkId(id), timer)));
            let registration = RegistrationId(id);
            keys.extend(
                RegistrationTimer::ALL.map(|timer| TimerKey::Registration(registration, timer)),
            );
        }
        keys.sort_unstable();
        for pair in keys.windows(2) {
            assert!(pair[0].pack() < pair[1].pack(), "{pair:?}");
        }
        for key in keys {
            assert_eq!(TimerKey::unpack(key.pack()), Some(key));
        }
    }

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

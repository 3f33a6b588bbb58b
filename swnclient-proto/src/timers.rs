//! Deadlines by name: one ordered set for all that a kind of thing waits for, one
//! wake-up for the next.

use super::link::LinkId;
use crate::RegistrationId;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Instant;

/// What has deadlines.
pub(crate) trait Owner: Copy {
    /// Counted up from 1, and never near 2⁶⁰.
    fn number(self) -> u64;
    fn from_number(number: u64) -> Self;
}

impl Owner for LinkId {
    fn number(self) -> u64 {
        self.0
    }

    fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl Owner for RegistrationId {
    fn number(self) -> u64 {
        self.0
    }

    fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// The names of an owner's deadlines, at most 16. What is due at the same instant is
/// handled in the order of the owners, and of these.
pub(crate) trait Name: Copy + 'static {
    /// All of them, in order.
    const ALL: &'static [Self];
    /// Which one of them this is.
    fn index(self) -> u64;
}

/// The deadlines of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkTimer {
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

impl Name for LinkTimer {
    const ALL: &'static [Self] = &[Self::Phase, Self::List, Self::Release, Self::Rest];

    fn index(self) -> u64 {
        self as u64
    }
}

/// The deadlines of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegistrationTimer {
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
    /// The next candidate is tried beside those that are silent.
    Race,
}

impl Name for RegistrationTimer {
    const ALL: &'static [Self] = &[
        Self::Overlap,
        Self::Reselect,
        Self::Call,
        Self::CatchUp,
        Self::Notify,
        Self::Retry,
        Self::Unregister,
        Self::Race,
    ];

    fn index(self) -> u64 {
        self as u64
    }
}

/// An owner and a name as one number, so that a comparison is one instruction: the
/// owner's number, then four bits for the name.
type Key = u64;

const NAME_BITS: u32 = 4;

fn key<O: Owner, N: Name>(owner: O, name: N) -> Key {
    (owner.number() << NAME_BITS) | name.index()
}

fn of_key<O: Owner, N: Name>(key: Key) -> Option<(O, N)> {
    let name = usize::try_from(key & ((1 << NAME_BITS) - 1)).ok()?;
    Some((O::from_number(key >> NAME_BITS), *N::ALL.get(name)?))
}

/// The deadlines that are set, at most one of each name.
#[derive(Debug)]
pub(crate) struct Timers<O, N> {
    by_key: BTreeMap<Key, Instant>,
    by_time: BTreeSet<(Instant, Key)>,
    names: PhantomData<(O, N)>,
}

impl<O, N> Default for Timers<O, N> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new(), names: PhantomData }
    }
}

impl<O: Owner, N: Name> Timers<O, N> {
    /// Sets a deadline, in place of the one that has its name.
    pub(crate) fn set(&mut self, owner: O, name: N, at: Instant) {
        let key = key(owner, name);
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
    pub(crate) fn clear(&mut self, owner: O, name: N) {
        self.remove(key(owner, name));
    }

    /// Sets a deadline, or with `None` removes it.
    pub(crate) fn replace(&mut self, owner: O, name: N, at: Option<Instant>) {
        match at {
            Some(at) => self.set(owner, name, at),
            None => self.clear(owner, name),
        }
    }

    /// Removes every deadline of one owner.
    pub(crate) fn clear_all(&mut self, owner: O) {
        let first = owner.number() << NAME_BITS;
        let all = first..first + (1 << NAME_BITS);
        while let Some((&key, _)) = self.by_key.range(all.clone()).next() {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
    }

    /// Returns a deadline that is set.
    pub(crate) fn get(&self, owner: O, name: N) -> Option<Instant> {
        self.by_key.get(&key(owner, name)).copied()
    }

    /// Returns the first deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Removes and returns the first deadline that is due. It is removed before
    /// it is acted on: one that is forgotten to be set again cannot keep the
    /// client busy.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(O, N)> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        of_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    type Links = Timers<LinkId, LinkTimer>;

    fn check_keys<O: Owner, N: Name>() {
        let mut keys = Vec::new();
        for number in [1, 2, 1 << 40] {
            for (index, name) in N::ALL.iter().enumerate() {
                assert_eq!(u64::try_from(index).ok(), Some(name.index()));
                let key = key(O::from_number(number), *name);
                let (owner, back) = of_key::<O, N>(key).expect("a name");
                assert_eq!((owner.number(), back.index()), (number, name.index()));
                keys.push(key);
            }
        }
        assert!(keys.is_sorted());
    }

    #[test]
    fn a_key_is_its_owner_and_its_name_and_in_their_order() {
        check_keys::<LinkId, LinkTimer>();
        check_keys::<RegistrationId, RegistrationTimer>();
    }

    #[test]
    fn what_is_due_is_removed_before_it_is_returned() {
        let now = Instant::now();
        let (id, retry) = (RegistrationId(1), RegistrationTimer::Retry);
        let mut timers = Timers::default();
        timers.set(id, retry, now);
        assert_eq!(timers.pop_due(now), Some((id, retry)));
        assert_eq!((timers.pop_due(now), timers.next(), timers.get(id, retry)), (None, None, None));
    }

    #[test]
    fn a_deadline_replaces_the_one_of_its_name_and_no_other() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let id = LinkId(1);
        let mut timers = Links::default();
        timers.set(id, LinkTimer::List, now);
        timers.set(id, LinkTimer::Rest, now);
        timers.set(id, LinkTimer::List, later);
        assert_eq!((timers.next(), timers.get(id, LinkTimer::List)), (Some(now), Some(later)));
        assert_eq!(timers.pop_due(now), Some((id, LinkTimer::Rest)));
        assert_eq!((timers.pop_due(now), timers.next()), (None, Some(later)));
        timers.clear_all(id);
        assert_eq!(timers.next(), None);
    }
}

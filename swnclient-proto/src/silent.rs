//! Servers that have not answered: for a while they are tried last.

use crate::ScopedAddr;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a silence is remembered.
const LASTS: Duration = Duration::from_secs(600);
/// How many are remembered; more are not.
const MOST: usize = 256;

/// The addresses that have not answered, and until when that is remembered.
#[derive(Debug)]
pub(crate) struct Silent(BTreeMap<ScopedAddr, Instant>);

impl Silent {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// An address has not answered.
    pub(crate) fn add(&mut self, address: ScopedAddr, now: Instant) {
        self.0.retain(|_, until| now < *until);
        if self.0.len() < MOST || self.0.contains_key(&address) {
            self.0.insert(address, now + LASTS);
        }
    }

    /// An address has answered.
    pub(crate) fn remove(&mut self, address: ScopedAddr) {
        self.0.remove(&address);
    }

    /// Whether an address has not answered lately.
    pub(crate) fn contains(&self, address: ScopedAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_silence_is_remembered_for_ten_minutes_and_a_bounded_number_of_them() {
        let (mut silent, now) = (Silent::new(), Instant::now());
        let address = |n: u16| {
            ScopedAddr::from(IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
        };
        (0..1000).for_each(|n| silent.add(address(n), now));
        assert_eq!(silent.0.len(), MOST);
        assert!(silent.contains(address(0), now + LASTS / 2));
        assert!(!silent.contains(address(0), now + LASTS));
        silent.remove(address(0));
        assert!(!silent.contains(address(0), now));
        silent.add(address(999), now + LASTS);
        assert_eq!(silent.0.len(), 1);
    }
}

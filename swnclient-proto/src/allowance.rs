//! How often a witness that has news each time is asked for more: a number of times
//! at once, which is more than an honest one needs, and then at a steady pace.

use std::time::{Duration, Instant};

/// How many answers in a row are followed by the next call at once.
const BURST: u32 = 64;
/// The time between calls after that.
const INTERVAL: Duration = Duration::from_millis(100);

/// The pace of one registration's calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    /// When all of [`BURST`] is there again.
    full_at: Option<Instant>,
}

impl Allowance {
    /// Counts a call; returns when it may be made, which is `now` or later.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + INTERVAL;
        self.full_at = Some(full_at);
        full_at.checked_sub(BURST * INTERVAL).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_follows_comes_at_the_pace() {
        let (mut allowance, mut now) = (Allowance::default(), Instant::now());
        for call in 0..BURST {
            assert_eq!(allowance.next(now), now, "{call}");
        }
        for _ in 0..10 {
            let next = allowance.next(now);
            assert_eq!(next, now + INTERVAL);
            now = next;
        }
        now += BURST * INTERVAL;
        for call in 0..BURST {
            assert_eq!(allowance.next(now), now, "{call}");
        }
    }
}

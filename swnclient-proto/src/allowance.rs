//! How often a witness that has news each time is asked for more: a number of times
//! at once, which is more than an honest one needs, and then at a steady pace.

use std::time::{Duration, Instant};

/// How many answers in a row are followed by the next call at once.
const BURST: u32 = 64;
/// The time between calls after that.
const INTERVAL: Duration = Duration::from_millis(100);

/// The pace of one registration's calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// How many calls are left before the next look at the clock.
    left: u32,
    /// When that was last, or will be.
    since: Option<Instant>,
}

impl Allowance {
    /// Counts a call; returns when it may be made, which is `now` or later.
    pub(crate) fn next(&mut self, now: Instant) -> Instant {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return now;
        }
        let passed = self.since.map_or(BURST, |since| intervals(since, now));
        let at = match self.since {
            Some(since) if passed == 0 => since + INTERVAL,
            _ => now,
        };
        self.left = passed.saturating_sub(1);
        self.since = Some(at);
        at
    }
}

/// How many calls the time between two moments is worth.
fn intervals(since: Instant, now: Instant) -> u32 {
    let passed = now.saturating_duration_since(since).as_millis() / INTERVAL.as_millis();
    u32::try_from(passed).map_or(BURST, |passed| passed.min(BURST))
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

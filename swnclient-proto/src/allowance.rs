//! How often a witness that has news each time is asked for more: a number of times
//! at once, which is more than an honest one needs, and then at a steady pace. A long
//! answer counts as several, so that what it takes to read answers has a bound as well.

use std::time::{Duration, Instant};

/// How many answers in a row are followed by the next call at once.
const BURST: u32 = 64;
/// The time between calls after that.
const INTERVAL: Duration = Duration::from_millis(100);
/// Each so many bytes of an answer count as one answer more. One that honest clusters
/// give has a few dozen for each resource.
const LENGTH: usize = 4096;

/// The pace of one registration's calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// How many answers may come before the next look at the clock.
    left: u32,
    /// When that was last, or will be.
    since: Option<Instant>,
}

impl Allowance {
    /// Counts an answer of that many bytes; returns when the next call may be made,
    /// which is `now` or later.
    pub(crate) fn next(&mut self, length: usize, now: Instant) -> Instant {
        let answers =
            u32::try_from(length / LENGTH).map_or(u32::MAX, |more| more.saturating_add(1));
        if let Some(left) = self.left.checked_sub(answers) {
            self.left = left;
            return now;
        }
        let passed = self.since.map_or(BURST, |since| intervals(since, now));
        let left = (self.left + passed).min(BURST);
        let from = self.since.filter(|_| passed == 0).unwrap_or(now);
        let at = match answers.saturating_sub(left) {
            0 => now,
            missing => from + INTERVAL.saturating_mul(missing),
        };
        self.left = left.saturating_sub(answers);
        self.since = Some(at);
        at
    }
}

/// How many answers the time between two moments is worth.
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
            assert_eq!(allowance.next(0, now), now, "{call}");
        }
        for _ in 0..10 {
            let next = allowance.next(LENGTH - 1, now);
            assert_eq!(next, now + INTERVAL);
            now = next;
        }
        now += BURST * INTERVAL;
        for call in 0..BURST {
            assert_eq!(allowance.next(0, now), now, "{call}");
        }
    }

    #[test]
    fn a_long_answer_counts_by_its_length() {
        let (mut allowance, mut now) = (Allowance::default(), Instant::now());
        let length = (BURST as usize - 1) * LENGTH;
        assert_eq!(allowance.next(length, now), now);
        for _ in 0..10 {
            let next = allowance.next(length, now);
            assert_eq!(next, now + BURST * INTERVAL);
            now = next;
        }
    }
}

//! Exponential backoff with full jitter: the n-th delay is uniform between
//! nothing and the n-th bound, so that clients that failed together don't come
//! back together.

use std::time::Duration;

/// The backoff of one registration.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    failures: u8,
}

impl Backoff {
    /// Returns the delay before the next attempt.
    pub(crate) fn next(
        &mut self,
        rng: &mut fastrand::Rng,
        min: Duration,
        max: Duration,
    ) -> Duration {
        let bound = self.bound(min, max);
        jitter(rng, bound)
    }

    /// Counts a failure; returns the bound of the delay that follows it.
    pub(crate) fn bound(&mut self, min: Duration, max: Duration) -> Duration {
        let bound = min.saturating_mul(1 << self.failures.min(20)).min(max);
        self.failures = self.failures.saturating_add(1);
        bound
    }

    /// Whether a failure was counted since the last reset.
    pub(crate) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Resets the bound: the next failure starts from the shortest delay.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random part of `bound`.
pub(crate) fn jitter(rng: &mut fastrand::Rng, bound: Duration) -> Duration {
    bound.mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_shrink_after_a_success() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut rng = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::default();
        let bounds = [1, 2, 4, 8, 16, 32, 60, 60];
        for bound in bounds {
            assert!(backoff.next(&mut rng, min, max) <= Duration::from_secs(bound));
        }
        let longest = (0..1000).map(|_| backoff.next(&mut rng, min, max)).max().unwrap();
        assert!(longest > Duration::from_secs(59) && longest <= max);
        backoff.reset();
        assert!(backoff.next(&mut rng, min, max) <= min);
    }
}

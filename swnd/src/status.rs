//! How many mounts there are, and how many have a witness.

use std::fmt;
use std::time::{Duration, Instant};

/// Status of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether the cifs module is there.
    pub up: bool,
    /// How many mounts want a witness.
    pub mounts: usize,
    /// How many have one.
    pub registered: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On a kernel that asks for no witness, mounts are adopted.
        if self.up || self.mounts > 0 {
            let Self { mounts, registered, .. } = self;
            write!(f, "{registered} of {mounts} mounts registered")
        } else {
            f.write_str("waiting for the cifs module")
        }
    }
}

/// For how long mounts have been without a witness.
#[derive(Debug, Default)]
pub(crate) struct Unwatched {
    /// How many have none, and since when there are so many.
    mounts: u32,
    since: Option<Instant>,
    /// What lies before that, of all mounts together.
    before: Duration,
}

impl Unwatched {
    /// Counts by this status from `now` on.
    pub(crate) fn follow(&mut self, status: Status, now: Instant) {
        self.before = self.total(now);
        self.since = Some(now);
        let mounts = status.mounts.saturating_sub(status.registered);
        self.mounts = u32::try_from(mounts).unwrap_or(u32::MAX);
    }

    /// Returns the time of all mounts together.
    pub(crate) fn total(&self, now: Instant) -> Duration {
        let each = self.since.map(|since| now.saturating_duration_since(since));
        self.before.saturating_add(each.unwrap_or_default().saturating_mul(self.mounts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_each_mount_without_a_witness_adds_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unwatched = Unwatched::default();
        assert_eq!(unwatched.total(at(5)), Duration::ZERO);
        for (second, mounts, registered) in [(5, 2, 0), (8, 2, 1), (10, 2, 2), (30, 1, 0)] {
            unwatched.follow(Status { up: true, mounts, registered }, at(second));
        }
        assert_eq!(unwatched.total(at(20)), Duration::from_secs(8));
        assert_eq!(unwatched.total(at(31)), Duration::from_secs(9));
    }
}

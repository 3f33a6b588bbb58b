//! Waiting for a condition with a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// The pauses between two looks at a condition: short where it comes true at once, long where it takes its time, for each
/// look may start a program.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// Looks at `condition` until it is `Ok`, and gives that value. `condition` says in its error what it saw instead.
///
/// # Panics
/// After `limit`, with `what` was awaited and what was seen last.
pub fn wait_until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(seen) if start.elapsed() >= limit => {
                panic!("after {limit:?} still not: {what}\nlast seen: {seen}")
            }
            Err(_) => std::thread::sleep((start.elapsed() / 20).clamp(SHORTEST, LONGEST)),
        }
    }
}

//! How often and how long the failover looks, asks and waits.

use std::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// How long one probe may take: a few round trips of a slow network.
pub(super) const PROBE_LIMIT: Duration = ms(1000);
/// How many probes of one address may be under way.
pub(super) const PROBES_MAX: u8 = 10;
/// A probe of an address that is under way for less than this answers for others, too.
pub(super) const PROBE_SHARED: Duration = ms(50);
/// How long an address's answer to a probe counts.
pub(super) const ANSWER_LASTS: Duration = ms(500);

/// How long the address must have been silent before the mount is moved to another:
/// after a witness's word, and where only the kernel's connection tells.
pub(super) const STEER_AFTER_WORD: Duration = ms(800);
pub(super) const STEER_AFTER_SILENCE: Duration = ms(1500);
/// When other addresses are looked for, so that they are known by then.
pub(super) const LOOK_UP_AFTER: Duration = ms(200);
/// How long looked-up addresses count.
pub(super) const LOOK_UP_LASTS: Duration = Duration::from_secs(10);
/// How many other addresses are probed at most.
pub(super) const CANDIDATES_MAX: usize = 16;

/// A connection is dead where data was retransmitted so often, and nothing has
/// been acknowledged for so long: after a witness's word, and where only the
/// connection tells.
pub(super) const DEAD_AFTER_WORD: (u8, Duration) = (1, ms(250));
pub(super) const DEAD_AFTER_SILENCE: (u8, Duration) = (3, ms(1200));

/// How long a connection that answers is watched all the same: one made since, and
/// one that was there before.
pub(super) const SETTLE_NEW: Duration = ms(1000);
pub(super) const SETTLE_OLD: Duration = Duration::from_secs(10);
/// How long one is watched that nothing goes over, though the kernel was brought to send
/// something, or could not be. The kernel's echo shows whether it lives: it comes within two
/// `echo_interval`s after the last byte, of 60 s unless the mount has others.
pub(super) const WATCH_IDLE: Duration = Duration::from_secs(125);
/// How long a mount without any connection is followed.
pub(super) const GIVE_UP: Duration = Duration::from_secs(3600);

/// How long there must have been no connection to an address by which a share is mounted
/// beside another: the kernel tries for 5 s and sleeps for 3 s in turns.
pub(super) const SHARED_GONE: Duration = Duration::from_secs(15);

/// How long the kernel may hold a notification before the dead connection, whose
/// lock it waits for, is ended first.
pub(super) const NOTIFY_BLOCKED: Duration = ms(250);
/// How long the kernel's answer may be under way after it has acted.
pub(super) const ANSWER_LOST: Duration = ms(1000);
/// How long the kernel may take to be on the address that it was moved to: it may
/// sleep 3 s after an attempt of its own that failed.
pub(super) const LANDING_LIMIT: Duration = Duration::from_secs(6);
/// How long it must then stay there: a kernel that was away for longer than three
/// echo intervals drops its first connection at once.
pub(super) const LANDED_FOR: Duration = ms(1000);
/// How often a mount is moved to the same address.
pub(super) const MOVES_MAX: u8 = 4;
/// How long the target of an ordered move may take to answer.
pub(super) const TARGET_LIMIT: Duration = Duration::from_secs(60);
/// The pause after a move that has failed.
pub(super) const MOVE_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How often the connections of mounts without a witness are looked at.
pub(super) const OWN_WATCH: Duration = Duration::from_secs(1);
/// How often while one of them is waited for.
pub(super) const OWN_WATCH_CLOSE: Duration = ms(100);

/// How often the connections of mounts with a witness are looked at, at most, where swnd is
/// awake and there is no news.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How long nothing must have gone over a connection for a request that waits to be told
/// from one that is being answered. It is looked at so often while it is used, and no more
/// often than the second one says.
pub(super) const QUIET: Duration = ms(250);
pub(super) const QUIET_MIN: Duration = ms(50);
/// How often the kernel is brought to send something to an address, at most.
pub(super) const QUESTION_EVERY: Duration = ms(500);
/// When it is again, where nothing has come but what waited before, such as the news of a
/// directory: after twice the pause before. Then the kernel's own echoes do.
pub(super) const QUESTION_PAUSE: Duration = ms(500);
pub(super) const QUESTION_PAUSE_MAX: Duration = Duration::from_secs(30);
/// When it is tried again where it can't be.
pub(super) const UNASKED_PAUSE: Duration = Duration::from_secs(60);
/// How many of these requests may wait in the kernel, each with a thread: of all mounts,
/// and of those at an address.
pub(super) const QUESTIONS_MAX: usize = 32;
pub(super) const QUESTIONS_AT_ADDRESS: usize = 6;
/// How many addresses are worked on at a time; others wait.
pub(super) const INCIDENTS_MAX: usize = 256;

/// How often connections are looked at, by the age of the incident.
pub(super) fn look_every(age: Duration) -> Duration {
    match age.as_millis() {
        0..1_000 => ms(50),
        1_000..10_000 => ms(100),
        10_000..130_000 => ms(250),
        _ => Duration::from_secs(5),
    }
}

/// How often an address that does not answer is probed, by the age of the incident.
pub(super) fn probe_every(age: Duration) -> Duration {
    match age.as_millis() {
        0..10_000 => ms(100),
        10_000..70_000 => ms(250),
        _ => Duration::from_secs(2),
    }
}

//! The log: lines are written on any thread, and the caller's debug callback is
//! called on the one that runs its tevent loop.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::collections::VecDeque;
use std::ffi::{CString, c_int};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError, Weak};

/// The most lines that wait for a loop to run; further ones are counted only.
const MAX_WAITING: usize = 1000;

/// Something that calls [`next_line`] on its thread when it is woken.
pub(crate) trait Loop: Send + Sync {
    /// Whether it will.
    fn wake_for_lines(&self) -> bool;
}

/// A line on its way to the callback.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// As Samba counts them.
    pub(crate) level: c_int,
    /// Safe as a format string.
    pub(crate) text: CString,
}

struct Lines {
    waiting: VecDeque<Line>,
    dropped: usize,
    /// Who is woken, the first that is still there.
    loops: Vec<Weak<dyn Loop>>,
}

static LINES: Mutex<Lines> =
    Mutex::new(Lines { waiting: VecDeque::new(), dropped: 0, loops: Vec::new() });

fn lines() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what `level` lets through, counted as Samba does; nothing below 0.
pub(crate) fn enable(level: c_int) {
    static LOGGER: Logger = Logger;
    // It fails when it was set before, by this very function.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(match level {
        ..0 => LevelFilter::Off,
        0 => LevelFilter::Error,
        1..3 => LevelFilter::Warn,
        3..5 => LevelFilter::Info,
        5..10 => LevelFilter::Debug,
        10.. => LevelFilter::Trace,
    });
}

/// Adds a loop that can call the callback.
pub(crate) fn add_loop(new: Weak<dyn Loop>) {
    let mut lines = lines();
    lines.loops.retain(|known| known.strong_count() > 0);
    lines.loops.push(new);
}

/// Locks, unless somebody else does, who wakes a loop afterwards.
fn try_lines() -> Option<MutexGuard<'static, Lines>> {
    match LINES.try_lock() {
        Ok(lines) => Some(lines),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Whether there are lines for the callback.
pub(crate) fn has_lines() -> bool {
    try_lines().is_some_and(|lines| lines.is_waiting())
}

/// The next line for the callback, and whether there are more.
pub(crate) fn next_line() -> Option<(Line, bool)> {
    let mut lines = try_lines()?;
    if let Some(line) = lines.waiting.pop_front() {
        return Some((line, lines.is_waiting()));
    }
    match std::mem::take(&mut lines.dropped) {
        0 => None,
        dropped => {
            let text = format!("{dropped} lines lost: the tevent loop did not run");
            Some((Line::new(Level::Warn, &text), false))
        }
    }
}

impl Lines {
    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.dropped > 0
    }

    fn push(&mut self, line: Line) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(line);
        } else {
            self.dropped += 1;
        }
    }
}

/// Wakes the first loop that is there and takes lines: without the lock, which
/// that loop wants next.
pub(crate) fn wake_a_loop() {
    let loops = lines().loops.clone();
    for known in loops {
        if known.upgrade().is_some_and(|known| known.wake_for_lines()) {
            break;
        }
    }
}

impl Line {
    fn new(level: Level, text: &str) -> Self {
        let level = match level {
            Level::Error => 0,
            Level::Warn => 1,
            Level::Info => 3,
            Level::Debug => 5,
            Level::Trace => 10,
        };
        Self { level, text: harmless(text) }
    }
}

/// One line without control characters, and without a conversion specification:
/// C callers use it as a format string.
fn harmless(text: &str) -> CString {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => bytes.extend_from_slice(b"%%"),
            c if c.is_control() => bytes.push(b'?'),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    // NUL is a control character, so there is none.
    CString::new(bytes).unwrap_or_default()
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = Line::new(record.level(), &record.args().to_string());
        lines().push(line);
        wake_a_loop();
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::{Line, harmless};
    use log::Level;

    #[test]
    fn a_line_is_safe_as_a_format_string() {
        assert_eq!(harmless("50% of %s\n\0é").to_str(), Ok("50%% of %%s??é"));
    }

    #[test]
    fn levels_are_counted_as_samba_does() {
        let level = |level| Line::new(level, "").level;
        assert_eq!(
            [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace].map(level),
            [0, 1, 3, 5, 10]
        );
    }
}

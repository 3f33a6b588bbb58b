//! How often the same is logged. What a server sends again and again makes a few lines,
//! and one with the number of the others once it has calmed down.

use super::line::Line;
use log::{Level, Record};
use smol_str::{SmolStr, ToSmolStr};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many lines of a kind about one mount are logged within [`WINDOW`].
const LINES_MAX: u32 = 20;
/// Since the first of them.
const WINDOW: Duration = Duration::from_secs(60);
/// How many kinds there may be before those that are over are looked for.
const KINDS: usize = 64;
/// The field that names the mount.
const MOUNT: &str = "swnd_mount";

/// What makes two lines the same kind: what they are about, where they are from, and how
/// much they matter.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    mount: Option<SmolStr>,
    target: SmolStr,
    number: Option<u32>,
    level: Level,
}

impl Kind {
    fn new(record: &Record<'_>) -> Self {
        let mount = record.key_values().get(MOUNT.into());
        Self {
            mount: mount.map(|mount| mount.to_smolstr()),
            target: record.target().into(),
            number: record.line(),
            level: record.level(),
        }
    }
}

#[derive(Debug)]
struct Window {
    end: Duration,
    lines: u32,
    /// How many more there were.
    more: u64,
    /// The last line that was logged.
    last: String,
}

/// The kinds of the last minute.
#[derive(Debug)]
pub(super) struct Limit {
    windows: BTreeMap<Kind, Window>,
    /// How many there may be before those that are over are removed.
    clean_at: usize,
    /// The first end of those with more lines than were logged.
    due: Option<Duration>,
}

impl Default for Limit {
    fn default() -> Self {
        Self { windows: BTreeMap::new(), clean_at: KINDS, due: None }
    }
}

impl Limit {
    /// Returns the line of a record, unless there were too many of its kind. Lines that
    /// help to find a fault are not limited.
    pub(super) fn admit(&mut self, record: &Record<'_>, now: Duration) -> Option<Line> {
        if record.level() > Level::Info {
            return Some(record.into());
        }
        if self.windows.len() >= self.clean_at {
            self.windows.retain(|_, window| window.more > 0 || window.end > now);
            self.clean_at = KINDS.max(2 * self.windows.len());
        }
        let new = || Window { end: now + WINDOW, lines: 0, more: 0, last: String::new() };
        let window = self.windows.entry(Kind::new(record)).or_insert_with(new);
        if window.end <= now && window.more == 0 {
            *window = new();
        }
        if window.lines < LINES_MAX {
            window.lines += 1;
            let line = Line::from(record);
            if window.lines == LINES_MAX {
                window.last.clone_from(&line.text);
            }
            return Some(line);
        }
        window.more += 1;
        self.due = Some(self.due.map_or(window.end, |due| due.min(window.end)));
        None
    }

    /// When to call [`Limit::more`], since the epoch; `None` while nothing is left out.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Returns a line for each kind that has more to tell now.
    pub(super) fn more(&mut self, now: Duration) -> Vec<Line> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut due = None;
        self.windows.retain(|kind, window| {
            if window.end > now {
                if window.more > 0 {
                    due = Some(due.map_or(window.end, |due: Duration| due.min(window.end)));
                }
                return true;
            }
            if window.more > 0 {
                let times =
                    if window.more == 1 { "once".into() } else { format!("{} times", window.more) };
                let text = format!("{}; {times} more within a minute, or alike", window.last);
                lines.push(Line::about(kind.mount.clone(), kind.level, text));
            }
            false
        });
        self.due = due;
        lines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000_000);

    fn admit(limit: &mut Limit, mount: &str, level: Level, now: Duration) -> bool {
        let fields = [(MOUNT, mount)];
        let mut record = Record::builder();
        record.level(level).target("refused").key_values(&fields);
        limit.admit(&record.args(format_args!("{mount}: refused")).build(), now).is_some()
    }

    #[test]
    fn the_first_are_logged_and_the_others_are_counted_once_a_minute() {
        let mut limit = Limit::default();
        let admitted = (0..5000).filter(|_| admit(&mut limit, "a", Level::Warn, START)).count();
        assert_eq!(admitted, 20);
        // Another mount, and another level.
        assert!(admit(&mut limit, "b", Level::Warn, START + WINDOW / 2));
        assert!(admit(&mut limit, "a", Level::Info, START));

        assert_eq!(limit.due(), Some(START + WINDOW));
        assert!(limit.more(START + WINDOW / 2).is_empty());
        let lines = limit.more(START + WINDOW);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line.text, "a: refused; 4980 times more within a minute, or alike");
        assert_eq!(line.level, Level::Warn);
        assert_eq!(limit.due(), None);
        assert!(admit(&mut limit, "a", Level::Warn, START + WINDOW));
    }

    #[test]
    fn what_calms_down_is_logged_again_without_a_count() {
        let mut limit = Limit::default();
        for minute in 0..5 {
            let now = START + minute * WINDOW;
            assert!((0..20).all(|_| admit(&mut limit, "a", Level::Warn, now)));
        }
        assert_eq!(limit.due(), None);
    }

    #[test]
    fn lines_that_help_to_find_a_fault_are_not_limited() {
        let mut limit = Limit::default();
        assert!((0..100).all(|_| admit(&mut limit, "a", Level::Debug, START)));
    }

    #[test]
    fn kinds_that_are_over_are_forgotten() {
        let mut limit = Limit::default();
        for nth in 0..1000 {
            let now = START + nth * WINDOW;
            assert!(admit(&mut limit, &nth.to_string(), Level::Warn, now));
        }
        assert!(limit.windows.len() <= KINDS, "{}", limit.windows.len());
    }
}

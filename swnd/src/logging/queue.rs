//! Lines on their way to the log. A thread of its own writes them, so that nothing
//! else waits for a log that is not read. What finds no room is dropped and counted, and
//! what is too much of the same.

use super::limit::Limit;
use super::line::{Line, now};
use crate::report::Kind;
use log::{Level, Log, Metadata, Record};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much may wait to be written, in bytes.
const ROOM: usize = 256 << 10;
/// How many lines the queue keeps room for while it is empty.
const RETAINED_CAPACITY: usize = 16;
/// How long [`Log::flush`] waits.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

/// How many lines have found no room, of all queues.
pub(super) static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Where lines are written to. May block.
pub(super) trait Output {
    /// Writes one line.
    fn write(&mut self, line: &Line);
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// The size of all lines, in bytes.
    size: usize,
    /// How many lines found no room since the last one that did.
    dropped: u64,
    /// Whether a line is being written.
    writing: bool,
    limit: Limit,
}

impl State {
    /// Adds a line, or counts it where there is no room.
    fn offer(&mut self, line: Line) {
        if self.size + line.size() > ROOM {
            self.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(missing) = self.missing() {
            self.push(missing);
        }
        self.push(line);
    }

    fn push(&mut self, line: Line) {
        self.size += line.size();
        self.lines.push_back(line);
    }

    /// Returns what is said of the dropped lines, in their place.
    fn missing(&mut self) -> Option<Line> {
        let text = match std::mem::take(&mut self.dropped) {
            0 => return None,
            1 => "1 line dropped: the log was not read".into(),
            dropped => format!("{dropped} lines dropped: the log was not read"),
        };
        Some(Line::of(Kind::LinesDropped, Level::Warn, text))
    }

    fn pop(&mut self) -> Option<Line> {
        let Some(line) = self.lines.pop_front() else { return self.missing() };
        self.size -= line.size();
        if self.lines.is_empty() {
            self.lines.shrink_to(RETAINED_CAPACITY);
        }
        Some(line)
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a line to write.
    filled: Condvar,
    /// All lines are written.
    emptied: Condvar,
}

/// The queue; clones are one and the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn push(&self, line: Line) {
        self.state().offer(line);
        self.0.filled.notify_one();
    }

    /// Writes the lines as they come.
    pub(super) fn write_to(&self, output: &mut dyn Output) -> ! {
        loop {
            let line = self.next();
            output.write(&line);
        }
    }

    /// Waits for the next line to write.
    fn next(&self) -> Line {
        let mut state = self.state();
        loop {
            if let Some(line) = state.pop() {
                state.writing = true;
                return line;
            }
            state.writing = false;
            self.0.emptied.notify_all();
            state = match state.limit.due() {
                None => self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let wait = due.saturating_sub(now()).max(Duration::from_millis(1));
                    let waited = self.0.filled.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            for line in state.limit.more(now()) {
                state.offer(line);
            }
        }
    }
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let mut state = self.state();
        if let Some(line) = state.limit.admit(record, now()) {
            state.offer(line);
            drop(state);
            self.0.filled.notify_one();
        }
    }

    /// Waits until all lines are written, for half a second at most.
    fn flush(&self) {
        let is_busy = |state: &mut State| state.writing || !state.lines.is_empty();
        let emptied = &self.0.emptied;
        drop(emptied.wait_timeout_while(self.state(), FLUSH_LIMIT, is_busy));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::LINE_MAX;
    use std::sync::mpsc;
    use std::time::Instant;

    /// Waits for its reader with each line.
    struct Unread(mpsc::SyncSender<(Level, String)>);

    impl Output for Unread {
        fn write(&mut self, line: &Line) {
            let _ = self.0.send((line.level, line.text.clone()));
        }
    }

    /// A queue with its writer, and what reads it.
    fn unread() -> (Queue, mpsc::Receiver<(Level, String)>) {
        let (sender, reader) = mpsc::sync_channel(0);
        let queue = Queue::default();
        let writer = queue.clone();
        std::thread::spawn(move || writer.write_to(&mut Unread(sender)));
        (queue, reader)
    }

    #[test]
    fn what_finds_no_room_is_counted_in_its_place() {
        let (queue, reader) = unread();
        let mut pushed = 0;
        while queue.state().dropped < 3 {
            queue.push(Line::new(Level::Info, format!("line {pushed}")));
            pushed += 1;
        }
        let started = Instant::now();
        queue.flush();
        assert!((FLUSH_LIMIT..2 * FLUSH_LIMIT).contains(&started.elapsed()));

        let next = || reader.recv_timeout(Duration::from_secs(10)).unwrap();
        for nth in 0..pushed - 3 {
            assert_eq!(next(), (Level::Info, format!("line {nth}")));
        }
        let missing = "3 lines dropped: the log was not read";
        assert_eq!(next(), (Level::Warn, missing.into()));
        queue.push(Line::new(Level::Error, "last".into()));
        assert_eq!(next(), (Level::Error, "last".into()));
        queue.flush();
        let state = queue.state();
        assert_eq!((state.size, state.dropped), (0, 0));
        assert!(state.lines.capacity() < 100, "{}", state.lines.capacity());
    }

    #[test]
    fn a_line_of_a_library_is_clipped_and_escaped_as_any_other() {
        let name = "x\u{2028}".repeat(LINE_MAX);
        let Line { text, .. } = (&Record::builder().args(format_args!("{name}")).build()).into();
        assert!(text.starts_with(r"x\u{2028}x") && text.ends_with('…'), "{text}");
        assert!(text.len() < 10 * LINE_MAX, "{}", text.len());
    }

    #[test]
    fn a_line_keeps_what_its_record_has() {
        let fields = [("swnd_mount", r"\\c\s")];
        let record = Record::builder()
            .level(Level::Warn)
            .target("t")
            .module_path_static(Some("m"))
            .file_static(Some("f"))
            .line(Some(7))
            .key_values(&fields)
            .args(format_args!("text"))
            .build();
        Line::from(&record).with_record(|kept| {
            assert_eq!(format!("{:?}", kept.metadata()), format!("{:?}", record.metadata()));
            assert_eq!((kept.module_path(), kept.file()), (Some("m"), Some("f")));
            assert_eq!((kept.line(), kept.args().to_string()), (Some(7), "text".into()));
            let mount = kept.key_values().get("swnd_mount".into()).unwrap();
            assert_eq!(mount.to_string(), r"\\c\s");
        });
    }
}

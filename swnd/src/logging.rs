//! Where log lines go: the journal, syslog, or the standard error stream. None of them
//! is waited for: see `queue`.

mod limit;
mod line;
mod queue;

use crate::options::LogTarget;
use line::Line;
use log::{Level, LevelFilter, Log};
use queue::{Output, Queue};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use syslog::{Facility, Formatter3164, LoggerBackend};
use systemd_journal_logger::JournalLog;

/// Where journald listens.
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// How long opening the log may hold up the start. One that takes longer is there, and
/// is not read.
const OPEN_LIMIT: Duration = Duration::from_millis(500);
/// Enough for formatting a line, in bytes.
const STACK: usize = 256 << 10;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal was asked for.
    #[error("cannot log to the journal: {0}")]
    Journal(io::Error),
    /// The system log was asked for.
    #[error("cannot log to syslog: {0}; is a syslog daemon running?")]
    Syslog(syslog::Error),
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[source] io::Error),
    /// There is a log already.
    #[error(transparent)]
    Twice(#[from] log::SetLoggerError),
}

/// Returns how many lines have found no room since the start.
pub fn lines_dropped() -> u64 {
    queue::DROPPED.load(Ordering::Relaxed)
}

/// Starts logging to `target`, or to the best there is. [`Log::flush`] of the logger
/// waits for the lines that are under way, for half a second at most.
pub fn init(target: Option<LogTarget>, level: LevelFilter) -> Result<(), LogError> {
    let queue = Queue::default();
    let lines = queue.clone();
    let (opened, outcome) = mpsc::sync_channel(0);
    let write = move || {
        let output = target.map_or_else(|| Ok(best()), open);
        let (output, outcome) = match output {
            Ok(output) => (output, Ok(())),
            Err(error) => (Box::new(Stderr) as Box<dyn Output>, Err(error)),
        };
        let failed = outcome.is_err();
        // Where that is not waited for any more, a log in the wrong place is better than
        // none.
        if opened.send(outcome).is_err() || !failed {
            write_all(&lines, output);
        }
    };
    let thread = thread::Builder::new().name("log".into()).stack_size(STACK);
    thread.spawn(write).map_err(LogError::Thread)?;
    match outcome.recv_timeout(OPEN_LIMIT) {
        Ok(outcome) => outcome?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
    log::set_boxed_logger(Box::new(queue))?;
    log::set_max_level(level);
    Ok(())
}

fn write_all(lines: &Queue, mut output: Box<dyn Output>) {
    lines.write_to(&mut *output);
}

fn open(target: LogTarget) -> Result<Box<dyn Output>, LogError> {
    Ok(match target {
        LogTarget::Journal => {
            let journal = JournalLog::new().map_err(LogError::Journal)?;
            Box::new(journal.with_syslog_identifier("swnd".into()))
        }
        LogTarget::Syslog => Box::new(Syslog::open(syslog::unix).map_err(LogError::Syslog)?),
        LogTarget::Stderr => Box::new(Stderr),
    })
}

/// Opens the first that works: where none is asked for, a log in the wrong place is
/// better than no daemon.
fn best() -> Box<dyn Output> {
    preference(io::stderr().is_terminal(), Path::new(JOURNAL_SOCKET).exists())
        .iter()
        .find_map(|target| open(*target).ok())
        .unwrap_or(Box::new(Stderr))
}

fn preference(terminal: bool, journal: bool) -> &'static [LogTarget] {
    match (terminal, journal) {
        (true, _) => &[LogTarget::Stderr],
        (false, true) => &[LogTarget::Journal, LogTarget::Syslog],
        (false, false) => &[LogTarget::Syslog],
    }
}

/// The system log. The crate's own adapter stays silent for good once the
/// syslog daemon has been restarted.
struct Syslog {
    connect: fn(Formatter3164) -> syslog::Result<Connection>,
    connection: Connection,
}

type Connection = syslog::Logger<LoggerBackend, Formatter3164>;

impl Syslog {
    /// Connects by `connect`, now and whenever the connection breaks.
    fn open(connect: fn(Formatter3164) -> syslog::Result<Connection>) -> syslog::Result<Self> {
        Ok(Self { connect, connection: connect(Self::formatter())? })
    }

    fn formatter() -> Formatter3164 {
        Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: "swnd".into(),
            pid: std::process::id(),
        }
    }
}

impl Output for Syslog {
    fn write(&mut self, line: &Line) {
        let send = |connection: &mut Connection| match line.level {
            Level::Error => connection.err(&line.text),
            Level::Warn => connection.warning(&line.text),
            Level::Info => connection.info(&line.text),
            Level::Debug | Level::Trace => connection.debug(&line.text),
        };
        if send(&mut self.connection).is_err() {
            if let Ok(connected) = (self.connect)(Self::formatter()) {
                self.connection = connected;
                // With nowhere left to complain to.
                let _ = send(&mut self.connection);
            }
        }
    }
}

impl Output for JournalLog {
    fn write(&mut self, line: &Line) {
        line.with_record(|record| self.log(record));
    }
}

/// The standard error stream: time of day (UTC), level, line.
struct Stderr;

impl Output for Stderr {
    fn write(&mut self, line: &Line) {
        let text = format(line.at, line.level, &line.text);
        // As above.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

fn format(since_epoch: Duration, level: Level, text: &str) -> String {
    let seconds = since_epoch.as_secs();
    format!(
        "{:02}:{:02}:{:02}.{:03}Z {:<7} {text}\n",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since_epoch.subsec_millis(),
        match level {
            Level::Error => "error",
            Level::Warn => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_comes_before_the_journal_and_the_journal_before_syslog() {
        assert_eq!(preference(true, true), [LogTarget::Stderr]);
        assert_eq!(preference(false, true), [LogTarget::Journal, LogTarget::Syslog]);
        assert_eq!(preference(false, false), [LogTarget::Syslog]);
    }

    #[test]
    fn syslog_lines_have_their_level_and_survive_a_restart_of_the_syslog_daemon() {
        use std::os::unix::net::UnixDatagram;
        fn path() -> std::path::PathBuf {
            std::env::temp_dir().join(format!("swnd-syslog-{}", std::process::id()))
        }
        let listen = || {
            let _ = std::fs::remove_file(path());
            UnixDatagram::bind(path()).unwrap()
        };
        let received = |daemon: &UnixDatagram| {
            daemon.set_nonblocking(true).unwrap();
            let mut buffer = [0; 512];
            let length = daemon.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let daemon = listen();
        let mut log = Syslog::open(|formatter| syslog::unix_custom(formatter, path())).unwrap();
        let mut say = |text: &str| log.write(&Line::new(Level::Warn, text.into()));
        say("one");
        // LOG_DAEMON and LOG_WARNING.
        let line = received(&daemon);
        assert!(line.starts_with("<28>") && line.ends_with(": one"), "{line}");
        drop(daemon);
        say("lost");
        let daemon = listen();
        say("two");
        assert!(received(&daemon).ends_with(": two"));
        std::fs::remove_file(path()).unwrap();
    }

    #[test]
    fn a_line_has_time_level_and_text() {
        let at = Duration::from_millis(20_000 * 86_400_000 + 45_296_007);
        assert_eq!(format(at, Level::Warn, "x"), "12:34:56.007Z warning x\n");
    }
}

//! Where log lines go: the journal, syslog, or the standard error stream.

use crate::options::LogTarget;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use syslog::{Facility, Formatter3164, LoggerBackend};
use systemd_journal_logger::JournalLog;

/// Where journald listens.
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The journal was asked for.
    #[error("cannot log to the journal: {0}")]
    Journal(io::Error),
    /// The system log was asked for.
    #[error("cannot log to syslog: {0}; is a syslog daemon running?")]
    Syslog(syslog::Error),
    /// There is a log already.
    #[error(transparent)]
    Twice(#[from] log::SetLoggerError),
}

/// Starts logging to `target`, or to the best there is.
pub fn init(target: Option<LogTarget>, level: LevelFilter) -> Result<(), LogError> {
    let logger = match target {
        Some(target) => open(target)?,
        None => best(),
    };
    log::set_boxed_logger(logger)?;
    log::set_max_level(level);
    Ok(())
}

fn open(target: LogTarget) -> Result<Box<dyn Log>, LogError> {
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
fn best() -> Box<dyn Log> {
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
    connection: Mutex<Connection>,
}

type Connection = syslog::Logger<LoggerBackend, Formatter3164>;

impl Syslog {
    /// Connects by `connect`, now and whenever the connection breaks.
    fn open(connect: fn(Formatter3164) -> syslog::Result<Connection>) -> syslog::Result<Self> {
        Ok(Self { connect, connection: Mutex::new(connect(Self::formatter())?) })
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

impl Log for Syslog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let send = |connection: &mut Connection| match record.level() {
            Level::Error => connection.err(&line),
            Level::Warn => connection.warning(&line),
            Level::Info => connection.info(&line),
            Level::Debug | Level::Trace => connection.debug(&line),
        };
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if send(&mut connection).is_err() {
            if let Ok(connected) = (self.connect)(Self::formatter()) {
                *connection = connected;
                // With nowhere left to complain to.
                let _ = send(&mut connection);
            }
        }
    }

    fn flush(&self) {}
}

/// The standard error stream: time of day (UTC), level, line.
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let line = line(now, record.level(), record.args());
        // As above.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

fn line(since_epoch: Duration, level: Level, text: &std::fmt::Arguments<'_>) -> String {
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
        log::set_max_level(LevelFilter::Info);

        let daemon = listen();
        let log = Syslog::open(|formatter| syslog::unix_custom(formatter, path())).unwrap();
        let say = |text: &str| {
            let arguments = format_args!("{text}");
            log.log(&Record::builder().level(Level::Warn).args(arguments).build());
        };
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
        assert_eq!(line(at, Level::Warn, &format_args!("x")), "12:34:56.007Z warning x\n");
    }
}

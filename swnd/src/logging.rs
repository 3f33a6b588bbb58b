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
        LogTarget::Syslog => Box::new(Syslog::open().map_err(LogError::Syslog)?),
        LogTarget::Stderr => Box::new(Stderr),
    })
}

/// The first that works. Whoever asked for none in particular is better served
/// by a log in the wrong place than by no daemon.
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
    formatter: Formatter3164,
    connection: Mutex<syslog::Logger<LoggerBackend, Formatter3164>>,
}

impl Syslog {
    fn open() -> Result<Self, syslog::Error> {
        let formatter = Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: "swnd".into(),
            pid: std::process::id(),
        };
        Ok(Self { connection: Mutex::new(syslog::unix(formatter.clone())?), formatter })
    }
}

impl Log for Syslog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut send = |line: &str| match record.level() {
            Level::Error => connection.err(line),
            Level::Warn => connection.warning(line),
            Level::Info => connection.info(line),
            Level::Debug | Level::Trace => connection.debug(line),
        };
        if send(&line).is_err() {
            if let Ok(anew) = syslog::unix(self.formatter.clone()) {
                *connection = anew;
                let _ = connection.info(line);
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
        // With nowhere left to complain to.
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
    fn a_line_has_time_level_and_text() {
        let at = Duration::from_millis(20_000 * 86_400_000 + 45_296_007);
        assert_eq!(line(at, Level::Warn, &format_args!("x")), "12:34:56.007Z warning x\n");
    }
}

//! How a command ends.

use crate::connection::CallError;
use crate::options::Json;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Exit {
    /// Something is wrong, and has been said.
    NotWell,
    /// The command failed.
    Failed(String),
    /// No such mount.
    NoSuchMount(String),
    /// No cifs mount there.
    NotMounted(String),
    /// The daemon, or the way to it.
    Call(CallError),
    /// The time was over.
    Timeout(String),
    /// Standard output was closed, as `head` does: not an error.
    ReaderGone,
}

impl Exit {
    /// Returns the exit status; swnctl(8) lists them.
    pub fn code(&self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::NotWell | Self::Failed(_) => 1,
            Self::Call(CallError::NotRunning(_)) => 3,
            Self::NoSuchMount(_) | Self::NotMounted(_) | Self::Call(CallError::NotFound) => 4,
            Self::Call(CallError::PermissionDenied) => 5,
            Self::Call(_) => 1,
            Self::Timeout(_) => 124,
        }
    }

    /// Returns what to write to standard error.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::NotWell | Self::ReaderGone => None,
            Self::Failed(text) | Self::Timeout(text) => Some(text.clone()),
            Self::NoSuchMount(name) => Some(format!(
                "{name}: swnd knows no such mount; is it mounted with the option witness?"
            )),
            Self::NotMounted(name) => Some(format!(
                "{name}: no cifs mount; give a directory that is one, or //CLUSTER/SHARE"
            )),
            Self::Call(error) => Some(error.to_string()),
        }
    }
}

impl From<CallError> for Exit {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Writes a value as JSON, on one line or for people.
pub(crate) fn print_json(
    output: &mut impl Write,
    form: Json,
    value: &impl Serialize,
) -> Result<(), Exit> {
    let written = match form {
        Json::Short => serde_json::to_writer(&mut *output, value),
        Json::Pretty => serde_json::to_writer_pretty(&mut *output, value),
    };
    written.map_err(io::Error::from)?;
    writeln!(output)?;
    Ok(output.flush()?)
}

//! What a failover did to a program.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::{Registration, Written};

/// The longest time that one write took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stall {
    /// It ended.
    Ended(Duration),
    /// It had not ended after this time, and was not waited for any longer.
    Over(Duration),
}

impl Stall {
    /// Seconds; where it had not ended, those that were waited for.
    pub fn seconds(&self) -> f64 {
        match self {
            Stall::Ended(time) | Stall::Over(time) => time.as_secs_f64(),
        }
    }

    /// Whether it ended.
    pub fn has_ended(&self) -> bool {
        matches!(self, Stall::Ended(_))
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stall::Ended(time) => write!(f, "{:.2} s", time.as_secs_f64()),
            Stall::Over(time) => write!(f, "> {:.0} s", time.as_secs_f64()),
        }
    }
}

/// What a scenario did to the writers and their connections.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The longest time that one write took.
    pub stall: Stall,
    /// How many TCP connections the kernel has made since, for each of the connections that it had.
    pub losses: Vec<u64>,
    /// The server's address that the kernel's session is with in the end.
    pub address: Option<IpAddr>,
    /// What each writer did; nothing where one had to be left to its stall.
    pub written: Vec<Written>,
    /// Seconds since the fault began, and MiB that the first writer has written since.
    pub trace: Vec<(f64, f64)>,
    /// What is registered in the end, once it is what it should be: one registration, for the address in use. None
    /// without a daemon.
    pub registrations: Option<Vec<Registration>>,
    /// How long after the end of the stall, or of the fault, that was seen.
    pub registered_after: Option<Duration>,
    /// How long after the fault the mount's address has answered another client.
    pub answers_after: Option<Duration>,
    /// How long after the fault the daemon has logged a notification.
    pub told_after: Option<Duration>,
    /// The longest time since the fault that the mount was without a witness, by the daemon's log.
    pub unwatched: Option<Duration>,
    /// The same by the cluster's list of registrations, where that was looked at.
    pub unlisted: Option<Duration>,
    /// The daemon's log.
    pub log: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stall {}, losses {:?}", self.stall, self.losses)?;
        for (what, after) in [("answers", self.answers_after), ("told", self.told_after)] {
            if let Some(after) = after {
                write!(f, ", {what} after {:.2} s", after.as_secs_f64())?;
            }
        }
        for (whose, time) in [("log", self.unwatched), ("list", self.unlisted)] {
            if let Some(time) = time {
                write!(f, ", {:.2} s without a witness by the {whose}", time.as_secs_f64())?;
            }
        }
        if let Some(address) = self.address {
            write!(f, ", now at {address}")?;
        }
        for written in &self.written {
            write!(f, ", {} writes, EBADF {:?}", written.writes, written.ebadf)?;
            if written.reopened > 0 {
                write!(f, ", reopened {}", written.reopened)?;
            }
            if !written.errors.is_empty() {
                write!(f, ", errors {:?}", written.errors)?;
            }
        }
        if let Some(registrations) = &self.registrations {
            write!(f, ", {} registered", registrations.len())?;
        }
        if let Some(after) = self.registered_after {
            write!(f, " after {:.1} s", after.as_secs_f64())?;
        }
        Ok(())
    }
}

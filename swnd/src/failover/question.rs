//! Whether a server lives that owes the kernel an answer.
//!
//! A request that a server has received and not answered leaves nothing unacknowledged, so
//! that its death can't be seen: the kernel sends nothing before its next echo. Where a
//! connection is quiet while a request waits, the kernel is brought to send another one
//! ([`super::Action::Ask`]), and so it is, whatever waits, where a witness's word puts a
//! quiet connection in doubt. A server that is merely slow acknowledges that; of a dead one
//! the connection tells then.

use super::connection::{Connection, TcpState};
use super::debug_data::{DebugData, Waiting};
use super::view::View;
use super::{Action, Failover, pace};
use crate::mount::Mount;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What is known of the addresses that swnd watches itself.
#[derive(Debug, Default)]
pub(super) struct Questions(BTreeMap<IpAddr, Question>);

/// What is known of one.
#[derive(Debug, Default)]
struct Question {
    /// What had gone over the connections when nothing was left to find out.
    settled: Vec<Traffic>,
    /// The requests that waited when the kernel was last brought to send one.
    waiting: BTreeSet<Waiting>,
    /// The mounts whose request waits in the kernel, each as often as one does.
    under_way: Vec<Mount>,
    /// Those for which none could be sent, as was reported.
    unasked: BTreeSet<Mount>,
    /// How long after the last request comes another one about what waited already.
    pause: Duration,
    again: Option<Instant>,
    /// No request before.
    not_before: Option<Instant>,
    /// When the connections must be looked at.
    next: Option<Instant>,
    wants_debug_data: bool,
}

/// What has gone over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Traffic {
    cookie: u64,
    received: u64,
    is_owed: bool,
}

impl Question {
    /// Takes a look at the connections. Returns whether the kernel must be brought to send;
    /// with `is_doubted` it must, whatever waits.
    fn looked(&mut self, address: IpAddr, is_doubted: bool, view: &View, now: Instant) -> bool {
        (self.next, self.wants_debug_data) = (None, false);
        let open: Vec<&Connection> = view.at(address).filter(is_open).collect();
        let traffic: Vec<Traffic> = open.iter().map(|it| Traffic::of(it)).collect();
        let is_acknowledged = open.iter().all(|it| it.unacknowledged == 0);
        if is_acknowledged && traffic == self.settled && !is_doubted {
            return false;
        }
        let Some(quiet) = open.iter().map(|it| it.quiet()).min() else { return false };
        // What is not acknowledged tells by itself.
        let remaining = match is_acknowledged {
            true => pace::QUIET.saturating_sub(quiet),
            false => pace::QUIET,
        };
        if remaining > Duration::ZERO {
            self.next = Some(now + remaining.max(pace::QUIET_MIN));
            return false;
        }
        let not_before = self.not_before.unwrap_or(now);
        if now < not_before {
            self.next = Some(not_before);
            return false;
        }
        let waiting = if is_doubted {
            None
        } else if view.has_debug_data() {
            // What was read before the pause had ended the last answer's way.
            let since = now.checked_sub(quiet / 2).unwrap_or(now);
            match view.debug_since(since) {
                Some(data) => data.waiting(address),
                None => {
                    self.wants_debug_data = true;
                    return false;
                }
            }
        } else {
            None
        };
        let is_any = match &waiting {
            _ if is_doubted => true,
            Some(waiting) => !waiting.is_empty(),
            None => traffic.iter().any(|it| it.is_owed),
        };
        let is_new = (is_doubted || self.under_way.is_empty())
            && waiting.as_ref().is_none_or(|waiting| !waiting.is_subset(&self.waiting));
        self.waiting = waiting.unwrap_or_default();
        if !is_any || !is_new && self.pause > pace::QUESTION_PAUSE_MAX {
            self.settled = traffic;
            return false;
        }
        if let Some(again) = self.again.filter(|again| !is_new && now < *again) {
            self.next = Some(again);
            return false;
        }
        self.pause = if is_new { pace::QUESTION_PAUSE } else { self.pause * 2 };
        self.again = Some(now + self.pause);
        self.not_before = Some(now + pace::QUESTION_EVERY);
        self.next = Some(now + pace::QUIET);
        true
    }
}

fn is_open(connection: &&Connection) -> bool {
    connection.state == TcpState::Established
}

impl Traffic {
    fn of(connection: &Connection) -> Self {
        let Connection { cookie, received, .. } = *connection;
        Self { cookie, received, is_owed: connection.is_owed() }
    }
}

impl Questions {
    /// When connections must be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|it| it.next).min()
    }

    /// Whether `DebugData` must be read.
    pub(super) fn wants_debug_data(&self) -> bool {
        self.0.values().any(|it| it.wants_debug_data)
    }

    /// The addresses at which connections must be looked at now.
    fn take_due(&mut self, now: Instant) -> Vec<IpAddr> {
        let due = self.0.iter_mut().filter(|(_, it)| it.next.is_some_and(|at| at <= now));
        due.map(|(address, it)| {
            it.next = None;
            *address
        })
        .collect()
    }

    /// Leaves out the addresses that are not watched any more. What waits in the kernel counts
    /// for as long as it does.
    pub(super) fn retain(&mut self, watched: &BTreeSet<IpAddr>) {
        self.0.retain(|address, it| {
            let is_watched = watched.contains(address);
            if !is_watched {
                (it.next, it.wants_debug_data) = (None, false);
            }
            is_watched || !it.under_way.is_empty()
        });
    }

    fn under_way(&self) -> usize {
        self.0.values().map(|it| it.under_way.len()).sum()
    }
}

impl Failover {
    /// The addresses at which a word has put a quiet connection in doubt.
    pub(super) fn doubted(&self) -> BTreeMap<IpAddr, Vec<Mount>> {
        let doubted = self.incidents.values().filter(|it| it.doubts(&self.view));
        doubted.map(|it| (it.address, it.mounts.iter().cloned().collect())).collect()
    }

    /// After a look at the connections to these addresses.
    pub(super) fn ask_doubted(&mut self, doubted: BTreeMap<IpAddr, Vec<Mount>>, now: Instant) {
        for (address, mounts) in doubted {
            self.question(address, &mounts, now);
        }
    }

    /// Brings the kernel to send something where it waits for an answer, by one of `mounts`;
    /// by all of them where it isn't known which connection is whose.
    pub(super) fn question(&mut self, address: IpAddr, mounts: &[Mount], now: Instant) {
        let is_doubted = self.incidents.contains_key(&address);
        let question = self.questions.0.entry(address).or_default();
        if !question.looked(address, is_doubted, &self.view, now) {
            self.wants_look |= question.wants_debug_data;
            return;
        }
        let connections = self.view.at(address).filter(is_open).count();
        let under_way = self.questions.under_way();
        let room = pace::QUESTIONS_MAX.saturating_sub(under_way);
        let Some(question) = self.questions.0.get_mut(&address) else { return };
        let room = room.min(pace::QUESTIONS_AT_ADDRESS.saturating_sub(question.under_way.len()));
        let chosen: Vec<Mount> = mounts.iter().take(room.min(connections)).cloned().collect();
        if let Some(incident) = self.incidents.get_mut(&address).filter(|_| !chosen.is_empty()) {
            incident.asked();
        }
        for mount in chosen {
            question.under_way.push(mount.clone());
            self.actions.push_back(Action::Ask { mount, address });
        }
    }

    /// Looks at the connections that are quiet by now.
    pub(super) fn look_for_questions(&mut self, now: Instant) {
        for address in self.questions.take_due(now) {
            let known: Vec<Connection> = self.view.at(address).cloned().collect();
            if !known.is_empty() {
                self.actions.push_back(Action::Look(known));
            }
        }
    }

    /// The result of [`Action::Ask`]: whether the kernel could be brought to send something.
    pub fn asked(
        &mut self,
        mount: &Mount,
        address: IpAddr,
        result: Result<(), String>,
        now: Instant,
    ) {
        let Some(question) = self.questions.0.get_mut(&address) else { return };
        let waited = question.under_way.iter().position(|it| it == mount);
        waited.map(|at| question.under_way.swap_remove(at));
        match result {
            Ok(()) => {
                question.unasked.remove(mount);
            }
            Err(error) => {
                question.not_before = Some(now + pace::UNASKED_PAUSE);
                if question.unasked.insert(mount.clone()) {
                    let line = super::Line::NotAsked { error };
                    let mount = mount.clone();
                    self.actions.push_back(Action::Report { mount, others: 0, line });
                }
            }
        }
        if !question.unasked.contains(mount) {
            question.next = Some(now);
        }
    }
}

impl DebugData {
    /// The requests that wait for an answer of an address; `None` where it isn't said.
    fn waiting(&self, address: IpAddr) -> Option<BTreeSet<Waiting>> {
        let mut servers = self.at(address).peekable();
        servers.peek()?;
        Some(servers.flat_map(|server| server.waiting.iter().copied()).collect())
    }
}

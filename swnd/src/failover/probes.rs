//! Which addresses answer on port 445.

use super::pace;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// One address.
#[derive(Debug, Clone, Copy)]
struct Probe {
    under_way: u8,
    /// When the next one is due, while it is wanted.
    next: Option<Instant>,
    answered: Option<Instant>,
    /// When it was first asked since it has answered.
    asked: Option<Instant>,
}

/// The addresses that an incident has asked, and their answers.
#[derive(Debug, Default)]
pub(super) struct Probes(BTreeMap<IpAddr, Probe>);

impl Probes {
    /// Returns those of the wanted addresses that must be asked now.
    pub(super) fn due(
        &mut self,
        wanted: &BTreeSet<IpAddr>,
        every: Duration,
        now: Instant,
    ) -> Vec<IpAddr> {
        for (address, probe) in &mut self.0 {
            if !wanted.contains(address) {
                probe.next = None;
            }
        }
        let mut due = Vec::new();
        for address in wanted {
            let new = Probe { under_way: 0, next: None, answered: None, asked: None };
            let probe = self.0.entry(*address).or_insert(new);
            if probe.next.is_some_and(|at| at > now) {
                continue;
            }
            probe.next = Some(now + every);
            probe.asked.get_or_insert(now);
            if probe.under_way < pace::PROBES_MAX {
                probe.under_way += 1;
                due.push(*address);
            }
        }
        due
    }

    /// Takes the result of a probe.
    pub(super) fn result(&mut self, address: IpAddr, answered: bool, now: Instant) {
        if let Some(probe) = self.0.get_mut(&address) {
            probe.under_way = probe.under_way.saturating_sub(1);
            if answered {
                probe.answered = Some(now);
                probe.asked = None;
            }
        }
    }

    /// Whether the address has answered just now.
    pub(super) fn is_fresh(&self, address: IpAddr, now: Instant) -> bool {
        let answered = self.0.get(&address).and_then(|probe| probe.answered);
        answered.is_some_and(|at| now.saturating_duration_since(at) < pace::ANSWER_LASTS)
    }

    /// Whether the address has answered after `since`.
    pub(super) fn has_answered_since(&self, address: IpAddr, since: Instant) -> bool {
        self.0.get(&address).and_then(|probe| probe.answered).is_some_and(|at| at >= since)
    }

    /// How long the address has been asked without an answer.
    pub(super) fn silent_for(&self, address: IpAddr, now: Instant) -> Duration {
        let asked = self.0.get(&address).and_then(|probe| probe.asked);
        asked.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// When the next one is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|probe| probe.next).min()
    }
}

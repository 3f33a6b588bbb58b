//! To whom it matters: each thing that has happened is handed to the part of a life that
//! it concerns.

use super::Registrations;
use crate::links::{LinkFailed, LinksEvent};
use crate::registration::State;
use crate::timers::RegistrationTimer;
use crate::wire::Interface;
use crate::{Call, Error, RegistrationId, ScopedAddr};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// How many addresses of a name are tried.
const SEEDS_MAX: usize = 32;

impl Registrations {
    /// Takes what has happened by the links, until there is no more.
    pub(crate) fn take_turn(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.links.poll_event() {
                self.take_event(event, now);
            }
            if !self.links.begin_logons(now) {
                return;
            }
        }
    }

    fn take_event(&mut self, event: LinksEvent, now: Instant) {
        match event {
            LinksEvent::Ready { members } => {
                for id in members {
                    self.send_register(id, now);
                }
            }
            LinksEvent::Chosen { link } => self.chosen(link, now),
            LinksEvent::Full { id, address } => self.find_own_link(id, address, now),
            LinksEvent::List { link, server, asked, result } => {
                let result = result.map(|list| self.keep_list(server, list));
                for id in asked {
                    self.on_list_reply(id, link, &result, now);
                }
                self.links.close_if_idle(link);
            }
            LinksEvent::Register { id, link, witness, call, result } => {
                self.on_register_reply(id, (link, call), witness, result, now);
            }
            LinksEvent::Notify { id, link, witness, call, reply } => {
                self.on_notify_reply(id, (link, call), witness, reply, now);
            }
            LinksEvent::Unregistered { id } => self.end(id),
            LinksEvent::Failed(failed) => self.link_failed(&failed, now),
            LinksEvent::Refused { link, error } => self.links.end_refused(link, error),
        }
    }

    /// Each registration goes its own way.
    fn link_failed(&mut self, failed: &LinkFailed, now: Instant) {
        if let Some(credentials) = &failed.refused {
            self.links.note_refusal(credentials, &failed.error, now);
        }
        // One part of the spread for all: they come back together over one new link.
        let part = self.rng.f64();
        for id in &failed.concerned {
            self.on_link_failed(*id, failed, part, now);
            self.kept_failed(*id, failed, now);
        }
    }

    /// Keeps a list that a node gave, in place of the one before.
    fn keep_list(&mut self, node: ScopedAddr, list: Vec<Interface>) -> Arc<[Interface]> {
        let (list, before) = self.lists.intern(node, list);
        if let Some(before) = before {
            for registration in self.by_id.values_mut() {
                let search = &mut registration.search;
                for kept in [&mut search.interfaces, &mut search.last_list] {
                    if Arc::ptr_eq(kept, &before) {
                        *kept = Arc::clone(&list);
                    }
                }
            }
        }
        list
    }

    /// A host's addresses are known, or why they aren't.
    pub(crate) fn handle_resolved(
        &mut self,
        host: &str,
        result: Result<Vec<IpAddr>, SmolStr>,
        now: Instant,
    ) {
        for id in self.resolving.remove(host).unwrap_or_default() {
            let Some(registration) = self.by_id.get_mut(&id) else {
                continue;
            };
            if !matches!(registration.state(), State::Resolving) {
                continue;
            }
            let reason = match &result {
                Ok(addresses) => {
                    let is_silent = |address: &IpAddr| {
                        let server = registration.request.scoped(*address);
                        self.links.silent.contains(server, now)
                    };
                    registration.search.seeds = seeds(addresses, is_silent);
                    "it has no address".into()
                }
                Err(reason) => reason.clone(),
            };
            self.try_next_seed(id, Error::Resolve { name: host.into(), reason }, now);
        }
    }

    /// Handles the first deadline that is due, a link's before a registration's.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let is_link_first = match (self.links.next_deadline(), self.timers.next()) {
            (Some(of_link), Some(own)) => of_link <= own,
            (of_link, _) => of_link.is_some(),
        };
        if is_link_first {
            self.links.handle_timeout(now);
        } else if let Some((id, timer)) = self.timers.pop_due(now) {
            self.due(id, timer, now);
        }
    }

    fn due(&mut self, id: RegistrationId, timer: RegistrationTimer, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        match timer {
            RegistrationTimer::Retry => {
                if matches!(registration.state(), State::Waiting) {
                    registration.pace.last_attempt = Some(now);
                    self.register_next(id, now);
                }
            }
            RegistrationTimer::Unregister => self.unregister_overdue(id, now),
            RegistrationTimer::Call => {
                if let Some(link) = registration.attempt().map(|attempt| attempt.link) {
                    self.links.call_overdue(link, Call::Register);
                }
            }
            RegistrationTimer::Overlap => self.end_overlap(id, now),
            RegistrationTimer::Reselect => {
                self.end_overlap(id, now);
                self.start_reselection(id, now);
            }
            RegistrationTimer::Race => self.race(id, now),
            RegistrationTimer::CatchUp => self.catch_up(id, now),
            RegistrationTimer::Notify => {
                match registration.registered().map(|it| (it.link, it.notify)) {
                    Some((_, None)) => self.send_notify(id, now),
                    Some((link, Some(_))) => self.links.call_overdue(link, Call::AsyncNotify),
                    None => {}
                }
            }
        }
    }
}

/// The first of the addresses of a name, in their order but for those that have not
/// answered lately, which are tried last. The first one is the last.
fn seeds(addresses: &[IpAddr], is_silent: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let mut seeds: Vec<IpAddr> = addresses.iter().rev().copied().collect();
    seeds.sort_by_key(|address| !is_silent(address));
    seeds.drain(..seeds.len().saturating_sub(SEEDS_MAX));
    seeds
}

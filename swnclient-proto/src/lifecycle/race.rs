//! Several servers at once ([RFC 8305] chapter 5, for the addresses of a host): a candidate
//! that is silent for a fraction of a second goes on being tried, and the next one is tried
//! beside it. The first whose witness service accepts the connection is authenticated to,
//! and the others are left before their logon: a server that can't be reached costs a
//! fraction of a second, and credentials are presented at one at a time.
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305

use super::Registrations;
use crate::link::LinkId;
use crate::links::Reach;
use crate::registration::State;
use crate::timers::RegistrationTimer;
use crate::{Error, RegistrationId};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a server may be silent before the next one is tried, too.
const DELAY: Duration = Duration::from_millis(250);
/// How long one may take that has accepted the connection to its endpoint mapper.
const DELAY_OF_ANSWER: Duration = Duration::from_secs(1);
/// How many are tried at a time.
const AT_ONCE: usize = 10;
/// How many candidates of a round follow each other at once where each fails at once; the
/// rest follow at intervals of [`DELAY`].
const UNPACED: usize = 8;

impl Registrations {
    /// A server is tried by `link`: where it stays silent, the next one is, too.
    pub(super) fn await_rival(&mut self, id: RegistrationId, link: LinkId, now: Instant) {
        if self.has_next(id) && self.links.tried_since(link).is_some() {
            self.timers.set(id, RegistrationTimer::Race, now + DELAY);
        }
    }

    /// It is time for the next one, unless the last one works on an answer.
    pub(super) fn race(&mut self, id: RegistrationId, now: Instant) {
        let tried = self.by_id.get(&id).and_then(|registration| registration.tried());
        match tried.and_then(|link| self.links.tried_since(link)) {
            Some((Reach::Answers, since)) if now < since + DELAY_OF_ANSWER => {
                self.timers.set(id, RegistrationTimer::Race, now + DELAY);
            }
            Some(_) => self.try_beside(id, now),
            None => {}
        }
    }

    /// Tries the next candidate beside those that are silent.
    fn try_beside(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let is_listing = matches!(registration.state(), State::Listing { .. });
        let search = &mut registration.search;
        // One that fails makes room.
        if search.rivals.len() + 1 >= AT_ONCE {
            return;
        }
        let next = if is_listing { &mut search.seeds } else { &mut search.candidates };
        let Some(address) = next.pop() else {
            return;
        };
        search.tried += 1;
        let Some(link) = self.join_link(id, address, now) else {
            return;
        };
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        match registration.tried() {
            // A list may name an address twice.
            Some(before) if before != link && !registration.search.rivals.contains(&link) => {
                registration.search.rivals.push(before);
                registration.try_by(link);
                self.racing.insert(id);
                match is_listing {
                    true => self.request_list(link, id, now),
                    false => self.links.add_member(link, id),
                }
            }
            _ => {}
        }
        if self.links.tried_since(link).is_none() {
            self.choose(id, link, now);
            if !is_listing && self.links.is_ready(link) {
                self.send_register(id, now);
            }
        } else {
            self.await_rival(id, link, now);
        }
    }

    /// A server is there: all who try it besides others leave those.
    pub(super) fn chosen(&mut self, link: LinkId, now: Instant) {
        if self.racing.is_empty() || self.links.address(link).is_none() {
            return;
        }
        let is_tried = |id: &RegistrationId| {
            self.by_id.get(id).is_some_and(|registration| {
                registration.tried() == Some(link) || registration.search.rivals.contains(&link)
            })
        };
        let concerned: Vec<RegistrationId> = self.racing.iter().copied().filter(is_tried).collect();
        for id in concerned {
            self.choose(id, link, now);
        }
    }

    /// Leaves the others for one that is there. They are candidates still, the last ones
    /// where they were tried before it and have not answered.
    fn choose(&mut self, id: RegistrationId, link: LinkId, now: Instant) {
        self.timers.clear(id, RegistrationTimer::Race);
        let mut tried = self.take_rivals(id);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        tried.extend(registration.tried());
        self.try_by(id, link);
        let mut is_before = true;
        for other in tried {
            if other == link {
                is_before = false;
                continue;
            }
            let reach = self.links.tried_since(other).map(|(reach, _)| reach);
            let is_silent = is_before && reach == Some(Reach::Silent);
            if let Some(address) = self.links.address(other) {
                if is_silent {
                    self.links.note_silence(other, now);
                }
                self.put_back(id, address, is_silent);
            }
            self.leave_link(other, id);
        }
    }

    fn put_back(&mut self, id: RegistrationId, address: IpAddr, is_last: bool) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let is_listing = matches!(registration.state(), State::Listing { .. });
        let search = &mut registration.search;
        let next = if is_listing { &mut search.seeds } else { &mut search.candidates };
        let at = if is_last { 0 } else { next.len() };
        next.insert(at, address);
    }

    /// One of several that are tried has failed; returns whether others still are.
    pub(super) fn rival_failed(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        error: &Error,
        now: Instant,
    ) -> bool {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return false;
        };
        let rivals = &mut registration.search.rivals;
        let promoted = match rivals.iter().position(|rival| *rival == link) {
            Some(at) => {
                rivals.remove(at);
                None
            }
            None if rivals.is_empty() || registration.tried() != Some(link) => return false,
            None => registration.search.rivals.pop(),
        };
        registration.search.last_error = Some(error.clone());
        if registration.search.rivals.is_empty() {
            self.racing.remove(&id);
        }
        if let Some(link) = promoted {
            self.try_by(id, link);
        }
        if self.is_hopeless(id, error) {
            self.all_failed(id, error, now);
        } else if self.is_paced(id) {
            let due = self.timers.get(id, RegistrationTimer::Race).unwrap_or(now + DELAY);
            self.timers.set(id, RegistrationTimer::Race, due);
        } else {
            self.try_beside(id, now);
        }
        true
    }

    /// No other is tried after this.
    fn all_failed(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        match registration.state() {
            &State::Listing { link } => self.list_failed(id, link, error, now),
            _ => self.attempt_failed(id, error.clone(), now),
        }
    }

    /// Tries by this link instead of the one before.
    fn try_by(&mut self, id: RegistrationId, link: LinkId) {
        let address = self.links.address(link);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        registration.try_by(link);
        if let (State::Listing { .. }, Some(address)) = (registration.state(), address) {
            registration.serve_by(address);
        }
    }

    /// Leaves those that are tried beside the link of the state.
    pub(super) fn leave_rivals(&mut self, id: RegistrationId) {
        for link in self.take_rivals(id) {
            self.leave_link(link, id);
        }
    }

    /// Tries by these links beside the one of the state.
    pub(super) fn set_rivals(&mut self, id: RegistrationId, rivals: Vec<LinkId>) {
        let has_some = !rivals.is_empty();
        if let Some(registration) = self.by_id.get_mut(&id).filter(|_| has_some) {
            registration.search.rivals = rivals;
            self.racing.insert(id);
        }
    }

    fn take_rivals(&mut self, id: RegistrationId) -> Vec<LinkId> {
        if !self.racing.remove(&id) {
            return Vec::new();
        }
        let registration = self.by_id.get_mut(&id);
        registration.map(|it| std::mem::take(&mut it.search.rivals)).unwrap_or_default()
    }

    fn has_next(&self, id: RegistrationId) -> bool {
        self.by_id.get(&id).is_some_and(|registration| match registration.state() {
            State::Listing { .. } => !registration.search.seeds.is_empty(),
            _ => !registration.search.candidates.is_empty(),
        })
    }

    fn is_paced(&self, id: RegistrationId) -> bool {
        self.by_id.get(&id).is_some_and(|registration| registration.search.tried >= UNPACED)
    }

    /// Tries the next witness, where none is tried any more: at once, as long as few have
    /// failed. A list may name many that refuse at once. A registration that is in force ends
    /// its attempts soon enough.
    pub(super) fn register_next_paced(&mut self, id: RegistrationId, now: Instant) {
        let in_force = self.by_id.get(&id).is_some_and(|it| it.registered().is_some());
        if !in_force && self.is_paced(id) && self.has_next(id) {
            return self.timers.set(id, RegistrationTimer::Retry, now + DELAY);
        }
        self.register_next(id, now);
    }
}

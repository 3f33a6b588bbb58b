//! Selects the witness again when the address of the share has moved, and
//! registers there before the previous registration is released.
//!
//! The address may be on the witness's own node now, whose death nobody would
//! report then ([MS-SWN] 3.2.4.1: a witness is another node than the one that
//! serves). And a witness may drop what was registered before the move, as
//! Samba does after five seconds: a registration that is made after it stays.
//! So the mount is never without a witness, unless this fails for so long.

use crate::backoff::jitter;
use crate::choice;
use crate::client::Client;
use crate::link::{LinkId, Purpose};
use crate::overlap::{COPIES, OVERLAP, Overlap};
use crate::registration::{Attempt, Missed, Registered, Reselect, Reselection, State};
use crate::timers::{RegistrationTimer, TimerKey};
use crate::wire::{AsyncNotify, Interface, Version};
use crate::{Error, Event, RegistrationId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A registration that has lasted so long is no reason to slow down.
pub(super) const LASTING: Duration = Duration::from_secs(5);
/// How often a reselection is tried.
const TRIES: u8 = 3;

impl Client {
    /// Schedules a reselection. All clients of a failed node hear of its address
    /// at once, so each waits a moment of its own.
    pub(crate) fn schedule_reselection(&mut self, id: RegistrationId, moved: bool, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(registered) = &registration.state else {
            return;
        };
        match registration.reselection {
            Reselection::NotDue => {
                if now.saturating_duration_since(registered.since) >= LASTING {
                    registration.reselections.reset();
                }
                let (min, max) = (self.config.reselect_spread, self.config.backoff_max);
                let delay = registration.reselections.next(&mut self.rng, min, max.max(min));
                registration.reselection = Reselection::Due;
                registration.reselect = Reselect { moved, ..Reselect::default() };
                self.set_timer(id, RegistrationTimer::Reselect, now + delay);
            }
            Reselection::Due => registration.reselect.moved |= moved,
            Reselection::Listing(_) | Reselection::Registering(..) => {
                registration.reselect.again |= moved;
            }
        }
    }

    /// Asks the node that serves the share for its list.
    pub(crate) fn start_reselection(&mut self, id: RegistrationId, now: Instant) {
        self.end_overlap(id, now);
        let served_by = self.registrations.get(&id).and_then(|registration| registration.served_by);
        let link = served_by.and_then(|address| self.join_link(id, address, now));
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.reselection =
                link.map_or(Reselection::NotDue, |(link, _)| Reselection::Listing(link));
        }
        if let Some((link, _)) = link {
            self.request_list(link, id, now);
        }
    }

    /// Handles the list: the witness stays as it is, or a registration is made at
    /// the one selected.
    pub(crate) fn reselection_listed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        interfaces: &Arc<[Interface]>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let (State::Registered(registered), Some(served_by)) =
            (&registration.state, registration.served_by)
        else {
            return;
        };
        let Some(witness) = self.links.get(&registered.link).map(|link| link.address) else {
            return;
        };
        registration.reselection = Reselection::NotDue;
        registration.interfaces = Arc::clone(interfaces);
        let mut candidates = choice::witnesses(interfaces, served_by, None, &mut self.rng);
        if candidates.is_empty() {
            candidates.push(witness);
        }
        if registration.reselect.moved || !candidates.contains(&witness) {
            log::debug!("registering again for {served_by}, before {witness} is left");
            registration.candidates = candidates;
            registration.fresh_list = true;
            self.register_next(id, now);
        }
        self.leave_link(link_id, id);
    }

    /// Tries again where the address has moved, some times; the registration
    /// stays in force as it is.
    pub(crate) fn reselection_failed(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let reselect = &mut registration.reselect;
        reselect.failures = reselect.failures.saturating_add(1);
        let again = reselect.moved && reselect.failures < TRIES && !error.needs_consumer();
        log::debug!("cannot select the witness again (trying again: {again}): {error}");
        self.stop_reselection(id, now);
        if let Some(registration) = self.registrations.get_mut(&id).filter(|_| again) {
            let delay = jitter(&mut self.rng, self.config.backoff_min);
            registration.reselection = Reselection::Due;
            self.set_timer(id, RegistrationTimer::Reselect, now + delay);
        }
    }

    /// Ends a reselection.
    pub(crate) fn stop_reselection(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let stopped = std::mem::take(&mut registration.reselection);
        match stopped {
            Reselection::NotDue | Reselection::Listing(_) => {}
            Reselection::Due => self.clear_timer(id, RegistrationTimer::Reselect),
            Reselection::Registering(_) => self.clear_timer(id, RegistrationTimer::Call),
        }
        if let Some(link) = stopped.link() {
            self.leave_link(link, id);
        }
        if let Reselection::Registering(Attempt { link, call: Some(_) }) = stopped {
            self.expect_release(link, now);
        }
    }

    /// A witness has accepted the registration that a reselection made: it is in
    /// force from now on.
    pub(crate) fn take_over(&mut self, id: RegistrationId, mut new: Registered, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.reselection = Reselection::NotDue;
        let told = std::mem::take(&mut registration.told);
        let State::Registered(registered) = &mut registration.state else {
            return;
        };
        let again = std::mem::take(&mut registration.reselect).again;
        let missed = matches!(registered.missed, Missed::Listing | Missed::Due);
        std::mem::swap(registered, &mut new);
        let previous = Registered { overlap: None, ..new };
        let until = now + OVERLAP;
        let catch_up = self.timers.get(TimerKey::Registration(id, RegistrationTimer::CatchUp));
        let overlap = Overlap { previous: Some(previous), catch_up, until, told };
        registered.overlap = Some(Box::new(overlap));
        self.timers.clear_registration(id);
        self.set_timer(id, RegistrationTimer::Overlap, until);
        if missed {
            self.ask_what_was_missed(id, now);
        }
        self.ask_previous(id, now);
        if again {
            self.schedule_reselection(id, true, now);
        }
    }

    /// Makes an AsyncNotify of the previous registration, where none is pending.
    pub(crate) fn ask_previous(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(registered) = &mut registration.state else {
            return;
        };
        let Some(previous) = registered.previous_mut().filter(|p| p.notify.is_none()) else {
            return;
        };
        let link_id = previous.link;
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let call = AsyncNotify(previous.handle);
        match link.call(Purpose::Notify(id), &call, &mut self.actions) {
            Ok(call) => previous.notify = Some((call, now)),
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    /// Releases the previous registration; from now on the new one is asked.
    pub(crate) fn end_overlap(&mut self, id: RegistrationId, now: Instant) {
        self.release_previous(id, now);
        self.send_notify(id, now);
    }

    /// Releases the previous registration, where there is one still.
    pub(crate) fn release_previous(&mut self, id: RegistrationId, now: Instant) {
        let Some(previous) = self.take_previous(id, now) else {
            return;
        };
        self.release(previous.link, &previous.handle, now);
        if let (Some(link), Some((call, _))) = (self.links.get_mut(&previous.link), previous.notify)
        {
            link.orphan(call, &mut self.actions);
        }
        self.leave_link(previous.link, id);
    }

    /// The previous registration has ended before it was released. What it has
    /// not told of the address, a list tells.
    pub(crate) fn previous_lost(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(previous) = self.take_previous(id, now) else {
            return;
        };
        log::debug!("the previous registration ended by itself: {error}");
        self.release(previous.link, &previous.handle, now);
        self.leave_link(previous.link, id);
        self.ask_what_was_missed(id, now);
        self.send_notify(id, now);
    }

    /// Takes the previous registration out; copies of what it told are passed
    /// over for a while.
    fn take_previous(&mut self, id: RegistrationId, now: Instant) -> Option<Registered> {
        let State::Registered(registered) = &mut self.registrations.get_mut(&id)?.state else {
            return None;
        };
        let overlap = registered.overlap.as_mut()?;
        let previous = overlap.previous.take()?;
        overlap.until = now + COPIES;
        if overlap.told.is_empty() {
            registered.overlap = None;
        }
        self.clear_timer(id, RegistrationTimer::Overlap);
        Some(previous)
    }

    /// When the list that the previous registration lacks was to be asked for.
    fn catch_up_of_previous(&self, id: RegistrationId) -> Option<Instant> {
        match &self.registrations.get(&id)?.state {
            State::Registered(registered) => registered.overlap.as_ref()?.catch_up,
            _ => None,
        }
    }

    /// Goes back to the previous registration, where there is one still, because
    /// the new one is lost already.
    pub(crate) fn fall_back(&mut self, id: RegistrationId, now: Instant) -> bool {
        let catch_up = self.catch_up_of_previous(id);
        let Some(previous) = self.take_previous(id, now) else {
            return false;
        };
        let (Some(registration), Some(link)) =
            (self.registrations.get_mut(&id), self.links.get(&previous.link))
        else {
            return false;
        };
        let (witness, version) = (link.address, previous.version.number());
        let notify_due = match previous.notify {
            Some((_, since)) if previous.version == Version::V2 => {
                Some(since + self.config.call_timeout)
            }
            _ => None,
        };
        registration.state = State::Registered(previous);
        self.timers.replace(TimerKey::Registration(id, RegistrationTimer::Notify), notify_due);
        self.timers.replace(TimerKey::Registration(id, RegistrationTimer::CatchUp), catch_up);
        self.events.push_back((id, Event::Registered { witness, version }));
        self.send_notify(id, now);
        self.schedule_reselection(id, true, now);
        true
    }
}

/// The state of a registration whose reselection goes on without it.
pub(super) fn goes_on(reselection: Reselection) -> Option<State> {
    match reselection {
        Reselection::Listing(link) => Some(State::Listing { link }),
        Reselection::Registering(attempt) => Some(State::Registering(attempt)),
        Reselection::NotDue | Reselection::Due => None,
    }
}

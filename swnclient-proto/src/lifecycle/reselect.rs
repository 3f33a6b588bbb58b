//! When the witness is selected again: the address of the share has moved.
//!
//! It may be on the witness's own node now, whose death no witness would report then
//! ([MS-SWN] 3.2.4.1: a witness is another node than the one that serves). And a witness
//! may drop what was registered before the move, as Samba does after five seconds: a
//! registration that is made after it stays. So the mount is never without a witness,
//! unless this fails for so long.

use super::Registrations;
use crate::backoff::jitter;
use crate::registration::{Reselect, Reselection};
use crate::timers::RegistrationTimer;
use crate::{Error, RegistrationId};
use std::time::{Duration, Instant};

/// A registration that has lasted so long is no reason to slow down.
pub(super) const LASTING: Duration = Duration::from_secs(5);
/// How often a reselection is tried.
const TRIES: u8 = 3;
/// How often the pause doubles while it fails: up to half an hour.
const MOST_DOUBLINGS: u8 = 5;

impl Registrations {
    /// Schedules a reselection. All clients of a failed node hear of its address
    /// at once, so each waits a moment of its own.
    pub(super) fn schedule_reselection(&mut self, id: RegistrationId, moved: bool, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let Some(since) = registration.registered().map(|registered| registered.since) else {
            return;
        };
        match registration.reselection {
            Reselection::NotDue => {
                if now.saturating_duration_since(since) >= LASTING {
                    registration.pace.reselections.reset();
                }
                let (min, max) = (self.config.reselect_spread, self.config.backoff_max);
                let delay = registration.pace.reselections.next(&mut self.rng, min, max.max(min));
                registration.reselection = Reselection::Due;
                registration.reselect = Reselect { moved, ..Reselect::default() };
                self.timers.set(id, RegistrationTimer::Reselect, now + delay);
            }
            Reselection::Due => {
                registration.reselect.moved |= moved;
                if moved {
                    self.hurry_reselection(id, now);
                }
            }
            Reselection::Listing(_) | Reselection::Registering(..) => {
                registration.reselect.again |= moved;
            }
        }
    }

    /// Whether a reselection is due or under way.
    pub(super) fn reselects(&self, id: RegistrationId) -> bool {
        self.by_id.get(&id).is_some_and(|it| !matches!(it.reselection, Reselection::NotDue))
    }

    /// Has a reselection that is due late only made soon: no other node was there, or the
    /// credentials were refused.
    pub(super) fn hurry_reselection(&mut self, id: RegistrationId, now: Instant) {
        let registration = self.by_id.get(&id);
        if registration.is_some_and(|it| matches!(it.reselection, Reselection::Due)) {
            let soon = now + jitter(&mut self.rng, self.config.reselect_spread);
            let due = self.timers.get(id, RegistrationTimer::Reselect);
            if due.is_none_or(|due| soon < due) {
                self.timers.set(id, RegistrationTimer::Reselect, soon);
            }
        }
    }

    /// Looks again after a while whether another node offers a witness: the one that
    /// serves the share has none but itself, and its death would be told by none.
    pub(super) fn look_again(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let failures = registration.reselect.failures;
        let pause =
            self.config.backoff_max * (1 << failures.saturating_sub(TRIES).min(MOST_DOUBLINGS));
        let delay = pause / 2 + jitter(&mut self.rng, pause);
        registration.reselection = Reselection::Due;
        registration.reselect = Reselect { failures, ..Reselect::default() };
        self.timers.set(id, RegistrationTimer::Reselect, now + delay);
    }

    /// Asks the node that serves the share for its list.
    pub(super) fn start_reselection(&mut self, id: RegistrationId, now: Instant) {
        let served_by = self.by_id.get(&id).and_then(|registration| registration.served_by);
        let link = served_by.and_then(|address| self.join_link(id, address, now));
        if let Some(registration) = self.by_id.get_mut(&id) {
            registration.reselection = link.map_or(Reselection::NotDue, Reselection::Listing);
        }
        if let Some(link) = link {
            self.request_list(link, id, now);
        }
    }

    /// Tries again: where the address has moved soon, some times, and then ever more
    /// seldom, since the witness may be the very node that serves the share. By then the
    /// consumer may have other credentials; refused ones are not presented. The
    /// registration stays in force as it is.
    pub(super) fn reselection_failed(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let reselect = &mut registration.reselect;
        reselect.failures = reselect.failures.saturating_add(1);
        let again = reselect.moved && reselect.failures < TRIES && !error.needs_consumer();
        log::debug!("cannot select the witness again (trying again: {again}): {error}");
        self.stop_reselection(id, now);
        match self.by_id.get_mut(&id).filter(|_| again) {
            Some(registration) => {
                let delay = jitter(&mut self.rng, self.config.backoff_min);
                registration.reselection = Reselection::Due;
                self.timers.set(id, RegistrationTimer::Reselect, now + delay);
            }
            None => self.look_again(id, now),
        }
    }
}

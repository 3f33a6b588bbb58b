//! From one registration of a mount to the next: both are there for a moment, and what
//! only the previous one's witness knows is taken from it before it is released.

use super::Registrations;
use crate::overlap::{COPIES, OVERLAP};
use crate::registration::{Missed, Registered, Reselect, Reselection};
use crate::timers::RegistrationTimer;
use crate::wire::Version;
use crate::{Error, Event, RegistrationId};
use std::time::Instant;

impl Registrations {
    /// A witness has accepted the registration that a reselection made: it is in
    /// force from now on.
    pub(super) fn take_over(&mut self, id: RegistrationId, new: Registered, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        registration.reselection = Reselection::NotDue;
        let Reselect { again, is_alone, .. } = std::mem::take(&mut registration.reselect);
        let missed = registration.registered().map(|registered| &registered.missed);
        let is_missing = matches!(missed, Some(Missed::Listing | Missed::Due));
        let until = now + OVERLAP;
        let catch_up = self.timers.get(id, RegistrationTimer::CatchUp);
        registration.take_over(new, catch_up, until);
        self.timers.clear_all(id);
        self.timers.set(id, RegistrationTimer::Overlap, until);
        if is_missing {
            self.ask_what_was_missed(id, now);
        }
        self.ask_previous(id, now);
        if again {
            self.schedule_reselection(id, true, now);
        } else if is_alone {
            self.look_again(id, now);
        }
    }

    /// Releases the previous registration; from now on the new one is asked.
    pub(super) fn end_overlap(&mut self, id: RegistrationId, now: Instant) {
        self.release_previous(id, now);
        self.send_notify(id, now);
    }

    /// Releases the previous registration, where there is one still.
    pub(super) fn release_previous(&mut self, id: RegistrationId, now: Instant) {
        let Some(previous) = self.take_previous(id, now) else {
            return;
        };
        self.links.release(previous.link, &previous.handle, now);
        if let Some((call, _)) = previous.notify {
            self.links.orphan(previous.link, call);
        }
        self.leave_link(previous.link, id);
    }

    /// The previous registration has ended before it was released. What it has
    /// not told of the address, a list tells.
    pub(super) fn previous_lost(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(previous) = self.take_previous(id, now) else {
            return;
        };
        log::debug!("the previous registration ended by itself: {error}");
        self.links.release(previous.link, &previous.handle, now);
        self.leave_link(previous.link, id);
        self.ask_what_was_missed(id, now);
        self.send_notify(id, now);
    }

    /// Takes the previous registration out; copies of what it told are passed
    /// over for a while.
    fn take_previous(&mut self, id: RegistrationId, now: Instant) -> Option<Registered> {
        let registered = self.by_id.get_mut(&id)?.registered_mut()?;
        let overlap = registered.overlap.as_mut()?;
        let previous = overlap.previous.take()?;
        overlap.until = now + COPIES;
        if overlap.told.is_empty() {
            registered.overlap = None;
        }
        self.timers.clear(id, RegistrationTimer::Overlap);
        Some(previous)
    }

    /// When the list that the previous registration lacks was to be asked for.
    fn catch_up_of_previous(&self, id: RegistrationId) -> Option<Instant> {
        self.by_id.get(&id)?.registered()?.overlap.as_ref()?.catch_up
    }

    /// Goes back to the previous registration, where there is one still, because
    /// the new one is lost already.
    pub(super) fn fall_back(&mut self, id: RegistrationId, now: Instant) -> bool {
        let catch_up = self.catch_up_of_previous(id);
        let Some(previous) = self.take_previous(id, now) else {
            return false;
        };
        let (Some(registration), Some(witness)) =
            (self.by_id.get_mut(&id), self.links.address(previous.link))
        else {
            return false;
        };
        let version = previous.version.number();
        let notify_due = match previous.notify {
            Some((_, since)) if previous.version == Version::V2 => {
                Some(since + self.config.call_timeout)
            }
            _ => None,
        };
        registration.fall_back(previous);
        self.timers.replace(id, RegistrationTimer::Notify, notify_due);
        self.timers.replace(id, RegistrationTimer::CatchUp, catch_up);
        self.events.push_back((id, Event::Registered { witness, version }));
        self.send_notify(id, now);
        self.schedule_reselection(id, true, now);
        true
    }
}

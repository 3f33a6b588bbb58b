//! What was missed: the address of the share may have changed its state while no
//! witness was watching. The next witness's list tells.

use super::Registrations;
use crate::choice;
use crate::registration::Missed;
use crate::timers::RegistrationTimer;
use crate::wire::Interface;
use crate::{Error, Event, Notification, RegistrationId, ResourceState};
use smol_str::ToSmolStr;
use std::time::Instant;

impl Registrations {
    /// Asks the new witness for its list, where possible by the same link. One
    /// that isn't multiplexed is for AsyncNotify alone: neither may wait for
    /// the other, and a server may take its time for a list.
    pub(super) fn ask_what_was_missed(&mut self, id: RegistrationId, now: Instant) {
        let Some(registered) = self.by_id.get_mut(&id).and_then(|it| it.registered_mut()) else {
            return;
        };
        registered.missed = Missed::Listing;
        let link = registered.link;
        self.timers.clear(id, RegistrationTimer::CatchUp);
        let Some(address) = self.links.address(link) else {
            return;
        };
        let link = match self.links.is_multiplexed(link) {
            true => Some(link),
            false => self.join_link(id, address, now),
        };
        if let Some(link) = link {
            self.request_list(link, id, now);
        }
    }

    /// Asks again for the list that could not be had.
    pub(super) fn catch_up(&mut self, id: RegistrationId, now: Instant) {
        let registered = self.by_id.get(&id).and_then(|it| it.registered());
        if registered.is_some_and(|it| matches!(it.missed, Missed::Due)) {
            self.ask_what_was_missed(id, now);
        }
    }

    /// Compares the list with what the consumer knows, unless the witness has
    /// told more since. Only the node's own address counts; one that is listed
    /// no longer, though it was, is out of service.
    pub(super) fn report_missed_change(&mut self, id: RegistrationId, interfaces: &[Interface]) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        if !registration.settle_missed() {
            return;
        }
        registration.pace.backoff.reset();
        let (Some(address), Some(known)) = (registration.served_by, registration.known_state)
        else {
            return;
        };
        let unlisted = registration.is_listed.then_some(ResourceState::Unavailable);
        let Some(state) = choice::state_of(interfaces, address).or(unlisted) else {
            return;
        };
        if state == known {
            return;
        }
        registration.known_state = Some(state);
        if let Some(registered) = registration.registered_mut() {
            registered.missed = Missed::Told(state);
        }
        log::info!("{address} became {state:?} while no witness was watching");
        let notification = Notification::ResourceChange { name: address.to_smolstr(), state };
        self.events.push_back((id, Event::Notification(notification)));
    }

    /// The list could not be had: it is asked for again, unless the witness
    /// does not answer at all.
    pub(super) fn missed_list_failed(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        if !registration.settle_missed() {
            return;
        }
        let again = !error.needs_consumer() && !matches!(error, Error::Timeout { .. });
        log::debug!("cannot find out what was missed (asking again: {again}): {error}");
        if again {
            let (min, max) = (self.config.backoff_min, self.config.backoff_max);
            let delay = registration.pace.backoff.next(&mut self.rng, min, max);
            if let Some(registered) = registration.registered_mut() {
                registered.missed = Missed::Due;
            }
            self.timers.set(id, RegistrationTimer::CatchUp, now + delay);
        }
    }
}

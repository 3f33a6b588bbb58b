//! What was missed: the address of the share may have changed its state while no
//! witness was watching. The next witness's list tells.

use crate::choice;
use crate::client::Client;
use crate::registration::{Missed, Registered, State};
use crate::timers::{RegistrationTimer, TimerKey};
use crate::wire::Interface;
use crate::{Error, Event, Notification, RegistrationId, ResourceState};
use smol_str::ToSmolStr;
use std::time::Instant;

impl Client {
    /// Asks the new witness for its list, where possible by the same link. One
    /// that isn't multiplexed is for AsyncNotify alone: neither may wait for
    /// the other, and a server may take its time for a list.
    pub(crate) fn ask_what_was_missed(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(registered) = &mut registration.state else {
            return;
        };
        registered.missed = Missed::Listing;
        let link_id = registered.link;
        self.timers.clear(TimerKey::Registration(id, RegistrationTimer::CatchUp));
        let Some(link) = self.links.get(&link_id) else {
            return;
        };
        let address = link.address;
        if link.is_multiplexed() {
            self.request_list(link_id, id, now);
        } else if let Some((other, _)) = self.join_link(id, address, now) {
            self.request_list(other, id, now);
        }
    }

    /// Compares the list with what the consumer knows, unless the witness has
    /// told more since. Only the node's own address counts; one that is listed
    /// no longer is out of service.
    pub(crate) fn report_missed_change(&mut self, id: RegistrationId, interfaces: &[Interface]) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(Registered { missed: missed @ Missed::Listing, .. }) =
            &mut registration.state
        else {
            return;
        };
        *missed = Missed::Settled;
        registration.backoff.reset();
        let (Some(address), Some(known)) = (registration.served_by, registration.known_state)
        else {
            return;
        };
        let state = choice::state_of(interfaces, address).unwrap_or(ResourceState::Unavailable);
        if state == known {
            return;
        }
        *missed = Missed::Told(state);
        log::info!("{address} became {state:?} while no witness was watching");
        registration.known_state = Some(state);
        let notification = Notification::ResourceChange { name: address.to_smolstr(), state };
        self.events.push_back((id, Event::Notification(notification)));
    }

    /// The list could not be had: it is asked for again, unless the witness
    /// does not answer at all.
    pub(crate) fn missed_list_failed(&mut self, id: RegistrationId, error: &Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(Registered { missed: missed @ Missed::Listing, .. }) =
            &mut registration.state
        else {
            return;
        };
        let again = !error.needs_consumer() && !matches!(error, Error::Timeout { .. });
        log::debug!("cannot find out what was missed (asking again: {again}): {error}");
        *missed = Missed::Settled;
        if again {
            *missed = Missed::Due;
            let (min, max) = (self.config.backoff_min, self.config.backoff_max);
            let delay = registration.backoff.next(&mut self.rng, min, max);
            self.set_timer(id, RegistrationTimer::CatchUp, now + delay);
        }
    }
}

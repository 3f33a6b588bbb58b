//! When something goes wrong: what fails, what is tried next, and when.

use crate::proto::choice;
use crate::proto::client::Client;
use crate::proto::link::{LinkId, Purpose};
use crate::proto::registration::{Registered, Review, State, Unregistering};
use crate::wire::{self, opnum};
use crate::{Error, Event, RegistrationId};
use dcerpc::ndr::ContextHandle;
use std::net::IpAddr;
use std::time::{Duration, Instant};

impl Client {
    /// The link that a registration depends on has failed.
    pub(in crate::proto) fn link_failed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        address: IpAddr,
        error: &Error,
        spread: Duration,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if matches!(registration.review, Review::Listing(link) if link == link_id) {
            return self.review_failed(id, error);
        }
        if registration.link() != Some(link_id) {
            return self.missed_list_failed(id, error, now);
        }
        match &registration.state {
            State::Listing { .. } => {
                self.set_state(id, State::Waiting);
                self.list_failed(id, error.clone(), now);
            }
            State::Registering { .. } => {
                self.set_state(id, State::Waiting);
                self.try_next_witness(id, error.clone(), now);
            }
            State::Registered(_) => self.lost(id, address, error.clone(), spread, now),
            State::Unregistering(_) => self.end(id),
            State::Resolving | State::Waiting => {}
        }
    }

    /// The witness has lost or spoilt this one registration; its link stands.
    /// Whatever it says, it takes back what it may still have.
    pub(in crate::proto) fn registration_lost(
        &mut self,
        id: RegistrationId,
        error: Error,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get(&id) else {
            return;
        };
        let State::Registered(Registered { link: link_id, handle, .. }) = registration.state else {
            return;
        };
        self.release(link_id, &handle, now);
        let Some(witness) = self.links.get(&link_id).map(|link| link.address) else {
            return;
        };
        let spread = self.loss_spread();
        self.lost(id, witness, error, spread, now);
        self.leave_link(link_id, id);
    }

    /// Takes back a registration that nobody waits for any more. An error ends
    /// the link, which is found out anyway.
    pub(in crate::proto) fn release(
        &mut self,
        link_id: LinkId,
        handle: &ContextHandle,
        now: Instant,
    ) {
        if let Some(link) = self.links.get_mut(&link_id) {
            let stub = wire::encode_context_handle(handle);
            let _ = link.call(Purpose::Release, opnum::UN_REGISTER, stub, &mut self.actions);
            self.expect_release(link_id, now);
        }
    }

    /// Registers anew, another witness first, after a moment that keeps the
    /// clients of a dead witness from coming all at once.
    pub(in crate::proto) fn lost(
        &mut self,
        id: RegistrationId,
        witness: IpAddr,
        error: Error,
        spread: Duration,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if error.needs_consumer() {
            return self.failed(id, error, now);
        }
        if let Some(served_by) = registration.served_by {
            let interfaces = &registration.interfaces;
            registration.candidates =
                choice::witnesses(interfaces, served_by, Some(witness), &mut self.rng);
        }
        registration.fresh_list = false;
        self.set_state(id, State::Waiting);
        self.set_deadline(id, Some(now + spread));
        self.events.push_back((id, Event::Failed { error, retry_in: Some(spread) }));
    }

    /// An attempt has failed for good.
    pub(in crate::proto) fn failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        // The next attempt begins with a new list.
        registration.candidates.clear();
        registration.fresh_list = false;
        let retry_in = (!error.needs_consumer()).then(|| {
            let (min, max) = (self.config.backoff_min, self.config.backoff_max);
            registration.backoff.next(&mut self.rng, min, max)
        });
        self.set_state(id, State::Waiting);
        self.set_deadline(id, retry_in.map(|delay| now + delay));
        self.events.push_back((id, Event::Failed { error, retry_in }));
    }

    /// A registration's deadline has come.
    pub(in crate::proto) fn registration_due(&mut self, id: RegistrationId, now: Instant) {
        self.set_deadline(id, None);
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if matches!(registration.review, Review::Due(at) if at <= now) {
            return self.start_review(id, now);
        }
        if registration.misses_list(now) {
            self.ask_what_was_missed(id, now);
            return self.arm_registered(id);
        }
        let (link, what) = match &registration.state {
            State::Waiting => {
                registration.last_attempt = Some(now);
                return self.register_next(id, now);
            }
            State::Registered(Registered { notify: None, .. }) => return self.send_notify(id, now),
            // Where nobody shares the link, closing it takes the registration
            // back (C706 5.1.6, context rundown).
            State::Unregistering(Unregistering { link, .. }) => {
                let link = *link;
                self.end(id);
                return self.expect_release(link, now);
            }
            State::Resolving => return,
            State::Listing { link } => (*link, "GetInterfaceList"),
            State::Registering { link, .. } => (*link, "Register"),
            State::Registered(Registered { link, .. }) => (*link, "AsyncNotify"),
        };
        if let Some(address) = self.links.get(&link).map(|link| link.address) {
            let seconds = self.config.call_timeout.as_secs();
            self.fail_link(link, Error::Timeout { address, what, seconds }, now);
        }
    }
}

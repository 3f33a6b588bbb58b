//! To choose the witness anew when the address of the share has moved: it may
//! be on the witness's own node now, whose death nobody would report then
//! ([MS-SWN] 3.2.4.1: a witness is another node than the one that serves).

use crate::proto::choice;
use crate::proto::client::Client;
use crate::proto::link::LinkId;
use crate::proto::registration::{Registered, Review, State};
use crate::wire::Interface;
use crate::{Error, RegistrationId};
use std::sync::Arc;
use std::time::Instant;

impl Client {
    /// The address is in service again. All clients of a failed node hear so
    /// at once, so each waits a moment of its own.
    pub(in crate::proto) fn schedule_review(&mut self, id: RegistrationId, now: Instant) {
        let due = now + self.loss_spread();
        if let Some(registration) = self.registrations.get_mut(&id) {
            if matches!(registration.review, Review::NotDue) {
                registration.review = Review::Due(due);
            }
        }
        self.arm_registered(id);
    }

    /// Asks the node that serves the share for its list.
    pub(in crate::proto) fn start_review(&mut self, id: RegistrationId, now: Instant) {
        let served_by = self.registrations.get(&id).and_then(|registration| registration.served_by);
        let link = served_by.and_then(|address| self.join_link(id, address, now));
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.review = link.map_or(Review::NotDue, |(link, _)| Review::Listing(link));
        }
        if let Some((link, _)) = link {
            self.request_list(link, id, now);
        }
        self.arm_registered(id);
    }

    /// The list is there: the witness stays, or another one takes over.
    pub(in crate::proto) fn reviewed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        interfaces: &Arc<[Interface]>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.review = Review::NotDue;
        let State::Registered(Registered { link: old, handle, notify, .. }) = registration.state
        else {
            return;
        };
        let (Some(witness), Some(served_by)) =
            (self.links.get(&old).map(|link| link.address), registration.served_by)
        else {
            return;
        };
        let candidates = choice::witnesses(interfaces, served_by, None, &mut self.rng);
        registration.interfaces = Arc::clone(interfaces);
        if !candidates.is_empty() && !candidates.contains(&witness) {
            log::debug!("{served_by} is served by the node of its witness {witness} now; changing");
            registration.candidates = candidates;
            registration.fresh_list = true;
            self.release(old, &handle, now);
            if let (Some(link), Some((call, _))) = (self.links.get_mut(&old), notify) {
                link.orphan(call, &mut self.actions);
            }
            self.set_state(id, State::Waiting);
            self.leave_link(old, id);
            self.register_next(id, now);
        }
        self.leave_link(link_id, id);
    }

    /// The list could not be had; the registration stands as it is.
    pub(in crate::proto) fn review_failed(&mut self, id: RegistrationId, error: &Error) {
        log::debug!("cannot choose the witness anew: {error}");
        self.stop_review(id);
    }

    /// Nobody waits for the list any more.
    pub(in crate::proto) fn stop_review(&mut self, id: RegistrationId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if let Review::Listing(link) = std::mem::take(&mut registration.review) {
            self.leave_link(link, id);
        }
    }
}

//! How it has ended: an interface list, a call that makes or ends a registration, a link.
//! What is tried next.

use super::Registrations;
use crate::choice;
use crate::link::LinkId;
use crate::links::LinkFailed;
use crate::registration::{Attempt, Registration, Reselection, State};
use crate::search::ListAge;
use crate::wire::{Interface, Status, Version};
use crate::{Error, RegistrationId};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

impl Registrations {
    /// The interface list is there: for a registration that looks for a
    /// witness, or for one that has just found another one and must know what
    /// it missed meanwhile.
    pub(super) fn on_list_reply(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        result: &Result<Arc<[Interface]>, Error>,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        if let Ok(interfaces) = result {
            registration.search.last_list = Arc::clone(interfaces);
            let has_it = |address| choice::state_of(interfaces, address).is_some();
            registration.is_listed |= registration.served_by.is_some_and(has_it);
        }
        let is_reselecting =
            matches!(registration.reselection, Reselection::Listing(asked) if asked == link);
        match (registration.state(), result) {
            (State::Listing { link: asked }, Ok(interfaces)) if *asked == link => {
                self.listed(id, link, interfaces, now);
            }
            (State::Listing { link: asked }, Err(error)) if *asked == link => {
                self.list_failed(id, link, error, now);
            }
            (State::Registered(_), Ok(interfaces)) if is_reselecting => {
                self.reselection_listed(id, link, interfaces, now);
            }
            (State::Registered(_), Err(error)) if is_reselecting => {
                self.reselection_failed(id, error, now);
            }
            (State::Registered(_), Ok(interfaces)) => {
                let served_by = registration.served_by;
                self.report_missed_change(id, interfaces);
                // In a witness's own list its own addresses lack the flag. A role's is in no
                // list: it may be on the witness's node since that was chosen.
                let may_be_own = |address| {
                    choice::is_own(interfaces, address)
                        || choice::state_of(interfaces, address).is_none()
                };
                if served_by.is_some_and(may_be_own) {
                    self.schedule_reselection(id, false, now);
                }
            }
            // A registration that is in force does not fall over a list.
            (State::Registered(_), Err(error)) => self.missed_list_failed(id, error, now),
            _ => {}
        }
    }

    /// The list names the witnesses.
    fn listed(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        interfaces: &Arc<[Interface]>,
        now: Instant,
    ) {
        let served_by = self.by_id.get(&id).and_then(|registration| registration.served_by);
        let Some(served_by) = served_by else {
            return;
        };
        let witnesses = self.witnesses(interfaces, (id, served_by), None, now);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let search = &mut registration.search;
        search.begin(witnesses, ListAge::Fresh { since: now });
        search.interfaces = Arc::clone(interfaces);
        if !registration.was_registered {
            registration.known_state = choice::state_of(interfaces, served_by);
        }
        self.register_next(id, now);
        self.keep(id, link);
        self.leave_link(link, id);
    }

    /// This node has no list to give.
    pub(super) fn list_failed(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        error: &Error,
        now: Instant,
    ) {
        self.set_state(id, State::Waiting, now);
        self.leave_link(link, id);
        if self.is_hopeless(id, error) {
            self.enter_backoff(id, error.clone(), now);
        } else {
            self.try_next_seed(id, error.clone(), now);
        }
    }

    /// Where the witness can't stay, or the address has moved, a registration is made.
    fn reselection_listed(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        interfaces: &Arc<[Interface]>,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        let witness = registration.registered().and_then(|it| self.links.address(it.link));
        let (Some(witness), Some(served_by)) = (witness, registration.served_by) else {
            return;
        };
        let mut candidates = self.witnesses(interfaces, (id, served_by), None, now);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        registration.reselection = Reselection::NotDue;
        registration.search.interfaces = Arc::clone(interfaces);
        registration.reselect.is_alone = candidates.is_empty();
        if candidates.is_empty() {
            candidates.push(witness);
        }
        if registration.reselect.moved || !candidates.contains(&witness) {
            log::debug!("registering again for {served_by}, before {witness} is left");
            registration.search.begin(candidates, ListAge::Fresh { since: now });
            self.register_next(id, now);
        } else if registration.reselect.is_alone {
            self.look_again(id, now);
        }
        self.keep(id, link);
        self.leave_link(link, id);
    }

    /// The response to Register or RegisterEx.
    pub(super) fn on_register_reply(
        &mut self,
        id: RegistrationId,
        (link, call): (LinkId, CallId),
        witness: IpAddr,
        result: Result<ContextHandle, Error>,
        now: Instant,
    ) {
        let registration = self.by_id.get(&id);
        let attempt = registration.and_then(|registration| registration.attempt());
        if let Some(version) = attempt.and_then(|attempt| attempt.version_of(link, call)) {
            return match result {
                Ok(handle) => self.registered(id, link, witness, handle, version, now),
                Err(error) => self.register_refused(id, link, version, error, now),
            };
        }
        match (registration.map(|registration| registration.state()), result) {
            // Unregistered meanwhile.
            (Some(State::Unregistering(ending)), result) if ending.is_by(link, call) => {
                match result {
                    Ok(handle) => self.send_unregister(id, link, handle, None, now),
                    Err(_) => self.end(id),
                }
            }
            // A late response to an abandoned call: releases the handle.
            (_, Ok(handle)) => self.links.release(link, &handle, now),
            _ => {}
        }
    }

    fn register_refused(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        version: Version,
        error: Error,
        now: Instant,
    ) {
        if version == Version::V2 && means_version_1(&error) {
            log::debug!("the witness speaks version 1 only: {error}");
            self.links.refuses_version_2(link);
            return self.register_otherwise(id, now);
        }
        if matches!(error, Error::Refused { status: Status::INVALID_PARAMETER, .. })
            && self.by_id.get_mut(&id).is_some_and(Registration::next_name)
        {
            log::debug!("{error}; trying the first label of the name");
            return self.register_otherwise(id, now);
        }
        self.attempt_failed(id, error, now);
    }

    /// One witness has not accepted it; the next is tried.
    pub(super) fn attempt_failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        match self.by_id.get(&id).map(|registration| registration.state()) {
            Some(&State::Registering(Attempt { link, .. })) => {
                self.set_state(id, State::Waiting, now);
                self.leave_link(link, id);
            }
            _ => self.stop_reselection(id, now),
        }
        let is_hopeless = self.is_hopeless(id, &error);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        if !is_hopeless {
            log::debug!("{}: {error}; trying the next witness", registration.request.net_name);
            registration.search.last_error = Some(error);
            self.register_next_paced(id, now);
        } else if registration.registered().is_some() {
            self.reselection_failed(id, &error, now);
        } else {
            self.enter_backoff(id, error, now);
        }
    }

    /// A link that a registration depends on, or waits for a list by, has failed. `part`:
    /// of the spread, after which a registration that is lost by it is made again.
    pub(super) fn on_link_failed(
        &mut self,
        id: RegistrationId,
        failed: &LinkFailed,
        part: f64,
        now: Instant,
    ) {
        let LinkFailed { link, error, .. } = failed;
        let link = *link;
        if self.rival_failed(id, link, error, now) {
            return;
        }
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        let by_it = registration.link() == Some(link);
        if registration.reselection.link() == Some(link) {
            match registration.reselection {
                // Where the registration in force is lost with it, what is tried
                // next is said below.
                Reselection::Registering(..) if by_it => self.stop_reselection(id, now),
                Reselection::Registering(..) => self.attempt_failed(id, error.clone(), now),
                _ => self.reselection_failed(id, error, now),
            }
        } else if failed.listing.contains(&id) && registration.registered().is_some() {
            self.missed_list_failed(id, error, now);
        }
        let previous = self.by_id.get(&id).and_then(|registration| registration.previous());
        if previous.is_some_and(|previous| previous.link == link) {
            self.previous_lost(id, error, now);
        }
        let Some(registration) = self.by_id.get(&id).filter(|_| by_it) else {
            return;
        };
        match registration.state() {
            State::Listing { .. } => self.list_failed(id, link, error, now),
            State::Registering(_) => self.attempt_failed(id, error.clone(), now),
            State::Registered(_) => {
                if !self.fall_back(id, now) {
                    self.lost_with_link(id, failed.address, error, part, now);
                }
            }
            State::Unregistering(_) => self.end(id),
            State::Resolving | State::Waiting => {}
        }
    }
}

/// Whether a witness says by this error that it does not speak version 2.
fn means_version_1(error: &Error) -> bool {
    match error {
        Error::Fault { status, .. } => status.is_unknown_operation(),
        Error::Refused { status, .. } => {
            matches!(*status, Status::REVISION_MISMATCH | Status::CALL_NOT_IMPLEMENTED)
        }
        _ => false,
    }
}

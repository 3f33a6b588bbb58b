//! To register at a candidate ([MS-SWN] 3.2.4.1): RegisterEx, or Register where
//! the witness speaks version 1 only.

use crate::client::Client;
use crate::link::{LinkId, Purpose};
use crate::overlap::{COPIES, Overlap, Told};
use crate::registration::{Attempt, Missed, Registered, Registration, State, Unregistering};
use crate::timers::RegistrationTimer;
use crate::wire::{Register, RegisterEx, Status, Version};
use crate::{Error, Event, RegistrationId};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use smol_str::ToSmolStr;
use std::time::Instant;

impl Client {
    /// RegisterEx; or Register where this witness has refused version 2. The
    /// interface list's version is only a hint and not asked.
    pub(crate) fn send_register(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let Some(&Attempt { link: link_id, call: None }) = registration.attempt() else {
            return;
        };
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let version = match self.version_1_only.contains(&link.address) {
            true => Version::V1,
            false => Version::V2,
        };
        let request = &registration.request;
        let ip_address = registration.served_by.map(|ip| ip.to_smolstr());
        let register = Register {
            version: version.to_wire(),
            net_name: Some(registration.net_name()),
            share_name: request.share_name.clone().filter(|_| request.share_name_notify),
            ip_address,
            client_name: Some(self.config.client_name.clone()),
            ip_notify: request.ip_notify,
            keep_alive: u32::try_from(self.config.keep_alive.as_secs()).unwrap_or(u32::MAX),
        };
        let purpose = Purpose::Register(id);
        let call = match version {
            Version::V1 => link.call(purpose, &register, &mut self.actions),
            Version::V2 => link.call(purpose, &RegisterEx(register), &mut self.actions),
        };
        match call {
            Ok(call) => {
                registration.told = Told::default();
                if let Some(attempt) = registration.attempt_mut() {
                    attempt.call = Some((call, version));
                }
                self.set_timer(id, RegistrationTimer::Call, now + self.config.call_timeout);
            }
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    pub(crate) fn on_register_reply(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        call: CallId,
        result: Result<ContextHandle, Error>,
        now: Instant,
    ) {
        let registration = self.registrations.get(&id);
        let asked = registration.and_then(|registration| registration.attempt()?.call);
        if let Some((_, version)) = asked.filter(|(asked, _)| *asked == call) {
            return match result {
                Ok(handle) => self.registered(id, link_id, handle, version, now),
                Err(error) => self.register_refused(id, link_id, version, error, now),
            };
        }
        match registration.map(|registration| &registration.state) {
            // Unregistered meanwhile.
            Some(State::Unregistering(Unregistering { register: Some(asked), .. }))
                if *asked == call =>
            {
                match result {
                    Ok(handle) => self.send_unregister(id, link_id, handle, None, now),
                    Err(_) => self.end(id),
                }
            }
            // A late response to an abandoned call: releases the handle.
            _ => {
                if let Ok(handle) = result {
                    self.release(link_id, &handle, now);
                }
            }
        }
    }

    pub(crate) fn register_refused(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        version: Version,
        error: Error,
        now: Instant,
    ) {
        let Some(link) = self.links.get(&link_id) else {
            return;
        };
        if version == Version::V2 && means_version_1(&error) {
            log::debug!("{} speaks version 1 only ({error})", link.address);
            self.version_1_only.insert(link.address);
            return self.register_otherwise(id, now);
        }
        if matches!(error, Error::Refused { status: Status::INVALID_PARAMETER, .. })
            && self.registrations.get_mut(&id).is_some_and(Registration::next_name)
        {
            log::debug!("{error}; trying the first label of the name");
            return self.register_otherwise(id, now);
        }
        self.attempt_failed(id, error, now);
    }

    /// Calls the same witness again, with what its refusal has changed.
    fn register_otherwise(&mut self, id: RegistrationId, now: Instant) {
        if let Some(attempt) = self.registrations.get_mut(&id).and_then(|r| r.attempt_mut()) {
            attempt.call = None;
        }
        self.clear_timer(id, RegistrationTimer::Call);
        self.send_register(id, now);
    }

    /// One witness has not accepted it; the next is tried.
    pub(crate) fn attempt_failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        match self.registrations.get(&id).map(|registration| &registration.state) {
            Some(State::Registering(Attempt { link, .. })) => {
                let link = *link;
                self.set_state(id, State::Waiting, now);
                self.leave_link(link, id);
            }
            _ => self.stop_reselection(id, now),
        }
        self.try_next_witness(id, error, now);
    }

    fn try_next_witness(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if error.needs_consumer() {
            match registration.state {
                State::Registered(_) => self.reselection_failed(id, &error, now),
                _ => self.enter_backoff(id, error, now),
            }
        } else {
            log::debug!("{}: {error}; trying the next witness", registration.request.net_name);
            registration.last_error = Some(error);
            self.register_next(id, now);
        }
    }

    pub(crate) fn registered(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        handle: ContextHandle,
        version: Version,
        now: Instant,
    ) {
        let (Some(registration), Some(link)) =
            (self.registrations.get_mut(&id), self.links.get(&link_id))
        else {
            return;
        };
        let anew = std::mem::replace(&mut registration.was_registered, true);
        registration.candidates = Vec::new();
        registration.last_error = None;
        let event = Event::Registered { witness: link.address, version: version.number() };
        self.events.push_back((id, event));
        if matches!(registration.state, State::Registered(_)) {
            // Nothing was missed.
            let new = Registered::new(link_id, handle, version, now, Missed::Settled);
            return self.take_over(id, new, now);
        }
        let missed = if anew { Missed::Listing } else { Missed::Settled };
        let mut registered = Registered::new(link_id, handle, version, now, missed);
        // The previous one may have been lost while the call was under way.
        let told = std::mem::take(&mut registration.told);
        if !told.is_empty() {
            let until = now + COPIES;
            registered.overlap =
                Some(Box::new(Overlap { previous: None, catch_up: None, until, told }));
        }
        self.set_state(id, State::Registered(registered), now);
        if anew {
            self.ask_what_was_missed(id, now);
        }
        self.send_notify(id, now);
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

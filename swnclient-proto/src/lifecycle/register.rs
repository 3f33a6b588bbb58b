//! To register at a candidate ([MS-SWN] 3.2.4.1): RegisterEx, or Register where
//! the witness speaks version 1 only.

use super::Registrations;
use crate::link::{LinkId, Purpose};
use crate::overlap::{COPIES, Told};
use crate::registration::{Attempt, Missed, Overlap, Registered, State};
use crate::search::ListAge;
use crate::timers::RegistrationTimer;
use crate::wire::{Register, RegisterEx, Version};
use crate::{Event, RegistrationId};
use dcerpc_proto::ndr::ContextHandle;
use smol_str::ToSmolStr;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a list counts for what it says of the address that serves: a witness may take
/// minutes to fail, and the address may move meanwhile.
const FRESH_FOR: Duration = Duration::from_secs(5);

impl Registrations {
    /// RegisterEx; or Register where this witness has refused version 2. The
    /// interface list's version is only a hint and not asked.
    pub(super) fn send_register(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let Some(&Attempt { link, call: None }) = registration.attempt() else {
            return;
        };
        if !self.links.is_ready(link) {
            return;
        }
        let Some(client_name) = self.own_name.get(id) else {
            return;
        };
        let version = match self.links.is_version_1_only(link) {
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
            client_name: Some(client_name),
            ip_notify: request.ip_notify,
            keep_alive: u32::try_from(self.config.keep_alive.as_secs()).unwrap_or(u32::MAX),
        };
        let purpose = Purpose::Register(id);
        let call = match version {
            Version::V1 => self.links.call(link, purpose, &register),
            Version::V2 => self.links.call(link, purpose, &RegisterEx(register)),
        };
        if let Some(call) = call {
            registration.told = Told::default();
            if let Some(attempt) = registration.attempt_mut() {
                attempt.call = Some((call, version));
            }
            self.timers.set(id, RegistrationTimer::Call, now + self.config.call_timeout);
        }
    }

    /// Calls the same witness again, with what its refusal has changed.
    pub(super) fn register_otherwise(&mut self, id: RegistrationId, now: Instant) {
        if let Some(attempt) = self.by_id.get_mut(&id).and_then(|it| it.attempt_mut()) {
            attempt.call = None;
        }
        self.timers.clear(id, RegistrationTimer::Call);
        self.send_register(id, now);
    }

    /// A witness has accepted it.
    pub(super) fn registered(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        witness: IpAddr,
        handle: ContextHandle,
        version: Version,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let is_again = std::mem::replace(&mut registration.was_registered, true);
        registration.search.candidates = Vec::new();
        registration.search.last_error = None;
        // The address of the share may be on this very node by now: a list tells, but by
        // no means one that lacks that address (Windows, ONTAP).
        let is_doubtful = match registration.search.by {
            ListAge::Fresh { since } => now.saturating_duration_since(since) >= FRESH_FOR,
            ListAge::LastResort => true,
            ListAge::Old => !registration.is_listed,
        };
        let event = Event::Registered { witness, version: version.number() };
        self.events.push_back((id, event));
        if registration.registered().is_some() {
            // Nothing was missed.
            let new = Registered::new(link, handle, version, now, Missed::Settled);
            return self.take_over(id, new, now);
        }
        let missed = if is_again { Missed::Listing } else { Missed::Settled };
        let mut registered = Registered::new(link, handle, version, now, missed);
        // The previous one may have been lost while the call was under way.
        let told = std::mem::take(&mut registration.told);
        if !told.is_empty() {
            let until = now + COPIES;
            registered.overlap =
                Some(Box::new(Overlap { previous: None, catch_up: None, until, told }));
        }
        self.set_state(id, State::Registered(registered), now);
        if is_again {
            self.ask_what_was_missed(id, now);
        }
        self.send_notify(id, now);
        if is_doubtful {
            self.schedule_reselection(id, false, now);
        }
    }
}

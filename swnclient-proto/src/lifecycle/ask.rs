//! AsyncNotify ([MS-SWN] 3.2.4.2): one is always pending, at the witness that is asked.

use super::Registrations;
use crate::RegistrationId;
use crate::link::Purpose;
use crate::timers::RegistrationTimer;
use crate::wire::{AsyncNotify, Version};
use std::time::Instant;

impl Registrations {
    /// Asks again the witness that is asked now.
    pub(crate) fn ask_again(&mut self, id: RegistrationId, now: Instant) {
        let registration = self.by_id.get(&id);
        match registration.is_some_and(|registration| registration.previous().is_some()) {
            true => self.ask_previous(id, now),
            false => self.send_notify(id, now),
        }
    }

    /// Asks the witness in force, unless it is asked already or the previous one still is.
    pub(super) fn send_notify(&mut self, id: RegistrationId, now: Instant) {
        let registered = self.by_id.get_mut(&id).and_then(|it| it.registered_mut());
        let Some(registered) =
            registered.filter(|it| it.notify.is_none() && it.previous().is_none())
        else {
            return;
        };
        let call = AsyncNotify(registered.handle);
        if let Some(call) = self.links.call(registered.link, Purpose::Notify(id), &call) {
            registered.notify = Some((call, now));
            // Version 1 has no keep-alive: no news can last for ever, and
            // the connection's own keep-alive watches over the witness.
            let keeps_alive = registered.version == Version::V2;
            let due = keeps_alive.then_some(now + self.config.call_timeout);
            self.timers.replace(id, RegistrationTimer::Notify, due);
        }
    }

    /// Makes an AsyncNotify of the previous registration, where none is pending.
    pub(super) fn ask_previous(&mut self, id: RegistrationId, now: Instant) {
        let previous = self.by_id.get_mut(&id).and_then(|it| it.previous_mut());
        if let Some(previous) = previous.filter(|it| it.notify.is_none()) {
            let call = AsyncNotify(previous.handle);
            let call = self.links.call(previous.link, Purpose::Notify(id), &call);
            previous.notify = call.map(|call| (call, now));
        }
    }
}

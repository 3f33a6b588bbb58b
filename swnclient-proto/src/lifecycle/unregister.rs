//! To end a registration ([MS-SWN] 3.2.4.3).

use super::Registrations;
use crate::link::{LinkId, Purpose};
use crate::registration::{Attempt, State, Unregistering};
use crate::timers::RegistrationTimer;
use crate::wire::UnRegister;
use crate::{Event, RegistrationId};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use std::time::Instant;

impl Registrations {
    /// The consumer does not want it any more.
    pub(crate) fn unregister(&mut self, id: RegistrationId, now: Instant) {
        // What one registration takes over from another, ends with both.
        self.stop_reselection(id, now);
        self.stop_keeping(id);
        self.release_previous(id, now);
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        match registration.state() {
            State::Unregistering(_) => {}
            State::Registered(registered) => {
                let (link, handle) = (registered.link, registered.handle);
                let notify = registered.notify.map(|(call, _)| call);
                self.send_unregister(id, link, handle, notify, now);
            }
            // The server may have accepted it already: its answer decides.
            &State::Registering(Attempt { link, call: Some((call, ..)) }) => {
                self.wait_for_end(id, Unregistering { link, call, notify: None }, now);
            }
            State::Resolving | State::Listing { .. } | State::Registering(_) | State::Waiting => {
                self.end(id)
            }
        }
    }

    /// Has the witness take it back. `notify`: the AsyncNotify that pends.
    pub(super) fn send_unregister(
        &mut self,
        id: RegistrationId,
        link: LinkId,
        handle: ContextHandle,
        notify: Option<CallId>,
        now: Instant,
    ) {
        if let Some(call) = notify.filter(|_| !self.links.is_multiplexed(link)) {
            // UnRegister gets its turn when AsyncNotify has ended.
            self.links.cancel(link, call);
        }
        match self.links.call(link, Purpose::Unregister(id), &UnRegister(handle)) {
            Some(call) => self.wait_for_end(id, Unregistering { link, call, notify }, now),
            None => self.end(id),
        }
    }

    fn wait_for_end(&mut self, id: RegistrationId, unregistering: Unregistering, now: Instant) {
        self.set_state(id, State::Unregistering(unregistering), now);
        let due = now + self.config.unregister_timeout;
        self.timers.set(id, RegistrationTimer::Unregister, due);
    }

    /// The witness does not answer. Where no other shares the link, closing it takes
    /// the registration back ([C706] 5.1.6, context rundown).
    pub(super) fn unregister_overdue(&mut self, id: RegistrationId, now: Instant) {
        let state = self.by_id.get(&id).map(|registration| registration.state());
        if let Some(&State::Unregistering(Unregistering { link, call, .. })) = state {
            self.end(id);
            self.links.abandon(link, call, now);
        }
    }

    /// The end of a registration, in any state.
    pub(super) fn end(&mut self, id: RegistrationId) {
        self.timers.clear_all(id);
        self.stop_keeping(id);
        let Some(registration) = self.by_id.remove(&id) else {
            return;
        };
        if let State::Unregistering(Unregistering { link, notify: Some(call), .. }) =
            registration.state()
        {
            self.links.orphan(*link, *call);
        }
        if let Some(link) = registration.link() {
            self.leave_link(link, id);
        }
        if matches!(registration.state(), State::Resolving) {
            if let Some(waiting) = self.resolving.get_mut(&registration.request.net_name) {
                waiting.retain(|other| *other != id);
            }
        }
        self.events.push_back((id, Event::Unregistered));
    }
}

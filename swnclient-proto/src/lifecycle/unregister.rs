//! To end a registration ([MS-SWN] 3.2.4.3).

use crate::client::Client;
use crate::link::{LinkId, Purpose};
use crate::registration::{State, Unregistering};
use crate::timers::RegistrationTimer;
use crate::wire::UnRegister;
use crate::{Event, RegistrationId};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use std::time::Instant;

impl Client {
    pub(crate) fn send_unregister(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        handle: ContextHandle,
        notify: Option<CallId>,
        now: Instant,
    ) {
        let Some(link) = self.links.get_mut(&link_id) else {
            return self.end(id);
        };
        if let (Some(call), false) = (notify, link.is_multiplexed()) {
            // UnRegister gets its turn when AsyncNotify has ended.
            link.cancel(call, &mut self.actions);
        }
        match link.call(Purpose::Unregister(id), &UnRegister(handle), &mut self.actions) {
            Ok(_) => {
                let unregistering = Unregistering { link: link_id, register: None, notify };
                self.set_state(id, State::Unregistering(unregistering), now);
                self.set_timer(
                    id,
                    RegistrationTimer::Unregister,
                    now + self.config.unregister_timeout,
                );
            }
            Err(error) => {
                self.end(id);
                self.fail_link(link_id, error, now);
            }
        }
    }

    /// The end of a registration, in any state.
    pub(crate) fn end(&mut self, id: RegistrationId) {
        self.timers.clear_registration(id);
        let Some(registration) = self.registrations.remove(&id) else {
            return;
        };
        if let State::Unregistering(Unregistering { link, notify: Some(call), .. }) =
            registration.state
        {
            if let Some(link) = self.links.get_mut(&link) {
                link.orphan(call, &mut self.actions);
            }
        }
        if let Some(link) = registration.link() {
            self.leave_link(link, id);
        }
        if matches!(registration.state, State::Resolving) {
            if let Some(waiting) = self.resolving.get_mut(&registration.request.net_name) {
                waiting.retain(|other| *other != id);
            }
        }
        self.events.push_back((id, Event::Unregistered));
    }
}

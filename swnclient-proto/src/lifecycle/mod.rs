//! The life of a registration ([MS-SWN] 3.2.4), a file for each of its parts.

mod list;
mod missed;
mod recover;
mod register;
mod reselect;
mod unregister;
mod watch;

use super::client::Client;
use super::registration::State;
use super::timers::{RegistrationTimer, TimerKey};
use crate::RegistrationId;
use std::time::Instant;

impl Client {
    /// The one place where a state changes, but for [`Client::take_over`] and
    /// [`Client::fall_back`]. A deadline and a reselection belong to the state that
    /// set them.
    pub(crate) fn set_state(&mut self, id: RegistrationId, state: State, now: Instant) {
        self.timers.clear_registration(id);
        self.stop_reselection(id, now);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.state = state;
        }
    }

    pub(crate) fn set_timer(&mut self, id: RegistrationId, timer: RegistrationTimer, at: Instant) {
        self.timers.set(TimerKey::Registration(id, timer), at);
    }

    pub(crate) fn clear_timer(&mut self, id: RegistrationId, timer: RegistrationTimer) {
        self.timers.clear(TimerKey::Registration(id, timer));
    }
}

//! When it is tried again, after a loss or an attempt that failed.

use super::Registrations;
use super::reselect::LASTING;
use crate::backoff::jitter;
use crate::registration::{Reselection, State};
use crate::search::ListAge;
use crate::timers::RegistrationTimer;
use crate::{Error, RegistrationId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Registrations {
    /// The witness has lost or spoilt this one registration; its link is fine.
    /// Whatever it says, it takes back what it may still have. Registers again
    /// at once, but for a moment that grows as long as registrations don't last.
    pub(super) fn registration_lost(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let registered = self.by_id.get(&id).and_then(|registration| registration.registered());
        let Some((link, handle)) = registered.map(|it| (it.link, it.handle)) else {
            return;
        };
        let spread = self.spread_of_loss(id, self.config.reregister_spread, now);
        let delay = jitter(&mut self.rng, spread);
        self.links.release(link, &handle, now);
        // Where the link has failed by that, this is one of those that it fails.
        if let Some(witness) = self.links.address(link) {
            self.lost(id, witness, error, delay, now);
            self.leave_link(link, id);
        }
    }

    /// The link of a registration in force has failed. `part`: of the spread, after
    /// which it is made again.
    pub(super) fn lost_with_link(
        &mut self,
        id: RegistrationId,
        witness: IpAddr,
        error: &Error,
        part: f64,
        now: Instant,
    ) {
        let spread = self.spread_of_loss(id, self.config.loss_spread, now).mul_f64(part);
        self.lost(id, witness, error.clone(), spread, now);
    }

    /// Counts the loss of a registration; returns the time within which it is made
    /// again: `first`, which grows as long as registrations don't last.
    fn spread_of_loss(&mut self, id: RegistrationId, first: Duration, now: Instant) -> Duration {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return first;
        };
        let since = registration.registered().map(|registered| registered.since);
        let pace = &mut registration.pace;
        if since.is_some_and(|since| now.saturating_duration_since(since) >= LASTING) {
            pace.losses.reset();
            pace.backoff.reset();
        }
        let min = match first.is_zero() && pace.losses.has_failed() {
            true => self.config.backoff_min,
            false => first,
        };
        pace.losses.bound(min, self.config.backoff_max.max(first))
    }

    /// Registers again, another witness first, after a moment that keeps the
    /// clients of a dead witness from coming all at once. A reselection that is
    /// under way goes on instead.
    fn lost(
        &mut self,
        id: RegistrationId,
        witness: IpAddr,
        error: Error,
        spread: Duration,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        if error.needs_consumer() {
            return self.enter_backoff(id, error, now);
        }
        if let Some(state) = goes_on(std::mem::take(&mut registration.reselection)) {
            let rivals = std::mem::take(&mut registration.search.rivals);
            let timers = [RegistrationTimer::Call, RegistrationTimer::Race];
            let due = timers.map(|timer| self.timers.get(id, timer));
            self.set_state(id, state, now);
            self.set_rivals(id, rivals);
            for (timer, due) in timers.into_iter().zip(due) {
                self.timers.replace(id, timer, due);
            }
            return self.tell_failed(id, error, Some(Duration::ZERO));
        }
        let interfaces = Arc::clone(&registration.search.interfaces);
        let candidates = match registration.served_by {
            Some(served_by) => self.witnesses(&interfaces, (id, served_by), Some(witness), now),
            None => Vec::new(),
        };
        if let Some(registration) = self.by_id.get_mut(&id) {
            registration.search.begin(candidates, ListAge::Old);
        }
        self.set_state(id, State::Waiting, now);
        self.timers.set(id, RegistrationTimer::Retry, now + spread);
        self.tell_failed(id, error, Some(spread));
    }

    /// Ends a failed attempt and sets the time of the next one, where it may start unasked.
    pub(super) fn enter_backoff(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        // The next attempt begins with a new list.
        registration.search.begin(Vec::new(), ListAge::Old);
        let retry_in = (!error.needs_consumer()).then(|| {
            let (min, max) = (self.config.backoff_min, self.config.backoff_max);
            registration.pace.backoff.next(&mut self.rng, min, max)
        });
        let paused_until = self.links.paused_until(&registration.credentials);
        self.set_state(id, State::Waiting, now);
        // Credentials that were refused are tried again after a long time: the
        // server may have been wrong.
        let due = match error.is_refusal() {
            true => paused_until,
            false => retry_in.map(|delay| now + delay),
        };
        self.timers.replace(id, RegistrationTimer::Retry, due);
        self.tell_failed(id, error, retry_in);
    }
}

/// The state of a registration whose reselection goes on without it.
fn goes_on(reselection: Reselection) -> Option<State> {
    match reselection {
        Reselection::Listing(link) => Some(State::Listing { link }),
        Reselection::Registering(attempt) => Some(State::Registering(attempt)),
        Reselection::NotDue | Reselection::Due => None,
    }
}

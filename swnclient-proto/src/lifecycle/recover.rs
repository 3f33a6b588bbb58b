//! When something goes wrong: what fails, what is tried next, and when.

use crate::backoff::jitter;
use crate::choice;
use crate::client::Client;
use crate::lifecycle::reselect::{LASTING, goes_on};
use crate::link::{Link, LinkId, Purpose};
use crate::registration::{Attempt, Missed, Registered, Reselection, State, Unregistering};
use crate::timers::{RegistrationTimer, TimerKey};
use crate::wire::UnRegister;
use crate::{Awaited, Call, Error, Event, RegistrationId};
use dcerpc_proto::ndr::ContextHandle;
use std::net::IpAddr;
use std::time::{Duration, Instant};

impl Client {
    /// A link that a registration depends on, or waits for a list by, has failed.
    /// `part`: of the spread, after which a registration that is lost is made again.
    pub(crate) fn on_link_failed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        link: &Link,
        error: &Error,
        part: f64,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get(&id) else {
            return;
        };
        let in_force = matches!(registration.state, State::Registered(_));
        let by_it = registration.link() == Some(link_id);
        if registration.reselection.link() == Some(link_id) {
            match registration.reselection {
                // Where the registration in force is lost with it, what is tried
                // next is said below.
                Reselection::Registering(..) if by_it => self.stop_reselection(id, now),
                Reselection::Registering(..) => self.attempt_failed(id, error.clone(), now),
                _ => self.reselection_failed(id, error, now),
            }
        } else if in_force && link.is_asked_for_list_by(id) {
            self.missed_list_failed(id, error, now);
        }
        let registration = self.registrations.get(&id);
        if registration.is_some_and(|r| r.previous().is_some_and(|p| p.link == link_id)) {
            self.previous_lost(id, error, now);
        }
        let Some(registration) = self.registrations.get(&id).filter(|_| by_it) else {
            return;
        };
        match &registration.state {
            State::Listing { .. } => {
                self.set_state(id, State::Waiting, now);
                self.list_failed(id, error.clone(), now);
            }
            State::Registering(_) => self.attempt_failed(id, error.clone(), now),
            State::Registered(_) => {
                if !self.fall_back(id, now) {
                    let spread = self.config.loss_spread;
                    let spread = self.spread_of_loss(id, spread, now).mul_f64(part);
                    self.lost(id, link.address, error.clone(), spread, now);
                }
            }
            State::Unregistering(_) => self.end(id),
            State::Resolving | State::Waiting => {}
        }
    }

    /// The witness has lost or spoilt this one registration; its link is fine.
    /// Whatever it says, it takes back what it may still have. Registers again
    /// at once, but for a moment that grows as long as registrations don't last.
    pub(crate) fn registration_lost(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get(&id) else {
            return;
        };
        let State::Registered(Registered { link: link_id, handle, .. }) = registration.state else {
            return;
        };
        let spread = self.spread_of_loss(id, self.config.reregister_spread, now);
        let delay = jitter(&mut self.rng, spread);
        self.release(link_id, &handle, now);
        let Some(witness) = self.links.get(&link_id).map(|link| link.address) else {
            return;
        };
        self.lost(id, witness, error, delay, now);
        self.leave_link(link_id, id);
    }

    /// Counts the loss of a registration; returns the time within which it is made
    /// again: `first`, which grows as long as registrations don't last.
    fn spread_of_loss(&mut self, id: RegistrationId, first: Duration, now: Instant) -> Duration {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return first;
        };
        if let State::Registered(Registered { since, .. }) = registration.state {
            if now.saturating_duration_since(since) >= LASTING {
                registration.losses.reset();
                registration.backoff.reset();
            }
        }
        let min = match first.is_zero() && registration.losses.has_failed() {
            true => self.config.backoff_min,
            false => first,
        };
        registration.losses.bound(min, self.config.backoff_max.max(first))
    }

    /// Takes back a registration that nobody waits for any more. An error ends
    /// the link, which is found out anyway.
    pub(crate) fn release(&mut self, link_id: LinkId, handle: &ContextHandle, now: Instant) {
        if let Some(link) = self.links.get_mut(&link_id) {
            let _ = link.call(Purpose::Release, &UnRegister(*handle), &mut self.actions);
            self.expect_release(link_id, now);
        }
    }

    /// Registers again, another witness first, after a moment that keeps the
    /// clients of a dead witness from coming all at once. A reselection that is
    /// under way goes on instead.
    pub(crate) fn lost(
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
            return self.enter_backoff(id, error, now);
        }
        if let Some(state) = goes_on(std::mem::take(&mut registration.reselection)) {
            let key = TimerKey::Registration(id, RegistrationTimer::Call);
            let call_due = self.timers.get(key);
            self.set_state(id, state, now);
            self.timers.replace(key, call_due);
            let retry_in = Some(Duration::ZERO);
            return self.events.push_back((id, Event::Failed { error, retry_in }));
        }
        if let Some(served_by) = registration.served_by {
            let interfaces = &registration.interfaces;
            registration.candidates =
                choice::witnesses(interfaces, served_by, Some(witness), &mut self.rng);
        }
        registration.fresh_list = false;
        self.set_state(id, State::Waiting, now);
        self.set_timer(id, RegistrationTimer::Retry, now + spread);
        self.events.push_back((id, Event::Failed { error, retry_in: Some(spread) }));
    }

    /// Ends a failed attempt and sets the time of the next one, where it may start unasked.
    pub(crate) fn enter_backoff(&mut self, id: RegistrationId, error: Error, now: Instant) {
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
        self.set_state(id, State::Waiting, now);
        if let Some(delay) = retry_in {
            self.set_timer(id, RegistrationTimer::Retry, now + delay);
        }
        self.events.push_back((id, Event::Failed { error, retry_in }));
    }

    /// A registration's deadline has come.
    pub(crate) fn registration_due(
        &mut self,
        id: RegistrationId,
        timer: RegistrationTimer,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match (timer, &registration.state) {
            (RegistrationTimer::Retry, State::Waiting) => {
                registration.last_attempt = Some(now);
                self.register_next(id, now);
            }
            // Where nobody shares the link, closing it takes the registration
            // back (C706 5.1.6, context rundown).
            (RegistrationTimer::Unregister, State::Unregistering(Unregistering { link, .. })) => {
                let link = *link;
                self.end(id);
                self.expect_release(link, now);
            }
            (RegistrationTimer::Call, _) => {
                if let Some(&Attempt { link, .. }) = registration.attempt() {
                    self.call_overdue(link, Call::Register, now);
                }
            }
            (RegistrationTimer::Overlap, _) => self.end_overlap(id, now),
            (RegistrationTimer::Reselect, _) => self.start_reselection(id, now),
            (
                RegistrationTimer::CatchUp,
                State::Registered(Registered { missed: Missed::Due, .. }),
            ) => self.ask_what_was_missed(id, now),
            (RegistrationTimer::Notify, &State::Registered(Registered { link, notify, .. })) => {
                match notify {
                    None => self.send_notify(id, now),
                    Some(_) => self.call_overdue(link, Call::AsyncNotify, now),
                }
            }
            _ => {}
        }
    }

    /// The response to a call does not come: the link is of no use any more.
    fn call_overdue(&mut self, link_id: LinkId, call: Call, now: Instant) {
        if let Some(link) = self.links.get(&link_id) {
            let error = self.overdue(link, Awaited::Response(call));
            self.fail_link(link_id, error, now);
        }
    }
}

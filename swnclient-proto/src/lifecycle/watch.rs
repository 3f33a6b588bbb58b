//! While registered ([MS-SWN] 3.2.4.2): AsyncNotify is always pending, and what it
//! brings goes to the consumer.

use super::{Registrations, known};
use crate::choice;
use crate::link::LinkId;
use crate::links::decode;
use crate::overlap::COPIES;
use crate::timers::RegistrationTimer;
use crate::wire::{AddressInfo, AsyncNotify, NotifyMessages, Status, Version};
use crate::{Call, Error, Event, Notification, RegistrationId, ResourceState};
use dcerpc_proto::association::{CallId, FaultStatus, Reply};
use smol_str::{SmolStr, ToSmolStr};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Whose witness tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    /// That of the registration in force.
    Current,
    /// That of the registration before, which is still asked.
    Previous,
}

/// A witness that answers "nothing new" sooner than this is asked again only
/// after this time.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

impl Registrations {
    /// The response to AsyncNotify.
    pub(super) fn on_notify_reply(
        &mut self,
        id: RegistrationId,
        (link, call): (LinkId, CallId),
        witness: IpAddr,
        reply: Result<Reply, FaultStatus>,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let length = reply.as_ref().map_or(0, |reply| reply.stub.len());
        let result = decode::<AsyncNotify>(witness, Call::AsyncNotify, reply);
        let previous = registration.previous_mut();
        if let Some(previous) = previous.filter(|it| it.awaits(link, call)) {
            previous.notify = None;
            return self.on_previous_reply(id, witness, (result, length), now);
        }
        let registered = registration.registered_mut();
        let Some(registered) = registered.filter(|it| it.awaits(link, call)) else {
            return registration.forget_notify(link, call);
        };
        let Some((_, asked_at)) = registered.notify.take() else {
            return;
        };
        let ask_at = registration.pace.asking.next(length, now);
        match result {
            Ok(Some(messages)) => {
                self.report(id, Teller::Current, witness, messages, now);
                match ask_at > now {
                    true => self.pause_notify(id, ask_at),
                    false => self.to_ask_again.push_back((id, now)),
                }
            }
            Ok(None) | Err(Error::Refused { status: Status::TIMEOUT, .. }) => {
                let ask_at = match now.saturating_duration_since(asked_at) >= NOTIFY_INTERVAL {
                    true => ask_at,
                    false => ask_at.max(now + NOTIFY_INTERVAL),
                };
                // One that always says so at once is not listened to.
                if now.saturating_duration_since(asked_at) >= self.config.keep_alive / 2 {
                    self.events.push_back((id, Event::NoNews));
                }
                match ask_at > now {
                    true => self.pause_notify(id, ask_at),
                    false => self.send_notify(id, now),
                }
            }
            Err(error) => self.registration_lost(id, error, now),
        }
    }

    /// The witness of the previous registration answers while that is still asked.
    fn on_previous_reply(
        &mut self,
        id: RegistrationId,
        witness: IpAddr,
        (result, length): (Result<Option<NotifyMessages>, Error>, usize),
        now: Instant,
    ) {
        match result {
            Ok(Some(messages)) => {
                self.report(id, Teller::Previous, witness, messages, now);
                let registration = self.by_id.get_mut(&id);
                // One that has so much news is left for the new one.
                if registration.is_some_and(|it| it.pace.asking.next(length, now) <= now) {
                    self.to_ask_again.push_back((id, now));
                }
            }
            // It has nothing more.
            Ok(None) | Err(Error::Refused { status: Status::TIMEOUT, .. }) => {}
            Err(error) => self.previous_lost(id, &error, now),
        }
    }

    /// Nothing is asked until `until`.
    fn pause_notify(&mut self, id: RegistrationId, until: Instant) {
        let registered = self.by_id.get_mut(&id).and_then(|it| it.registered_mut());
        // What it has still to tell comes later by as much.
        if let Some(overlap) = registered.and_then(|it| it.overlap.as_mut()) {
            overlap.until = overlap.until.max(until + COPIES);
        }
        self.timers.set(id, RegistrationTimer::Notify, until);
    }

    /// Turns a witness's messages into notifications.
    fn report(
        &mut self,
        id: RegistrationId,
        teller: Teller,
        witness: IpAddr,
        messages: NotifyMessages,
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let (current, scope_id) = (registration.served_by, registration.request.scope_id);
        let asked = match teller {
            Teller::Current => registration.registered(),
            Teller::Previous => registration.previous(),
        };
        let version = asked.map_or(Version::V2, |asked| asked.version);
        let (what, list, notification): (_, _, fn(IpAddr) -> Notification) = match messages {
            NotifyMessages::ResourceChange(changes) => {
                let mut back = false;
                // What is a copy says nothing of what was missed.
                let is_new = |(name, state): &(SmolStr, ResourceState)| {
                    let change = Notification::ResourceChange { name: name.clone(), state: *state };
                    !registration.is_copy(teller == Teller::Previous, &change, now)
                };
                let changes = changes.into_iter().filter(is_new).collect();
                for (name, state) in registration.news(teller == Teller::Previous, changes) {
                    self.tell(id, teller, Notification::ResourceChange { name, state });
                    // A witness reports what was registered for, by whatever
                    // name it has for it: the address, the node, the cluster.
                    if let Some(registration) = self.by_id.get_mut(&id) {
                        registration.known_state = Some(state);
                    }
                    back |= state == ResourceState::Available;
                }
                if back {
                    self.stop_keeping(id);
                    self.schedule_reselection(id, true, now);
                }
                return;
            }
            NotifyMessages::ClientMove(list) => {
                ("client move", list, |address| Notification::ClientMove { address })
            }
            NotifyMessages::ShareMove(list) => {
                ("share move", list, |address| Notification::ShareMove { address })
            }
            NotifyMessages::IpChange(list) => {
                self.report_offline(id, teller, &list, now);
                ("IP change", list, |address| Notification::IpChange { address })
            }
            NotifyMessages::Unknown(kind) => {
                return log::warn!(
                    "witness {witness} tells something of a type that is not known: {kind}"
                );
            }
        };
        let known = known(&self.config, &self.links, scope_id, now);
        match choice::best_address(&list, version, current, known) {
            Some(address) => {
                if list.len() > 1 {
                    log::info!("{what} from witness {witness}: {address} chosen of {list:?}");
                }
                self.tell_new(id, teller, notification(address), now);
            }
            None => log::warn!(
                "{what} from witness {witness} names no usable address, not forwarded: {list:?}"
            ),
        }
    }

    /// An IP change that takes the registration's own address offline ([MS-SWN]
    /// 2.2.2.1) is a resource change, too, unless the consumer knows the state. In
    /// version 1 the flags mean nothing.
    fn report_offline(
        &mut self,
        id: RegistrationId,
        teller: Teller,
        list: &[AddressInfo],
        now: Instant,
    ) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let (Some(registered), Some(own)) = (registration.registered(), registration.served_by)
        else {
            return;
        };
        let state = ResourceState::Unavailable;
        if registered.version != Version::V2
            || registration.known_state == Some(state)
            || !choice::is_offline(list, own)
        {
            return;
        }
        registration.known_state = Some(state);
        let notification = Notification::ResourceChange { name: own.to_smolstr(), state };
        self.tell_new(id, teller, notification, now);
    }

    /// Hands a notification to the consumer, unless it is a copy.
    fn tell_new(
        &mut self,
        id: RegistrationId,
        teller: Teller,
        notification: Notification,
        now: Instant,
    ) {
        let registration = self.by_id.get_mut(&id);
        let is_previous = teller == Teller::Previous;
        let is_copy = registration.is_some_and(|it| it.is_copy(is_previous, &notification, now));
        if !is_copy {
            self.tell(id, teller, notification);
        }
    }

    /// Hands a notification to the consumer.
    fn tell(&mut self, id: RegistrationId, teller: Teller, notification: Notification) {
        if let Some(registration) = self.by_id.get_mut(&id) {
            registration.remember_told(teller == Teller::Previous, &notification);
            self.events.push_back((id, Event::Notification(notification)));
        }
    }
}

//! While registered ([MS-SWN] 3.2.4.2): AsyncNotify is always pending, and what it
//! brings goes to the consumer.

use crate::proto::choice;
use crate::proto::client::Client;
use crate::proto::link::{LinkId, Purpose};
use crate::proto::registration::{Missed, Registered, Review, State, Unregistering};
use crate::wire::{self, NotifyMessages, Status, Version, opnum};
use crate::{Error, Event, Notification, RegistrationId, ResourceState};
use dcerpc::association::CallId;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A witness that answers "nothing new" sooner than this is asked again only
/// after this time.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

impl Client {
    /// AsyncNotify: always one pending.
    pub(in crate::proto) fn send_notify(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(registered) = &mut registration.state else {
            return;
        };
        if registered.notify.is_some() {
            return;
        }
        let link_id = registered.link;
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let stub = wire::encode_context_handle(&registered.handle);
        match link.call(Purpose::Notify(id), opnum::ASYNC_NOTIFY, stub, &mut self.actions) {
            Ok(call) => {
                registered.notify = Some((call, now));
                // Version 1 has no keep-alive: no news can last for ever, and
                // the connection's own keep-alive watches over the witness.
                let keeps_alive = registered.version == Version::V2;
                registered.notify_due = keeps_alive.then_some(now + self.config.call_timeout);
                self.arm_registered(id);
            }
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    pub(in crate::proto) fn notify_answered(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        call: CallId,
        result: Result<Option<NotifyMessages>, Error>,
        now: Instant,
    ) {
        let (Some(registration), Some(witness)) =
            (self.registrations.get_mut(&id), self.links.get(&link_id).map(|link| link.address))
        else {
            return;
        };
        if registration.link() != Some(link_id) {
            return;
        }
        let asked_at = match &mut registration.state {
            State::Registered(Registered { notify, .. }) => match notify.take() {
                Some((asked, at)) if asked == call => at,
                other => return *notify = other,
            },
            State::Unregistering(Unregistering { notify, .. }) => return *notify = None,
            _ => return,
        };
        match result {
            Ok(Some(messages)) => {
                self.report(id, witness, messages, now);
                self.to_ask_again.push_back((id, now));
            }
            Ok(None) | Err(Error::Refused { status: Status::TIMEOUT, .. }) => {
                if now.saturating_duration_since(asked_at) >= NOTIFY_INTERVAL {
                    self.send_notify(id, now);
                } else {
                    self.pause_notify(id, now + NOTIFY_INTERVAL);
                }
            }
            Err(error) => self.registration_lost(id, error, now),
        }
    }

    /// Nothing is asked until `until`.
    fn pause_notify(&mut self, id: RegistrationId, until: Instant) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            if let State::Registered(registered) = &mut registration.state {
                registered.notify_due = Some(until);
            }
        }
        self.arm_registered(id);
    }

    /// The deadline of a registration that stands: the next of its own.
    pub(in crate::proto) fn arm_registered(&mut self, id: RegistrationId) {
        let Some(registration) = self.registrations.get(&id) else {
            return;
        };
        if let State::Registered(registered) = &registration.state {
            let review = match registration.review {
                Review::Due(at) => Some(at),
                Review::NotDue | Review::Listing(_) => None,
            };
            let missed = match registered.missed {
                Missed::Due(at) => Some(at),
                Missed::Listing | Missed::Told(_) | Missed::Settled => None,
            };
            let next = registered.notify_due.into_iter().chain(review).chain(missed).min();
            self.set_deadline(id, next);
        }
    }

    /// Turns a witness's messages into notifications.
    fn report(
        &mut self,
        id: RegistrationId,
        witness: IpAddr,
        messages: NotifyMessages,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let current = registration.served_by;
        let (what, list, notification): (_, _, fn(IpAddr) -> Notification) = match messages {
            NotifyMessages::ResourceChange(changes) => {
                let mut back = false;
                for (name, state) in registration.news(changes) {
                    // A witness reports what was registered for, by whatever
                    // name it has for it: the address, the node, the cluster.
                    registration.known_state = Some(state);
                    back |= state == ResourceState::Available;
                    let notification = Notification::ResourceChange { name, state };
                    self.events.push_back((id, Event::Notification(notification)));
                }
                if back {
                    self.schedule_review(id, now);
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
                ("IP change", list, |address| Notification::IpChange { address })
            }
        };
        match choice::best_address(&list, current) {
            Some(address) => {
                if list.len() > 1 {
                    log::info!("{what} from witness {witness}: {address} chosen of {list:?}");
                }
                self.events.push_back((id, Event::Notification(notification(address))));
            }
            None => log::warn!(
                "{what} from witness {witness} for {} names no usable address, not forwarded: {list:?}",
                registration.request.net_name
            ),
        }
    }
}

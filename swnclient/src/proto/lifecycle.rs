//! The life of a registration ([MS-SWN] 3.2.4), step by step: list, choose,
//! register, wait for notifications, and recover from whatever happens.

use super::Action;
use super::choice;
use super::client::{Client, TimerKey};
use super::link::{LinkId, Purpose};
use super::registration::{Registered, State, Unregistering};
use crate::wire::{self, Interface, NotifyMessages, Status, Version, opnum};
use crate::{Error, Event, Notification, RegistrationId, ResourceState};
use dcerpc::association::CallId;
use dcerpc::ndr::ContextHandle;
use smol_str::ToSmolStr;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A witness that answers "nothing new" sooner than this is asked again only
/// after this time.
const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

/// To find the witness.
impl Client {
    /// A whole attempt, from the interface list on.
    pub(super) fn start(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.last_attempt = Some(now);
        registration.candidates.clear();
        registration.fresh_list = false;
        registration.last_error = None;
        registration.seeds.clear();
        match registration.request.ip_address {
            Some(address) => self.list_at(id, address, now),
            None => {
                let host = registration.request.net_name.clone();
                self.set_state(id, State::Resolving);
                let waiting = self.resolving.entry(host.clone()).or_default();
                waiting.push(id);
                if waiting.len() == 1 {
                    self.actions.push_back(Action::Resolve { host });
                }
            }
        }
    }

    pub(super) fn try_next_seed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match registration.seeds.pop() {
            Some(address) => {
                registration.served_by = Some(address);
                self.list_at(id, address, now);
            }
            None => self.failed(id, error, now),
        }
    }

    fn list_at(&mut self, id: RegistrationId, address: IpAddr, now: Instant) {
        let Some((link, _ready)) = self.join_link(id, address, now) else {
            return;
        };
        self.set_state(id, State::Listing { link });
        self.request_list(link, id, now);
    }

    /// The interface list is there: for a registration that looks for a
    /// witness, or for one that has just found another one and must know what
    /// it missed meanwhile.
    pub(super) fn listed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        result: &Result<Arc<[Interface]>, Error>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match (&registration.state, result) {
            (State::Listing { link }, Ok(interfaces)) if *link == link_id => {
                let Some(served_by) = registration.served_by else {
                    return;
                };
                registration.candidates =
                    choice::witnesses(interfaces, served_by, None, &mut self.rng);
                registration.fresh_list = true;
                if !registration.was_registered {
                    registration.known_state = choice::state_of(interfaces, served_by);
                }
                registration.interfaces = Arc::clone(interfaces);
                self.register_next(id, now);
                self.leave_link(link_id, id);
            }
            (State::Listing { link }, Err(error)) if *link == link_id => {
                self.set_state(id, State::Waiting);
                self.leave_link(link_id, id);
                self.list_failed(id, error.clone(), now);
            }
            (State::Registered(_), Ok(interfaces)) => self.report_missed_change(id, interfaces),
            // A registration that stands does not fall over a list.
            _ => {}
        }
    }

    fn list_failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        if error.needs_consumer() {
            self.failed(id, error, now);
        } else {
            self.try_next_seed(id, error, now);
        }
    }

    /// Tries the next witness; where none is left, a new list, or a break.
    fn register_next(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if let Some(address) = registration.candidates.pop() {
            let Some((link, ready)) = self.join_link(id, address, now) else {
                return;
            };
            self.set_state(id, State::Registering { link, call: None });
            self.add_member(link, id);
            if ready {
                self.send_register(id, now);
            }
        } else if registration.fresh_list {
            let error = registration.last_error.take().unwrap_or(Error::NoWitness);
            self.failed(id, error, now);
        } else {
            self.start(id, now);
        }
    }

    /// The link turned out not to be shareable.
    pub(super) fn find_own_link(&mut self, id: RegistrationId, shared: LinkId, now: Instant) {
        let address = self.links.get(&shared).map(|link| link.address);
        if let (Some(registration), Some(address)) = (self.registrations.get_mut(&id), address) {
            registration.candidates.push(address);
            self.register_next(id, now);
        }
    }
}

/// To register.
impl Client {
    /// RegisterEx; or Register where this witness has refused version 2. The
    /// interface list's version is only a hint and not asked.
    pub(super) fn send_register(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registering { link: link_id, call: None } = registration.state else {
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
        let arguments = wire::Register {
            version: version.to_wire(),
            net_name: Some(&request.net_name),
            share_name: request.share_name.as_deref().filter(|_| request.share_name_notify),
            ip_address: ip_address.as_deref(),
            client_name: Some(&self.config.client_name),
            ip_notify: request.ip_notify,
            keep_alive: u32::try_from(self.config.keep_alive.as_secs()).unwrap_or(u32::MAX),
        };
        let stub = wire::encode_register(version, &arguments);
        let opnum = match version {
            Version::V1 => opnum::REGISTER,
            Version::V2 => opnum::REGISTER_EX,
        };
        match link.call(Purpose::Register(id), opnum, stub, &mut self.actions) {
            Ok(call) => {
                self.set_state(
                    id,
                    State::Registering { link: link_id, call: Some((call, version)) },
                );
                self.set_deadline(id, Some(now + self.config.call_timeout));
            }
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    pub(super) fn register_answered(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        call: CallId,
        result: Result<ContextHandle, Error>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match registration.state {
            State::Registering { call: Some((asked, version)), .. } if asked == call => {
                match result {
                    Ok(handle) => self.registered(id, link_id, handle, version, now),
                    Err(error) => self.register_refused(id, link_id, version, error, now),
                }
            }
            // Unregistered meanwhile.
            State::Unregistering(_) => match result {
                Ok(handle) => self.send_unregister(id, link_id, handle, None, now),
                Err(_) => self.end(id),
            },
            _ => {}
        }
    }

    fn register_refused(
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
            self.set_state(id, State::Registering { link: link_id, call: None });
            self.send_register(id, now);
            return;
        }
        self.set_state(id, State::Waiting);
        self.leave_link(link_id, id);
        self.try_next_witness(id, error, now);
    }

    fn try_next_witness(&mut self, id: RegistrationId, error: Error, now: Instant) {
        if error.needs_consumer() {
            self.failed(id, error, now);
        } else if let Some(registration) = self.registrations.get_mut(&id) {
            log::debug!("{}: {error}; trying the next witness", registration.request.net_name);
            registration.last_error = Some(error);
            self.register_next(id, now);
        }
    }

    fn registered(
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
        registration.backoff.reset();
        registration.candidates = Vec::new();
        registration.last_error = None;
        let event = Event::Registered { witness: link.address, version: version.number() };
        self.events.push_back((id, event));
        let registered = Registered { link: link_id, handle, version, notify: None };
        self.set_state(id, State::Registered(registered));
        if anew {
            // Before AsyncNotify, which would keep a link that isn't
            // multiplexed from answering.
            self.request_list(link_id, id, now);
        }
        self.send_notify(id, now);
    }
}

/// While registered.
impl Client {
    /// AsyncNotify: always one pending.
    fn send_notify(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let State::Registered(registered) = &mut registration.state else {
            return;
        };
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
                let deadline = keeps_alive.then_some(now + self.config.call_timeout);
                self.set_deadline(id, deadline);
            }
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    pub(super) fn notify_answered(
        &mut self,
        id: RegistrationId,
        call: CallId,
        witness: IpAddr,
        result: Result<Option<NotifyMessages>, Error>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
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
                self.report(id, witness, messages);
                self.send_notify(id, now);
            }
            Ok(None) | Err(Error::Refused { status: Status::TIMEOUT, .. }) => {
                if now.saturating_duration_since(asked_at) >= NOTIFY_INTERVAL {
                    self.send_notify(id, now);
                } else {
                    self.set_deadline(id, Some(now + NOTIFY_INTERVAL));
                }
            }
            Err(error) => self.registration_lost(id, error, now),
        }
    }

    /// Turns a witness's messages into notifications.
    fn report(&mut self, id: RegistrationId, witness: IpAddr, messages: NotifyMessages) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let current = registration.served_by;
        let (what, list, notification): (_, _, fn(IpAddr) -> Notification) = match messages {
            NotifyMessages::ResourceChange(changes) => {
                for (name, state) in changes {
                    if name.parse().ok() == current {
                        registration.known_state = Some(state);
                    }
                    let notification = Notification::ResourceChange { name, state };
                    self.events.push_back((id, Event::Notification(notification)));
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

    /// Compares a list with what the consumer knows. Only the node's own
    /// address counts; one that is listed no longer is out of service.
    fn report_missed_change(&mut self, id: RegistrationId, interfaces: &[Interface]) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let (Some(address), Some(known)) = (registration.served_by, registration.known_state)
        else {
            return;
        };
        let state = choice::state_of(interfaces, address).unwrap_or(ResourceState::Unavailable);
        if state == known {
            return;
        }
        log::info!("{address} became {state:?} while no witness was watching");
        registration.known_state = Some(state);
        let notification = Notification::ResourceChange { name: address.to_smolstr(), state };
        self.events.push_back((id, Event::Notification(notification)));
    }
}

/// When something goes wrong.
impl Client {
    /// The link that a registration depends on has failed.
    pub(super) fn link_failed(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        address: IpAddr,
        error: &Error,
        spread: Duration,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.link() != Some(link_id) {
            return;
        }
        match &registration.state {
            State::Listing { .. } => {
                self.set_state(id, State::Waiting);
                self.list_failed(id, error.clone(), now);
            }
            State::Registering { .. } => {
                self.set_state(id, State::Waiting);
                self.try_next_witness(id, error.clone(), now);
            }
            State::Registered(_) => self.lost(id, address, error.clone(), spread, now),
            State::Unregistering(_) => self.end(id),
            State::Resolving | State::Waiting => {}
        }
    }

    /// The witness has lost or spoilt this one registration; its link stands.
    fn registration_lost(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get(&id) else {
            return;
        };
        let State::Registered(Registered { link: link_id, handle, .. }) = registration.state else {
            return;
        };
        if !matches!(error, Error::Refused { status: Status::NOT_FOUND, .. }) {
            self.release(link_id, &handle);
        }
        let Some(witness) = self.links.get(&link_id).map(|link| link.address) else {
            return;
        };
        let spread = self.loss_spread();
        self.lost(id, witness, error, spread, now);
        self.leave_link(link_id, id);
    }

    /// Takes back a registration that nobody waits for any more. Its answer
    /// does not matter; an error ends the link, which is found out anyway.
    fn release(&mut self, link_id: LinkId, handle: &ContextHandle) {
        if let Some(link) = self.links.get_mut(&link_id) {
            let stub = wire::encode_context_handle(handle);
            let _ = link.call(Purpose::Release, opnum::UN_REGISTER, stub, &mut self.actions);
        }
    }

    /// Registers anew, another witness first, after a moment that keeps the
    /// clients of a dead witness from coming all at once.
    fn lost(
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
            return self.failed(id, error, now);
        }
        if let Some(served_by) = registration.served_by {
            let interfaces = &registration.interfaces;
            registration.candidates =
                choice::witnesses(interfaces, served_by, Some(witness), &mut self.rng);
        }
        registration.fresh_list = false;
        self.set_state(id, State::Waiting);
        self.set_deadline(id, Some(now + spread));
        self.events.push_back((id, Event::Failed { error, retry_in: Some(spread) }));
    }

    /// An attempt has failed for good.
    pub(super) fn failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.candidates.clear();
        let retry_in = (!error.needs_consumer()).then(|| {
            let (min, max) = (self.config.backoff_min, self.config.backoff_max);
            registration.backoff.next(&mut self.rng, min, max)
        });
        self.set_state(id, State::Waiting);
        self.set_deadline(id, retry_in.map(|delay| now + delay));
        self.events.push_back((id, Event::Failed { error, retry_in }));
    }

    /// A registration's deadline has come.
    pub(super) fn registration_due(&mut self, id: RegistrationId, now: Instant) {
        self.set_deadline(id, None);
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let (link, what) = match &registration.state {
            State::Waiting => {
                registration.last_attempt = Some(now);
                return self.register_next(id, now);
            }
            State::Registered(Registered { notify: None, .. }) => return self.send_notify(id, now),
            // Where nobody shares the link, closing it takes the registration
            // back ([C706] 5.1.6, context rundown).
            State::Unregistering(_) => return self.end(id),
            State::Resolving => return,
            State::Listing { link } => (*link, "GetInterfaceList"),
            State::Registering { link, .. } => (*link, "Register"),
            State::Registered(Registered { link, .. }) => (*link, "AsyncNotify"),
        };
        if let Some(address) = self.links.get(&link).map(|link| link.address) {
            let seconds = self.config.call_timeout.as_secs();
            self.fail_link(link, Error::Timeout { address, what, seconds }, now);
        }
    }
}

/// To end.
impl Client {
    pub(super) fn send_unregister(
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
        let stub = wire::encode_context_handle(&handle);
        match link.call(Purpose::Unregister(id), opnum::UN_REGISTER, stub, &mut self.actions) {
            Ok(_) => {
                let unregistering = Unregistering { link: link_id, notify };
                self.set_state(id, State::Unregistering(unregistering));
                self.set_deadline(id, Some(now + self.config.unregister_timeout));
            }
            Err(error) => {
                self.end(id);
                self.fail_link(link_id, error, now);
            }
        }
    }

    /// The end of a registration, in any state.
    pub(super) fn end(&mut self, id: RegistrationId) {
        self.set_deadline(id, None);
        let Some(registration) = self.registrations.remove(&id) else {
            return;
        };
        if let State::Unregistering(Unregistering { link, notify: Some(call) }) = registration.state
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

    /// The one place where a state changes. A deadline belongs to the state
    /// that set it.
    pub(super) fn set_state(&mut self, id: RegistrationId, state: State) {
        self.set_deadline(id, None);
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.state = state;
        }
    }

    pub(super) fn set_deadline(&mut self, id: RegistrationId, at: Option<Instant>) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            self.timers.set(TimerKey::Registration(id), &mut registration.deadline, at);
        }
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

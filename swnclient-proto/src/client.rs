//! The client: what it keeps, and its two interfaces, to the consumer and to
//! its owner. The life of a registration is in `lifecycle`, that of a link in
//! `links`.

use super::interning::{CredentialsPool, Lists};
use super::link::{Actions, Link, LinkEvent, LinkId};
use super::registration::{Attempt, Registered, Registration, State, Unregistering};
use super::timers::{LinkTimer, RegistrationTimer, TimerKey, Timers};
use super::{Action, Config, ConnectionId};
use crate::wire::Interface;
use crate::{Credentials, Error, Event, RegistrationId, RegistrationRequest};
use dcerpc_proto::association::AuthOutcome;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many entries a queue keeps room for while it is empty.
const KEPT: usize = 64;
/// A consumer that asks again is heard at most once in this time.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The protocol's logic. See the crate's description.
#[derive(Debug)]
pub struct Client {
    pub(super) config: Config,
    pub(super) rng: fastrand::Rng,
    pub(super) registrations: BTreeMap<RegistrationId, Registration>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) connections: BTreeMap<ConnectionId, LinkId>,
    /// By address, the links that can take further registrations.
    pub(super) open_links: BTreeMap<IpAddr, Vec<LinkId>>,
    /// Who waits for a name's addresses.
    pub(super) resolving: BTreeMap<SmolStr, Vec<RegistrationId>>,
    /// Witnesses that refused version 2, for as long as they stay up.
    pub(super) version_1_only: BTreeSet<IpAddr>,
    pub(super) credentials: CredentialsPool,
    pub(super) lists: Lists,
    pub(super) timers: Timers,
    pub(super) actions: Actions,
    pub(super) events: VecDeque<(RegistrationId, Event)>,
    /// Whose AsyncNotify brought something, and when: the next one is made when
    /// the actions are taken, so that the consumer does not wait for it.
    pub(super) to_ask_again: VecDeque<(RegistrationId, Instant)>,
    pub(super) last_link: u64,
    pub(super) last_connection: u64,
    /// Empty but while a link's events are taken: the room for them.
    link_events: Vec<LinkEvent>,
}

/// The consumer's side.
impl Client {
    /// A client without registrations. `seed` makes its random choices.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            rng: fastrand::Rng::with_seed(seed),
            registrations: BTreeMap::new(),
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            open_links: BTreeMap::new(),
            resolving: BTreeMap::new(),
            version_1_only: BTreeSet::new(),
            credentials: CredentialsPool::default(),
            lists: Lists::default(),
            timers: Timers::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            to_ask_again: VecDeque::new(),
            last_link: 0,
            last_connection: 0,
            link_events: Vec::new(),
        }
    }

    /// Starts a registration under an id that was never used before.
    pub fn register(
        &mut self,
        id: RegistrationId,
        request: RegistrationRequest,
        credentials: Credentials,
        now: Instant,
    ) {
        let credentials = self.credentials.intern(credentials);
        self.registrations.insert(id, Registration::new(request, credentials));
        self.start(id, now);
    }

    /// The consumer asks for the same registration again: takes over new
    /// credentials, and tries at once where it waits, but at most once in a
    /// second.
    pub fn request_again(&mut self, id: RegistrationId, credentials: Credentials, now: Instant) {
        let credentials = self.credentials.intern(credentials);
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.credentials = credentials;
        if matches!(registration.state, State::Waiting) {
            let earliest = registration.last_attempt.map_or(now, |at| at + RETRY_INTERVAL).max(now);
            let key = TimerKey::Registration(id, RegistrationTimer::Retry);
            let at = self.timers.get(key).map_or(earliest, |at| at.min(earliest));
            self.timers.set(key, at);
        }
    }

    /// Ends a registration; [`Event::Unregistered`] is its last event.
    pub fn unregister(&mut self, id: RegistrationId, now: Instant) {
        // What one registration takes over from another, ends with both.
        self.stop_reselection(id, now);
        self.release_previous(id, now);
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match &registration.state {
            State::Unregistering(_) => {}
            State::Registered(Registered { link, handle, notify, .. }) => {
                let (link, handle, notify) = (*link, *handle, notify.map(|(call, _)| call));
                self.send_unregister(id, link, handle, notify, now);
            }
            // The server may have accepted it already: its answer decides.
            &State::Registering(Attempt { link, call: Some((call, ..)) }) => {
                let register = Some(call);
                registration.state =
                    State::Unregistering(Unregistering { link, register, notify: None });
                self.timers.clear_registration(id);
                self.set_timer(
                    id,
                    RegistrationTimer::Unregister,
                    now + self.config.unregister_timeout,
                );
            }
            State::Resolving | State::Listing { .. } | State::Registering(_) | State::Waiting => {
                self.end(id)
            }
        }
    }

    /// Ends every registration.
    pub fn unregister_all(&mut self, now: Instant) {
        let ids: Vec<RegistrationId> = self.registrations.keys().copied().collect();
        for id in ids {
            self.unregister(id, now);
        }
    }

    /// Returns the last interface list that was got for a registration; empty
    /// where there is none.
    pub fn interfaces(&self, id: RegistrationId) -> &[Interface] {
        self.registrations.get(&id).map_or(&[], |registration| &registration.last_list)
    }

    /// Whether there is no registration, not even one that is being taken back.
    pub fn is_empty(&self) -> bool {
        self.registrations.is_empty()
    }

    /// The next event of a registration.
    pub fn poll_event(&mut self) -> Option<(RegistrationId, Event)> {
        take(&mut self.events)
    }
}

/// The owner's side.
impl Client {
    /// What is to be done next. Events can be taken before: they are there
    /// already, while this may have to work first.
    pub fn poll_action(&mut self) -> Option<Action> {
        while let Some((id, now)) = self.to_ask_again.pop_front() {
            self.ask_again(id, now);
        }
        take(&mut self.actions)
    }

    /// When [`Client::handle_timeout`] is to be called, once all actions are taken.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Registration(id, timer) => self.registration_due(id, timer, now),
                TimerKey::Link(id, timer) => self.link_due(id, timer, now),
            }
        }
    }

    /// A host's addresses are known, or why they aren't.
    pub fn handle_resolved(
        &mut self,
        host: &str,
        result: Result<Vec<IpAddr>, SmolStr>,
        now: Instant,
    ) {
        for id in self.resolving.remove(host).unwrap_or_default() {
            let Some(registration) = self.registrations.get_mut(&id) else {
                continue;
            };
            if !matches!(registration.state, State::Resolving) {
                continue;
            }
            let reason = match &result {
                Ok(addresses) => {
                    registration.seeds = addresses.iter().rev().copied().collect();
                    "it has no address".into()
                }
                Err(reason) => reason.clone(),
            };
            self.try_next_seed(id, Error::Resolve { name: host.into(), reason }, now);
        }
    }

    /// A connection is open.
    pub fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        let Some(&id) = self.connections.get(&connection) else {
            return;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match link.connected(&self.config, &mut self.actions) {
            Ok(events) => self.link_events(id, events, now),
            Err(error) => self.fail_link(id, error, now),
        }
    }

    /// Bytes have arrived; they are used as scratch space.
    pub fn handle_received(&mut self, connection: ConnectionId, data: &mut [u8], now: Instant) {
        let Some(&id) = self.connections.get(&connection) else {
            return;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = std::mem::take(&mut self.link_events);
        let result = link.received(data, &mut events, &mut self.actions);
        self.link_events(id, events.drain(..), now);
        events.shrink_to(KEPT);
        self.link_events = events;
        match result {
            Ok(()) => self.expect_rest(id, now),
            Err(error) => self.fail_link(id, error, now),
        }
    }

    /// A connection could not be opened, or was closed by its peer.
    pub fn handle_closed(&mut self, connection: ConnectionId, kind: ErrorKind, now: Instant) {
        let Some(&id) = self.connections.get(&connection) else {
            return;
        };
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let address = link.socket_address();
        let error = if link.is_connecting() {
            Error::Connect { address, kind }
        } else {
            Error::Lost { address, kind }
        };
        self.fail_link(id, error, now);
    }

    /// A connection could not be opened because there is no descriptor for it.
    pub fn handle_no_descriptor(&mut self, connection: ConnectionId, now: Instant) {
        let Some(&id) = self.connections.get(&connection) else {
            return;
        };
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let address = link.socket_address();
        self.fail_link(id, Error::NoDescriptor { address }, now);
    }

    /// An authentication job has ended.
    pub fn handle_authenticated(
        &mut self,
        connection: ConnectionId,
        outcome: AuthOutcome,
        now: Instant,
    ) {
        let Some(&id) = self.connections.get(&connection) else {
            return;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = Vec::new();
        let result = link.authenticated(outcome, &mut events, &mut self.actions);
        self.set_link_timer(id, LinkTimer::Phase, now + self.config.connect_timeout);
        self.link_events(id, events, now);
        if let Err(error) = result {
            self.fail_link(id, error, now);
        }
    }
}

/// The next of a queue. An empty one does not keep the room that thousands
/// needed at once.
fn take<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let next = queue.pop_front();
    if next.is_none() {
        queue.shrink_to(KEPT);
    }
    next
}

//! The client: its two interfaces, to the consumer and to its owner. The life of a
//! registration is in `lifecycle`, that of a link in `links`.

use crate::lifecycle::Registrations;
use crate::wire::Interface;
use crate::{
    Action, Config, ConnectionId, Credentials, Event, FullName, RegistrationId, RegistrationRequest,
};
use dcerpc_proto::association::AuthOutcome;
use smol_str::SmolStr;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Instant;

/// The protocol's logic. See the crate's description.
#[derive(Debug)]
pub struct Client {
    registrations: Registrations,
}

/// The consumer's side.
impl Client {
    /// A client without registrations. `seed` makes its random choices.
    pub fn new(config: Config, seed: u64) -> Self {
        Self { registrations: Registrations::new(config, seed) }
    }

    /// Starts a registration under an id that was never used before.
    pub fn register(
        &mut self,
        id: RegistrationId,
        request: RegistrationRequest,
        credentials: Credentials,
        now: Instant,
    ) {
        self.registrations.register(id, request, credentials, now);
        self.registrations.take_turn(now);
    }

    /// The consumer asks for the same registration again: takes over new
    /// credentials, and tries at once where it waits, but at most once in a
    /// second, and not with credentials that servers have refused.
    pub fn request_again(&mut self, id: RegistrationId, credentials: Credentials, now: Instant) {
        self.registrations.request_again(id, credentials, now);
    }

    /// Tries at once where it waits, but at most once in a second; also with credentials
    /// that servers have refused, which may lock the account: for a person who asks for it.
    pub fn try_now(&mut self, id: RegistrationId, now: Instant) {
        self.registrations.try_now(id, now);
    }

    /// Ends a registration; [`Event::Unregistered`] is its last event.
    pub fn unregister(&mut self, id: RegistrationId, now: Instant) {
        self.registrations.unregister(id, now);
        self.registrations.take_turn(now);
    }

    /// Ends every registration.
    pub fn unregister_all(&mut self, now: Instant) {
        for id in self.registrations.ids() {
            self.unregister(id, now);
        }
    }

    /// Returns the last interface list that was got for a registration; empty
    /// where there is none.
    pub fn interfaces(&self, id: RegistrationId) -> &[Interface] {
        self.registrations.interfaces(id)
    }

    /// Returns how many connections to witnesses registrations have, which they share.
    pub fn witness_connections(&self) -> usize {
        self.registrations.links.witness_connections()
    }

    /// Whether there is no registration, not even one that is being taken back.
    pub fn is_empty(&self) -> bool {
        self.registrations.is_empty()
    }

    /// The next event of a registration.
    pub fn poll_event(&mut self) -> Option<(RegistrationId, Event)> {
        self.registrations.poll_event()
    }
}

/// The owner's side.
impl Client {
    /// The next thing to do. Events can be taken before: they are there
    /// already, while this may have to work first.
    pub fn poll_action(&mut self) -> Option<Action> {
        while let Some((id, now)) = self.registrations.poll_ask_again() {
            self.registrations.ask_again(id, now);
            self.registrations.take_turn(now);
        }
        let action = self.registrations.links.poll_action();
        action
            .or_else(|| Some(Action::Resolve { host: self.registrations.poll_name()? }))
            .or_else(|| Some(Action::FindFullName { host: self.registrations.poll_full_name()? }))
    }

    /// When [`Client::handle_timeout`] must be called, once all actions are taken.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.registrations.links.next_deadline(), self.registrations.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// The time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            self.registrations.handle_timeout(now);
            self.registrations.take_turn(now);
        }
    }

    /// A host's addresses are known, or why they aren't.
    pub fn handle_resolved(
        &mut self,
        host: &str,
        result: Result<Vec<IpAddr>, SmolStr>,
        now: Instant,
    ) {
        self.registrations.handle_resolved(host, result, now);
        self.registrations.take_turn(now);
    }

    /// This host's full name is looked up.
    pub fn handle_full_name(&mut self, host: &str, outcome: FullName, now: Instant) {
        self.registrations.handle_full_name(host, outcome, now);
        self.registrations.take_turn(now);
    }

    /// A connection is open.
    pub fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        self.registrations.links.handle_connected(connection, now);
        self.registrations.take_turn(now);
    }

    /// Bytes have arrived; they are used as scratch space.
    pub fn handle_received(&mut self, connection: ConnectionId, data: &mut [u8], now: Instant) {
        self.registrations.links.handle_received(connection, data, now);
        self.registrations.take_turn(now);
    }

    /// A connection could not be opened, or was closed by its peer.
    pub fn handle_closed(&mut self, connection: ConnectionId, kind: ErrorKind, now: Instant) {
        self.registrations.links.handle_closed(connection, kind, now);
        self.registrations.take_turn(now);
    }

    /// A connection could not be opened because there is no descriptor for it.
    pub fn handle_no_descriptor(&mut self, connection: ConnectionId, now: Instant) {
        self.registrations.links.handle_no_descriptor(connection);
        self.registrations.take_turn(now);
    }

    /// An authentication job has ended.
    pub fn handle_authenticated(
        &mut self,
        connection: ConnectionId,
        outcome: AuthOutcome,
        now: Instant,
    ) {
        self.registrations.links.handle_authenticated(connection, outcome, now);
        self.registrations.take_turn(now);
    }
}

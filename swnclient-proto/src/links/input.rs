//! What comes from outside: what connections do and bring, and the time.

use super::{Links, LinksEvent};
use crate::link::{Link, LinkEvent, LinkId, LogonPhase, Purpose};
use crate::timers::LinkTimer;
use crate::wire::{GetInterfaceList, Register, Status, UnRegister};
use crate::{Awaited, Call, ConnectionId, Error, KEPT, RegistrationId};
use dcerpc_proto::association::{AuthOutcome, CallId, FaultStatus, Reply};
use dcerpc_proto::{Operation, ResponseError};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Instant;

impl Links {
    /// Handles one deadline that is due; returns whether there was one.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some((id, timer)) = self.timers.pop_due(now) else {
            return false;
        };
        match timer {
            LinkTimer::List => self.list_overdue(id),
            LinkTimer::Release => self.overdue(id, Awaited::Response(Call::UnRegister)),
            LinkTimer::Rest => self.overdue(id, Awaited::RestOfResponse),
            LinkTimer::Phase => {
                if let Some(link) = self.links.get(&id) {
                    self.silent.add(link.server, now);
                    if link.is_port_old() {
                        self.endpoints.remove(link.server);
                    }
                    let error = link.timeout(&self.config);
                    self.fail(id, error);
                }
            }
        }
        true
    }

    /// The list does not come. That is no reason to give up those who are
    /// registered by the same link, unless it holds their calls up: a server
    /// may let a list wait until it has a witness to offer. One that has begun an
    /// answer and does not end it answers nothing else either.
    fn list_overdue(&mut self, link_id: LinkId) {
        let awaited = Awaited::Response(Call::GetInterfaceList);
        let is_stuck = self.links.get(&link_id).is_some_and(Link::is_mid_reply);
        if is_stuck || !self.is_multiplexed(link_id) {
            return self.overdue(link_id, awaited);
        }
        let Some(error) = self.links.get(&link_id).map(|link| self.timeout(link, awaited)) else {
            return;
        };
        if let Some(link) = self.links.get_mut(&link_id) {
            if let Some(call) = link.list_call.take() {
                link.orphan(call, &mut self.actions);
            }
            let mut asked = std::mem::take(&mut link.listing);
            asked.append(&mut link.list_next);
            let (server, result) = (link.server, Err(error));
            self.events.push_back(LinksEvent::List { link: link_id, server, asked, result });
        }
    }

    pub(crate) fn handle_connected(&mut self, connection: ConnectionId, now: Instant) {
        let Some((id, link)) = of(&self.connections, &mut self.links, connection) else {
            return;
        };
        if !link.is_about_to_log_on() {
            return self.connected(id, now);
        }
        link.is_chosen = true;
        self.events.push_back(LinksEvent::Chosen { link: id });
        self.log_on(id, now);
    }

    fn connected(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = Vec::new();
        let result = link.connected(&self.config, &mut events, &mut self.actions);
        self.take_events(id, &mut events, now);
        self.fail_by(id, result, now);
    }

    /// Logs on, where it is this link's turn.
    fn log_on(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let credentials = link.credentials.id();
        if let Some(error) = self.logons.verdict(credentials, now).cloned() {
            self.fail(id, error);
        } else if self.logons.begin(credentials, id) {
            link.logon = LogonPhase::Begun;
            self.connected(id, now);
        } else {
            self.timers.clear(id, LinkTimer::Phase);
        }
    }

    /// Logs on by the links whose turn it is now; returns whether there was one.
    pub(crate) fn begin_logons(&mut self, now: Instant) -> bool {
        let mut has_begun = false;
        while let Some((id, verdict)) = self.logons.next(now) {
            has_begun = true;
            match verdict {
                Some(error) => self.fail(id, error),
                None => {
                    self.timers.set(id, LinkTimer::Phase, now + self.config.connect_timeout);
                    self.log_on(id, now);
                }
            }
        }
        has_begun
    }

    pub(crate) fn handle_received(
        &mut self,
        connection: ConnectionId,
        data: &mut [u8],
        now: Instant,
    ) {
        let Some((id, link)) = of(&self.connections, &mut self.links, connection) else {
            return;
        };
        let mut events = std::mem::take(&mut self.link_events);
        let result = link.received(data, &mut events, &mut self.actions);
        self.take_events(id, &mut events, now);
        events.shrink_to(KEPT);
        self.link_events = events;
        self.fail_by(id, result, now);
        self.expect_rest(id, now);
    }

    pub(crate) fn handle_closed(
        &mut self,
        connection: ConnectionId,
        kind: ErrorKind,
        now: Instant,
    ) {
        let Some((id, link)) = of(&self.connections, &mut self.links, connection) else {
            return;
        };
        let (address, is_connecting) = (link.socket_address(), link.is_connecting());
        if is_connecting && is_silence(kind) {
            self.silent.add(link.server, now);
        }
        let error = match is_connecting {
            true => Error::Connect { address, kind },
            false => Error::Lost { address, kind },
        };
        self.fail_by(id, Err(error), now);
    }

    pub(crate) fn handle_no_descriptor(&mut self, connection: ConnectionId) {
        let Some((id, link)) = of(&self.connections, &mut self.links, connection) else {
            return;
        };
        let address = link.socket_address();
        self.fail(id, Error::NoDescriptor { address });
    }

    pub(crate) fn handle_authenticated(
        &mut self,
        connection: ConnectionId,
        outcome: AuthOutcome,
        now: Instant,
    ) {
        let Some((id, link)) = of(&self.connections, &mut self.links, connection) else {
            return;
        };
        let mut events = Vec::new();
        let result = link.authenticated(outcome, &mut events, &mut self.actions);
        self.timers.set(id, LinkTimer::Phase, now + self.config.connect_timeout);
        self.take_events(id, &mut events, now);
        self.fail_by(id, result, now);
    }

    fn fail_by(&mut self, link: LinkId, result: Result<(), Error>, now: Instant) {
        if let Err(error) = result {
            if !self.ask_mapper_again(link, &error, now) {
                self.fail(link, error);
            }
        }
    }

    /// Asks the endpoint mapper where the error says that it should be: the witness service
    /// may have moved to another port since it was used, or the mapper wants to know who asks
    /// (a policy of Windows, RestrictRemoteClients). Returns whether it is asked.
    fn ask_mapper_again(&mut self, id: LinkId, error: &Error, now: Instant) -> bool {
        let Some(link) = self.links.get(&id) else {
            return false;
        };
        let server = link.server;
        let is_answer = match error {
            Error::MapperAccessDenied { .. } => {
                self.endpoints.set_wary(server, false);
                false
            }
            Error::Fault { call: Call::Map, status, .. } if link.is_mapper_asked_anonymously() => {
                self.endpoints.set_wary(server, status.is_access_denied());
                self.endpoints.is_wary(server)
            }
            Error::Connect { kind, .. } => link.is_port_old() && !is_silence(*kind),
            Error::Lost { .. } | Error::Association { .. } => link.is_port_old(),
            _ => false,
        };
        if link.is_port_old() {
            self.endpoints.remove(server);
        }
        if is_answer {
            let (connection, way) = (self.new_connection(id), self.way(server));
            if let Some(link) = self.links.get_mut(&id) {
                self.connections.remove(&link.connection);
                let credentials = link.credentials.id();
                let logon = link.connect_to_mapper(connection, way, &mut self.actions);
                self.logons.ended(credentials, id, logon);
                self.timers.set(id, LinkTimer::Phase, now + self.config.connect_timeout);
            }
        }
        is_answer
    }

    /// An answer of which a part has come must go on. It may be one that
    /// nothing else expects: AsyncNotify of version 1 has no keep-alive.
    fn expect_rest(&mut self, link_id: LinkId, now: Instant) {
        let due = now + self.config.call_timeout;
        if let Some(link) = self.links.get(&link_id).filter(|link| link.is_ready()) {
            let due = link.is_mid_reply().then_some(due);
            self.timers.replace(link_id, LinkTimer::Rest, due);
        }
    }

    fn take_events(&mut self, link_id: LinkId, events: &mut Vec<LinkEvent>, now: Instant) {
        for event in events.drain(..) {
            match event {
                LinkEvent::Mapped => self.mapped(link_id, now),
                LinkEvent::Authenticating => {
                    self.timers.set(link_id, LinkTimer::Phase, now + self.config.kdc_timeout);
                }
                LinkEvent::Ready => self.ready(link_id, now),
                LinkEvent::Reply { purpose, call, reply } => {
                    self.replied(link_id, purpose, call, reply, now);
                }
            }
        }
    }

    fn mapped(&mut self, link_id: LinkId, now: Instant) {
        let connection = self.new_connection(link_id);
        if let Some(link) = self.links.get_mut(&link_id) {
            // What follows is a logon of its own.
            if link.logon == LogonPhase::Begun {
                link.logon = LogonPhase::NotBegun;
                self.logons.accepted(link.credentials.id());
                self.logons.ended(link.credentials.id(), link_id, LogonPhase::Good);
            }
            self.connections.remove(&link.connection);
            link.connect_to_witness(connection, &mut self.actions);
            self.timers.set(link_id, LinkTimer::Phase, now + self.config.connect_timeout);
        }
    }

    fn ready(&mut self, link_id: LinkId, now: Instant) {
        self.timers.clear(link_id, LinkTimer::Phase);
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let (server, address) = (link.server, link.address());
        self.silent.remove(server);
        self.endpoints.add(server, link.confirm_port(), now);
        let mut members: Vec<RegistrationId> = link.members.iter().copied().collect();
        // Without multiplexing, one AsyncNotify occupies the whole link: one
        // registration stays, the others get links of their own.
        let stay = if link.is_multiplexed() { members.len() } else { members.len().min(1) };
        let others = members.split_off(stay);
        link.members.retain(|id| !others.contains(id));
        self.update_open(link_id);
        self.request_next_list(link_id, now);
        self.events.push_back(LinksEvent::Ready { members });
        self.events.extend(others.into_iter().map(|id| LinksEvent::Full { id, address }));
    }

    fn replied(
        &mut self,
        link_id: LinkId,
        purpose: Purpose,
        call: CallId,
        reply: Result<Reply, FaultStatus>,
        now: Instant,
    ) {
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let (server, address) = (link.server, link.address());
        match &reply {
            // The answer to the first call is the one to the logon.
            Err(status) if link.logon == LogonPhase::Begun && status.is_access_denied() => {
                let detail = smol_str::format_smolstr!("{status}");
                return self.fail(link_id, Error::AccessDenied { address, detail });
            }
            Ok(_) if link.logon == LogonPhase::Begun => {
                link.logon = LogonPhase::Good;
                self.logons.accepted(link.credentials.id());
            }
            _ => {}
        }
        match purpose {
            // Its reply is the link's own: LinkEvent::Mapped.
            Purpose::Map => {}
            Purpose::List => {
                link.list_call = None;
                let asked = std::mem::take(&mut link.listing);
                let result = decode::<GetInterfaceList>(address, Call::GetInterfaceList, reply);
                self.timers.clear(link_id, LinkTimer::List);
                self.request_next_list(link_id, now);
                self.events.push_back(LinksEvent::List { link: link_id, server, asked, result });
            }
            Purpose::Register(id) => {
                self.settle(link_id, call);
                let (link, witness) = (link_id, address);
                match decode::<Register>(address, Call::Register, reply) {
                    // It may have registered, under a handle that can't be read: it
                    // keeps that as long as the connection.
                    Err(error @ Error::Malformed { .. }) => self.fail(link_id, error),
                    result => self.events.push_back(LinksEvent::Register {
                        id,
                        link,
                        witness,
                        call,
                        result,
                    }),
                }
            }
            Purpose::Notify(id) => {
                let (link, witness) = (link_id, address);
                self.events.push_back(LinksEvent::Notify { id, link, witness, call, reply });
            }
            Purpose::Unregister(id) => {
                self.events.push_back(LinksEvent::Unregistered { id });
                self.released(link_id, address, call, reply);
            }
            Purpose::Release => self.released(link_id, address, call, reply),
        }
    }

    /// A witness that does not know the registration any more has nothing left
    /// to take back. One that won't is left, and takes it back by that.
    fn released(
        &mut self,
        link_id: LinkId,
        address: IpAddr,
        call: CallId,
        reply: Result<Reply, FaultStatus>,
    ) {
        match decode::<UnRegister>(address, Call::UnRegister, reply) {
            Ok(())
            | Err(Error::Refused {
                status: Status::NOT_FOUND | Status::INVALID_PARAMETER, ..
            })
            | Err(Error::Fault { status: FaultStatus::CONTEXT_MISMATCH, .. }) => {
                self.settle(link_id, call);
            }
            Err(error) => self.fail(link_id, error),
        }
    }
}

/// Whether a connection could not be opened because no answer came.
fn is_silence(kind: ErrorKind) -> bool {
    use ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(kind, TimedOut | HostUnreachable | NetworkUnreachable)
}

/// The link that a connection belongs to.
fn of<'a>(
    connections: &BTreeMap<ConnectionId, LinkId>,
    links: &'a mut BTreeMap<LinkId, Link>,
    connection: ConnectionId,
) -> Option<(LinkId, &'a mut Link)> {
    let id = *connections.get(&connection)?;
    Some((id, links.get_mut(&id)?))
}

/// One error type for everything that can be wrong with a reply.
pub(crate) fn decode<O: Operation<Status = Status>>(
    address: IpAddr,
    call: Call,
    reply: Result<Reply, FaultStatus>,
) -> Result<O::Output, Error> {
    let reply = reply.map_err(|status| Error::Fault { address, call, status })?;
    reply.decode::<O>().map_err(|error| match error {
        ResponseError::Status(status) => Error::Refused { address, call, status },
        ResponseError::Ndr(error) => Error::Malformed { address, call, error },
    })
}

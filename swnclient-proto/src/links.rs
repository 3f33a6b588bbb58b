//! The links of a client: opening, sharing, closing, and who hears of what.

use super::choice;
use super::client::Client;
use super::link::{Link, LinkEvent, LinkId, Purpose};
use super::registration::State;
use super::timers::{LinkTimer, TimerKey};
use super::{Action, ConnectionId};
use crate::wire::{AsyncNotify, GetInterfaceList, Interface, Register, Status, UnRegister};
use crate::{Awaited, Call, Error, RegistrationId};
use dcerpc_proto::association::{CallId, FaultStatus, Reply};
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

impl Client {
    /// A link to the witness service at `address` for this registration: one
    /// that is there, if it can be shared, or a new one. `Ok(true)`: it is ready.
    pub(super) fn join_link(
        &mut self,
        id: RegistrationId,
        address: IpAddr,
        now: Instant,
    ) -> Option<(LinkId, bool)> {
        let registration = self.registrations.get(&id)?;
        let target = registration.request.net_name.clone();
        let credentials = registration.credentials.clone();
        let shared = self.open_links.get(&address).into_iter().flatten().copied().find(|link| {
            self.links.get(link).is_some_and(|link| {
                link.credentials == credentials && link.target.eq_ignore_ascii_case(&target)
            })
        });
        if let Some(link) = shared {
            return Some((link, self.links.get(&link)?.is_ready()));
        }
        let group_name = choice::name_of(&registration.interfaces, address).map(SmolStr::new);
        self.last_link += 1;
        let link_id = LinkId(self.last_link);
        let connection = self.new_connection(link_id);
        let link = Link::new(
            address,
            target,
            group_name,
            credentials,
            connection,
            &self.config,
            &mut self.actions,
        );
        self.links.insert(link_id, link);
        self.open_links.entry(address).or_default().push(link_id);
        self.set_link_timer(link_id, LinkTimer::Phase, now + self.config.connect_timeout);
        Some((link_id, false))
    }

    fn new_connection(&mut self, link: LinkId) -> ConnectionId {
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        self.connections.insert(connection, link);
        connection
    }

    /// The registration depends on the link for more than a list.
    pub(super) fn add_member(&mut self, link_id: LinkId, id: RegistrationId) {
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        link.members.insert(id);
        self.update_open(link_id);
    }

    /// Offers a link for sharing as long as it can take more registrations.
    fn update_open(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get(&link_id) else {
            return;
        };
        let limit = if !link.is_ready() || link.is_multiplexed() {
            self.config.max_registrations_per_link
        } else {
            1
        };
        let open = self.open_links.entry(link.address).or_default();
        let offered = open.contains(&link_id);
        match (link.members.len() < limit, offered) {
            (true, false) => open.push(link_id),
            (false, true) => open.retain(|other| *other != link_id),
            _ => {}
        }
        if open.is_empty() {
            self.open_links.remove(&link.address);
        }
    }

    /// The registration does not need the link any more, unless it depends on it
    /// for something else; a link that nobody needs is closed.
    pub(super) fn leave_link(&mut self, link_id: LinkId, id: RegistrationId) {
        if self.registrations.get(&id).is_some_and(|r| r.depends_on(link_id)) {
            return;
        }
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        link.members.remove(&id);
        link.listing.retain(|other| *other != id);
        link.list_next.retain(|other| *other != id);
        self.close_if_idle(link_id);
        self.update_open(link_id);
    }

    fn close_if_idle(&mut self, link_id: LinkId) {
        if self.links.get(&link_id).is_some_and(Link::is_idle) {
            self.remove_link(link_id);
        }
    }

    fn remove_link(&mut self, link_id: LinkId) -> Option<Link> {
        self.timers.clear_link(link_id);
        let link = self.links.remove(&link_id)?;
        self.connections.remove(&link.connection);
        // A node that is back after a restart may speak another version.
        if !self.links.values().any(|other| other.address == link.address) {
            self.version_1_only.remove(&link.address);
        }
        if let Some(open) = self.open_links.get_mut(&link.address) {
            open.retain(|other| *other != link_id);
            if open.is_empty() {
                self.open_links.remove(&link.address);
            }
        }
        self.actions.push_back(Action::Close { connection: link.connection });
        Some(link)
    }

    /// A link is of no use any more: each registration on it goes its own way.
    pub(super) fn fail_link(&mut self, link_id: LinkId, error: Error, now: Instant) {
        let Some(link) = self.remove_link(link_id) else {
            return;
        };
        log::debug!("link to {}: {error}", link.address);
        // A node that comes back may speak another version than before.
        self.version_1_only.remove(&link.address);
        // One part of the spread for all: they come back together over one new link.
        let part = self.rng.f64();
        let waiting = link.listing.iter().chain(&link.list_next).copied();
        let mut concerned: Vec<RegistrationId> =
            link.members.iter().copied().chain(waiting).collect();
        concerned.sort_unstable();
        concerned.dedup();
        for id in concerned {
            self.on_link_failed(id, link_id, &link, &error, part, now);
        }
    }

    pub(super) fn link_events(
        &mut self,
        link_id: LinkId,
        events: impl IntoIterator<Item = LinkEvent>,
        now: Instant,
    ) {
        for event in events {
            match event {
                LinkEvent::Mapped => self.link_mapped(link_id, now),
                LinkEvent::Authenticating => {
                    self.set_link_timer(link_id, LinkTimer::Phase, now + self.config.kdc_timeout);
                }
                LinkEvent::Ready => self.link_ready(link_id, now),
                LinkEvent::Reply { purpose, call, reply } => {
                    self.link_reply(link_id, purpose, call, reply, now);
                }
            }
        }
    }

    fn link_mapped(&mut self, link_id: LinkId, now: Instant) {
        let connection = self.new_connection(link_id);
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        self.connections.remove(&link.connection);
        link.connect_to_witness(connection, &mut self.actions);
        self.set_link_timer(link_id, LinkTimer::Phase, now + self.config.connect_timeout);
    }

    fn link_ready(&mut self, link_id: LinkId, now: Instant) {
        self.clear_link_timer(link_id, LinkTimer::Phase);
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let address = link.address;
        let mut members: Vec<RegistrationId> = link.members.iter().copied().collect();
        let listers = std::mem::take(&mut link.list_next);
        // Without multiplexing, one AsyncNotify occupies the whole link: one
        // registration stays, the others get links of their own.
        let stay = if link.is_multiplexed() { members.len() } else { members.len().min(1) };
        let others = members.split_off(stay);
        link.members.retain(|id| !others.contains(id));
        self.update_open(link_id);
        for id in listers {
            self.request_list(link_id, id, now);
        }
        for id in members {
            self.send_register(id, now);
        }
        for id in others {
            self.find_own_link(id, address, now);
        }
    }

    /// Asks for the interface list on behalf of `id`. Everyone who asks before
    /// the answer comes shares it, save those who need one that is newer than
    /// their registration.
    pub(super) fn request_list(&mut self, link_id: LinkId, id: RegistrationId, now: Instant) {
        let newer =
            self.registrations.get(&id).is_some_and(|r| matches!(r.state, State::Registered(_)));
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        if !link.is_ready() || (newer && link.list_call.is_some()) {
            link.list_next.push(id);
            return;
        }
        link.listing.push(id);
        if link.list_call.is_none() {
            match link.call(Purpose::List, &GetInterfaceList, &mut self.actions) {
                Ok(call) => {
                    link.list_call = Some(call);
                    self.set_link_timer(link_id, LinkTimer::List, now + self.config.call_timeout);
                }
                Err(error) => self.fail_link(link_id, error, now),
            }
        }
    }

    /// The server is to let go of what nobody waits for any more. Who does not
    /// within a call timeout loses the connection, and with it all the rest
    /// ([C706] 5.1.6, context rundown).
    pub(super) fn expect_release(&mut self, link_id: LinkId, now: Instant) {
        let key = TimerKey::Link(link_id, LinkTimer::Release);
        if self.links.contains_key(&link_id) && self.timers.get(key).is_none() {
            self.timers.set(key, now + self.config.call_timeout);
        }
    }

    /// An answer of which a part has come must go on. It may be one that
    /// nothing else expects: AsyncNotify of version 1 has no keep-alive.
    pub(super) fn expect_rest(&mut self, link_id: LinkId, now: Instant) {
        let due = now + self.config.call_timeout;
        if let Some(link) = self.links.get(&link_id).filter(|link| link.is_ready()) {
            let due = link.is_mid_reply().then_some(due);
            self.timers.replace(TimerKey::Link(link_id, LinkTimer::Rest), due);
        }
    }

    /// A link's deadline has come.
    pub(super) fn link_due(&mut self, link_id: LinkId, timer: LinkTimer, now: Instant) {
        let Some(link) = self.links.get(&link_id) else {
            return;
        };
        let error = match timer {
            LinkTimer::List => return self.list_overdue(link_id, now),
            LinkTimer::Phase => link.timeout(&self.config),
            LinkTimer::Release => self.overdue(link, Awaited::Response(Call::UnRegister)),
            LinkTimer::Rest => self.overdue(link, Awaited::RestOfResponse),
        };
        self.fail_link(link_id, error, now);
    }

    /// The error that something took longer than a call may.
    pub(super) fn overdue(&self, link: &Link, awaited: Awaited) -> Error {
        Error::Timeout { address: link.address, awaited, after: self.config.call_timeout }
    }

    /// The list does not come. That is no reason to give up those who are
    /// registered by the same link, unless it holds their calls up: a server
    /// may let a list wait until it has a witness to offer.
    fn list_overdue(&mut self, link_id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        let awaited = Awaited::Response(Call::GetInterfaceList);
        let after = self.config.call_timeout;
        let error = Error::Timeout { address: link.address, awaited, after };
        if !link.is_multiplexed() {
            return self.fail_link(link_id, error, now);
        }
        if let Some(call) = link.list_call.take() {
            link.orphan(call, &mut self.actions);
        }
        let waiting = link.listing.drain(..).chain(link.list_next.drain(..));
        let waiting: Vec<RegistrationId> = waiting.collect();
        let result = Err(error);
        for id in waiting {
            self.on_list_reply(id, link_id, &result, now);
        }
        self.close_if_idle(link_id);
    }

    fn link_reply(
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
        let address = link.address;
        match purpose {
            // Its reply is the link's own: LinkEvent::Mapped.
            Purpose::Map => {}
            Purpose::List => {
                link.list_call = None;
                let asked = std::mem::take(&mut link.listing);
                let again = std::mem::take(&mut link.list_next);
                let result = decode::<GetInterfaceList>(address, Call::GetInterfaceList, reply);
                let result = result.map(|list| self.keep_list(address, list));
                self.clear_link_timer(link_id, LinkTimer::List);
                for id in again {
                    self.request_list(link_id, id, now);
                }
                for id in asked {
                    self.on_list_reply(id, link_id, &result, now);
                }
                self.close_if_idle(link_id);
            }
            Purpose::Register(id) => {
                let result = decode::<Register>(address, Call::Register, reply);
                match result {
                    // It may have registered, under a handle that nobody can
                    // read: it keeps that as long as the connection.
                    Err(error @ Error::Malformed { .. }) => self.fail_link(link_id, error, now),
                    result => self.on_register_reply(id, link_id, call, result, now),
                }
                self.check_releases(link_id);
            }
            Purpose::Notify(id) => {
                let result = decode::<AsyncNotify>(address, Call::AsyncNotify, reply);
                self.on_notify_reply(id, link_id, call, result, now);
            }
            Purpose::Unregister(id) => {
                self.end(id);
                self.released(link_id, reply, now);
            }
            Purpose::Release => self.released(link_id, reply, now),
        }
    }

    /// Keeps a list that the node at `address` gave, in place of the one before.
    fn keep_list(&mut self, address: IpAddr, list: Vec<Interface>) -> Arc<[Interface]> {
        let (list, before) = self.lists.intern(address, list);
        if let Some(before) = before {
            for registration in self.registrations.values_mut() {
                for kept in [&mut registration.interfaces, &mut registration.last_list] {
                    if Arc::ptr_eq(kept, &before) {
                        *kept = Arc::clone(&list);
                    }
                }
            }
        }
        list
    }

    /// A witness that does not know the registration any more has nothing left
    /// to take back. One that won't is left, and takes it back by that.
    fn released(&mut self, link_id: LinkId, reply: Result<Reply, FaultStatus>, now: Instant) {
        let Some(link) = self.links.get(&link_id) else {
            return;
        };
        match decode::<UnRegister>(link.address, Call::UnRegister, reply) {
            Ok(())
            | Err(Error::Refused {
                status: Status::NOT_FOUND | Status::INVALID_PARAMETER, ..
            })
            | Err(Error::Fault { status: FaultStatus::CONTEXT_MISMATCH, .. }) => {
                self.check_releases(link_id);
            }
            Err(error) => self.fail_link(link_id, error, now),
        }
    }

    /// Whether there is still something that the server is to let go of.
    fn check_releases(&mut self, link_id: LinkId) {
        let registrations = &self.registrations;
        if let Some(link) = self.links.get(&link_id) {
            if !link.releases(|id| registrations.get(&id).is_some_and(|r| r.awaits(link_id))) {
                self.clear_link_timer(link_id, LinkTimer::Release);
            }
        }
    }

    pub(super) fn set_link_timer(&mut self, id: LinkId, timer: LinkTimer, at: Instant) {
        self.timers.set(TimerKey::Link(id, timer), at);
    }

    fn clear_link_timer(&mut self, id: LinkId, timer: LinkTimer) {
        self.timers.clear(TimerKey::Link(id, timer));
    }
}

/// One error type for everything that can be wrong with a reply.
fn decode<O: Operation<Status = Status>>(
    address: IpAddr,
    call: Call,
    reply: Result<Reply, FaultStatus>,
) -> Result<O::Output, Error> {
    let reply = reply.map_err(|status| match status.is_access_denied() {
        true => Error::AccessDenied { address, detail: smol_str::format_smolstr!("{status}") },
        false => Error::Fault { address, call, status },
    })?;
    reply.decode::<O>().map_err(|error| match error {
        ResponseError::Status(Status::ACCESS_DENIED) => {
            Error::AccessDenied { address, detail: "ERROR_ACCESS_DENIED".into() }
        }
        ResponseError::Status(status) => Error::Refused { address, call, status },
        ResponseError::Ndr(error) => Error::Malformed { address, call, error },
    })
}

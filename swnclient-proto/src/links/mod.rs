//! The links of a client: opening, sharing, closing, the calls by them and when these
//! take too long. They know registrations by their ids only; what happens is queued as
//! events, which the client takes one after the other ([`Links::poll_event`]).

mod calls;
mod endpoints;
mod input;
mod kept;
mod logons;

pub(crate) use input::decode;

use crate::interning::SharedCredentials;
use crate::link::{Link, LinkEvent, LinkId, LogonPhase, Way};
use crate::silent::Silent;
use crate::timers::{LinkTimer, Timers};
use crate::wire::Interface;
use crate::{Action, Config, ConnectionId, Error, RegistrationId, ScopedAddr, take};
use dcerpc_proto::association::{CallId, FaultStatus, Reply};
use dcerpc_proto::ndr::ContextHandle;
use endpoints::Endpoints;
use logons::Logons;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// What a server that is tried has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has not accepted the connection.
    Silent,
    /// It works on an answer.
    Answers,
}

/// What happens by a link.
#[derive(Debug)]
pub(crate) enum LinksEvent {
    /// Calls can be made, for these.
    Ready { members: Vec<RegistrationId> },
    /// Its server is there: it is authenticated to next.
    Chosen { link: LinkId },
    /// The link has room for one registration only, and that is another one.
    Full { id: RegistrationId, address: IpAddr },
    /// The interface list that these wait for, or why there is none. Then
    /// [`Links::close_if_idle`].
    List {
        link: LinkId,
        server: ScopedAddr,
        asked: Vec<RegistrationId>,
        result: Result<Vec<Interface>, Error>,
    },
    /// The response to Register or RegisterEx.
    Register {
        id: RegistrationId,
        link: LinkId,
        witness: IpAddr,
        call: CallId,
        result: Result<ContextHandle, Error>,
    },
    /// The response to AsyncNotify.
    Notify {
        id: RegistrationId,
        link: LinkId,
        witness: IpAddr,
        call: CallId,
        reply: Result<Reply, FaultStatus>,
    },
    /// The response to a registration's UnRegister, whatever it says.
    Unregistered { id: RegistrationId },
    /// The link is there no more.
    Failed(Box<LinkFailed>),
    /// There is no link, since its credentials were refused elsewhere. Then
    /// [`Links::end_refused`].
    Refused { link: LinkId, error: Error },
}

/// A link that has failed.
#[derive(Debug)]
pub(crate) struct LinkFailed {
    pub(crate) link: LinkId,
    pub(crate) address: IpAddr,
    /// Who depended on it, kept it or waited for a list, each once.
    pub(crate) concerned: Vec<RegistrationId>,
    /// Who waited for a list.
    pub(crate) listing: Vec<RegistrationId>,
    /// When it was opened.
    pub(crate) since: Instant,
    pub(crate) error: Error,
    /// The credentials that were refused by it.
    pub(crate) refused: Option<SharedCredentials>,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Links {
    config: Config,
    links: BTreeMap<LinkId, Link>,
    connections: BTreeMap<ConnectionId, LinkId>,
    /// With their addresses, the links that can take further registrations.
    open: BTreeSet<(ScopedAddr, LinkId)>,
    /// With their addresses, those that are kept for what their end tells.
    kept: BTreeSet<(ScopedAddr, LinkId)>,
    /// Witnesses that refused version 2, for as long as they stay up.
    version_1_only: BTreeSet<ScopedAddr>,
    /// Servers that have not answered lately.
    pub(crate) silent: Silent,
    endpoints: Endpoints,
    logons: Logons,
    timers: Timers<LinkId, LinkTimer>,
    actions: VecDeque<Action>,
    events: VecDeque<LinksEvent>,
    last_link: u64,
    last_connection: u64,
    /// Empty but while a link's events are taken: the room for them.
    link_events: Vec<LinkEvent>,
}

/// Opening, sharing, closing.
impl Links {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            links: BTreeMap::new(),
            connections: BTreeMap::new(),
            open: BTreeSet::new(),
            kept: BTreeSet::new(),
            version_1_only: BTreeSet::new(),
            silent: Silent::new(),
            endpoints: Endpoints::default(),
            logons: Logons::default(),
            timers: Timers::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            last_link: 0,
            last_connection: 0,
            link_events: Vec::new(),
        }
    }

    /// How many connections to witnesses there are that registrations depend on.
    pub(crate) fn witness_connections(&self) -> usize {
        let has_members = |link: &&Link| link.is_at_witness() && !link.members.is_empty();
        self.links.values().filter(has_members).count()
    }

    /// A link to the witness service of `server`: one that is there, if it can be
    /// shared, or a new one. `group_name`: the node's own name, where it is known.
    pub(crate) fn join(
        &mut self,
        server: ScopedAddr,
        target: &SmolStr,
        credentials: &SharedCredentials,
        group_name: Option<&str>,
        now: Instant,
    ) -> LinkId {
        let of_server = (server, LinkId(0))..=(server, LinkId(u64::MAX));
        let mut open = self.open.range(of_server).map(|(_, link)| *link);
        let shared = open
            .find(|link| self.links.get(link).is_some_and(|link| link.is_for(target, credentials)));
        shared.unwrap_or_else(|| {
            self.last_link += 1;
            let id = LinkId(self.last_link);
            let connection = self.new_connection(id);
            let link = Link::new(
                server,
                target.clone(),
                group_name.map(SmolStr::new),
                credentials.clone(),
                connection,
                self.way(server),
                now,
            );
            if let Some(error) = self.logons.verdict(credentials.id(), now).cloned() {
                self.events.push_back(LinksEvent::Refused { link: id, error });
            } else {
                link.connect(&mut self.actions);
                self.open.insert((server, id));
                self.timers.set(id, LinkTimer::Phase, now + self.config.connect_timeout);
            }
            self.links.insert(id, link);
            id
        })
    }

    /// How the witness service of `server` is found.
    fn way(&self, server: ScopedAddr) -> Way {
        Way {
            old_port: self.endpoints.port(server),
            mapper_port: self.config.mapper_port,
            is_mapper_wary: self.endpoints.is_wary(server),
        }
    }

    fn new_connection(&mut self, link: LinkId) -> ConnectionId {
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        self.connections.insert(connection, link);
        connection
    }

    /// The registration depends on the link for more than a list.
    pub(crate) fn add_member(&mut self, link: LinkId, id: RegistrationId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.members.insert(id);
        }
        self.update_open(link);
    }

    /// The registration does not need the link any more; one that no registration
    /// needs is closed.
    pub(crate) fn leave(&mut self, link_id: LinkId, id: RegistrationId) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.members.remove(&id);
            link.listing.retain(|other| *other != id);
            link.list_next.retain(|other| *other != id);
            self.close_if_idle(link_id);
            self.update_open(link_id);
        }
    }

    pub(crate) fn close_if_idle(&mut self, link: LinkId) {
        if self.links.get(&link).is_some_and(Link::is_idle) {
            self.remove(link);
        }
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
        // One that is kept and nothing else may be dead for some seconds.
        let is_in_use = !link.members.is_empty() || link.kept_by.is_empty();
        match is_in_use && link.members.len() < limit {
            true => self.open.insert((link.server, link_id)),
            false => self.open.remove(&(link.server, link_id)),
        };
    }

    fn remove(&mut self, link_id: LinkId) -> Option<Link> {
        self.timers.clear_all(link_id);
        let link = self.links.remove(&link_id)?;
        self.connections.remove(&link.connection);
        self.logons.ended(link.credentials.id(), link_id, link.logon);
        // A node that is back after a restart may speak another version.
        if !self.links.values().any(|other| other.server == link.server) {
            self.version_1_only.remove(&link.server);
        }
        self.open.remove(&(link.server, link_id));
        self.kept.remove(&(link.server, link_id));
        self.actions.push_back(Action::Close { connection: link.connection });
        Some(link)
    }

    /// A link is of no use any more.
    fn fail(&mut self, link_id: LinkId, error: Error) {
        let Some(link) = self.remove(link_id) else {
            return;
        };
        log::debug!("link to {}: {error}", link.address());
        // A node that comes back may speak another version than before.
        self.version_1_only.remove(&link.server);
        let mut listing = link.listing;
        listing.extend(link.list_next);
        let mut concerned: Vec<RegistrationId> = link.members.into_iter().collect();
        concerned.extend(&listing);
        concerned.extend(&link.kept_by);
        concerned.sort_unstable();
        concerned.dedup();
        let was_logging_on = link.logon == LogonPhase::Begun && error.is_refusal();
        let failed = LinkFailed {
            link: link_id,
            address: link.server.address(),
            concerned,
            listing,
            since: link.since,
            error,
            refused: was_logging_on.then_some(link.credentials),
        };
        self.events.push_back(LinksEvent::Failed(Box::new(failed)));
    }

    pub(crate) fn address(&self, link: LinkId) -> Option<IpAddr> {
        self.links.get(&link).map(Link::address)
    }

    /// Whether its server has not been reached yet, and since when it is tried.
    pub(crate) fn tried_since(&self, link: LinkId) -> Option<(Reach, Instant)> {
        let link = self.links.get(&link).filter(|link| !link.is_chosen)?;
        let reach = if link.is_connecting() { Reach::Silent } else { Reach::Answers };
        Some((reach, link.since))
    }

    /// Whether calls can be made.
    pub(crate) fn is_ready(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(Link::is_ready)
    }

    /// Whether calls can be made while an AsyncNotify pends.
    pub(crate) fn is_multiplexed(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(Link::is_multiplexed)
    }

    /// Ends the link that has never been one.
    pub(crate) fn end_refused(&mut self, link: LinkId, error: Error) {
        self.fail(link, error);
    }

    /// A server has refused these credentials.
    pub(crate) fn note_refusal(
        &mut self,
        credentials: &SharedCredentials,
        error: &Error,
        now: Instant,
    ) {
        self.logons.refused(credentials, error.clone(), now);
    }

    /// These credentials may be presented again, though servers have refused them.
    pub(crate) fn forget_refusal(&mut self, credentials: &SharedCredentials) {
        self.logons.forget(credentials.id());
    }

    /// Whether it is certain by now that servers refuse these credentials.
    pub(crate) fn is_refused(&self, credentials: &SharedCredentials) -> bool {
        self.logons.is_proven(credentials.id())
    }

    /// Until when credentials that were refused are not presented again unasked.
    pub(crate) fn paused_until(&self, credentials: &SharedCredentials) -> Option<Instant> {
        self.logons.paused_until(credentials.id())
    }

    /// The server has not answered while others have.
    pub(crate) fn note_silence(&mut self, link: LinkId, now: Instant) {
        if let Some(link) = self.links.get(&link) {
            self.silent.add(link.server, now);
        }
    }

    /// Whether this witness has refused version 2 since it is up.
    pub(crate) fn is_version_1_only(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| self.version_1_only.contains(&link.server))
    }

    /// This witness refuses version 2.
    pub(crate) fn refuses_version_2(&mut self, link: LinkId) {
        self.version_1_only.extend(self.links.get(&link).map(|link| link.server));
    }

    /// What has happened by the links.
    pub(crate) fn poll_event(&mut self) -> Option<LinksEvent> {
        take(&mut self.events)
    }

    /// What the links need done.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        take(&mut self.actions)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }
}

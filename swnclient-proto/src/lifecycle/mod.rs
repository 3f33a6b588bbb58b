//! The life of registrations ([MS-SWN] 3.2.4), a file for each of its parts. Each uses
//! only those below it:
//!
//! ```text
//! turn        what has happened, to whom it matters; what is due
//! outcome     a list, a registration, a link: it is there, or it has failed
//! watch       what a witness tells
//! unregister  the end
//! search      finding a witness
//! race        several servers at once, as long as they are silent
//! register    the call; a witness has accepted it
//! handover    from one registration of a mount to the next
//! kept        the link to the node that serves the share
//! reselect    when the witness is selected again
//! recover     when it is tried again
//! missed      what changed while no witness watched
//! ask         AsyncNotify
//! ```

mod ask;
mod handover;
mod kept;
mod missed;
mod outcome;
mod race;
mod recover;
mod register;
mod reselect;
mod search;
mod turn;
mod unregister;
mod watch;

use crate::choice;
use crate::client_name::{FullName, OwnName};
use crate::interning::{CredentialsPool, Lists};
use crate::link::LinkId;
use crate::links::Links;
use crate::registration::{Attempt, Registration, Reselection, State};
use crate::timers::{RegistrationTimer, Timers};
use crate::wire::Interface;
use crate::{Config, Credentials, Error, Event, RegistrationId, RegistrationRequest, take};
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A consumer that asks again is heard at most once in this time.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// All registrations, and what they have between them.
#[derive(Debug)]
pub(crate) struct Registrations {
    config: Config,
    rng: fastrand::Rng,
    by_id: BTreeMap<RegistrationId, Registration>,
    /// What happens by these is taken from them by [`Registrations::take_turn`].
    pub(crate) links: Links,
    timers: Timers<RegistrationId, RegistrationTimer>,
    /// Those that try several servers at once.
    racing: BTreeSet<RegistrationId>,
    /// The names whose addresses are waited for, and for which registrations.
    resolving: BTreeMap<SmolStr, Vec<RegistrationId>>,
    /// Those of them that have not been handed out yet.
    to_resolve: VecDeque<SmolStr>,
    credentials: CredentialsPool,
    lists: Lists,
    own_name: OwnName,
    events: VecDeque<(RegistrationId, Event)>,
    /// Whose AsyncNotify brought something, and when: the next one is made when
    /// the actions are taken, so that the consumer does not wait for it.
    to_ask_again: VecDeque<(RegistrationId, Instant)>,
}

/// What the consumer asks for, and what there is for it and for the owner.
impl Registrations {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        let own_name = OwnName::new(config.client_name.clone());
        Self {
            links: Links::new(config.clone()),
            config,
            rng: fastrand::Rng::with_seed(seed),
            by_id: BTreeMap::new(),
            timers: Timers::default(),
            racing: BTreeSet::new(),
            resolving: BTreeMap::new(),
            to_resolve: VecDeque::new(),
            credentials: CredentialsPool::default(),
            lists: Lists::default(),
            own_name,
            events: VecDeque::new(),
            to_ask_again: VecDeque::new(),
        }
    }

    pub(crate) fn register(
        &mut self,
        id: RegistrationId,
        request: RegistrationRequest,
        credentials: Credentials,
        now: Instant,
    ) {
        let credentials = self.credentials.intern(credentials);
        self.by_id.insert(id, Registration::new(request, credentials));
        self.start(id, now);
    }

    pub(crate) fn request_again(
        &mut self,
        id: RegistrationId,
        credentials: Credentials,
        now: Instant,
    ) {
        let credentials = self.credentials.intern(credentials);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let same = std::mem::replace(&mut registration.credentials, credentials);
        let is_same = same == registration.credentials;
        if is_same && self.links.paused_until(&same).is_some_and(|until| now < until) {
            return;
        }
        self.hurry(id, now);
        if !is_same {
            self.hurry_reselection(id, now);
        }
    }

    pub(crate) fn try_now(&mut self, id: RegistrationId, now: Instant) {
        if let Some(registration) = self.by_id.get(&id) {
            self.links.forget_refusal(&registration.credentials);
            self.hurry(id, now);
            self.hurry_reselection(id, now);
        }
    }

    /// Tries at once where it waits, but at most once in [`RETRY_INTERVAL`].
    fn hurry(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        if matches!(registration.state(), State::Waiting) {
            let last = registration.pace.last_attempt;
            let earliest = last.map_or(now, |at| at + RETRY_INTERVAL).max(now);
            let set = self.timers.get(id, RegistrationTimer::Retry);
            let at = set.map_or(earliest, |at| at.min(earliest));
            self.timers.set(id, RegistrationTimer::Retry, at);
        }
    }

    pub(crate) fn ids(&self) -> Vec<RegistrationId> {
        self.by_id.keys().copied().collect()
    }

    pub(crate) fn interfaces(&self, id: RegistrationId) -> &[Interface] {
        self.by_id.get(&id).map_or(&[], |registration| &registration.search.last_list)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn poll_event(&mut self) -> Option<(RegistrationId, Event)> {
        take(&mut self.events)
    }

    pub(crate) fn poll_name(&mut self) -> Option<SmolStr> {
        take(&mut self.to_resolve)
    }

    pub(crate) fn poll_full_name(&mut self) -> Option<SmolStr> {
        self.own_name.poll()
    }

    pub(crate) fn handle_full_name(&mut self, host: &str, outcome: FullName, now: Instant) {
        for id in self.own_name.found(host, outcome) {
            self.send_register(id, now);
        }
    }

    pub(crate) fn poll_ask_again(&mut self) -> Option<(RegistrationId, Instant)> {
        self.to_ask_again.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }
}

/// What all parts of a life use.
impl Registrations {
    /// Another part of its life begins. A deadline and a reselection belong to the
    /// state that set them.
    fn set_state(&mut self, id: RegistrationId, state: State, now: Instant) {
        self.timers.clear_all(id);
        self.stop_reselection(id, now);
        if let Some(registration) = self.by_id.get_mut(&id) {
            registration.enter(state);
        }
    }

    /// Ends a reselection.
    fn stop_reselection(&mut self, id: RegistrationId, now: Instant) {
        self.leave_rivals(id);
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let stopped = std::mem::take(&mut registration.reselection);
        match stopped {
            Reselection::NotDue | Reselection::Listing(_) => {}
            Reselection::Due => self.timers.clear(id, RegistrationTimer::Reselect),
            Reselection::Registering(_) => {
                self.timers.clear(id, RegistrationTimer::Call);
                self.timers.clear(id, RegistrationTimer::Race);
            }
        }
        if let Some(link) = stopped.link() {
            self.leave_link(link, id);
        }
        if let Reselection::Registering(Attempt { link, call: Some((call, _)) }) = stopped {
            self.links.abandon(link, call, now);
        }
    }

    /// The witnesses of a list for a registration that `served_by` serves, but last that at
    /// the address `lost`.
    fn witnesses(
        &mut self,
        interfaces: &[Interface],
        (id, served_by): (RegistrationId, IpAddr),
        lost: Option<IpAddr>,
        now: Instant,
    ) -> Vec<IpAddr> {
        let Some(registration) = self.by_id.get(&id) else {
            return Vec::new();
        };
        let known = known(&self.config, &self.links, registration.request.scope_id, now);
        choice::witnesses(interfaces, served_by, lost, known, &mut self.rng)
    }

    /// A link to the witness service at `address` for this registration.
    fn join_link(&mut self, id: RegistrationId, address: IpAddr, now: Instant) -> Option<LinkId> {
        let registration = self.by_id.get(&id)?;
        let target = &registration.request.net_name;
        let group_name = choice::name_of(&registration.search.interfaces, address);
        let server = registration.request.scoped(address);
        Some(self.links.join(server, target, &registration.credentials, group_name, now))
    }

    /// The registration does not need the link any more, unless it depends on it for
    /// something else.
    fn leave_link(&mut self, link: LinkId, id: RegistrationId) {
        if !self.by_id.get(&id).is_some_and(|registration| registration.depends_on(link)) {
            self.links.leave(link, id);
        }
    }

    fn request_list(&mut self, link: LinkId, id: RegistrationId, now: Instant) {
        let registration = self.by_id.get(&id);
        let is_registered = registration.is_some_and(|it| it.registered().is_some());
        self.links.request_list(link, id, is_registered, now);
    }

    /// Whether no other server is tried after what this one has said: it is not about
    /// the server.
    fn is_hopeless(&self, id: RegistrationId, error: &Error) -> bool {
        let credentials = self.by_id.get(&id).map(|registration| &registration.credentials);
        let is_first =
            error.is_refusal() && !credentials.is_some_and(|it| self.links.is_refused(it));
        error.needs_consumer() && !is_first
    }

    fn tell_failed(&mut self, id: RegistrationId, error: Error, retry_in: Option<Duration>) {
        self.events.push_back((id, Event::Failed { error, retry_in }));
    }
}

/// What is known of the addresses that a registration is told, whose link is this one.
fn known<'a>(config: &Config, links: &'a Links, scope_id: u32, now: Instant) -> choice::Known<'a> {
    choice::Known { is_own: config.is_own_address, silent: &links.silent, scope_id, now }
}

//! What follows from a witness's word: whether the kernel needs help, which, when.
//!
//! The kernel's cifs client reconnects by itself when its connection ends. A
//! notification in the wrong moment costs it a good connection; in the right one it
//! saves minutes. So nothing is handed on as it comes: the kernel's connection is
//! looked at, and the address is asked whether it answers.
//!
//! - Where the kernel recovers by itself, nothing is done.
//! - Where its connection is dead and the address answers, the connection is ended.
//! - Where the address stays silent and another of the cluster answers, the kernel is
//!   moved there.
//! - A move that was ordered is made once the target answers, and verified.
//!
//! [`Failover`] decides, without sockets and clocks. [`driver`] does what it says,
//! with `sock_diag` ([`sock_diag`]), probes and look-ups.

mod action;
mod check;
pub mod connection;
mod context;
pub mod debug_data;
pub mod driver;
mod incident;
mod lead;
mod line;
mod mounts;
mod own_watch;
mod pace;
mod probes;
mod question;
pub mod sock_diag;
mod view;

pub use action::{Action, End};
pub use connection::{Connection, TcpState};
pub use context::Sight;
pub use debug_data::{DebugData, Share};
pub use lead::Lead;
pub use line::Line;
pub use view::{Look, View};

use crate::kernel::KernelMessage;
use crate::mount::{FIRST_ADOPTED, Mount};
use context::Context;
use incident::{Cause, Incident, Verdict};
use mounts::Mounted;
use question::Questions;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;
use swnclient::RegistrationRequest;

/// The decisions. Take the actions with [`Failover::poll_action`] after each call.
#[derive(Debug, Default)]
pub struct Failover {
    mounts: BTreeMap<u32, Mounted>,
    ids: BTreeMap<Mount, u32>,
    /// Those that have lost their witness.
    unwatched: BTreeSet<u32>,
    /// Those that never have one.
    by_connection: BTreeSet<u32>,
    incidents: BTreeMap<IpAddr, Incident>,
    /// The addresses that are being asked, and since when.
    probing: BTreeMap<IpAddr, Instant>,
    /// Words on further addresses, and orders, while there are too many incidents.
    postponed: BTreeMap<IpAddr, (Cause, BTreeMap<Mount, IpAddr>)>,
    view: View,
    sight: Sight,
    /// Whether the kernel asks where to connect to, for mounts that are adopted.
    has_resolver: bool,
    /// Where the connections can't be seen: `Instance` of those at each address, as
    /// long as nothing happens there.
    instances: BTreeMap<IpAddr, u32>,
    /// A look is under way.
    looking: bool,
    /// The connections of new mounts must be looked at.
    wants_look: bool,
    own_watch: Option<Instant>,
    /// When the connections of mounts with a witness were last looked at without news;
    /// whether that is still going on.
    checked: Option<Instant>,
    is_checking: bool,
    questions: Questions,
    /// Which addresses are this machine's.
    is_own: Option<fn(IpAddr) -> bool>,
    actions: VecDeque<Action>,
}

impl Failover {
    /// Without mounts. `is_own` tells which addresses are this machine's: no mount is moved
    /// to one, unless it is by one.
    pub fn new(is_own: fn(IpAddr) -> bool) -> Self {
        Self { is_own: Some(is_own), ..Self::default() }
    }

    /// The kernel's module is gone, and every mount of its own with it. Actions that are
    /// under way may give their results still.
    pub fn clear(&mut self) {
        let kernels: Vec<u32> = self.mounts.range(..FIRST_ADOPTED).map(|(id, _)| *id).collect();
        for id in kernels {
            self.unmounted(id);
        }
        if self.mounts.is_empty() {
            let Self { sight, looking, has_resolver, is_own, .. } = *self;
            *self = Self { sight, looking, has_resolver, is_own, ..Self::default() };
        }
    }

    /// Takes a message of the kernel.
    pub fn kernel_message(&mut self, message: &KernelMessage, now: Instant) {
        match message {
            KernelMessage::Register { id, request, .. } => self.requested(*id, request, now),
            KernelMessage::Unregister { id } => self.unmounted(*id),
        }
    }

    /// A registration is asked for.
    pub fn requested(&mut self, id: u32, request: &RegistrationRequest, now: Instant) {
        if let Some(address) = request.ip_address {
            self.mounted(id, &Mount::from(request), address, request.ip_notify, now);
        }
    }

    /// Returns what can be seen.
    pub fn sight(&self) -> Sight {
        self.sight
    }

    /// Returns how many addresses are being worked on.
    pub fn incidents(&self) -> usize {
        self.incidents.len() + self.postponed.len()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Failover::handle_timeout`], perhaps at once; `None` while nothing is
    /// going on.
    pub fn next_deadline(&self) -> Option<Instant> {
        let incidents = self.incidents.values().map(Incident::deadline).min();
        incidents.into_iter().chain(self.own_watch).chain(self.questions.deadline()).min()
    }

    /// The result of [`Action::Observe`].
    pub fn observed(&mut self, look: Look, now: Instant) {
        self.looking = false;
        self.view.replace(look, now);
        let addresses: Vec<IpAddr> = self.incidents.keys().copied().collect();
        for address in addresses {
            self.with(address, now, |incident, ctx| incident.looked(ctx, now));
        }
        self.compare_others();
        self.after_look(None, now);
    }

    /// The result of [`Action::Observe`] where only `DebugData` could be read.
    pub fn observed_without_sight(&mut self, debug_data: Option<DebugData>, now: Instant) {
        self.sight = Sight::None;
        if let Some(data) = &debug_data {
            let addresses: BTreeSet<IpAddr> = self.mounts.values().map(|it| it.address).collect();
            self.instances.retain(|address, _| addresses.contains(address));
            for address in addresses {
                if !self.incidents.contains_key(&address) {
                    let instance = incident::instance(data, address);
                    instance.and_then(|it| self.instances.insert(address, it));
                }
            }
        }
        let debug_data = Some(debug_data);
        let look = Look { debug_data, ..Look::default() };
        self.observed(look, now);
    }

    /// The result of [`Action::Look`].
    pub fn looked(&mut self, before: &[Connection], after: &[Connection], now: Instant) {
        self.view.update(before, after);
        let addresses: BTreeSet<IpAddr> = before.iter().map(Connection::address).collect();
        for &address in &addresses {
            self.with(address, now, |incident, _| {
                after.iter().for_each(|connection| incident.looked_again(connection, now));
            });
        }
        self.after_look(Some(&addresses), now);
    }

    /// What is to do, beside the incidents, after a look at the connections to all addresses, or
    /// to some.
    fn after_look(&mut self, looked_at: Option<&BTreeSet<IpAddr>>, now: Instant) {
        let (mut own, mut doubted) = (self.own_addresses(), self.doubted());
        let mut checked = self.to_check(&own);
        self.questions.retain(&own.keys().chain(doubted.keys()).copied().collect());
        if let Some(seen) = looked_at {
            own.retain(|address, _| seen.contains(address));
            doubted.retain(|address, _| seen.contains(address));
            checked.retain(|address, _| seen.contains(address));
        } else {
            self.is_checking = false;
        }
        self.watch_own(own, now);
        self.ask_doubted(doubted, now);
        self.check_seen(checked, now);
        self.stop_own_watch();
        self.look(now);
    }

    /// The result of [`Action::Probe`].
    pub fn probed(&mut self, address: IpAddr, answered: bool, now: Instant) {
        self.probing.remove(&address);
        let addresses: Vec<IpAddr> = self.incidents.keys().copied().collect();
        for incident in addresses {
            self.with(incident, now, |incident, _| incident.probed(address, answered, now));
        }
    }

    /// Whether the kernel asks where to connect to: see [`Lead`].
    pub fn set_resolver(&mut self, has_resolver: bool) {
        self.has_resolver = has_resolver;
    }

    /// The result of [`Action::LookUp`].
    pub fn looked_up(&mut self, name: &SmolStr, addresses: &[IpAddr], now: Instant) {
        let incidents: Vec<IpAddr> = self.incidents.keys().copied().collect();
        for incident in incidents {
            let addresses = self.targets(incident, addresses);
            self.with(incident, now, |incident, _| incident.looked_up(name, addresses));
        }
    }

    /// The result of [`Action::List`].
    pub fn listed(&mut self, id: u32, addresses: &[IpAddr], now: Instant) {
        if let Some(Mounted { mount, address, .. }) = self.mounts.get(&id).cloned() {
            let addresses = self.targets(address, addresses);
            self.with(address, now, |incident, _| incident.listed(&mount, addresses));
        }
    }

    /// Those of the addresses that a mount by `from` may be moved to, as far as it matters
    /// whose they are.
    fn targets(&self, from: IpAddr, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let is_own = |address: IpAddr| self.is_own.is_some_and(|is_own| is_own(address));
        let may_be_own = is_own(from);
        addresses.iter().copied().filter(|address| may_be_own || !is_own(*address)).collect()
    }

    /// The result of [`Action::Notify`]: whether the kernel has accepted it.
    pub fn answered(&mut self, id: u32, accepted: bool, now: Instant) {
        for address in self.notifying(id) {
            self.with(address, now, |incident, _| incident.answered(id, accepted));
        }
    }

    /// The kernel has acted on a notification; its answer may have been lost.
    pub fn sent(&mut self, id: u32, now: Instant) {
        for address in self.notifying(id) {
            self.with(address, now, |incident, _| incident.sent(id, now));
        }
    }

    /// Returns the incidents that wait for the kernel's answer about a mount.
    fn notifying(&self, id: u32) -> Vec<IpAddr> {
        let waiting = self.incidents.values().filter(|incident| incident.is_notifying(id));
        waiting.map(|incident| incident.address).collect()
    }

    /// The result of [`Action::End`].
    pub fn ended(&mut self, connection: &Connection, end: End, now: Instant) {
        if end == End::Impossible && self.sight == Sight::Full {
            self.sight = Sight::NoEnd;
        }
        let cookie = connection.cookie;
        let concerned = self.incidents.values().filter(|incident| incident.sees(cookie));
        let incidents: Vec<IpAddr> = concerned.map(|incident| incident.address).collect();
        for incident in incidents {
            self.with(incident, now, |incident, ctx| {
                incident.ended(ctx, cookie, end, now);
            });
        }
    }

    /// Handles every deadline at or before `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due = self.incidents.values().filter(|incident| incident.deadline() <= now);
        let due: Vec<IpAddr> = due.map(|incident| incident.address).collect();
        for address in due {
            self.with(address, now, |_, _| {});
        }
        if self.own_watch.is_some_and(|at| at <= now) {
            self.own_watch = Some(now + pace::OWN_WATCH);
            self.wants_look = true;
        }
        self.look_for_questions(now);
        self.look(now);
    }

    /// Begins an incident, or adds to the one that there is.
    fn incident(
        &mut self,
        address: IpAddr,
        cause: Cause,
        order: Option<(Mount, IpAddr)>,
        now: Instant,
    ) {
        if let Some(incident) = self.incidents.get_mut(&address) {
            // Ten thousand mounts may get the same word: it is evaluated once, for all
            // that came together.
            incident.word(cause, now);
            if let Some((mount, target)) = order {
                incident.mounts.insert(mount.clone());
                incident.order(mount.clone(), target, now);
                self.take_over(address, &[mount].into(), now);
            }
            return;
        }
        if self.incidents.len() >= pace::INCIDENTS_MAX {
            let (first, orders) = self.postponed.entry(address).or_insert((cause, BTreeMap::new()));
            if cause != Cause::Order {
                *first = cause;
            }
            orders.extend(order);
            return;
        }
        let mut incident =
            Incident::new(address, cause, self.instances.get(&address).copied(), now);
        let here = self.mounts.values().filter(|mounted| mounted.is_at(address));
        incident.mounts.extend(here.map(|mounted| mounted.mount.clone()));
        if let Some((mount, target)) = order {
            incident.order(mount, target, now);
        }
        let mounts = incident.mounts.clone();
        self.incidents.insert(address, incident);
        self.take_over(address, &mounts, now);
        let known: Vec<Connection> = self.view.at(address).cloned().collect();
        if !known.is_empty() {
            self.actions.push_back(Action::Look(known));
        }
        self.look(now);
    }

    /// Makes the incident of an address the only one of its mounts: another may have
    /// moved them there.
    fn take_over(&mut self, address: IpAddr, mounts: &BTreeSet<Mount>, now: Instant) {
        for (_, other) in self.incidents.iter_mut().filter(|(other, _)| **other != address) {
            if mounts.iter().any(|mount| other.moves(mount)) {
                other.leave(mounts, now);
            }
        }
    }

    /// Gives an incident something, and does what follows.
    fn with(
        &mut self,
        address: IpAddr,
        now: Instant,
        give: impl FnOnce(&mut Incident, &mut Context<'_>),
    ) {
        let Some(mut incident) = self.incidents.remove(&address) else { return };
        let mut ctx = Context {
            mounts: &self.mounts,
            ids: &self.ids,
            view: &self.view,
            sight: self.sight,
            has_resolver: self.has_resolver,
            probing: &mut self.probing,
            actions: &mut self.actions,
        };
        give(&mut incident, &mut ctx);
        if incident.evaluate(&mut ctx, now) == Verdict::Open {
            self.incidents.insert(address, incident);
            return;
        }
        // Where only the number of its connection tells that the kernel has
        // reconnected, that number is read again.
        // And whether a share is mounted there still, beside another address.
        self.wants_look |= self.sight == Sight::None
            || self.mounts.values().any(|mounted| mounted.is_shared_at(address));
        if let Some((next, (cause, orders))) = self.postponed.pop_first() {
            self.incident(next, cause, None, now);
            for order in orders {
                self.incident(next, Cause::Order, Some(order), now);
            }
        }
    }

    /// Looks at the connections where an incident wants it, one look at a time.
    fn look(&mut self, now: Instant) {
        let is_due = |incident: &Incident| incident.next_look <= now;
        let wanted = self.wants_look || self.incidents.values().any(is_due);
        if !wanted {
            return;
        }
        let ctx = Context {
            mounts: &self.mounts,
            ids: &self.ids,
            view: &self.view,
            sight: self.sight,
            has_resolver: self.has_resolver,
            probing: &mut BTreeMap::new(),
            actions: &mut VecDeque::new(),
        };
        let mut debug_data = self.questions.wants_debug_data();
        for incident in self.incidents.values_mut().filter(|incident| incident.next_look <= now) {
            debug_data |= incident.wants_debug_data(&ctx, now);
            incident.looking(now);
        }
        if !std::mem::replace(&mut self.looking, true) {
            self.wants_look = false;
            let mounts = debug_data && self.mounts.range(FIRST_ADOPTED..).next().is_some();
            self.actions.push_back(Action::Observe { debug_data, mounts });
        }
    }
}

#[cfg(test)]
mod tests;

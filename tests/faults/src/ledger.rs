//! What is promised of every registration, whatever happens:
//!
//! - The cluster never has two of one mount for longer than a call timeout.
//! - Notifications reach the consumer in the order they were sent, none twice,
//!   and none is left out while the registration lasts. Where one registration
//!   takes over from another, what both send is heard once.
//! - A change that was missed between two registrations is told from a list: as
//!   long as the new witness has told no change, and only where it makes a
//!   difference. Where the witness tells the same state first, that is the same
//!   change, and the consumer hears it once.
//! - While registered, an AsyncNotify pends.
//! - After unregister comes the end, once, as the last thing; and the cluster
//!   has no trace of it left after a call timeout.

use crate::Mount;
use std::collections::{BTreeMap, VecDeque};
use std::mem::discriminant;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::wire::{AddressInfo, NotifyMessages, Version};
use swnclient_proto::{Event, Notification, RegistrationId, ResourceState};
use witness_sim::{
    Cluster, ClusterConfig, Happening, NodeId, Notice, Power, RegistrationId as AtWitness, Stage,
    Time,
};

/// For round trips, and for what a witness is not asked sooner than.
const SLACK: Duration = Duration::from_secs(2);

/// For how long a notification that one registration told may be sent by another
/// that takes over from it: while both are asked, and as long again.
const COPIES: Duration = Duration::from_millis(1050);

/// A witness that has nothing new is asked again only after this time.
const NOTHING_NEW: Duration = Duration::from_secs(1);

/// Who a registration is for: the client's name and the registered address.
type Key = (String, IpAddr);

/// A registration as its consumer sees it.
#[derive(Debug)]
struct Consumer {
    key: Key,
    registered: bool,
    asked_to_end: Option<Time>,
    ended: bool,
    /// The registration at a witness whose notifications come now: the last
    /// that was made before the consumer heard of it.
    source: Option<AtWitness>,
    /// The one before, where it is still asked after that was made.
    previous: Option<AtWitness>,
    /// The last state of the address that it was told.
    known: Option<ResourceState>,
}

/// A registration as the cluster has it, or had it.
#[derive(Debug)]
struct Sent {
    key: Key,
    node: NodeId,
    version: Version,
    /// What was sent and has not arrived.
    on_the_way: VecDeque<Notification>,
    /// When the consumer heard of it.
    in_force: Option<Time>,
    /// What the registration before it told since this one was made, and when:
    /// what this one sends of it is left out.
    copies: VecDeque<(Time, Notification)>,
    /// Whether the consumer was told a change since it stands.
    told_change: bool,
    /// What the consumer was told from a list, before any change was sent.
    from_list: Option<ResourceState>,
    /// Since when no call waits.
    deaf_since: Option<Time>,
    /// Whether a fault excuses that.
    excused: bool,
}

impl Sent {
    /// It is on its way, but for what the consumer knows from a list.
    fn send(&mut self, now: Time, mut news: Vec<Notification>) {
        if let Some(first) = news.iter().position(|what| state_in(what).is_some()) {
            let known = self.from_list.take();
            if known.is_some() && news.get(first).and_then(state_in) == known {
                news.remove(first);
            }
        }
        self.on_the_way.extend(news);
        self.leave_copies_out(now);
    }

    /// Whether the consumer is told what was sent first, copies left out.
    fn takes(&mut self, notification: &Notification) -> bool {
        let first = self.on_the_way.front() == Some(notification);
        if first {
            self.on_the_way.pop_front();
            self.told_change |= state_in(notification).is_some();
        }
        first
    }

    /// Forgets what was sent first as long as it is a copy. Of one kind all copies come
    /// in the order of what they are copies of, or are left out; a witness tells what
    /// has gathered kind by kind.
    fn leave_copies_out(&mut self, now: Time) {
        let in_force = self.in_force;
        self.copies.retain(|(at, _)| in_force.is_none_or(|since| now <= since.max(*at) + COPIES));
        while let Some(first) = self.on_the_way.front() {
            let Some(at) = self.copies.iter().position(|(_, copy)| copy == first) else {
                break;
            };
            let of_kind =
                |(_, copy): &(Time, Notification)| discriminant(copy) == discriminant(first);
            let mut later = self.copies.split_off(at + 1);
            self.copies.retain(|copy| !of_kind(copy));
            self.copies.append(&mut later);
            self.on_the_way.pop_front();
        }
    }

    /// The consumer is told a state from a list; the first change that arrives
    /// need not say it again.
    fn tell_from_list(&mut self, state: ResourceState) {
        self.told_change = true;
        let mut changes = self.on_the_way.iter().enumerate();
        let first = changes.find_map(|(at, what)| Some((at, state_in(what)?)));
        match first {
            Some((at, said)) if said == state => drop(self.on_the_way.remove(at)),
            Some(_) => {}
            None => self.from_list = Some(state),
        }
    }
}

/// The state that a notification tells.
fn state_in(notification: &Notification) -> Option<ResourceState> {
    match notification {
        Notification::ResourceChange { state, .. } => Some(*state),
        _ => None,
    }
}

/// See the module's description. A broken promise panics.
#[derive(Debug)]
pub struct Ledger {
    call_timeout: Duration,
    unregister_timeout: Duration,
    consumers: BTreeMap<RegistrationId, Consumer>,
    /// By what the cluster calls it.
    sent: BTreeMap<AtWitness, Sent>,
    /// Since when the cluster has more of a key than it should.
    too_many_since: BTreeMap<Key, Time>,
    /// Until when a node's faults excuse that nothing pends there.
    excused: BTreeMap<NodeId, Time>,
    nodes: u8,
    look_every: Duration,
    next_look: Time,
}

/// Whether a node works and everything gets through to it.
pub(crate) fn is_reachable(cluster: &Cluster, node: NodeId) -> bool {
    let topology = cluster.topology();
    topology.node(node).is_some_and(|node| node.power == Power::Up)
        && topology.addresses().iter().all(|address| address.owner != node || address.online)
}

/// The address that a list leads to: not offline, which only version 2 knows, and IPv4
/// first, as all mounts here are. Written a second time, so that the client's own choice
/// is not checked by itself.
fn destination(list: &[AddressInfo], version: Version) -> Option<IpAddr> {
    let is_usable = |entry: &&AddressInfo| version == Version::V1 || !entry.is_offline();
    let usable = || list.iter().filter(is_usable).flat_map(AddressInfo::addresses);
    usable().find(IpAddr::is_ipv4).or_else(|| usable().next())
}

/// What the consumer is to hear of a notice.
fn heard(notice: &Notice, version: Version) -> Vec<Notification> {
    let list = |list: &[AddressInfo], what: fn(IpAddr) -> Notification| {
        destination(list, version).map(what).into_iter().collect()
    };
    match notice {
        Ok(Some(NotifyMessages::ResourceChange(changes))) => changes
            .iter()
            .map(|(name, state)| Notification::ResourceChange { name: name.clone(), state: *state })
            .collect(),
        Ok(Some(NotifyMessages::ClientMove(to))) => {
            list(to, |address| Notification::ClientMove { address })
        }
        Ok(Some(NotifyMessages::ShareMove(to))) => {
            list(to, |address| Notification::ShareMove { address })
        }
        Ok(Some(NotifyMessages::IpChange(to))) => {
            list(to, |address| Notification::IpChange { address })
        }
        Ok(Some(NotifyMessages::Unknown(_)) | None) | Err(_) => Vec::new(),
    }
}

impl Ledger {
    pub(crate) fn new(config: &ClusterConfig) -> Self {
        Self {
            call_timeout: Duration::ZERO,
            unregister_timeout: Duration::ZERO,
            consumers: BTreeMap::new(),
            sent: BTreeMap::new(),
            too_many_since: BTreeMap::new(),
            excused: BTreeMap::new(),
            nodes: u8::try_from(config.nodes.len()).unwrap_or(u8::MAX),
            look_every: Duration::ZERO,
            next_look: Time::ZERO,
        }
    }

    /// Looks at the cluster this seldom, instead of after each event: for
    /// worlds with many mounts.
    pub fn look_every(&mut self, time: Duration) {
        self.look_every = time;
    }

    pub(crate) fn expect_within(&mut self, config: &Config) {
        self.call_timeout = self.call_timeout.max(config.call_timeout);
        self.unregister_timeout = self.unregister_timeout.max(config.unregister_timeout);
    }

    /// Whether the consumer has been told that it is registered, and nothing
    /// to the contrary since.
    pub fn is_registered(&self, id: RegistrationId) -> bool {
        self.consumers.get(&id).is_some_and(|consumer| consumer.registered)
    }

    /// Whether the consumer has been told that it is over.
    pub fn has_ended(&self, id: RegistrationId) -> bool {
        self.consumers.get(&id).is_some_and(|consumer| consumer.ended)
    }

    /// How many notifications of registrations that the cluster still has have
    /// not arrived.
    pub fn undelivered(&self, cluster: &Cluster) -> usize {
        cluster
            .registrations()
            .filter_map(|r| self.sent.get(&r.id))
            .map(|sent| sent.on_the_way.len())
            .sum()
    }

    /// From now on nothing is complained of that a call timeout mends.
    pub(crate) fn excuse_all(&mut self, now: Time) {
        for node in 1..=self.nodes {
            self.excuse(now, NodeId(node));
        }
    }

    fn excuse(&mut self, now: Time, node: NodeId) {
        self.excused.insert(node, now + self.call_timeout + SLACK);
    }

    pub(crate) fn asked(&mut self, _now: Time, id: RegistrationId, mount: &Mount) {
        let Some(address) = mount.request.ip_address else {
            return;
        };
        let key = (format!("ws{}", mount.client.0), address);
        let consumer = Consumer {
            key,
            registered: false,
            asked_to_end: None,
            ended: false,
            source: None,
            previous: None,
            known: None,
        };
        self.consumers.insert(id, consumer);
    }

    pub(crate) fn asked_to_end(&mut self, now: Time, id: RegistrationId) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.asked_to_end.get_or_insert(now);
        }
    }

    /// The consumer was told something.
    pub(crate) fn told(&mut self, now: Time, id: RegistrationId, event: &Event) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        assert!(!consumer.ended, "{now:?} {id:?}: {event:?} after the end");
        match event {
            // Again without a failure where another witness has taken over; or
            // the one before has, because that was lost at once.
            Event::Registered { .. } => {
                let mut of_key = self.sent.iter().filter(|(_, sent)| sent.key == consumer.key);
                let last = of_key.next_back().map(|(at, _)| *at);
                if let Some(sent) = last.and_then(|last| self.sent.get_mut(&last)) {
                    sent.in_force.get_or_insert(now);
                }
                let before = std::mem::replace(&mut consumer.source, last);
                consumer.previous = match (consumer.registered, before == last) {
                    (true, false) => before,
                    (true, true) => {
                        consumer.source = consumer.previous.or(last);
                        None
                    }
                    (false, _) => None,
                };
                consumer.registered = true;
            }
            Event::Failed { .. } => {
                consumer.registered = false;
                consumer.previous = None;
            }
            Event::Unregistered => {
                assert!(consumer.asked_to_end.is_some(), "{now:?} {id:?}: ended unasked");
                consumer.ended = true;
                consumer.registered = false;
            }
            Event::Notification(notification) => {
                assert!(consumer.registered, "{now:?} {id:?}: {notification:?} unregistered");
                self.notified(now, id, notification);
            }
            Event::NoNews => assert!(consumer.registered, "{now:?} {id:?}: no news unregistered"),
            Event::ServerLost { .. } => {}
            other => panic!("{other:?} is not in the books"),
        }
    }

    fn notified(&mut self, now: Time, id: RegistrationId, notification: &Notification) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        let state = state_in(notification);
        let sources = [consumer.previous, consumer.source].into_iter().flatten();
        let teller = sources
            .into_iter()
            .find(|at| self.sent.get_mut(at).is_some_and(|sent| sent.takes(notification)));
        if let Some(teller) = teller {
            let newer = self.sent.range_mut(teller..).skip(1);
            for (_, sent) in newer.filter(|(_, sent)| sent.key == consumer.key) {
                sent.copies.push_back((now, notification.clone()));
                sent.leave_copies_out(now);
            }
        }
        let source = consumer.source.and_then(|at| self.sent.get_mut(&at));
        let told = match source {
            _ if teller.is_some() => true,
            // No witness sent it: a change that was missed, found in a list.
            Some(sent) => state.is_some_and(|state| {
                let new = consumer.known != Some(state) && !sent.told_change;
                sent.tell_from_list(state);
                new
            }),
            None => false,
        };
        assert!(told, "{now:?} {id:?}: {notification:?} out of order or twice");
        consumer.known = state.or(consumer.known);
    }

    /// Something happened in the cluster.
    pub(crate) fn happened(&mut self, now: Time, what: &Happening) {
        match what {
            Happening::Registered { registration, .. } => {
                let sent = Sent {
                    key: (registration.client.to_string(), registration.address),
                    node: registration.node,
                    version: registration.version,
                    on_the_way: VecDeque::new(),
                    in_force: None,
                    copies: VecDeque::new(),
                    told_change: false,
                    from_list: None,
                    deaf_since: None,
                    excused: false,
                };
                self.sent.insert(registration.id, sent);
            }
            Happening::Notified { id, notice, .. } => {
                if let Some(sent) = self.sent.get_mut(id) {
                    // It answers a call, so one was there.
                    sent.deaf_since = None;
                    let heard = heard(notice, sent.version);
                    if heard.is_empty() {
                        // It is asked again only after a while, and so tells its copies.
                        sent.copies.iter_mut().for_each(|(at, _)| *at = now + NOTHING_NEW);
                    }
                    sent.send(now, heard);
                }
            }
            // It befalls an answer that may be given at any time.
            Happening::Faulted { node, stage: Stage::AsyncNotify, .. } => {
                for sent in self.sent.values_mut().filter(|sent| sent.node == *node) {
                    sent.excused = true;
                }
                self.excuse(now, *node);
            }
            Happening::Faulted { node, .. } => self.excuse(now, *node),
            _ => {}
        }
    }

    /// Looks whether everything is as promised.
    pub(crate) fn look(&mut self, now: Time, cluster: &Cluster) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + self.look_every;
        self.count(now, cluster);
        self.check_pending(now, cluster);
        let limit = self.unregister_timeout + SLACK;
        for (id, consumer) in &self.consumers {
            let overdue = consumer.asked_to_end.is_some_and(|at| now > at + limit);
            assert!(consumer.ended || !overdue, "{now:?} {id:?}: no end after unregister");
        }
        // What the cluster no longer has sends nothing more.
        if self.sent.len() > 1000 {
            self.sent.retain(|at, _| cluster.registration(*at).is_some());
        }
    }

    fn count(&mut self, now: Time, cluster: &Cluster) {
        let mut allowed: BTreeMap<&Key, usize> = BTreeMap::new();
        for consumer in self.consumers.values() {
            *allowed.entry(&consumer.key).or_default() += usize::from(!consumer.ended);
        }
        let mut found: BTreeMap<Key, usize> = BTreeMap::new();
        for registration in cluster.registrations().filter(|r| is_reachable(cluster, r.node)) {
            let key = (registration.client.to_string(), registration.address);
            *found.entry(key).or_default() += 1;
        }
        found.retain(|key, count| *count > allowed.get(key).copied().unwrap_or(0).min(1));
        self.too_many_since.retain(|key, _| found.contains_key(key));
        for (key, count) in found {
            let since = *self.too_many_since.entry(key.clone()).or_insert(now);
            assert!(
                now <= since + self.call_timeout + SLACK,
                "{now:?} {key:?}: {count} registrations since {since:?}"
            );
        }
    }

    fn check_pending(&mut self, now: Time, cluster: &Cluster) {
        for registration in cluster.registrations() {
            let Some(sent) = self.sent.get_mut(&registration.id) else {
                continue;
            };
            let ending = self.consumers.values().any(|consumer| {
                consumer.key == sent.key
                    && (consumer.asked_to_end.is_some() || !consumer.registered)
            });
            let excused = self.excused.get(&sent.node).is_some_and(|until| now <= *until);
            if !registration.waiting.is_empty()
                || sent.excused
                || ending
                || excused
                || !is_reachable(cluster, registration.node)
            {
                sent.deaf_since = None;
                continue;
            }
            let since = *sent.deaf_since.get_or_insert(now);
            assert!(
                now <= since + SLACK,
                "{now:?} {:?}: no AsyncNotify pends since {since:?}",
                sent.key
            );
        }
    }
}

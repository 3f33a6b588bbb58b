//! Registrations: what a witness knows of its clients.

use crate::connection::ConnId;
use crate::{NodeId, Time, Traits};
use dcerpc_proto::ndr::ContextHandle;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{AddressInfo, NotifyMessages, Status, Version};
use uuid::Uuid;

/// What an AsyncNotify brings: messages, nothing at all, or an error.
pub type Notice = Result<Option<NotifyMessages>, Status>;

/// Names a registration within its cluster. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId(pub u64);

/// An association group (C706 9.3.3.2): connections that share context
/// handles. Its last connection takes its registrations along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// A client's registration with one node.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its number.
    pub id: RegistrationId,
    /// Its name on the wire.
    pub handle: ContextHandle,
    /// The witness.
    pub node: NodeId,
    /// The association group that it belongs to.
    pub group: GroupId,
    /// The version of the call that made it.
    pub version: Version,
    /// The name that the client mounted by.
    pub net_name: SmolStr,
    /// The share, where its moves are to be told.
    pub share_name: Option<SmolStr>,
    /// The address of the node that serves the client.
    pub address: IpAddr,
    /// The client's name.
    pub client: SmolStr,
    /// Whether changes of the server's addresses are to be told.
    pub ip_notify: bool,
    /// The keep-alive; zero for none.
    pub keep_alive: Duration,
    /// The AsyncNotify calls that wait.
    pub waiting: VecDeque<Waiting>,
    /// What has not been told yet.
    pub pending: Pending,
    /// When a call last named it.
    pub last_use: Time,
    /// When the service drops it because it sent the client away.
    pub drop_at: Option<Time>,
}

/// An AsyncNotify without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The connection.
    pub conn: ConnId,
    /// The call on it.
    pub call: u32,
    /// Since when.
    pub since: Time,
}

/// Why a registration is due for the clock's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The first waiting call has waited for the keep-alive.
    KeepAlive,
    /// No call named it for too long.
    Unused,
    /// The client was sent away and had time to go.
    Left,
}

impl Registration {
    /// When the clock has something to do with it next, and what.
    pub(crate) fn due(&self, traits: &Traits) -> Option<(Time, Due)> {
        let keep_alive = self
            .waiting
            .front()
            .filter(|_| !self.keep_alive.is_zero())
            .map(|waiting| (waiting.since + self.keep_alive, Due::KeepAlive));
        let left = self.drop_at.map(|at| (at, Due::Left));
        let unused = match (self.waiting.is_empty(), traits.waiting_is_use) {
            (false, true) => None,
            (false, false) => traits.unused_timeout.map(|t| t + self.keep_alive),
            (true, _) => traits.unused_timeout,
        };
        let unused = unused.map(|timeout| (self.last_use + timeout, Due::Unused));
        [left, keep_alive, unused].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

/// What a registration's client has not been told yet ([MS-SWN] 3.1.1.2):
/// changes add up, a later move takes the place of an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    forced: VecDeque<Notice>,
    changes: VecDeque<(SmolStr, ResourceState)>,
    client_move: Option<Vec<AddressInfo>>,
    share_move: Option<Vec<AddressInfo>>,
    ip_change: Option<Vec<AddressInfo>>,
}

impl Pending {
    /// Adds an answer that comes before everything else, whatever it is.
    pub(crate) fn force(&mut self, notice: Notice) {
        self.forced.push_back(notice);
    }

    /// Adds a resource's change of state, unless it is the last that was added.
    pub(crate) fn change(&mut self, name: &SmolStr, state: ResourceState) {
        let last = self.changes.iter().rev().find(|(n, _)| n == name);
        if last.is_none_or(|(_, last)| *last != state) {
            self.changes.push_back((name.clone(), state));
        }
    }

    pub(crate) fn client_move(&mut self, to: Vec<AddressInfo>) {
        self.client_move = Some(to);
    }

    pub(crate) fn share_move(&mut self, to: Vec<AddressInfo>) {
        self.share_move = Some(to);
    }

    pub(crate) fn ip_change(&mut self, to: Vec<AddressInfo>) {
        self.ip_change = Some(to);
    }

    /// Takes what is told next, in the order of [MS-SWN] 3.1.4.4.
    pub(crate) fn take(&mut self) -> Option<Notice> {
        if let Some(forced) = self.forced.pop_front() {
            return Some(forced);
        }
        let change =
            self.changes.pop_front().map(|change| NotifyMessages::ResourceChange(vec![change]));
        let messages = change
            .or_else(|| self.client_move.take().map(NotifyMessages::ClientMove))
            .or_else(|| self.share_move.take().map(NotifyMessages::ShareMove))
            .or_else(|| self.ip_change.take().map(NotifyMessages::IpChange))?;
        Some(Ok(Some(messages)))
    }
}

/// All registrations of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    by_id: BTreeMap<RegistrationId, Registration>,
    by_handle: HashMap<ContextHandle, RegistrationId>,
    by_group: BTreeMap<GroupId, BTreeSet<RegistrationId>>,
    deadlines: BTreeSet<(Time, RegistrationId)>,
    last: u64,
}

impl Registrations {
    /// A number and a handle for a new registration. Handles are not secret,
    /// so a number that never repeats does.
    pub(crate) fn next_name(&mut self) -> (RegistrationId, ContextHandle) {
        self.last += 1;
        let uuid = Uuid::from_u64_pair(0x5753_494d_0000_4000, (1 << 63) | self.last);
        (RegistrationId(self.last), ContextHandle::new(0, uuid))
    }

    pub(crate) fn insert(&mut self, registration: Registration, traits: &Traits) {
        let id = registration.id;
        self.by_handle.insert(registration.handle, id);
        self.by_group.entry(registration.group).or_default().insert(id);
        self.deadlines.extend(registration.due(traits).map(|(at, _)| (at, id)));
        self.by_id.insert(id, registration);
    }

    /// Changes a registration and keeps its deadline right.
    pub(crate) fn update<T>(
        &mut self,
        id: RegistrationId,
        traits: &Traits,
        change: impl FnOnce(&mut Registration) -> T,
    ) -> Option<T> {
        let registration = self.by_id.get_mut(&id)?;
        let before = registration.due(traits);
        let result = change(registration);
        let after = registration.due(traits);
        if before != after {
            if let Some((at, _)) = before {
                self.deadlines.remove(&(at, id));
            }
            self.deadlines.extend(after.map(|(at, _)| (at, id)));
        }
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: RegistrationId, traits: &Traits) -> Option<Registration> {
        let registration = self.by_id.remove(&id)?;
        self.by_handle.remove(&registration.handle);
        if let Some(group) = self.by_group.get_mut(&registration.group) {
            group.remove(&id);
            if group.is_empty() {
                self.by_group.remove(&registration.group);
            }
        }
        if let Some((at, _)) = registration.due(traits) {
            self.deadlines.remove(&(at, id));
        }
        Some(registration)
    }

    /// The registration that `handle` names within `group`.
    pub(crate) fn find(&self, handle: &ContextHandle, group: GroupId) -> Option<RegistrationId> {
        let id = *self.by_handle.get(handle)?;
        self.by_group.get(&group)?.contains(&id).then_some(id)
    }

    pub(crate) fn get(&self, id: RegistrationId) -> Option<&Registration> {
        self.by_id.get(&id)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Registration> {
        self.by_id.values()
    }

    /// Those of a group.
    pub(crate) fn of_group(&self, group: GroupId) -> Vec<RegistrationId> {
        self.by_group.get(&group).map(|ids| ids.iter().copied().collect()).unwrap_or_default()
    }

    /// Those for which `wanted` is true, oldest first.
    pub(crate) fn select(&self, wanted: impl Fn(&Registration) -> bool) -> Vec<RegistrationId> {
        self.iter().filter(|r| wanted(r)).map(|r| r.id).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The first registration whose deadline has come, and why.
    pub(crate) fn next_due(&self, now: Time, traits: &Traits) -> Option<(RegistrationId, Due)> {
        let (_, id) = self.deadlines.first().filter(|(at, _)| *at <= now)?;
        let (_, due) = self.by_id.get(id)?.due(traits)?;
        Some((*id, due))
    }
}

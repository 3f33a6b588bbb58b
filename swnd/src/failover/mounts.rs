//! The mounts that are watched. One of the kernel's numbers stands for all mounts of a share, and
//! these may be by different addresses: newer kernels ask for it with the address of
//! whichever mount they find first, and take a notification to be about that one.

use super::incident::{self, Cause};
use super::{Action, Connection, Failover, Line, Sight, TcpState};
use crate::mount::{Mount, MountKind};
use std::net::IpAddr;
use std::time::Instant;
use swnclient::{Error, ResourceState};

/// How many further addresses of one number are watched.
const OTHERS_MAX: usize = 3;

/// A mount that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    pub(super) mount: Mount,
    /// By which the kernel last asked for it.
    pub(super) address: IpAddr,
    pub(super) scale_out: bool,
    /// By which it did before, and has not said that this is over.
    others: Vec<Other>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Other {
    address: IpAddr,
    /// The kernel was seen to have a connection to it beside the later one.
    is_certain: bool,
}

impl Mounted {
    /// Whether it is about this address, too.
    pub(super) fn is_at(&self, address: IpAddr) -> bool {
        self.address == address || self.is_shared_at(address)
    }

    /// Whether this is one of several addresses by which the share is mounted, and not the
    /// one that the kernel takes a notification to be about.
    pub(super) fn is_shared_at(&self, address: IpAddr) -> bool {
        self.others.iter().any(|other| other.is_certain && other.address == address)
    }
}

impl Failover {
    /// The kernel has registered a mount, again, or with another address.
    pub fn mounted(
        &mut self,
        id: u32,
        mount: &Mount,
        address: IpAddr,
        scale_out: bool,
        now: Instant,
    ) {
        let address = address.to_canonical();
        if let Some(incident) = self.incidents.get_mut(&address) {
            incident.mounts.insert(mount.clone());
        }
        let known = self.mounts.get(&id).filter(|it| it.mount == *mount);
        let is_kernels = MountKind::of(id) == MountKind::Kernel;
        if known.is_some_and(|it| it.address == address && it.scale_out == scale_out) {
            if is_kernels {
                self.check(now);
            }
            return;
        }
        // What is adopted has numbers of its own.
        let known = known.filter(|_| is_kernels);
        let mut others = known.map(|it| it.others.clone()).unwrap_or_default();
        if let Some(before) = known.filter(|it| it.address != address) {
            let is_certain = before.is_shared_at(address);
            others.push(Other { address: before.address, is_certain });
        }
        others.retain(|other| other.address != address);
        if others.len() > OTHERS_MAX {
            let address = others.remove(0).address;
            self.actions.push_back(Action::Forget { id, address });
        }
        let is_own = self.by_connection.contains(&id);
        self.unmounted(id);
        self.ids.insert(mount.clone(), id);
        self.mounts.insert(id, Mounted { mount: mount.clone(), address, scale_out, others });
        if is_own {
            self.watch_connection(id, now);
        }
        // Its connection is remembered, so that it can be looked at in no time.
        self.wants_look = true;
        self.look(now);
    }

    /// The kernel serves a mount by another address, as was seen, and has not said so.
    pub fn relocated(&mut self, id: u32, address: IpAddr, now: Instant) {
        let Some(Mounted { mount, scale_out, mut others, .. }) = self.mounts.get(&id).cloned()
        else {
            return;
        };
        let is_own = self.by_connection.contains(&id);
        self.unmounted(id);
        self.mounted(id, &mount, address, scale_out, now);
        if is_own {
            self.watch_connection(id, now);
        }
        if let Some(mounted) = self.mounts.get_mut(&id) {
            others.retain(|other| other.address != mounted.address);
            mounted.others = others;
        }
    }

    /// The kernel has unregistered a mount.
    pub fn unmounted(&mut self, id: u32) {
        self.unwatched.remove(&id);
        self.by_connection.remove(&id);
        if let Some(mounted) = self.mounts.remove(&id) {
            if self.ids.get(&mounted.mount) == Some(&id) {
                self.ids.remove(&mounted.mount);
            }
        }
        self.stop_own_watch();
    }

    /// A witness has told of a change of the mount's address, or of its name.
    pub fn state_changed(&mut self, id: u32, state: ResourceState, now: Instant) {
        self.state_changed_at(id, None, state, now);
    }

    /// The same by the registration of one address. Returns whether it is looked into.
    pub fn state_changed_at(
        &mut self,
        id: u32,
        at: Option<IpAddr>,
        state: ResourceState,
        now: Instant,
    ) -> bool {
        let Some(mounted) = self.mounts.get(&id).filter(|_| state != ResourceState::Unknown) else {
            return false;
        };
        let at = at.map(|it| it.to_canonical()).filter(|it| mounted.is_at(*it));
        let address = at.unwrap_or(mounted.address);
        self.incident(address, Cause::Word, None, now);
        true
    }

    /// The connection to the node that serves the mount, which the witness's client keeps
    /// beside the kernel's, has ended like one to a dead node.
    pub fn server_lost(&mut self, id: u32, address: IpAddr, error: &Error, now: Instant) {
        let address = address.to_canonical();
        let Some(mounted) = self.mounts.get(&id).filter(|it| it.is_at(address)) else { return };
        if !self.incidents.contains_key(&address) {
            let line = Line::ServerLost { address, error: error.to_string() };
            let mount = mounted.mount.clone();
            self.actions.push_back(Action::Report { mount, others: 0, line });
        }
        self.incident(address, Cause::Lost, None, now);
    }

    /// A witness has ordered the mount to move.
    pub fn move_ordered(&mut self, id: u32, target: IpAddr, now: Instant) {
        self.move_ordered_at(id, None, target, now);
    }

    /// The same by the registration of one address. Returns whether something follows, and
    /// be it a line that says why the mount stays.
    pub fn move_ordered_at(
        &mut self,
        id: u32,
        at: Option<IpAddr>,
        target: IpAddr,
        now: Instant,
    ) -> bool {
        let target = target.to_canonical();
        let Some(mounted) = self.mounts.get(&id) else { return false };
        let (mount, address) = (mounted.mount.clone(), mounted.address);
        let mut report = |mount, line| {
            self.actions.push_back(Action::Report { mount, others: 0, line });
        };
        if let Some(at) = at.map(|it| it.to_canonical()).filter(|it| mounted.is_shared_at(*it)) {
            report(mount, Line::SharedNumber { address: at, other: address });
            return true;
        }
        if address == target {
            report(mount, Line::AlreadyAt { address: target });
            return true;
        }
        let is_usable = incident::is_usable(target);
        if is_usable {
            self.incident(address, Cause::Order, Some((mount, target)), now);
        }
        is_usable
    }

    /// After a look: whether the kernel has left the addresses that it has asked by before,
    /// or has mounts by these too.
    pub(super) fn compare_others(&mut self) {
        let (view, sight, incidents) = (&self.view, self.sight, &self.incidents);
        for (&id, mounted) in self.mounts.iter_mut().filter(|(_, it)| !it.others.is_empty()) {
            let Mounted { mount, address, others, .. } = mounted;
            others.retain_mut(|other| {
                let is_open = |it: &Connection| it.state != TcpState::Closing;
                let is_there = sight != Sight::None && view.at(other.address).any(is_open);
                if is_there && !std::mem::replace(&mut other.is_certain, true) {
                    let line = Line::Shared { address: other.address, other: *address };
                    let mount = mount.clone();
                    self.actions.push_back(Action::Report { mount, others: 0, line });
                }
                // Between two attempts to connect there is nothing to be seen.
                let is_kept =
                    is_there || other.is_certain && incidents.contains_key(&other.address);
                if !is_kept {
                    self.actions.push_back(Action::Forget { id, address: other.address });
                }
                is_kept
            });
        }
    }
}

//! What an incident sees of the others, and does.

use super::action::Action;
use super::line::Line;
use super::mounts::Mounted;
use super::pace;
use super::view::View;
use crate::mount::{Mount, MountKind};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// What can be seen of the kernel's connections, and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sight {
    /// They can be seen and ended.
    #[default]
    Full,
    /// They can be seen only: the kernel lacks `CONFIG_INET_DIAG_DESTROY`.
    NoEnd,
    /// Neither.
    None,
}

/// What an incident sees and does.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) mounts: &'a BTreeMap<u32, Mounted>,
    pub(super) ids: &'a BTreeMap<Mount, u32>,
    pub(super) view: &'a View,
    pub(super) sight: Sight,
    pub(super) has_resolver: bool,
    pub(super) probing: &'a mut BTreeMap<IpAddr, Instant>,
    pub(super) actions: &'a mut VecDeque<Action>,
}

impl Context<'_> {
    pub(super) fn mounted(&self, mount: &Mount) -> Option<(u32, &Mounted)> {
        let id = *self.ids.get(mount)?;
        Some((id, self.mounts.get(&id)?))
    }

    /// Whether the kernel can be told something about a mount.
    pub(super) fn can_tell(&self, mount: &Mount) -> bool {
        self.ids.get(mount).is_some_and(|id| MountKind::of(*id) == MountKind::Kernel)
    }

    /// Whether the kernel can be brought to use another address for a mount.
    pub(super) fn can_steer(&self, mount: &Mount) -> bool {
        self.has_resolver || self.can_tell(mount)
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// Asks an address, unless another incident has just asked it: all get the answer.
    pub(super) fn probe(&mut self, address: IpAddr, now: Instant) {
        let last = self.probing.insert(address, now);
        match last.filter(|at| now.saturating_duration_since(*at) < pace::PROBE_SHARED) {
            Some(at) => {
                self.probing.insert(address, at);
            }
            None => self.act(Action::Probe(address)),
        }
    }

    pub(super) fn report(&mut self, mount: &Mount, others: usize, line: Line) {
        self.act(Action::Report { mount: mount.clone(), others, line });
    }

    /// Says where a mount is served, unless that is known.
    pub(super) fn relocate(&mut self, mount: &Mount, address: IpAddr) {
        if let Some((id, mounted)) = self.mounted(mount) {
            if mounted.address != address {
                self.act(Action::Relocate { id, address });
            }
        }
    }
}

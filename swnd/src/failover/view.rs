//! What was last seen of the kernel's connections.

use super::connection::Connection;
use super::debug_data::DebugData;
use crate::mount::Mount;
use crate::mountinfo::CifsMount;
use std::net::IpAddr;
use std::time::Instant;

/// One look at all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// The connections to port 445.
    pub connections: Vec<Connection>,
    /// `/proc/fs/cifs/DebugData`, where it was read; `None` in it where it can't be.
    pub debug_data: Option<Option<DebugData>>,
    /// The cifs mounts, where they were read.
    pub mounts: Option<Vec<CifsMount>>,
}

/// What was last seen.
#[derive(Debug, Default)]
pub struct View {
    connections: Vec<Connection>,
    debug_data: Option<(Instant, DebugData)>,
    mounts: Option<(Instant, Vec<CifsMount>)>,
    /// The last look has read it.
    is_of_this_look: bool,
    /// It can't be read.
    has_no_debug_data: bool,
}

impl View {
    /// Takes a look.
    pub(super) fn replace(&mut self, look: Look, now: Instant) {
        self.connections = look.connections;
        self.is_of_this_look = false;
        self.mounts = look.mounts.map(|mounts| (now, mounts)).or(self.mounts.take());
        match look.debug_data {
            Some(Some(data)) => {
                self.debug_data = Some((now, data));
                self.is_of_this_look = true;
                self.has_no_debug_data = false;
            }
            Some(None) => self.has_no_debug_data = true,
            None => {}
        }
    }

    /// Takes a look at some connections, of which some may be gone.
    pub(super) fn update(&mut self, before: &[Connection], after: &[Connection]) {
        let is_old = |it: &Connection| before.iter().any(|old| old.cookie == it.cookie);
        self.connections.retain(|it| !is_old(it));
        self.connections.extend(after.iter().cloned());
    }

    /// The connections.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The connections to an address.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |it| it.address() == address)
    }

    /// The address that serves a share, or that the kernel tries for it, if that was read
    /// after `since`. Of several, `usual` is preferred.
    pub(super) fn served_since(
        &self,
        since: Instant,
        mount: &Mount,
        usual: IpAddr,
    ) -> Option<IpAddr> {
        let (_, mounts) = self.mounts.as_ref().filter(|(at, _)| *at >= since)?;
        let share = mount.share_name().map_or("", |name| name.as_str());
        let of_it = mounts.iter().filter(|it| it.is_share(mount.net_name(), share));
        let mut addresses = of_it.filter_map(|it| Some(it.address()?.address())).peekable();
        let first = *addresses.peek()?;
        Some(addresses.find(|it| *it == usual).unwrap_or(first))
    }

    /// `DebugData`, if it was read after `since`.
    pub(super) fn debug_since(&self, since: Instant) -> Option<&DebugData> {
        self.debug_data.as_ref().filter(|(at, _)| *at >= since).map(|(_, data)| data)
    }

    /// `DebugData`, if the last look has read it.
    pub(super) fn debug_of_this_look(&self) -> Option<&DebugData> {
        self.debug_data.as_ref().filter(|_| self.is_of_this_look).map(|(_, data)| data)
    }

    /// Whether `DebugData` can be read, as far as is known.
    pub(super) fn has_debug_data(&self) -> bool {
        !self.has_no_debug_data
    }
}

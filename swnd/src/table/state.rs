//! How far each mount's registration is, for those who ask.

use super::{Entry, Registrar, Table};
use crate::authentication::Unusable;
use crate::mount::MountKind;
use crate::report::{self, Kind};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};
use swnclient::{Credentials, RegistrationRequest};

/// The state of a mount's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountState {
    /// An attempt is under way.
    Registering,
    /// A witness watches.
    Registered {
        /// The witness's address.
        witness: IpAddr,
        /// The protocol's version.
        version: u8,
    },
    /// The last attempt failed; the next one starts by itself.
    Waiting {
        /// When.
        until: Instant,
    },
    /// The last attempt failed; the next one starts when it is asked for.
    Blocked,
    /// The mount's credentials are of no use.
    Unusable,
    /// swnd watches the kernel's connection itself.
    Connection,
}

impl MountState {
    pub(super) fn failed(retry_in: Option<Duration>, now: Instant) -> Self {
        match retry_in.and_then(|delay| now.checked_add(delay)) {
            Some(until) => Self::Waiting { until },
            None => Self::Blocked,
        }
    }
}

/// A mount and its registration at one moment.
#[derive(Debug, Clone)]
pub struct MountView {
    /// The mount's number.
    pub id: u32,
    /// Who asks for it to be watched.
    pub kind: MountKind,
    /// The server's name as it was mounted.
    pub net_name: SmolStr,
    /// The share's name.
    pub share_name: Option<SmolStr>,
    /// The address that serves the mount.
    pub address: Option<IpAddr>,
    /// The state.
    pub state: MountState,
    /// Since when.
    pub since: Instant,
    error: Option<swnclient::Error>,
    unusable: Option<Unusable>,
}

impl MountView {
    /// Says why the mount is not registered, and what to do.
    pub fn problem(&self) -> Option<String> {
        match (self.state, &self.unusable, &self.error) {
            (MountState::Registered { .. }, ..) => None,
            (_, Some(reason), _) => Some(reason.to_string()),
            (_, None, error) => error.as_ref().map(report::describe),
        }
    }

    /// Names why the mount is not registered.
    pub fn kind(&self) -> Option<Kind> {
        match (self.state, &self.unusable, &self.error) {
            (MountState::Registered { .. }, ..) => None,
            (_, Some(reason), _) => Some(reason.into()),
            (_, None, error) => error.as_ref().map(Kind::from),
        }
    }

    fn new(id: u32, entry: &Entry) -> Self {
        let request = &entry.request;
        Self {
            id,
            kind: MountKind::of(id),
            net_name: request.net_name.clone(),
            share_name: request.share_name.clone(),
            address: request.ip_address,
            state: entry.state,
            since: entry.since,
            error: entry.last_error.clone(),
            unusable: entry.unusable.clone(),
        }
    }
}

impl Table {
    /// Returns up to `limit` of the mounts with the numbers after `after`.
    pub fn mounts_after(&self, after: Option<u32>, limit: usize) -> Vec<MountView> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range((start, Bound::Unbounded));
        entries.take(limit).map(|(id, entry)| MountView::new(*id, entry)).collect()
    }

    /// Returns what is registered for one of the kernel's numbers, and with what;
    /// `None`: there is no such number, or its credentials are of no use.
    pub fn registering(&self, id: u32) -> Option<(RegistrationRequest, Credentials)> {
        let entry = self.entries.get(&id)?;
        Some((entry.request.clone(), entry.credentials.clone()?))
    }

    /// Starts an attempt to register now; `false` if the kernel has no registration of
    /// that number. Nothing follows where one is under way or in order, or where the
    /// mount's credentials are of no use; those that servers have refused are presented
    /// once more.
    pub fn retry(&self, id: u32, client: &impl Registrar) -> bool {
        let Some(entry) = self.entries.get(&id) else { return false };
        if let Some(registration) = entry.registration {
            client.try_now(registration);
        }
        true
    }
}

impl Entry {
    pub(super) fn enter(&mut self, state: MountState, now: Instant) {
        let same = match (self.state, state) {
            (MountState::Waiting { .. }, MountState::Waiting { .. }) => true,
            (before, after) => before == after,
        };
        if !same {
            self.since = now;
        }
        self.state = state;
    }
}

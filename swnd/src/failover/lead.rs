//! Where the kernel should connect to, when it asks for a server's name. It does for each
//! attempt to reconnect, where it is so configured: see [`crate::request_key`].

use super::incident::Cause;
use super::mounts::Mounted;
use super::{Context, Failover};
use crate::mount::FIRST_ADOPTED;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// There: a mount is moved there, or must be, because its address does not answer.
    To(IpAddr),
    /// There, where it was served last, if that answers. If it doesn't:
    /// [`Failover::lead_is_silent`].
    IfAlive(IpAddr),
    /// Where the system's resolver says.
    System,
}

impl Failover {
    /// Returns where mounts that are adopted, by this name of a server, should be served.
    /// `None`: there are none.
    pub fn lead(&mut self, name: &str, now: Instant) -> Option<Lead> {
        let adopted = self.mounts.range(FIRST_ADOPTED..).map(|(_, mounted)| mounted);
        let mounts: Vec<&Mounted> =
            adopted.filter(|it| it.mount.net_name().eq_ignore_ascii_case(name)).collect();
        let address = mounts.first()?.address;
        // It has just asked.
        self.has_resolver = true;
        let ctx = Context {
            mounts: &self.mounts,
            ids: &self.ids,
            view: &self.view,
            sight: self.sight,
            has_resolver: true,
            probing: &mut BTreeMap::new(),
            actions: &mut VecDeque::new(),
        };
        let pairs =
            mounts.iter().flat_map(|it| self.incidents.values().map(move |i| (i, &it.mount)));
        let of_incidents = pairs.filter(|(incident, mount)| incident.is_about(mount));
        let mut is_watched = false;
        for (incident, mount) in of_incidents {
            is_watched = true;
            if let Some(target) = incident.lead(&ctx, mount, now) {
                return Some(Lead::To(target));
            }
        }
        let is_one = mounts.iter().all(|it| it.address == address);
        Some(if is_one && !is_watched { Lead::IfAlive(address) } else { Lead::System })
    }

    /// The address of [`Lead::IfAlive`] does not answer, though the kernel wants to connect.
    pub fn lead_is_silent(&mut self, address: IpAddr, now: Instant) {
        if self.mounts.range(FIRST_ADOPTED..).any(|(_, it)| it.address == address) {
            self.incident(address, Cause::Silence, None, now);
        }
    }
}

//! Mounts that swnd adopts. Some it watches itself, for their server offers no witness.

use super::{Entry, MountState, Registrar, Table};
use crate::adoption::Change;
use crate::authentication::Read;
use crate::failover::Line;
use crate::report::{Mount, Report};
use std::net::IpAddr;
use std::time::Instant;
use swnclient::RegistrationRequest;

/// What is said of a mount that swnd watches itself.
pub(super) fn watching(mount: Mount, address: IpAddr) -> Report {
    Report::Failover { mount, others: 0, line: Line::Watching { address } }
}

impl Table {
    /// Handles a change of the mounts that are adopted.
    pub fn adopted(
        &mut self,
        change: Change,
        account: Option<Read>,
        client: &impl Registrar,
    ) -> Option<Report> {
        match change {
            Change::Register { id, request, witness: false, .. } => self.watch(id, request),
            Change::Register { id, request, .. } => {
                let credentials = self.policy.of(&request.net_name).adopted(account);
                Some(self.register(id, request, credentials, client))
            }
            Change::Unregister { id } => {
                self.release(id, client).map(|mount| Report::Unmounted { mount })
            }
        }
    }

    /// Takes a mount in that swnd watches itself, or its other address.
    fn watch(&mut self, id: u32, request: RegistrationRequest) -> Option<Report> {
        let known = self.entries.get_mut(&id);
        let address = request.ip_address.filter(|it| {
            known.as_ref().is_none_or(|entry| entry.request.ip_address != Some(*it))
        })?;
        let mount = Mount::from(&request);
        match known {
            Some(entry) => entry.request = request,
            None => {
                self.last_serial += 1;
                let entry = Entry {
                    serial: self.last_serial,
                    request,
                    registration: None,
                    credentials: None,
                    failures: Vec::new(),
                    unusable: None,
                    state: MountState::Connection,
                    since: Instant::now(),
                    last_error: None,
                };
                self.entries.insert(id, entry);
                self.own.insert(id);
            }
        }
        Some(watching(mount, address))
    }
}

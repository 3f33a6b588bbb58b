//! Several mounts of a share by different addresses, which the kernel asks for as one.

use super::{Entry, MountState, Registrar, Table};
use std::net::IpAddr;
use swnclient::RegistrationRequest;

impl Table {
    /// Keeps the registration by which a mount was watched when the kernel names another
    /// address, until [`Table::forget`]: the kernel may have mounts by both. Without that
    /// only the address counts that it has named last.
    #[must_use]
    pub fn keeping_others(self, keeps_others: bool) -> Self {
        Self { keeps_others, ..self }
    }

    /// Sets the registration by the former address aside, and takes that by the new one
    /// back, where there is one.
    pub(super) fn exchange(
        &mut self,
        id: u32,
        request: &RegistrationRequest,
        client: &impl Registrar,
    ) {
        self.registered.remove(&id);
        let mut all = self.others.remove(&id).unwrap_or_default();
        all.extend(self.entries.remove(&id));
        // There is one registration for each address.
        let by = |it: &RegistrationRequest| it.ip_address.map(|address| it.scoped(address));
        let is_here = |it: &Entry| by(&it.request) == by(request);
        let (mut here, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_here);
        if !others.is_empty() {
            self.others.insert(id, others);
        }
        if let Some(index) = here.iter().position(|it| it.request == *request) {
            let mut back = here.swap_remove(index);
            self.last_serial += 1;
            back.serial = self.last_serial;
            if matches!(back.state, MountState::Registered { .. }) {
                self.registered.insert(id);
            }
            self.entries.insert(id, back);
        }
        unregister_all(here, client);
    }

    /// Ends the registration by an address that no mount is served by any more.
    pub fn forget(&mut self, id: u32, address: IpAddr, client: &impl Registrar) {
        let Some(others) = self.others.get_mut(&id) else { return };
        let is_kept =
            |it: &Entry| it.request.ip_address.map(|it| it.to_canonical()) != Some(address);
        let (kept, gone) = std::mem::take(others).into_iter().partition(is_kept);
        *others = kept;
        if others.is_empty() {
            self.others.remove(&id);
        }
        unregister_all(gone, client);
    }

    pub(super) fn release_others(&mut self, id: u32, client: &impl Registrar) {
        unregister_all(self.others.remove(&id).unwrap_or_default(), client);
    }
}

fn unregister_all(entries: Vec<Entry>, client: &impl Registrar) {
    for registration in entries.into_iter().filter_map(|it| it.registration) {
        client.unregister(registration);
    }
}

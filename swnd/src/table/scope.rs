//! Which link an address is on that is good on one only.

use super::Table;
use std::net::IpAddr;
use swnclient::{RegistrationRequest, ScopedAddr};

impl Table {
    /// Returns the link that the addresses of a mount are on which are good on one only.
    pub fn scope_id(&self, id: u32) -> u32 {
        self.entries.get(&id).map_or(0, |entry| entry.request.scope_id)
    }

    /// Returns an address as it is connected to. One that is good on one link only is on that
    /// of the mount which is by it; without such a mount on that of any.
    pub fn scoped(&self, address: IpAddr) -> ScopedAddr {
        if !ScopedAddr::is_of_link(address) {
            return address.into();
        }
        let others = self.others.values().flatten();
        let requests = self.entries.values().chain(others).map(|entry| &entry.request);
        let on_links = requests.filter(|request| request.scope_id != 0);
        let is_by_it = |request: &&RegistrationRequest| request.ip_address == Some(address);
        let request = on_links.clone().find(is_by_it).or_else(|| on_links.clone().next());
        request.map_or_else(|| address.into(), |request| request.scoped(address))
    }
}

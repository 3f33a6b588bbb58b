//! Where the witness services of nodes have been found: a node that has been used is asked
//! without its endpoint mapper, until its port refuses or has another service. And which
//! endpoint mappers want to know who asks.

use crate::ScopedAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// How many are remembered: those that were used last.
const MOST: usize = 256;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    by_address: BTreeMap<ScopedAddr, Endpoint>,
    wary: BTreeSet<ScopedAddr>,
}

#[derive(Debug)]
struct Endpoint {
    port: u16,
    last_used: Instant,
}

impl Endpoints {
    /// The port of a witness service that was used before.
    pub(super) fn port(&self, address: ScopedAddr) -> Option<u16> {
        self.by_address.get(&address).map(|endpoint| endpoint.port)
    }

    /// A witness service is used at this port.
    pub(super) fn add(&mut self, address: ScopedAddr, port: u16, now: Instant) {
        if self.by_address.len() >= MOST && !self.by_address.contains_key(&address) {
            let oldest = self.by_address.iter().min_by_key(|(_, endpoint)| endpoint.last_used);
            if let Some((&oldest, _)) = oldest {
                self.by_address.remove(&oldest);
            }
        }
        self.by_address.insert(address, Endpoint { port, last_used: now });
    }

    /// The witness service is not there any more.
    pub(super) fn remove(&mut self, address: ScopedAddr) {
        self.by_address.remove(&address);
    }

    /// Whether an endpoint mapper wants to know who asks.
    pub(super) fn is_wary(&self, address: ScopedAddr) -> bool {
        self.wary.contains(&address)
    }

    /// An endpoint mapper wants to know who asks, or refuses who says it.
    pub(super) fn set_wary(&mut self, address: ScopedAddr, is_wary: bool) {
        if !is_wary {
            self.wary.remove(&address);
        } else if self.wary.len() < MOST {
            self.wary.insert(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use std::time::Duration;

    #[test]
    fn the_endpoints_that_were_used_last_are_remembered_and_no_more() {
        let (mut endpoints, start) = (Endpoints::default(), Instant::now());
        let address = |n: u16| {
            ScopedAddr::from(IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
        };
        for n in 0..1000 {
            let now = start + Duration::from_secs(n.into());
            endpoints.add(address(n), n, now);
            endpoints.add(address(0), 1, now);
        }
        assert_eq!(endpoints.by_address.len(), MOST);
        let ports = [0, 1, 700, 999].map(|n| endpoints.port(address(n)));
        assert_eq!(ports, [Some(1), None, None, Some(999)]);
        endpoints.remove(address(0));
        assert_eq!(endpoints.port(address(0)), None);
        (0..1000).for_each(|n| endpoints.set_wary(address(n), true));
        assert_eq!(endpoints.wary.len(), MOST);
        endpoints.set_wary(address(0), false);
        assert!(!endpoints.is_wary(address(0)) && endpoints.is_wary(address(1)));
    }
}

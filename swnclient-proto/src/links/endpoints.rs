//! Where the witness services of nodes have been found: a node that has been used is asked
//! without its endpoint mapper, until its port refuses or has another service.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

/// How many are remembered: those that were used last.
const MOST: usize = 256;

/// The ports of witness services, by address.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<IpAddr, Endpoint>);

#[derive(Debug)]
struct Endpoint {
    port: u16,
    last_used: Instant,
}

impl Endpoints {
    /// The port of a witness service that was used before.
    pub(super) fn port(&self, address: IpAddr) -> Option<u16> {
        self.0.get(&address).map(|endpoint| endpoint.port)
    }

    /// A witness service is used at this port.
    pub(super) fn add(&mut self, address: IpAddr, port: u16, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&address) {
            let oldest = self.0.iter().min_by_key(|(_, endpoint)| endpoint.last_used);
            if let Some((&oldest, _)) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(address, Endpoint { port, last_used: now });
    }

    /// The witness service is not there any more.
    pub(super) fn remove(&mut self, address: IpAddr) {
        self.0.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_endpoints_that_were_used_last_are_remembered_and_no_more() {
        let (mut endpoints, start) = (Endpoints::default(), Instant::now());
        let address = |n: u16| IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
        for n in 0..1000 {
            let now = start + Duration::from_secs(n.into());
            endpoints.add(address(n), n, now);
            endpoints.add(address(0), 1, now);
        }
        assert_eq!(endpoints.0.len(), MOST);
        let ports = [0, 1, 700, 999].map(|n| endpoints.port(address(n)));
        assert_eq!(ports, [Some(1), None, None, Some(999)]);
        endpoints.remove(address(0));
        assert_eq!(endpoints.port(address(0)), None);
    }
}

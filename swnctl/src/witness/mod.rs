//! A witness client for the command line: no kernel, no mount, no daemon.

pub mod answer;
pub mod call;
pub(crate) mod credentials;
pub mod interfaces;
pub(crate) mod watch;

use std::net::{IpAddr, ToSocketAddrs};

/// Returns the addresses of a name.
pub(crate) fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 445).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|it| it.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// Returns the addresses of a cluster to ask: the one that is given, or those of its
/// name.
pub(crate) fn addresses(cluster: &str, given: Option<IpAddr>) -> Result<Vec<IpAddr>, String> {
    if let Some(address) = given {
        return Ok(vec![address]);
    }
    match resolve(cluster) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{cluster} has no address; check DNS, or give --address")),
        Err(error) => {
            Err(format!("{cluster} cannot be resolved: {error}; check DNS, or give --address"))
        }
    }
}

//! A witness client for the command line: no kernel, no mount, no daemon.

pub mod answer;
pub mod call;
pub(crate) mod credentials;
pub mod interfaces;
pub(crate) mod watch;

use crate::address::resolve;
use swnclient::ScopedAddr;

/// Returns the addresses of a cluster to ask: the one that is given, or those of its
/// name.
pub(crate) fn addresses(
    cluster: &str,
    given: Option<ScopedAddr>,
) -> Result<Vec<ScopedAddr>, String> {
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

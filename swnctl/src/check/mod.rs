//! `swnctl check`: why a mount does, or would not, fail over. Each row looks at facts that
//! were collected before.

mod clock;
mod cluster;
mod daemon;
mod facts;
mod family;
mod kernel;
mod mount;
mod network;
mod resolver;
#[cfg(test)]
mod tests;

pub use facts::{Clock, Facts, Port, Service, Tickets};

use serde::Serialize;

/// Whether the kernel keeps the module's messages from other users; `None` where there is no
/// family.
pub fn is_guarded() -> Option<bool> {
    family::needs_privilege("cifs", facts::NOTIFY)
}

/// How a row ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// A failover works, with a drawback.
    Warn,
    /// A failover does not work.
    Fail,
    /// It could not be looked at.
    Skip,
}

/// One row of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Names the row; it never changes.
    pub id: &'static str,
    /// How it ends.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

impl Row {
    fn new(id: &'static str, outcome: Outcome, found: impl Into<String>) -> Self {
        Self { id, outcome, found: found.into(), advice: None }
    }

    fn ok(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, Outcome::Ok, found)
    }

    fn skip(id: &'static str, why: impl Into<String>) -> Self {
        Self::new(id, Outcome::Skip, why)
    }

    fn warn(id: &'static str, found: impl Into<String>, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..Self::new(id, Outcome::Warn, found) }
    }

    fn fail(id: &'static str, found: impl Into<String>, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..Self::new(id, Outcome::Fail, found) }
    }
}

/// Looks at everything.
pub fn rows(facts: &Facts) -> Vec<Row> {
    let mut rows = vec![
        kernel::module(facts),
        kernel::witness(facts),
        kernel::group(facts),
        kernel::guarded(facts),
        kernel::namespace(facts),
        kernel::diag(facts),
        daemon::running(facts),
        daemon::version(facts),
        daemon::only(facts),
        daemon::configuration(facts),
        daemon::boot(facts),
        mount::option(facts),
        mount::dialect(facts),
        mount::name(facts),
        mount::credentials(facts),
        mount::echo(facts),
        mount::hard(facts),
        daemon::tickets(facts),
        mount::cluster(facts),
        mount::available(facts),
        mount::scale_out(facts),
        resolver::resolver(facts),
        network::dns(facts),
    ];
    rows.extend(network::ports(facts));
    rows.push(network::mapper(facts));
    rows.push(network::service_port(facts));
    rows.push(network::bind(facts));
    rows.push(cluster::clock(facts));
    rows.push(cluster::service_principal(facts));
    rows.push(network::interfaces(facts));
    rows.push(cluster::net_name(facts));
    rows.push(cluster::address(facts));
    rows.push(network::admin_name(facts));
    rows.push(mount::registration(facts));
    rows.push(mount::kernel(facts));
    rows
}

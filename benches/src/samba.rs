//! Samba's client, by python3-samba.

use crate::process::Worker;
use crate::source;
use std::net::IpAddr;
use std::process::Command;

/// Debian's, whatever else is called python3 here: python3-samba belongs to it.
const PYTHON: &str = "/usr/bin/python3";

/// Where it registers, and as who.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The node that serves the share.
    pub(crate) serves: IpAddr,
    /// The witness; `None`: of those that the node lists.
    pub(crate) witness: Option<IpAddr>,
    pub(crate) net_name: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) domain: String,
}

impl Target {
    /// The arguments that both clients' workers take.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let witness = self.witness.map_or("listed".to_owned(), |witness| witness.to_string());
        let rest = [&self.net_name, &self.user, &self.password, &self.domain];
        [self.serves.to_string(), witness].into_iter().chain(rest.map(Clone::clone)).collect()
    }
}

/// Starts it by way of `command`, which may say where.
pub(crate) fn start(mut command: Command, target: &Target) -> Worker {
    command.arg(PYTHON).arg(source("benches/samba_client.py")).args(target.arguments());
    Worker::start(command, "Samba's client")
}

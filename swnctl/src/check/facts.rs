//! What the rows look at.

use crate::mounts::{self, CifsMount};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;
use swnd::control::interface::Status;

/// How long a port may take to answer.
const PORT_LIMIT: Duration = Duration::from_secs(2);
/// How many of the name's addresses are asked.
const ADDRESSES_MAX: usize = 16;

/// A port of a node, and whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The node's address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// `Err`: why it can't be connected to.
    pub answers: Result<(), String>,
}

/// What the rows look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server's name.
    pub net_name: String,
    /// The share's name.
    pub share_name: String,
    /// The mount, where it is mounted.
    pub mount: Option<CifsMount>,
    /// What the daemon says; `Err`: why it says nothing.
    pub status: Result<Status, String>,
    /// `/proc/fs/cifs/DebugData`, where the module is loaded.
    pub debug_data: Option<String>,
    /// The kernel's configuration.
    pub kernel_config: Option<String>,
    /// What the server's name resolves to.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// The ports of these addresses.
    pub ports: Vec<Port>,
    /// What the cluster's administrator sees this machine as.
    pub host_name: String,
}

impl Facts {
    /// Collects the facts about a directory or `//CLUSTER/SHARE`; `None` where the
    /// directory is no cifs mount.
    pub fn collect(target: &str, status: Result<Status, String>) -> Option<Self> {
        let unc = target.replace('\\', "/");
        let unc = unc.strip_prefix("//").and_then(|unc| unc.split_once('/'));
        let directory = target.trim_end_matches('/');
        let mount = mounts::read().into_iter().rev().find(|mount| match unc {
            Some((net_name, share)) => mount.is_share(net_name, share.trim_end_matches('/')),
            None => mount.path == directory,
        });
        let (net_name, share_name) = match (&mount, unc) {
            (Some(mount), _) => (mount.net_name.clone(), mount.share_name.clone()),
            (None, Some((net_name, share))) => (net_name.into(), share.into()),
            (None, None) => return None,
        };
        let text = |path: &str| {
            let bytes = std::fs::read(path).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let kernel = |file| text(&format!("/proc/sys/kernel/{file}")).unwrap_or_default();
        let release = kernel("osrelease");
        let release = release.trim();
        let kernel_config = text(&format!("/boot/config-{release}"))
            .or_else(|| text(&format!("/lib/modules/{release}/config")));
        let addresses = resolve(&net_name);
        let ports = addresses.iter().flatten().take(ADDRESSES_MAX).flat_map(|address| {
            [445, 135].map(|port| Port { address: *address, port, answers: ask(*address, port) })
        });
        Some(Self {
            ports: ports.collect(),
            mount,
            status,
            debug_data: text("/proc/fs/cifs/DebugData"),
            kernel_config,
            addresses,
            host_name: kernel("hostname").trim().into(),
            net_name,
            share_name,
        })
    }
}

fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 445).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

fn ask(address: IpAddr, port: u16) -> Result<(), String> {
    let connected = TcpStream::connect_timeout(&SocketAddr::new(address, port), PORT_LIMIT);
    connected.map(drop).map_err(|error| error.to_string())
}

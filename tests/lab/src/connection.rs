//! The kernel's TCP connections to SMB servers, as /proc/fs/cifs/DebugData shows them.

use std::net::{IpAddr, Ipv4Addr};

use crate::Guest;

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its number, which it keeps when it reconnects.
    pub id: String,
    /// 1 is good; 3 needs to reconnect, 4 to negotiate, 5 negotiates.
    pub status: u32,
    /// How many TCP connections it has had.
    pub instance: u64,
    /// The address of the server, for those with a session; none for the others of a multichannel session.
    pub address: Option<IpAddr>,
}

impl Guest {
    /// The kernel's connections.
    pub fn connections(&self) -> Vec<Connection> {
        parse(&self.cifs_debug_data())
    }

    /// The guest's own ports of the kernel's established connections to port 445 of `address`.
    pub fn ports_to(&self, address: Ipv4Addr) -> Vec<u16> {
        // Bytes of an address are shown as one number of the machine's own.
        let remote = format!("{:08X}:01BD", u32::from_le_bytes(address.octets()));
        let table = self.ok("cat /proc/net/tcp");
        let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .filter(|columns| columns.get(2) == Some(&remote.as_str()) && columns[3] == "01")
            .filter_map(|columns| u16::from_str_radix(columns[1].rsplit_once(':')?.1, 16).ok())
            .collect()
    }

    /// Ends the connections to port 445 of `address`, as a router does that has forgotten them, and returns how many
    /// there were.
    ///
    /// # Panics
    /// Where the kernel has no CONFIG_INET_DIAG_DESTROY.
    pub fn end_connections(&self, address: IpAddr) -> usize {
        let ended = self.run(&format!("ss -HntK dst {address} dport = 445"));
        assert!(ended.status == 0 && ended.stderr.is_empty(), "ss -K: {}", ended.stderr);
        ended.stdout.lines().filter(|line| !line.trim().is_empty()).count()
    }
}

fn parse(debug_data: &str) -> Vec<Connection> {
    let mut found: Vec<Connection> = Vec::new();
    for line in debug_data.lines() {
        if let Some(id) = value(line, "ConnectionId:") {
            found.push(Connection { id: id.into(), status: 0, instance: 0, address: None });
        }
        let Some(last) = found.last_mut() else { continue };
        if let (Some(status), Some(instance)) =
            (number(line, "TCP status:"), number(line, "Instance:"))
        {
            last.status = u32::try_from(status).unwrap_or(u32::MAX);
            last.instance = instance;
        }
        if let Some(address) = value(line, ") Address:") {
            last.address = address.parse().ok();
        }
    }
    // An interface of the server isn't a connection.
    found.retain(|connection| connection.instance > 0);
    found
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(name)?.1.split_whitespace().next()
}

fn number(line: &str, name: &str) -> Option<u64> {
    value(line, name)?.parse().ok()
}

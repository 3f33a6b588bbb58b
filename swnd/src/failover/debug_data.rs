//! `/proc/fs/cifs/DebugData`: what the cifs client says of its servers, in a form
//! for people. What is not understood is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How many requests of a connection are remembered: more than servers let wait.
const WAITING_MAX: usize = 8192;
/// Where the cifs client says so.
const PATH: &str = "/proc/fs/cifs/DebugData";

/// What is read of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebugData {
    /// The server address of each witness registration, by the kernel's number.
    /// While the kernel reconnects, it is the address that it tries.
    pub registrations: BTreeMap<u32, IpAddr>,
    /// The SMB connections, without the further channels of a session.
    pub servers: Vec<Server>,
    /// The shares in use.
    pub shares: Vec<Share>,
}

/// A share, and what its server says it can do ([MS-SMB2] 2.2.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The share's name with the server's, `\\server\share`.
    name: String,
    /// A cluster offers it: there may be a witness.
    pub clustered: bool,
    /// Each node of the cluster serves it.
    pub scale_out: bool,
}

/// A request that waits for an answer: which of the connections it is of, counted over all
/// of them, and its number there.
pub type Waiting = (usize, u64);

/// One SMB connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The addresses of its sessions; none before the first session is set up.
    pub addresses: Vec<IpAddr>,
    /// Whether it is established and negotiated: `TCP status: 1` (`CifsGood`).
    pub is_good: bool,
    /// Counts its TCP connections.
    pub instance: u32,
    /// The inode number of its network namespace, where the kernel tells.
    pub network_namespace: Option<u32>,
    /// The requests that wait for an answer, also on its further channels.
    pub waiting: BTreeSet<Waiting>,
}

impl DebugData {
    /// Reads the file; `None` where there is none, or it can't be read.
    pub fn read() -> Option<Self> {
        std::fs::read(PATH).ok().map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Understands the text of the file.
    pub fn parse(text: &str) -> Self {
        let mut data = Self::default();
        for line in text.lines() {
            if let Some(status) = line.strip_prefix("TCP status: ") {
                let instance = after(line, "Instance: ").and_then(number).unwrap_or_default();
                let server = Server {
                    addresses: Vec::new(),
                    is_good: number(status) == Some(1),
                    instance,
                    network_namespace: None,
                    waiting: BTreeSet::new(),
                };
                data.servers.push(server);
            }
            let nth = data.servers.len();
            if let Some(server) = data.servers.last_mut() {
                let waiting = line.trim_start().strip_prefix("State: ");
                let request = waiting.and_then(|line| line.rsplit_once(" mid "));
                if let Some(request) = request.and_then(|(_, number)| number.trim().parse().ok()) {
                    if server.waiting.len() < WAITING_MAX {
                        server.waiting.insert((nth, request));
                    }
                }
                if let Some(namespace) = after(line, "Net namespace: ").and_then(number) {
                    server.network_namespace.get_or_insert(namespace);
                }
                let address = after(line, ") Address: ").and_then(word);
                server.addresses.extend(address.and_then(parse_address));
            }
            let share = line.trim_start().split_once(") ").map(|(_, rest)| rest);
            let share = share.and_then(|rest| rest.split_once(" Mounts: "));
            if let Some((name, _)) = share.filter(|(name, _)| name.starts_with('\\')) {
                let name = name.into();
                data.shares.push(Share { name, clustered: false, scale_out: false });
            }
            let abilities = line.trim_start().strip_prefix("Share Capabilities:");
            if let (Some(abilities), Some(share)) = (abilities, data.shares.last_mut()) {
                let abilities = abilities.split('\t').next().unwrap_or_default();
                let has = |wanted| abilities.split(',').any(|it| it.trim() == wanted);
                (share.clustered, share.scale_out) = (has("CLUSTER"), has("SCALEOUT"));
            }
            // "(y)" or "(n)" follows without a space. The names before it can be anything.
            let id = line.strip_prefix("Id: ").and_then(number);
            let address = line.rsplit_once("Ip address: ").and_then(|(_, rest)| word(rest));
            let address = address.and_then(|text| parse_address(text.split('(').next()?));
            if let (Some(id), Some(address)) = (id, address) {
                data.registrations.insert(id, address);
            }
        }
        data
    }

    /// What is known of a share: of several connections to it, by the one that says most.
    pub fn share(&self, net_name: &str, share: &str) -> Option<&Share> {
        let name = format!(r"\\{net_name}\{share}");
        let all = self.shares.iter().filter(|it| it.name.eq_ignore_ascii_case(&name));
        all.max_by_key(|it| (it.clustered, it.scale_out))
    }

    /// The connections with a session at `address`.
    pub fn at(&self, address: IpAddr) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| server.addresses.contains(&address))
    }
}

fn after<'a>(line: &'a str, what: &str) -> Option<&'a str> {
    line.split_once(what).map(|(_, rest)| rest)
}

fn word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

fn number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

/// The kernel writes all eight groups of an IPv6 address, and in front of a scope `%`.
fn parse_address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a 6.12, mounted with witness.
    const TEXT: &str = "Display Internal CIFS Data Structures for Debugging\n\
        Servers: \n1) ConnectionId: 0x1 Hostname: WITCLU \nClientGUID: 2AC1\n\
        Number of credits: 389,1,1 Dialect 0x311\nServer capabilities: 0x300067\n\
        TCP status: 1 Instance: 3\nLocal Users To Server: 1 SecMode: 0x1 Req On Wire: 0 \
        Net namespace: 4026531840 \nIn Send: 0 In MaxReq Wait: 0\n\n\tSessions: \n\
        \t1) Address: 10.77.0.101 Uses: 1 Capability: 0x300067\tSession Status: 1 \n\
        \t1) IPC: \\\\WITCLU\\IPC$ Mounts: 1 DevInfo: 0x0\n\n\n\tMIDs: \n\
        \tServer ConnectionId: 0x1\n\t\tState: 2 com: 9 pid: 301 cbdata: 00000000c4dc8ef2 mid 117\n\
        \t\tState: 2 com: 7 pid: 88 cbdata: 0000000000000000 mid 118\n--\nWitness registrations:\n\
        Id: 7 Refs: 1 Network name: 'WITCLU'(y) Share name: 'data'(y) Ip address: 10.77.0.101(n)\n\
        Id: 8 Refs: 1 Network name: 'c'(y) Share name: 'd'(y) Ip address: \
        fe80:0000:0000:0000:0000:0000:0000:0001%2(n)\n";

    #[test]
    fn servers_and_registrations_are_read() {
        let data = DebugData::parse(TEXT);
        let address: IpAddr = "10.77.0.101".parse().unwrap();
        assert_eq!(
            data.servers,
            [Server {
                addresses: vec![address],
                is_good: true,
                instance: 3,
                network_namespace: Some(4_026_531_840),
                waiting: [(1, 117), (1, 118)].into(),
            }]
        );
        let registrations = [(7, address), (8, "fe80::1".parse().unwrap())];
        assert_eq!(data.registrations, registrations.into_iter().collect());
        assert_eq!(data.at(address).count(), 1);
    }

    #[test]
    fn shares_are_read_with_what_they_can_do() {
        const TEXT: &str = "\t1) IPC: \\\\WITCLU\\IPC$ Mounts: 1 DevInfo: 0x0\n\
            \tShare Capabilities: None\tShare Flags: 0x0\n\
            \t2) \\\\WITCLU\\data Mounts: 1 DevInfo: 0x20 Attributes: 0x1006f\n\
            \tPathComponentMax: 255 Status: 1 type: DISK Serial Number: 0x1\n\
            \tShare Capabilities: CONTINUOUS AVAILABILITY, SCALEOUT, CLUSTER,\tShare Flags: 0x0\n\
            \t3) \\\\WITCLU\\data Mounts: 1 DevInfo: 0x0\n\tShare Capabilities: None\n\
            \t4) \\\\nas\\data Mounts: 1\n\tShare Capabilities: None\tShare Flags: 0x0\n";
        let data = DebugData::parse(TEXT);
        let abilities = |net_name: &str| {
            data.share(net_name, "DATA").map(|share| (share.clustered, share.scale_out))
        };
        assert_eq!(abilities("witclu"), Some((true, true)));
        assert_eq!(abilities("nas"), Some((false, false)));
        assert_eq!(abilities("other"), None);
    }

    #[test]
    fn text_of_another_form_is_no_error() {
        for text in ["", "TCP status: ", "Id: x Ip address: ", ") Address: 1.2.3", "\u{0}"] {
            assert!(DebugData::parse(text).registrations.is_empty(), "{text}");
        }
    }
}

//! The witness service as its administrator sees it: `net witness`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::Cluster;

/// One entry of `net witness list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The UUID of its context handle.
    pub id: String,
    /// 0x00010001 or 0x00020000.
    pub version: String,
    /// What the client mounted: the cluster's name.
    pub net_name: String,
    /// The share, none where the client registered for the name alone.
    pub share_name: Option<String>,
    /// The address that the client's SMB session goes to.
    pub ip_address: IpAddr,
    /// What the client calls itself.
    pub client_computer_name: String,
    /// Whether the client asked to hear of address changes.
    pub ip_notification: bool,
    /// The keep-alive, in seconds.
    pub timeout: u32,
    /// Who the client authenticated as.
    pub account_name: String,
    /// The witness's address that the client is connected to.
    pub witness: IpAddr,
    /// The client's own address.
    pub client: IpAddr,
}

/// Which registrations a command is for.
#[derive(Debug, Clone, Copy)]
pub enum Select<'a> {
    /// Every one.
    All,
    /// The one with this id.
    Id(&'a str),
}

impl Select<'_> {
    fn option(&self) -> String {
        match self {
            Select::All => "--witness-apply-to-all".to_owned(),
            Select::Id(id) => format!("--witness-registration={id}"),
        }
    }
}

/// Where a client is told to go.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// This address.
    Ip(IpAddr),
    /// All addresses of this node.
    Node(usize),
    /// All addresses of the cluster.
    AllNodes,
}

impl Target {
    fn option(&self) -> String {
        match self {
            Target::Ip(address) => format!("--witness-new-ip={address}"),
            Target::Node(node) => format!("--witness-new-node={node}"),
            Target::AllNodes => "--witness-new-node=-1".to_owned(),
        }
    }
}

impl Cluster {
    /// All registrations at all witnesses.
    pub fn registrations(&self) -> Vec<Registration> {
        parse_list(&self.net_witness(&["list", "--json"]))
    }

    /// Tells clients to leave for another address.
    pub fn client_move(&self, which: Select<'_>, target: Target) {
        self.net_witness(&["client-move", &which.option(), &target.option()]);
    }

    /// Tells clients that the share has moved to another address. Registrations without a share don't hear of it.
    pub fn share_move(&self, which: Select<'_>, target: Target) {
        self.net_witness(&["share-move", &which.option(), &target.option()]);
    }

    /// Drops registrations: a pending AsyncNotify ends with ERROR_NOT_FOUND.
    pub fn force_unregister(&self, which: Select<'_>) {
        self.net_witness(&["force-unregister", &which.option()]);
    }

    /// Answers AsyncNotify with `response`, in the JSON form that `net witness force-response --help` shows.
    pub fn force_response(&self, which: Select<'_>, response: &str) {
        let response = format!("--witness-forced-response={response}");
        self.net_witness(&["force-response", &which.option(), &response]);
    }

    fn net_witness(&self, args: &[&str]) -> String {
        self.node(self.any_node(), &[&["net", "witness"], args].concat())
    }
}

fn parse_list(json: &str) -> Vec<Registration> {
    #[derive(Deserialize)]
    struct List {
        registrations: BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        version: String,
        net_name: String,
        share_name: Option<String>,
        ip_address: IpAddr,
        client_computer_name: String,
        flags: Flags,
        timeout: u32,
        auth: Auth,
        connection: Connection,
    }
    #[derive(Deserialize)]
    struct Flags {
        #[serde(rename = "WITNESS_REGISTER_IP_NOTIFICATION")]
        ip_notification: bool,
    }
    #[derive(Deserialize)]
    struct Auth {
        account_name: String,
    }
    #[derive(Deserialize)]
    struct Connection {
        local_address: String,
        remote_address: String,
    }

    let list: List =
        serde_json::from_str(json).unwrap_or_else(|e| panic!("net witness list: {e}\n{json}"));
    let registrations = list.registrations.into_iter();
    registrations
        .map(|(id, entry)| Registration {
            id,
            version: entry.version,
            net_name: entry.net_name,
            share_name: entry.share_name.filter(|name| !name.is_empty()),
            ip_address: entry.ip_address,
            client_computer_name: entry.client_computer_name,
            ip_notification: entry.flags.ip_notification,
            timeout: entry.timeout,
            account_name: entry.auth.account_name,
            witness: parse_endpoint(&entry.connection.local_address),
            client: parse_endpoint(&entry.connection.remote_address),
        })
        .collect()
}

/// `ipv4:10.77.0.102:49155`
fn parse_endpoint(endpoint: &str) -> IpAddr {
    let address = endpoint.split_once(':').and_then(|(_, rest)| rest.rsplit_once(':'));
    let address = address.and_then(|(address, _port)| address.parse().ok());
    address.unwrap_or_else(|| panic!("net witness list: {endpoint:?} is no endpoint"))
}

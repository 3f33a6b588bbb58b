//! What a cluster is made of at its start.

use crate::{NodeId, Profile, Traits};
use smol_str::{SmolStr, format_smolstr};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Where node 1 of [`ClusterConfig::new`] has its witness service; the others
/// follow.
pub(crate) const FIRST_WITNESS_PORT: u16 = 49_161;

/// A node at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// The node's name.
    pub name: SmolStr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The TCP port of its witness service.
    pub witness_port: u16,
}

/// A user who may log on.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The user's name.
    pub name: SmolStr,
    /// The user's domain; not compared.
    pub domain: SmolStr,
    /// The password.
    pub password: SmolStr,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\\{}", self.domain, self.name)
    }
}

/// A cluster at its start.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// How its witness service behaves.
    pub traits: Traits,
    /// Its NetBIOS name: what clients mount by. With `domain` behind it and a
    /// dot between, its DNS name.
    pub net_name: SmolStr,
    /// Its DNS domain.
    pub domain: SmolStr,
    /// Other names that clients may register for.
    pub aliases: Vec<SmolStr>,
    /// Its nodes; the first is node 1.
    pub nodes: Vec<NodeConfig>,
    /// The TCP port of the endpoint mapper, on every address.
    pub mapper_port: u16,
    /// Who may log on by NTLM. While it is empty the service takes calls
    /// without authentication, as no real one does.
    pub users: Vec<User>,
    /// How far the wall clock of its nodes is ahead of this machine's, in
    /// seconds. Its time goes on regardless.
    pub clock_ahead: i64,
    /// Addresses that no interface list has: those of roles of Windows that are not
    /// scale-out.
    pub unlisted: Vec<IpAddr>,
    /// The shares that there are; empty: all.
    pub shares: Vec<SmolStr>,
    /// The node by which the shares should be used, where they are asymmetric: who registers
    /// for one by the address of another node gets a share move at once.
    pub share_owner: Option<NodeId>,
    /// How long the nodes take to notice that one of them died or came back.
    pub detection: Duration,
    /// Whether [`Cluster::poll_event`](crate::Cluster::poll_event) gives
    /// events. They pile up until they are taken.
    pub events: bool,
}

impl ClusterConfig {
    /// A cluster named `CLUSTER` in the domain `example.test` with nodes
    /// `node1`, `node2`, ... at `subnet`.11, .12, ..., where the user `alice`
    /// of `EXAMPLE` with the password `secret` may log on. Of [`Profile::WindowsRole`] these
    /// addresses are of roles, one on each node, and the nodes' own in the next subnet.
    pub fn new(profile: Profile, nodes: u8, subnet: [u8; 3]) -> Self {
        let [a, b, c] = subnet;
        let ip = |c: u8, n: u8| IpAddr::V4(Ipv4Addr::new(a, b, c, 10 + n));
        let numbers = 1..=nodes.min(200);
        let has_roles = profile == Profile::WindowsRole;
        let node = |n: u8| NodeConfig {
            name: format_smolstr!("node{n}"),
            addresses: match has_roles {
                true => vec![ip(c, n), ip(c.wrapping_add(1), n)],
                false => vec![ip(c, n)],
            },
            witness_port: FIRST_WITNESS_PORT - 1 + u16::from(n),
        };
        let unlisted = if has_roles { numbers.clone().map(|n| ip(c, n)).collect() } else { vec![] };
        Self {
            traits: profile.traits(),
            net_name: "CLUSTER".into(),
            domain: "example.test".into(),
            aliases: Vec::new(),
            nodes: numbers.map(node).collect(),
            mapper_port: dcerpc_proto::epm::PORT,
            users: vec![User {
                name: "alice".into(),
                domain: "EXAMPLE".into(),
                password: "secret".into(),
            }],
            clock_ahead: 0,
            unlisted,
            shares: Vec::new(),
            share_owner: None,
            detection: Duration::from_millis(500),
            events: true,
        }
    }

    /// The cluster's DNS name.
    pub fn dns_name(&self) -> SmolStr {
        format!("{}.{}", self.net_name, self.domain).to_ascii_lowercase().into()
    }

    /// Whether the cluster goes by `name`: its NetBIOS name or an alias, alone
    /// or with a domain behind it.
    pub fn is_known_as(&self, name: &str) -> bool {
        let host = match self.traits.netbios_name_only {
            true => name,
            false => name.split('.').next().unwrap_or_default(),
        };
        std::iter::once(&self.net_name)
            .chain(&self.aliases)
            .any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(host))
    }

    /// The first address of a node.
    pub fn address(&self, node: NodeId) -> Option<IpAddr> {
        let node = self.nodes.get(node.index()?)?;
        node.addresses.first().copied()
    }
}

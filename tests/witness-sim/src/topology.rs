//! Nodes and addresses: what is where, who can be reached, and what the
//! cluster believes about itself.

use crate::{ClusterConfig, NodeDeath};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A node's number; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u8);

impl NodeId {
    /// Its place in a list; `None` for node 0, which there isn't.
    pub fn index(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It works.
    Up,
    /// It works, and nothing gets through to it or from it.
    Cut,
    /// It is dead. What it knew is lost.
    Down {
        /// Whether it vanished without a word; otherwise its connections are
        /// reset and new ones refused.
        silent: bool,
    },
}

/// What becomes of a connection that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is accepted.
    Accepts,
    /// It is refused (RST).
    Refuses,
    /// Nothing comes back.
    Silent,
}

/// What listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// The endpoint mapper.
    Mapper,
    /// The witness service.
    Witness,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: SmolStr,
    /// How it is.
    pub power: Power,
    /// Whether the other nodes take it for alive.
    pub believed_up: bool,
    /// The TCP port of its witness service; `None` while that isn't running.
    pub witness_port: Option<u16>,
}

/// An address.
#[derive(Debug, Clone)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The node it was given to.
    pub home: NodeId,
    /// The node that serves it now.
    pub owner: NodeId,
    /// Whether its network interface works.
    pub online: bool,
    /// Whether it is in interface lists; otherwise it is a role's.
    pub listed: bool,
}

/// All nodes and addresses.
#[derive(Debug, Clone)]
pub struct Topology {
    nodes: Vec<Node>,
    addresses: Vec<Address>,
    mapper_port: u16,
    /// Counts what changes [`Topology::listeners`].
    generation: u64,
}

impl Topology {
    /// The link that addresses of the cluster which are good on one link only (`fe80::/10`)
    /// are on, as clients number their interfaces.
    pub const LINK: u32 = 7;

    pub(crate) fn new(config: &ClusterConfig) -> Self {
        let mut this = Self {
            nodes: Vec::new(),
            addresses: Vec::new(),
            mapper_port: config.mapper_port,
            generation: 0,
        };
        for (number, node) in (1..=u8::MAX).zip(&config.nodes) {
            let id = NodeId(number);
            this.nodes.push(Node {
                id,
                name: node.name.clone(),
                power: Power::Up,
                believed_up: true,
                witness_port: Some(node.witness_port),
            });
            this.addresses.extend(node.addresses.iter().map(|ip| Address {
                ip: *ip,
                home: id,
                owner: id,
                online: true,
                listed: !config.unlisted.contains(ip),
            }));
        }
        this
    }

    /// The nodes, by number.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The addresses, by their home.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index()?)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.generation += 1;
        self.nodes.get_mut(id.index()?)
    }

    /// One address.
    pub fn address(&self, ip: IpAddr) -> Option<&Address> {
        self.addresses.iter().find(|address| address.ip == ip)
    }

    pub(crate) fn address_mut(&mut self, ip: IpAddr) -> Option<&mut Address> {
        self.generation += 1;
        self.addresses.iter_mut().find(|address| address.ip == ip)
    }

    /// Whether the cluster takes the address for usable.
    pub fn is_available(&self, address: &Address) -> bool {
        address.online && self.node(address.owner).is_some_and(|node| node.believed_up)
    }

    /// Whether a node works, reachable or not.
    pub(crate) fn works(&self, id: NodeId) -> bool {
        self.node(id).is_some_and(|node| matches!(node.power, Power::Up | Power::Cut))
    }

    /// What a connection to `to` meets: who answers there, and how.
    pub fn reach(&self, to: SocketAddr) -> (Reach, Option<(NodeId, Service)>) {
        let is_there = |address: &&Address| address.online && is_on_link(to);
        let Some(address) = self.address(to.ip()).filter(is_there) else {
            return (Reach::Silent, None);
        };
        let Some(node) = self.node(address.owner) else {
            return (Reach::Silent, None);
        };
        let service = if to.port() == self.mapper_port {
            Some(Service::Mapper)
        } else if node.witness_port == Some(to.port()) {
            Some(Service::Witness)
        } else {
            None
        };
        let reach = match (node.power, service) {
            (Power::Cut | Power::Down { silent: true }, _) => Reach::Silent,
            (Power::Down { silent: false }, _) | (_, None) => Reach::Refuses,
            (Power::Up, Some(_)) => Reach::Accepts,
        };
        (reach, service.map(|service| (address.owner, service)))
    }

    /// Changes whenever [`Topology::listeners`] may have.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Every address and port that accepts connections or swallows them. All
    /// others refuse.
    pub fn listeners(&self) -> BTreeMap<SocketAddr, Reach> {
        let mut listeners = BTreeMap::new();
        for address in &self.addresses {
            let witness_port = self.node(address.owner).and_then(|node| node.witness_port);
            for port in std::iter::once(self.mapper_port).chain(witness_port) {
                let to = SocketAddr::new(address.ip, port);
                match self.reach(to).0 {
                    Reach::Refuses => {}
                    reach => drop(listeners.insert(to, reach)),
                }
            }
        }
        listeners
    }

    /// Which addresses change hands when the cluster has noticed that `node`
    /// died or came back, and to whom.
    pub(crate) fn reallocation(&self, id: NodeId, death: NodeDeath) -> Vec<(IpAddr, NodeId)> {
        if death == NodeDeath::Unavailable {
            return Vec::new();
        }
        let alive = |id: &NodeId| self.node(*id).is_some_and(|node| node.believed_up);
        let roles_only = death == NodeDeath::RoleMoves;
        if alive(&id) {
            if roles_only {
                return Vec::new();
            }
            let mine = self.addresses.iter().filter(|address| address.home == id);
            return mine.map(|address| (address.ip, id)).collect();
        }
        // The dead node's addresses, one each to those who have the fewest.
        let mut load: BTreeMap<NodeId, usize> =
            self.nodes.iter().filter(|node| node.believed_up).map(|node| (node.id, 0)).collect();
        for address in &self.addresses {
            if let Some(count) = load.get_mut(&address.owner) {
                *count += 1;
            }
        }
        let is_orphan = |address: &&Address| address.owner == id && !(roles_only && address.listed);
        let orphans = self.addresses.iter().filter(is_orphan);
        let mut moves = Vec::new();
        for address in orphans {
            let Some((to, count)) = load.iter_mut().min_by_key(|(id, count)| (**count, **id))
            else {
                break;
            };
            *count += 1;
            moves.push((address.ip, *to));
        }
        moves
    }
}

/// Whether a client reaches the cluster by this address, where it has it.
fn is_on_link(to: SocketAddr) -> bool {
    match to {
        SocketAddr::V6(to) if to.ip().is_unicast_link_local() => to.scope_id() == Topology::LINK,
        _ => true,
    }
}

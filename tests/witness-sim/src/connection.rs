//! A connection as a node sees it.

use crate::registration::GroupId;
use crate::rpc::ServerAssociation;
use crate::{NodeId, Service, Stage, What};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Names a connection within its cluster. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// Whether bytes get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They do.
    Open,
    /// They wait, in both directions, until the way is open again.
    Held,
    /// They are lost, in both directions, for ever.
    Swallowed,
}

/// What came in while nothing got through.
#[derive(Debug)]
pub(crate) enum Held {
    Received(Vec<u8>),
    Closed,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The address and port that the client connected to.
    pub(crate) local: SocketAddr,
    pub(crate) node: NodeId,
    pub(crate) service: Service,
    pub(crate) group: GroupId,
    pub(crate) rpc: ServerAssociation,
    pub(crate) flow: Flow,
    pub(crate) held_input: Vec<Held>,
    pub(crate) held_output: Vec<Vec<u8>>,
    /// What goes wrong with the answers of calls under way.
    pub(crate) planned: BTreeMap<u32, (Stage, What)>,
}

impl Connection {
    pub(crate) fn new(
        local: SocketAddr,
        node: NodeId,
        service: Service,
        group: GroupId,
        rpc: ServerAssociation,
    ) -> Self {
        Self {
            local,
            node,
            service,
            group,
            rpc,
            flow: Flow::Open,
            held_input: Vec::new(),
            held_output: Vec::new(),
            planned: BTreeMap::new(),
        }
    }
}

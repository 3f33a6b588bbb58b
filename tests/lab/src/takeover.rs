//! What becomes of a dead node's address, and of the connections to it.

use std::net::Ipv4Addr;

use crate::Cluster;

impl Cluster {
    /// Lets addresses move to other nodes, or not: then the address of a node that goes is not served until this is
    /// allowed again, and is given out then.
    pub fn allow_takeover(&self, allowed: bool) {
        self.script(&["takeover", if allowed { "on" } else { "off" }]);
    }

    /// Lets nothing reach the guest's `port` any more, neither the tickle ACKs of CTDB nor a RST. New connections have
    /// other ports.
    pub fn silence(&self, port: u16) {
        self.script(&["silence", &port.to_string()]);
    }

    /// Takes [`Cluster::silence`] back.
    pub(crate) fn speak(&self) {
        self.script(&["speak"]);
    }

    /// Makes a node reset the guest's connection from `port`.
    pub fn reset(&self, node: usize, port: u16) {
        self.script(&["reset", &node.to_string(), &port.to_string()]);
    }

    /// Moves an address to another node, as an administrator does.
    pub fn move_address(&self, address: Ipv4Addr, node: usize) {
        self.node(self.any_node(), &["ctdb", "moveip", &address.to_string(), &node.to_string()]);
    }
}

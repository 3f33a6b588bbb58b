//! What is done to a cluster, as values and as text.
//!
//! A script has one step on a line, `at TIME STEP`; the time counts from the
//! start. Empty lines and what follows a `#` do not count.
//!
//! ```text
//! at 2s    node 1 down                # RST for its connections, new ones refused
//! at 2s    node 1 down silent         # not a word
//! at 2s    node 1 cut                 # works, but nothing gets through
//! at 9s    node 1 up                  # back, by whichever way it went
//! at 3s    address 10.0.0.11 to node 2
//! at 3s    address 10.0.0.11 offline  # its network interface is down
//! at 4s    address 10.0.0.11 online
//! at 3s    service node 2 stop
//! at 4s    service node 2 port 50000  # the witness service starts (again) there
//! at 5s    client-move all to node 2
//! at 5s    client-move all to 10.0.0.12
//! at 5s    share-move client ws1 to 10.0.0.12
//! at 5s    ip-change address 10.0.0.11 to 10.0.0.11 offline, fd00::12, 10.0.0.13
//! at 6s    answer all ERROR_NOT_FOUND # whatever AsyncNotify comes next
//! at 6s    answer all empty
//! at 6s    force-unregister all
//! at 7s    password alice secret2
//! at 7s    clock -3600                # an hour slow, to this machine's
//! at 0s    fault register node 2 times 3 status ERROR_INVALID_STATE
//! at 0s    fault notify always delay 5s
//! at 8s    no-faults
//! ```
//!
//! Who is moved: `all`, `client NAME`, `address IP` (the registered one) or
//! `witness N` (those registered with that node).
//!
//! A fault is `fault STAGE [node N] [times N | always] WHAT`; it happens once
//! unless told otherwise. Stages are those of [`Stage`], and [`What`] prints
//! itself as it is written here: `refuse`, `no-reply`, `drop`, `delay TIME`,
//! `cut BYTES`, `garble OFFSET`, `chunks`, `fragments BYTES`, `huge-counts`, `storm CHANGES`,
//! `huge-length`, `truncate BYTES`, `wrong-call-id`, `unprotected`,
//! `fault CODE`, `nak REASON`, `status CODE`, `empty`. Codes are decimal,
//! hexadecimal or, for a status, the name [MS-ERREF] gives it.

mod parse;

pub use parse::ScriptError;

use crate::event::describe;
use crate::registration::{Notice, Registration};
use crate::{Fault, NodeId, Time};
#[cfg(doc)]
use crate::{Stage, What};
use smol_str::SmolStr;
use std::net::IpAddr;
use swnclient_proto::wire::AddressInfo;

/// Something that is done to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A node dies.
    NodeDown {
        /// Which.
        node: NodeId,
        /// Whether without a word.
        silent: bool,
    },
    /// A node is cut off: it works, and nothing gets through.
    NodeCut {
        /// Which.
        node: NodeId,
    },
    /// A node is back: started again, or within reach again.
    NodeUp {
        /// Which.
        node: NodeId,
    },
    /// An address goes to another node.
    AddressMove {
        /// Which.
        address: IpAddr,
        /// To whom.
        node: NodeId,
    },
    /// The network interface of an address fails or works again.
    AddressState {
        /// Which.
        address: IpAddr,
        /// Whether it works.
        online: bool,
    },
    /// The witness service of a node stops, or restarts.
    Service {
        /// Where.
        node: NodeId,
        /// Its TCP port; `None`: it stops.
        port: Option<u16>,
    },
    /// Clients are told to go to another address.
    ClientMove {
        /// Which clients.
        who: Who,
        /// Where to.
        to: Destination,
    },
    /// Clients that asked for it are told that their share has moved.
    ShareMove {
        /// Which clients.
        who: Who,
        /// Where to.
        to: Destination,
    },
    /// Clients that asked for it are told that the server's addresses changed.
    IpChange {
        /// Which clients.
        who: Who,
        /// The addresses.
        to: Destination,
    },
    /// Clients get this answer from AsyncNotify, before any other.
    Answer {
        /// Which clients.
        who: Who,
        /// What they get.
        notice: Notice,
    },
    /// Registrations are dropped.
    ForceUnregister {
        /// Which.
        who: Who,
    },
    /// A user gets another password.
    Password {
        /// Which.
        user: SmolStr,
        /// The new one.
        password: SmolStr,
    },
    /// The wall clock of the nodes is set.
    Clock {
        /// How far ahead of this machine's, in seconds.
        ahead: i64,
    },
    /// A fault rule is added.
    Fault(Fault),
    /// All fault rules go.
    NoFaults,
}

/// Which registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// All.
    All,
    /// Those of a client.
    Client(SmolStr),
    /// Those for a registered address.
    Address(IpAddr),
    /// Those with a witness.
    Witness(NodeId),
}

impl Who {
    pub(crate) fn is(&self, registration: &Registration) -> bool {
        match self {
            Self::All => true,
            Self::Client(name) => registration.client == *name,
            Self::Address(address) => registration.address == *address,
            Self::Witness(node) => registration.node == *node,
        }
    }
}

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The addresses that a node serves.
    Node(NodeId),
    /// These, whether or not the cluster has them.
    Addresses(Vec<AddressInfo>),
}

impl From<IpAddr> for Destination {
    fn from(address: IpAddr) -> Self {
        Self::Addresses(vec![AddressInfo::new(address, true)])
    }
}

/// Steps with their times, from the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// The steps; those at the same time are taken in order.
    pub steps: Vec<(Time, Step)>,
}

impl std::str::FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        parse::script(text)
    }
}

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse::step(text)
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NodeDown { node, silent: false } => write!(f, "{node} down"),
            Self::NodeDown { node, silent: true } => write!(f, "{node} down silent"),
            Self::NodeCut { node } => write!(f, "{node} cut"),
            Self::NodeUp { node } => write!(f, "{node} up"),
            Self::AddressMove { address, node } => write!(f, "address {address} to {node}"),
            Self::AddressState { address, online } => {
                let state = if *online { "online" } else { "offline" };
                write!(f, "address {address} {state}")
            }
            Self::Service { node, port: None } => write!(f, "service {node} stop"),
            Self::Service { node, port: Some(port) } => write!(f, "service {node} port {port}"),
            Self::ClientMove { who, to } => write!(f, "client-move {who} to {to}"),
            Self::ShareMove { who, to } => write!(f, "share-move {who} to {to}"),
            Self::IpChange { who, to } => write!(f, "ip-change {who} to {to}"),
            Self::Answer { who, notice } => match notice {
                Err(status) => match status.name() {
                    Some(name) => write!(f, "answer {who} {name}"),
                    None => write!(f, "answer {who} {}", status.0),
                },
                Ok(None) => write!(f, "answer {who} empty"),
                // Has no text form: the moves and changes have their own.
                other => write!(f, "answer {who} {}", describe(other)),
            },
            Self::ForceUnregister { who } => write!(f, "force-unregister {who}"),
            // Passwords are not printed.
            Self::Password { user, .. } => write!(f, "password {user} ..."),
            Self::Clock { ahead } => write!(f, "clock {ahead}"),
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::NoFaults => write!(f, "no-faults"),
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => write!(f, "all"),
            Self::Client(name) => write!(f, "client {name}"),
            Self::Address(address) => write!(f, "address {address}"),
            Self::Witness(node) => write!(f, "witness {}", node.0),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = match self {
            Self::Node(node) => return write!(f, "{node}"),
            Self::Addresses(list) => list,
        };
        for (index, entry) in list.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}")?;
            for address in entry.addresses().take(1) {
                write!(f, "{address}")?;
            }
            if entry.is_offline() {
                write!(f, " offline")?;
            }
        }
        Ok(())
    }
}

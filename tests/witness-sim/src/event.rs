//! What happens in a cluster, for people and for tests to watch.

use crate::connection::ConnId;
use crate::registration::{Notice, Registration, RegistrationId};
use crate::{NodeId, Service, Stage, Step, Time, What};
use dcerpc_proto::association::FaultStatus;
use smol_str::SmolStr;
use std::net::{IpAddr, SocketAddr};
use swnclient_proto::wire::{AddressInfo, NotifyMessages, Status};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Happening {
    /// A step of the script, or one from outside.
    Step(Step),
    /// The cluster noticed that a node died or came back.
    Noticed { node: NodeId, alive: bool },
    /// An address changed hands.
    AddressMoved { address: IpAddr, to: NodeId },
    /// A client connected.
    Connected { conn: ConnId, to: SocketAddr, node: NodeId, service: Service },
    /// A connection ended; the reason is for people.
    Closed { conn: ConnId, why: SmolStr },
    /// A call arrived that is not told by another event.
    Called { conn: ConnId, node: NodeId, stage: Stage },
    /// A call of Register or RegisterEx succeeded.
    Registered { registration: Box<Registration>, user: Option<SmolStr> },
    /// It failed.
    RegisterRefused { node: NodeId, client: Option<SmolStr>, status: Status },
    /// A call was refused by a fault.
    CallRefused { conn: ConnId, node: NodeId, opnum: u16, status: FaultStatus },
    /// A registration ended; the reason is for people.
    Unregistered { id: RegistrationId, node: NodeId, client: SmolStr, why: &'static str },
    /// An AsyncNotify was answered.
    Notified { id: RegistrationId, node: NodeId, client: SmolStr, notice: Notice },
    /// A fault rule applied.
    Faulted { node: NodeId, stage: Stage, what: What },
}

impl Happening {
    /// Whether it only matters to who looks at connections.
    pub fn is_detail(&self) -> bool {
        matches!(self, Self::Connected { .. } | Self::Closed { .. } | Self::Called { .. })
    }
}

impl std::fmt::Display for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Step(step) => write!(f, "{step}"),
            Self::Noticed { node, alive: true } => write!(f, "the cluster sees {node} again"),
            Self::Noticed { node, alive: false } => write!(f, "the cluster misses {node}"),
            Self::AddressMoved { address, to } => write!(f, "{to} takes {address}"),
            Self::Connected { conn, to, node, service } => {
                let service = match service {
                    Service::Mapper => "endpoint mapper",
                    Service::Witness => "witness service",
                };
                write!(f, "{node}: {conn} to the {service} at {to}")
            }
            Self::Closed { conn, why } => write!(f, "{conn} ends: {why}"),
            Self::Called { conn, node, stage } => write!(f, "{node}: {stage} on {conn}"),
            Self::Registered { registration, user } => write!(
                f,
                "{}: registered {} for {} at {}, version {}{}",
                registration.node,
                registration.client,
                registration.net_name,
                registration.address,
                registration.version.number(),
                user.as_ref().map(|user| format!(", as {user}")).unwrap_or_default(),
            ),
            Self::RegisterRefused { node, client, status } => {
                let client = client.as_deref().unwrap_or("a client without name");
                write!(f, "{node}: refused to register {client}: {status:?}")
            }
            Self::CallRefused { conn, node, opnum, status } => {
                write!(f, "{node}: refused operation {opnum} on {conn}: {status}")
            }
            Self::Unregistered { node, client, why, .. } => {
                write!(f, "{node}: registration of {client} ended: {why}")
            }
            Self::Notified { node, client, notice, .. } => {
                write!(f, "{node}: told {client}: {}", describe(notice))
            }
            Self::Faulted { node, stage, what } => write!(f, "{node}: fault at {stage}: {what}"),
        }
    }
}

/// A notice in words.
pub(crate) fn describe(notice: &Notice) -> String {
    let list = |addresses: &[AddressInfo]| {
        let words = addresses.iter().map(|entry| {
            let mut ips: Vec<String> = entry.addresses().map(|ip| ip.to_string()).collect();
            if entry.is_offline() {
                ips.push("offline".into());
            }
            ips.join(" ")
        });
        words.collect::<Vec<_>>().join(", ")
    };
    match notice {
        Err(status) => format!("{status:?}"),
        Ok(None) => "nothing, with success".into(),
        Ok(Some(NotifyMessages::ResourceChange(changes))) => {
            let words = changes.iter().map(|(name, state)| format!("{name} is {state}"));
            words.collect::<Vec<_>>().join(", ")
        }
        Ok(Some(NotifyMessages::ClientMove(to))) => format!("client move to {}", list(to)),
        Ok(Some(NotifyMessages::ShareMove(to))) => format!("share move to {}", list(to)),
        Ok(Some(NotifyMessages::IpChange(to))) => format!("IP change to {}", list(to)),
        Ok(Some(NotifyMessages::Unknown(kind))) => format!("type {kind}, which is unknown"),
    }
}

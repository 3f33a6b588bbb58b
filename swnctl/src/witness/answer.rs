//! What a cluster says: its lists, and what it tells.

use dcerpc_proto::security::kerberos::KerberosErrorKind;
use serde::{Serialize, Serializer};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use swnclient::{Event, Notification, ResourceState, ScopedAddr};
use swnclient_proto::wire::{self, Version};

/// The version from which a node takes the second way to register.
const VERSION_2: &str = "0x00020000";

/// What one node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Which node.
    #[serde(serialize_with = "text")]
    pub(crate) asked: ScopedAddr,
    /// Its list.
    pub(crate) interfaces: Vec<Interface>,
    /// Why there is none.
    pub(crate) error: Option<String>,
    /// Whether the node was reached and has refused to answer.
    #[serde(skip)]
    pub(crate) refused: bool,
    /// What Kerberos says.
    #[serde(skip)]
    pub(crate) kerberos: Option<KerberosErrorKind>,
}

/// One interface of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The node's name as the server gives it.
    pub(crate) name: String,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether it is in service.
    pub(crate) state: &'static str,
    /// The witness protocol's version that it names, in hexadecimal.
    pub(crate) version: String,
    /// Whether it can be a witness for the node that was asked.
    pub(crate) may_be_witness: bool,
}

fn text<S: Serializer>(address: &ScopedAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

impl From<wire::Interface> for Interface {
    fn from(interface: wire::Interface) -> Self {
        Self {
            addresses: interface.addresses().collect(),
            name: interface.group_name.to_string(),
            state: state_name(interface.state),
            version: format!("{:#010x}", interface.version),
            may_be_witness: interface.witness,
        }
    }
}

impl Interface {
    /// Returns the version by which a client registers at this node.
    pub(crate) fn version(&self) -> Version {
        match self.version.as_str() >= VERSION_2 {
            true => Version::V2,
            false => Version::V1,
        }
    }
}

/// Names a state.
pub(crate) fn state_name(state: ResourceState) -> &'static str {
    match state {
        ResourceState::Unknown => "unknown",
        ResourceState::Available => "available",
        ResourceState::Unavailable => "unavailable",
    }
}

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(crate) struct Happened {
    /// Microseconds since 1970, UTC.
    pub(crate) time_us: u64,
    /// registered, failed, resource_change, client_move, share_move, or ip_change.
    kind: &'static str,
    /// The witness, where it has accepted the registration.
    witness: Option<IpAddr>,
    /// The protocol's version, likewise.
    version: Option<u8>,
    /// The resource that has changed its state.
    name: Option<String>,
    /// Its state.
    state: Option<&'static str>,
    /// Where to move.
    address: Option<IpAddr>,
    /// The same as text.
    pub(crate) text: String,
}

impl Happened {
    /// Describes an event that comes now; `None` for one that says nothing to a reader.
    pub(super) fn new(event: &Event, watched: Option<ScopedAddr>) -> Option<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut it = Self {
            time_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX),
            kind: "registered",
            witness: None,
            version: None,
            name: None,
            state: None,
            address: None,
            text: String::new(),
        };
        match event {
            Event::Registered { witness, version } => {
                (it.witness, it.version) = (Some(*witness), Some(*version));
                let watched = watched.map_or_else(String::new, |it| format!(", watching {it}"));
                it.text = format!("registered with witness {witness} (version {version}){watched}");
            }
            Event::Failed { error, retry_in } => {
                it.kind = "failed";
                it.text = match retry_in {
                    Some(delay) => format!("{error}; next attempt in {:.1} s", delay.as_secs_f32()),
                    None => error.to_string(),
                };
            }
            Event::Notification(Notification::ResourceChange { name, state }) => {
                let state = state_name(*state);
                it.kind = "resource_change";
                it.text = format!("{name}: {state}");
                (it.name, it.state) = (Some(name.to_string()), Some(state));
            }
            Event::Notification(Notification::ClientMove { address }) => {
                it.move_to("client_move", "client move", *address);
            }
            Event::Notification(Notification::ShareMove { address }) => {
                it.move_to("share_move", "share move", *address);
            }
            Event::Notification(Notification::IpChange { address }) => {
                it.move_to("ip_change", "address change", *address);
            }
            _ => return None,
        }
        Some(it)
    }

    fn move_to(&mut self, kind: &'static str, text: &str, address: IpAddr) {
        self.kind = kind;
        self.text = format!("{text} to {address}");
        self.address = Some(address);
    }
}

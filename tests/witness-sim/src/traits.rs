//! How a witness service behaves where services differ, as data.

use dcerpc_proto::association::FaultStatus;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use swnclient_proto::wire::{AddressFlags, AddressInfo, Status};

/// Where the name in a list or a notification comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// The cluster's DNS name.
    Cluster,
    /// The name of the node that the address belongs to.
    Node,
    /// The address as text.
    Address,
}

/// What the flags of an address say in a move of a client or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveFlags {
    /// Which address is valid, and whether it is online: Samba's `witness_server`.
    State,
    /// Which address is valid, and nothing else: Microsoft's protocol tests take exactly
    /// 0x1.
    Valid,
    /// Which address is valid; the other bits, and the address that is not valid, are
    /// whatever there was: [MS-SWN] 2.2.2.1 for version 1.
    Arbitrary,
}

impl MoveFlags {
    /// The entry for an address.
    pub(crate) fn entry(self, address: IpAddr, online: bool) -> AddressInfo {
        let mut info = AddressInfo::new(address, online);
        let valid = AddressFlags::IPV4 | AddressFlags::IPV6;
        match self {
            Self::State => {}
            Self::Valid => info.flags &= valid,
            Self::Arbitrary => {
                // Offline by the letter, which it is not.
                info.flags &= valid;
                info.flags |= AddressFlags::from_bits_retain(0xbaad_f0d4);
                match address {
                    IpAddr::V4(_) => info.ipv6 = Ipv6Addr::from([0xba; 16]),
                    IpAddr::V6(_) => info.ipv4 = Ipv4Addr::from([0xba; 4]),
                }
            }
        }
        info
    }
}

/// What becomes of a dead node's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeDeath {
    /// They stay with the node and are unavailable until it is back.
    Unavailable,
    /// The surviving nodes take them over; they go home when it is back.
    Takeover,
    /// Those of roles, which no list has, go to a surviving node and stay there; those of
    /// the node's own interfaces are unavailable until it is back.
    RoleMoves,
}

/// Which interfaces a node lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// All nodes'.
    All,
    /// All but its own.
    Others,
}

/// How a witness service behaves where services differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// Whether RegisterEx exists.
    pub version_2: bool,
    /// The answer to an operation that does not exist.
    pub unknown_operation: FaultStatus,
    /// Whether it knows itself by its NetBIOS name only. Microsoft's protocol tests
    /// register by that; [MS-SWN] 3.1.4.5 asks for "ServerGlobalName", and does not say
    /// in which form.
    pub netbios_name_only: bool,
    /// The version that the interface list claims.
    pub list_version: u32,
    /// Which interfaces a node lists.
    pub listed: Listed,
    /// Whether names of nodes are in capitals.
    pub names_in_capitals: bool,
    /// InterfaceGroupName of the interface list.
    pub group_name: NameSource,
    /// ResourceName of a resource change.
    pub resource_name: NameSource,
    /// What the flags of an address say in a move.
    pub move_flags: MoveFlags,
    /// Whether GetInterfaceList waits while no node could be a witness.
    pub list_waits_for_witness: bool,
    /// Whether Register and RegisterEx refuse an address that is none of the cluster's, by
    /// ERROR_INVALID_STATE.
    pub checks_addresses: bool,
    /// Whether RegisterEx refuses a share that the cluster does not have, likewise.
    pub checks_shares: bool,
    /// What UnRegister of an unknown handle returns.
    pub unknown_unregister: Status,
    /// How long a registration lives without a call.
    pub unused_timeout: Option<Duration>,
    /// Whether a pending AsyncNotify keeps a registration alive for ever.
    /// Otherwise for the keep-alive, which is none in version 1.
    pub waiting_is_use: bool,
    /// How long after it has sent a client away (a move to another address, a
    /// resource that isn't available) the service drops the registration.
    pub drop_after_leave: Option<Duration>,
    /// Whether a client that registered for several names of the cluster gets
    /// one notification instead of one for each.
    pub notify_aliases_once: bool,
    /// What becomes of a dead node's addresses.
    pub node_death: NodeDeath,
    /// Whether the death of a node is told to who is registered for its addresses.
    pub tells_deaths: bool,
    /// Whether its return is.
    pub tells_returns: bool,
    /// Whether DNS has the addresses of living nodes only (SmartConnect),
    /// instead of all.
    pub dns_live_only: bool,
    /// Whether the endpoint mapper answers those only who log on: a policy of Windows,
    /// RestrictRemoteClients=2 ("Restrict Unauthenticated RPC clients", Authenticated without
    /// exceptions). Its default is not to.
    pub mapper_wants_logon: bool,
    /// Whether concurrent multiplexing is granted.
    pub multiplexing: bool,
    /// Whether header signing is granted.
    pub header_signing: bool,
    /// The longest fragment, in bytes.
    pub max_fragment: u16,
}

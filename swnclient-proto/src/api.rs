//! What a consumer gives and gets.

use crate::ScopedAddr;
use dcerpc_proto::security::kerberos::KerberosCredentials;
use dcerpc_proto::security::ntlm::NtlmCredentials;
use smol_str::SmolStr;
use std::net::IpAddr;

/// What a consumer wants to be told about: one mount, as the kernel or a C
/// caller describes it ([MS-SWN] 3.2.4.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationRequest {
    /// The server's name as it was mounted: NetBIOS or DNS, never an address.
    pub net_name: SmolStr,
    /// The share's name, without the server.
    pub share_name: Option<SmolStr>,
    /// The address of the node that serves the share now.
    pub ip_address: Option<IpAddr>,
    /// The link of an IPv6 `ip_address` that is good on one link only, `fe80::/10`: the index
    /// of the interface by which it is reached. What a witness names has no link; such
    /// addresses are taken to be on this one. 0 where there is none.
    pub scope_id: u32,
    /// Notify about the net name's state. It has no effect: a registration has no
    /// flag for it ([MS-SWN] 3.1.4.5), and a witness tells it in any case. It is
    /// here so that what a consumer was asked for can be kept in one piece.
    pub net_name_notify: bool,
    /// Notify about moves of the share.
    pub share_name_notify: bool,
    /// Notify about changes of the address (with version 2), which only scale-out
    /// shares have a use for.
    pub ip_notify: bool,
}

impl RegistrationRequest {
    /// A registration for a net name, with no share and no address yet.
    pub fn new(net_name: impl Into<SmolStr>) -> Self {
        Self {
            net_name: net_name.into(),
            share_name: None,
            ip_address: None,
            scope_id: 0,
            net_name_notify: true,
            share_name_notify: false,
            ip_notify: false,
        }
    }

    /// For this share of it.
    #[must_use]
    pub fn share(self, name: impl Into<SmolStr>) -> Self {
        Self { share_name: Some(name.into()), ..self }
    }

    /// Which the node with this address serves now. Without it the client asks an
    /// address that the net name resolves to.
    #[must_use]
    pub fn served_by(self, address: IpAddr) -> Self {
        Self { ip_address: Some(address), ..self }
    }

    /// Addresses that are good on one link only are on this one, the index of an interface.
    #[must_use]
    pub fn on_link(self, scope_id: u32) -> Self {
        Self { scope_id, ..self }
    }

    /// An address of this cluster, as it is connected to.
    pub fn scoped(&self, address: IpAddr) -> ScopedAddr {
        ScopedAddr::new(address, self.scope_id)
    }

    /// The share is scale-out: notify about moves of it, and changes of the address.
    #[must_use]
    pub fn scale_out(self) -> Self {
        Self { share_name_notify: true, ip_notify: true, ..self }
    }
}

/// The state of a resource ([MS-SWN] 2.2.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceState {
    /// Not known to the witness.
    Unknown,
    /// In service.
    Available,
    /// Out of service.
    Unavailable,
}

/// An interface of a node of the cluster ([MS-SWN] 2.2.2.2), as an interface
/// list has it. See [`Client::interfaces`](crate::Client::interfaces).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interface {
    /// InterfaceGroupName: the node's name with Windows, the cluster's own with
    /// Samba.
    pub group_name: SmolStr,
    /// Whether the interface was in service when the list was made.
    pub state: ResourceState,
    /// Its valid addresses, at most one of each family, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Whether it may be used as a witness: with the list of the node that serves
    /// the share, whether it belongs to another node.
    pub may_be_witness: bool,
}

/// What a witness reports, in its generic form ([MS-SWN] 2.2.2.4). The protocol has
/// these four, so a match over them is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// A resource (an address or a net name) changed its state.
    ResourceChange {
        /// The resource's name as the witness gives it.
        name: SmolStr,
        /// Its state now.
        state: ResourceState,
    },
    /// The client shall reconnect to another address.
    ClientMove {
        /// The best usable address of those the witness listed.
        address: IpAddr,
    },
    /// The share moved to another address.
    ShareMove {
        /// The best usable address of those the witness listed.
        address: IpAddr,
    },
    /// The server's addresses changed. Where the registration's own address is
    /// among those that went out of service (version 2), a
    /// [`Notification::ResourceChange`] for it comes first, unless the consumer
    /// knows that already; there may then be no address to move to, and no
    /// `IpChange`.
    IpChange {
        /// The best usable address of those the witness listed.
        address: IpAddr,
    },
}

/// What a registration authenticates with at every witness it tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user's NT hash: NTLM and nothing else.
    Ntlm(NtlmCredentials),
    /// Tickets, or what gets them: Kerberos and nothing else.
    Kerberos(KerberosCredentials),
    /// Kerberos, and where it gets no ticket or the server does not take it,
    /// NTLM: inside SPNEGO, which protects the choice.
    Negotiate(KerberosCredentials, NtlmCredentials),
}

/// Names a registration within its [`Client`](crate::Client). Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrationId(pub u64);

/// What happens to a registration, in the order it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A witness has accepted the registration, the first time or again. Without
    /// [`Event::Failed`] in between, it has taken over from the witness before,
    /// which was released only then: there was always one. What both report
    /// meanwhile is passed on once.
    Registered {
        /// The witness's address.
        witness: IpAddr,
        /// The version spoken, 1 or 2.
        version: u8,
    },
    /// The witness reports something.
    Notification(Notification),
    /// The witness has answered that there is nothing new, as it does each
    /// [`Config::keep_alive`](crate::Config::keep_alive) (version 2): the consumer may look
    /// whether that is so, now that it is awake.
    NoNews,
    /// The connection to the node that serves the share, which was kept for this
    /// ([`Config::kept_links_max`](crate::Config::kept_links_max)), has ended as those to a
    /// dead node end: by silence, or reset by the node that has its address now. No witness
    /// has said so; the consumer may look whether its own connection lives.
    ServerLost {
        /// The node's address.
        address: IpAddr,
        /// How the connection has ended.
        error: crate::Error,
    },
    /// An attempt failed, or the registration was lost: no witness watches now.
    Failed {
        /// Why, and what to do about it.
        error: crate::Error,
        /// When the next attempt starts by itself. `None`: not soon, because it would be
        /// useless or do harm (a wrong password locks an account). What is wrong with the
        /// request is for the consumer to mend. Credentials that were refused are tried
        /// again after ten minutes, and where two servers have refused them after 13 hours,
        /// or at once when [`Client::request_again`](crate::Client::request_again) brings
        /// others or [`Client::try_now`](crate::Client::try_now) is called.
        retry_in: Option<std::time::Duration>,
    },
    /// The registration has ended as asked; the last event of its id.
    Unregistered,
}

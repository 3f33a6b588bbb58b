//! Errors that say what went wrong. What to do about it depends on what registers: a
//! daemon knows of mounts, this crate does not.

use crate::wire::{self, Status};
use dcerpc_proto::Operation;
use dcerpc_proto::association::{AssociationError, FaultStatus};
use dcerpc_proto::epm::{EpmError, EptMap};
use dcerpc_proto::ndr::NdrError;
use dcerpc_proto::security::kerberos::KerberosError;
use smol_str::SmolStr;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A call to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// The bind, before the first call.
    Bind,
    /// ept_map, at the endpoint mapper.
    Map,
    /// WitnessrGetInterfaceList.
    GetInterfaceList,
    /// WitnessrRegister or WitnessrRegisterEx.
    Register,
    /// WitnessrUnRegister.
    UnRegister,
    /// WitnessrAsyncNotify.
    AsyncNotify,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bind => "bind",
            Self::Map => EptMap::NAME,
            Self::GetInterfaceList => wire::GetInterfaceList::NAME,
            Self::Register => wire::Register::NAME,
            Self::UnRegister => wire::UnRegister::NAME,
            Self::AsyncNotify => wire::AsyncNotify::NAME,
        })
    }
}

/// What a server may take too long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// The TCP connection to its endpoint mapper.
    MapperConnection,
    /// The endpoint mapper's response.
    Mapping,
    /// The TCP connection to its witness service.
    WitnessConnection,
    /// The bind at its witness service.
    Bind,
    /// The response to a call of the witness service.
    Response(Call),
    /// The rest of a response that has arrived in part.
    RestOfResponse,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MapperConnection => "the connection to its endpoint mapper",
            Self::Mapping => "the endpoint mapper's call",
            Self::WitnessConnection => "the connection to its witness service",
            Self::Bind => "the bind",
            Self::Response(call) => return call.fmt(f),
            Self::RestOfResponse => "the rest of an answer",
        })
    }
}

/// Why an attempt to register, or to stay registered, failed. The text of an error
/// says all there is to say; its `source()` is the error of the layer below, where
/// there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [MS-SWN] 3.2.4.1: a net name that is an address, or empty.
    #[error("the net name {0:?} is an address, and a witness knows its cluster by name only")]
    NetNameIsAddress(SmolStr),
    /// The net name has no address.
    #[error("cannot resolve {name}: {reason}")]
    Resolve {
        /// The net name.
        name: SmolStr,
        /// What the resolver says.
        reason: SmolStr,
    },
    /// No connection to a server.
    #[error("cannot connect to {address}: {}", reason(*.kind))]
    Connect {
        /// The address and port.
        address: SocketAddr,
        /// What the operating system says.
        kind: ErrorKind,
    },
    /// The process, or the system, has no descriptor for another connection.
    #[error("cannot connect to {address}: too many open files")]
    NoDescriptor {
        /// The address and port.
        address: SocketAddr,
    },
    /// An established connection broke, or its peer vanished.
    #[error("the connection to {address} was lost: {}", reason(*.kind))]
    Lost {
        /// The address and port.
        address: SocketAddr,
        /// What the operating system says.
        kind: ErrorKind,
    },
    /// The server did not answer in time.
    #[error("{address} did not answer {awaited} within {} s", after.as_secs())]
    Timeout {
        /// The server.
        address: IpAddr,
        /// What did not come.
        awaited: Awaited,
        /// How long was waited.
        after: Duration,
    },
    /// The server offers no witness service.
    #[error("{address} offers no witness service: {error}")]
    NoService {
        /// The server.
        address: IpAddr,
        /// What its endpoint mapper says.
        #[source]
        error: EpmError,
    },
    /// The server refused the credentials.
    #[error("{address} refused the credentials ({detail})")]
    AccessDenied {
        /// The server.
        address: IpAddr,
        /// How it said so.
        detail: SmolStr,
    },
    /// The server's endpoint mapper wants to know who asks, and refused the credentials.
    #[error("the endpoint mapper of {address} refused the credentials ({detail})")]
    MapperAccessDenied {
        /// The server.
        address: IpAddr,
        /// How it said so.
        detail: SmolStr,
    },
    /// The operating system has no randomness to give.
    #[error("the system's random number generator failed")]
    NoRandom,
    /// Kerberos has no ticket to offer, or refuses the server's answer.
    #[error(transparent)]
    Kerberos(KerberosError),
    /// The Kerberos library did not come back.
    #[error("Kerberos: no ticket within {} s", after.as_secs())]
    KerberosTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// The server does not take the ticket, and nothing but Kerberos was allowed.
    #[error("{address} refused the ticket for {service} ({detail})")]
    TicketRefused {
        /// The server.
        address: IpAddr,
        /// The service principal.
        service: SmolStr,
        /// How it said so.
        detail: SmolStr,
    },
    /// The server broke the protocol.
    #[error("{address} broke the protocol: {error}")]
    Association {
        /// The server.
        address: IpAddr,
        /// How.
        #[source]
        error: AssociationError,
    },
    /// The server's answer cannot be read.
    #[error("{address} answered {call} with malformed data: {error}")]
    Malformed {
        /// The server.
        address: IpAddr,
        /// The call.
        call: Call,
        /// How it is malformed.
        #[source]
        error: NdrError,
    },
    /// The cluster lists no other node that could be a witness.
    #[error("no node of the cluster besides the one that serves the share offers a witness now")]
    NoWitness,
    /// The server refused a call.
    #[error("{address} refused {call}: {status}")]
    Refused {
        /// The server.
        address: IpAddr,
        /// The call.
        call: Call,
        /// Why.
        #[source]
        status: Status,
    },
    /// The server's RPC layer refused a call.
    #[error("{address} refused {call}: {status}")]
    Fault {
        /// The server.
        address: IpAddr,
        /// The call.
        call: Call,
        /// Why.
        #[source]
        status: FaultStatus,
    },
}

impl Error {
    /// Whether trying again unasked would be useless, or do harm: a wrong
    /// password locks an account. The consumer's next request starts the next
    /// attempt.
    pub fn needs_consumer(&self) -> bool {
        matches!(self, Self::NetNameIsAddress(_)) || self.is_refusal()
    }

    /// Whether the server can't sign the headers of its messages, which was required of it
    /// ([`Config::require_header_signing`](crate::Config::require_header_signing)).
    pub fn is_lack_of_header_signing(&self) -> bool {
        matches!(self, Self::Association { error: AssociationError::NoHeaderSigning, .. })
    }

    /// Whether a server has refused the credentials: a few of these lock an account.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::AccessDenied { .. } | Self::MapperAccessDenied { .. } => true,
            Self::Kerberos(error) => error.may_lock_account(),
            _ => false,
        }
    }
}

/// What the operating system means, in a person's words.
fn reason(kind: ErrorKind) -> SmolStr {
    match kind {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::TimedOut => "no answer".into(),
        ErrorKind::UnexpectedEof => "closed by the server".into(),
        other => smol_str::format_smolstr!("{other}"),
    }
}

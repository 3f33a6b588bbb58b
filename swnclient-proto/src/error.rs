//! Errors that say what went wrong. What to do about it depends on what registers: a
//! daemon knows of mounts, this crate does not.

use crate::wire::Status;
use dcerpc_proto::association::{AssociationError, FaultStatus};
use dcerpc_proto::epm::EpmError;
use dcerpc_proto::ndr::NdrError;
use dcerpc_proto::security::kerberos::KerberosError;
use smol_str::SmolStr;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

/// Why an attempt to register, or to stay registered, failed.
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
    /// An established connection broke, or its peer vanished.
    #[error("the connection to {address} was lost: {}", reason(*.kind))]
    Lost {
        /// The address and port.
        address: SocketAddr,
        /// What the operating system says.
        kind: ErrorKind,
    },
    /// The server did not answer in time.
    #[error("{address} did not answer {what} within {seconds} s")]
    Timeout {
        /// The server.
        address: IpAddr,
        /// What was asked.
        what: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The server offers no witness service.
    #[error("{address} offers no witness service: {error}")]
    NoService {
        /// The server.
        address: IpAddr,
        /// What its endpoint mapper says.
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
    /// Kerberos has no ticket to offer, or refuses the server's answer.
    #[error("{0}")]
    Kerberos(KerberosError),
    /// The Kerberos library did not come back.
    #[error("Kerberos: no ticket within {seconds} s")]
    KerberosTimeout {
        /// How long was waited, in seconds.
        seconds: u64,
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
        error: AssociationError,
    },
    /// The server's answer cannot be read.
    #[error("{address} answered {call} with malformed data: {error}")]
    Malformed {
        /// The server.
        address: IpAddr,
        /// The call.
        call: &'static str,
        /// How it is malformed.
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
        call: &'static str,
        /// Why.
        status: Status,
    },
    /// The server's RPC layer refused a call.
    #[error("{address} refused {call}: {status}")]
    Fault {
        /// The server.
        address: IpAddr,
        /// The call.
        call: &'static str,
        /// Why.
        status: FaultStatus,
    },
}

impl Error {
    /// Whether trying again unasked would be useless, or do harm: a wrong
    /// password locks an account. The consumer's next request starts the next
    /// attempt.
    pub fn needs_consumer(&self) -> bool {
        match self {
            Self::AccessDenied { .. } | Self::NetNameIsAddress(_) => true,
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

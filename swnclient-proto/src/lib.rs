#![doc = include_str!("../README.md")]

mod allowance;
mod api;
mod authentication;
mod backoff;
mod choice;
mod client;
mod client_name;
mod config;
mod error;
mod interning;
mod lifecycle;
mod link;
mod links;
mod overlap;
mod registration;
mod scoped;
mod search;
mod silent;
mod timers;
pub mod wire;

pub use api::{
    Credentials, Event, Interface, Notification, RegistrationId, RegistrationRequest, ResourceState,
};
pub use authentication::handshake;
pub use client::Client;
pub use client_name::{ClientName, FullName};
pub use config::{Config, ConfigError};
pub use dcerpc_proto::pdu::AuthLevel;
pub use dcerpc_proto::security::Secret;
pub use dcerpc_proto::security::kerberos::{KerberosCredentials, KerberosError, KerberosErrorKind};
pub use dcerpc_proto::security::ntlm::{NtlmCredentials, Uppercase};
pub use error::{Awaited, Call, Error};
pub use scoped::ScopedAddr;

use dcerpc_proto::association::AuthJob;
use smol_str::SmolStr;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Names a connection between [`Client`] and its owner. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the owner of a [`Client`] is to do.
#[derive(Debug)]
pub enum Action {
    /// Look a host's addresses up; then [`Client::handle_resolved`].
    Resolve {
        /// The host.
        host: SmolStr,
    },
    /// Look this host's full name up; then [`Client::handle_full_name`], in a second or
    /// two also where there is no answer.
    FindFullName {
        /// The host's name, without a domain.
        host: SmolStr,
    },
    /// Open a TCP connection; then [`Client::handle_connected`] or
    /// [`Client::handle_closed`].
    Connect {
        /// The name that the connection has from now on.
        connection: ConnectionId,
        /// Where to.
        address: SocketAddr,
    },
    /// Write these bytes in one go.
    Transmit {
        /// To which connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Close a connection, or stop opening it.
    Close {
        /// Which one.
        connection: ConnectionId,
    },
    /// Run a job that may block, off the event loop; then
    /// [`Client::handle_authenticated`].
    Authenticate {
        /// The connection it is for.
        connection: ConnectionId,
        /// The job.
        job: AuthJob,
    },
}

/// How many entries a queue keeps room for while it is empty.
const KEPT: usize = 64;

/// The next of a queue. An empty one does not keep the room that thousands
/// needed at once.
fn take<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let next = queue.pop_front();
    if next.is_none() {
        queue.shrink_to(KEPT);
    }
    next
}

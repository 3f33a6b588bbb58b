//! What can be seen of the kernel's connection to a file server.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The TCP port of SMB ([MS-SMB2] 2.1).
pub const SMB_PORT: u16 = 445;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// The kernel connects: SYN_SENT.
    Connecting,
    /// Both sides may send.
    Established,
    /// One of the sides has closed it.
    Closing,
}

/// A TCP connection to an SMB server, as `sock_diag` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Names the socket for as long as the system runs; never used twice.
    pub cookie: u64,
    /// The interface that the socket is bound to, or 0.
    pub interface: u32,
    /// This end.
    pub local: SocketAddr,
    /// The server's end.
    pub remote: SocketAddr,
    /// How far it is.
    pub state: TcpState,
    /// Segments that the server has not acknowledged.
    pub unacknowledged: u32,
    /// How often the retransmission timeout has doubled since the last
    /// acknowledgement.
    pub backoff: u8,
    /// Time since the last acknowledgement.
    pub since_ack: Duration,
    /// Bytes received since the connection was made.
    pub received: u64,
    /// Time since data was last sent.
    pub since_sent: Duration,
    /// Time since data was last received.
    pub since_received: Duration,
}

impl Connection {
    /// Returns the server's address.
    pub fn address(&self) -> IpAddr {
        self.remote.ip().to_canonical()
    }

    /// Returns whether data is outstanding and nothing has been acknowledged for
    /// `silence`.
    pub fn is_waiting(&self, silence: Duration) -> bool {
        self.state == TcpState::Established && self.unacknowledged > 0 && self.since_ack >= silence
    }

    /// Returns how long nothing has gone over it.
    pub fn quiet(&self) -> Duration {
        self.since_sent.min(self.since_received)
    }

    /// Returns whether something was sent and nothing received since.
    pub fn is_owed(&self) -> bool {
        self.since_sent < self.since_received
    }

    /// Returns whether the server has stopped acknowledging: it is waited for since
    /// `silence`, and data was retransmitted at least `retransmissions` times.
    pub fn is_dead(&self, retransmissions: u8, silence: Duration) -> bool {
        self.is_waiting(silence) && self.backoff >= retransmissions
    }
}

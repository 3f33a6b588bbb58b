//! What the failover wants done.

use super::connection::Connection;
use super::line::Line;
use crate::mount::Mount;
use smol_str::SmolStr;
use std::net::IpAddr;
use std::time::Duration;
use swnclient::Notification;

/// What the failover wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look at these connections, at once.
    Look(Vec<Connection>),
    /// Look at all connections.
    Observe {
        /// And read `/proc/fs/cifs/DebugData`.
        debug_data: bool,
        /// And read where mounts are served that are adopted.
        mounts: bool,
    },
    /// Connect to port 445 of an address.
    Probe(IpAddr),
    /// Look a name up.
    LookUp(SmolStr),
    /// Ask the witness client for the cluster's nodes.
    List(u32),
    /// Give the kernel a notification for one of its registrations.
    Notify {
        /// The kernel's number.
        id: u32,
        /// What it is told.
        notification: Notification,
    },
    /// End a connection.
    End {
        /// Which.
        connection: Connection,
        /// Only where it is dead still, by [`Connection::is_dead`].
        if_dead: Option<(u8, Duration)>,
    },
    /// The kernel is served by another address now, and has not said so.
    Relocate {
        /// The kernel's number.
        id: u32,
        /// The address.
        address: IpAddr,
    },
    /// The kernel has no mount by this address any more, while it has one by another.
    Forget {
        /// The kernel's number.
        id: u32,
        /// The address.
        address: IpAddr,
    },
    /// Bring the kernel to send something to the server of a mount.
    Ask {
        /// The mount.
        mount: Mount,
        /// The address that serves it.
        address: IpAddr,
    },
    /// Tell the administrator.
    Report {
        /// A mount that it is about.
        mount: Mount,
        /// How many others it is about.
        others: usize,
        /// What.
        line: Line,
    },
}

/// The result of [`Action::End`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was ended.
    Ended,
    /// It was gone already.
    Gone,
    /// It lives.
    Alive,
    /// The kernel can't: it lacks `CONFIG_INET_DIAG_DESTROY`.
    Impossible,
}

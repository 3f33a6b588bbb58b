//! What an administrator reads of a failover.

use crate::text::OneLine;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// swnd looks at the mount's connection itself.
    Watching {
        /// The server's address.
        address: IpAddr,
    },
    /// The connection is dead, and its witness has not said so.
    Unsaid {
        /// The server's address.
        address: IpAddr,
    },
    /// The connection to the server beside the kernel's has ended.
    ServerLost {
        /// The server's address.
        address: IpAddr,
        /// How.
        error: String,
    },
    /// The kernel needed no help.
    ReconnectedByItself,
    /// The kernel is about to reconnect, and needs no help.
    Reconnecting,
    /// The kernel's connection lives.
    GoesOn,
    /// A dead connection was ended, because its address answers again.
    EndedDead {
        /// The server's address.
        address: IpAddr,
    },
    /// The kernel has a connection again.
    Reconnected {
        /// Since the dead one was ended.
        after: Duration,
    },
    /// The kernel's connection is to another address.
    ServedBy {
        /// The server's address now.
        address: IpAddr,
        /// Since the kernel accepted the move, where it was moved.
        after: Option<Duration>,
    },
    /// The address does not answer, another of the cluster does.
    Steering {
        /// The address that does not.
        address: IpAddr,
        /// The one that does.
        target: IpAddr,
    },
    /// The kernel has left the address that it was moved to.
    MoveAgain,
    /// The kernel does not stay where it was moved to.
    MoveFailed,
    /// The kernel is there already.
    AlreadyAt {
        /// The address.
        address: IpAddr,
    },
    /// The target of an ordered move does not answer.
    TargetSilent {
        /// The address.
        target: IpAddr,
    },
    /// A mount without the option `witness` can't be moved there: its name stands for
    /// another address first.
    NotByName {
        /// The address.
        target: IpAddr,
    },
    /// Nothing can be done for mounts without the option `witness`.
    Powerless,
    /// The share is mounted by two addresses.
    Shared {
        /// One of them.
        address: IpAddr,
        /// By which the kernel last asked.
        other: IpAddr,
    },
    /// The kernel would move another mount than the one that is meant.
    SharedNumber {
        /// By which the one is mounted that is meant.
        address: IpAddr,
        /// By which the other one is.
        other: IpAddr,
    },
    /// The kernel was given the plain notification.
    Told,
    /// No server was found.
    GaveUp,
    /// The kernel's connection can't be seen.
    Hidden,
    /// The kernel can't be brought to send something.
    NotAsked {
        /// Why.
        error: String,
    },
}

impl Line {
    /// How much it matters.
    pub fn level(&self) -> log::Level {
        match self {
            Self::MoveFailed
            | Self::TargetSilent { .. }
            | Self::NotByName { .. }
            | Self::Powerless
            | Self::SharedNumber { .. }
            | Self::GaveUp
            | Self::Hidden
            | Self::NotAsked { .. }
            | Self::Unsaid { .. } => log::Level::Warn,
            Self::Reconnecting | Self::GoesOn => log::Level::Debug,
            _ => log::Level::Info,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |after: &Duration| format!("{:.2} s", after.as_secs_f64());
        match self {
            Self::Watching { address } => {
                write!(f, "watching the kernel's connection to {address}, without a witness")
            }
            Self::Unsaid { address } => write!(
                f,
                "the kernel's connection to {address} is dead, and its witness has not said so: \
                 looking after it; see why in the log of the witness's node"
            ),
            Self::ServerLost { address, error } => write!(
                f,
                "{address} may be dead: {}; looking after the kernel's connection",
                OneLine::error(error)
            ),
            Self::ReconnectedByItself => {
                f.write_str("the kernel has reconnected by itself; nothing was sent")
            }
            Self::Reconnecting => f.write_str("the kernel is reconnecting; nothing was sent"),
            Self::GoesOn => f.write_str("the kernel's connection goes on; nothing was sent"),
            Self::EndedDead { address } => {
                write!(f, "{address} answers again: ended the kernel's dead connection to it")
            }
            Self::Reconnected { after } => {
                write!(f, "the kernel has reconnected after {}", seconds(after))
            }
            Self::ServedBy { address, after: Some(after) } => {
                write!(f, "served by {address} after {}", seconds(after))
            }
            Self::ServedBy { address, after: None } => {
                write!(f, "the kernel has reconnected by itself, to {address}")
            }
            Self::Steering { address, target } => {
                write!(f, "{address} does not answer, {target} does: moving there")
            }
            Self::MoveAgain => {
                f.write_str("the kernel is not where it was moved to; moving it again")
            }
            Self::MoveFailed => f.write_str(
                "the kernel does not stay where it is moved to; `dmesg` may say why, \
                 and `/proc/fs/cifs/DebugData` where it is",
            ),
            Self::AlreadyAt { address } => write!(f, "served by {address} already"),
            Self::TargetSilent { target } => write!(
                f,
                "not moved: {target} does not answer on port 445; check that node and the firewall"
            ),
            Self::NotByName { target } => write!(
                f,
                "not moved to {target}: without the mount option witness the kernel connects to \
                 the first address that the cluster's name stands for, and that is another one; \
                 see \"swnctl resolve-key\" in swnctl(8)"
            ),
            Self::Powerless => f.write_str(
                "nothing can be done: the kernel's connection can't be ended from here, and it \
                 can't be told without the mount option witness; it looks by itself",
            ),
            Self::Shared { address, other } => write!(
                f,
                "mounted by {address} and by {other}, which the kernel asks for as one: both are \
                 watched"
            ),
            Self::SharedNumber { address, other } => write!(
                f,
                "not moved: of the mounts by {address} and by {other} the kernel would move the \
                 latter; unmount one of them, or mount both by one address"
            ),
            Self::Told => f.write_str("told the kernel, which looks within seven seconds"),
            Self::GaveUp => f.write_str(
                "no server has answered for an hour; the kernel goes on trying by itself",
            ),
            Self::Hidden => f.write_str(
                "the kernel's connection can't be seen from swnd's network namespace; \
                 failovers of this mount take longer",
            ),
            Self::NotAsked { error } => write!(
                f,
                "its server can't be asked whether it lives ({}): where it dies over a request, \
                 that is seen with the kernel's next echo; let swnd reach the mount's path",
                OneLine::error(error)
            ),
        }
    }
}

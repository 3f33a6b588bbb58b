//! What an administrator is told: one line each, and what to do where something
//! is wrong. No secret is ever part of one.

mod fields;
mod kind;
#[cfg(test)]
mod tests;

pub use fields::{fields, notification_name};
pub use kind::Kind;

use crate::authentication::Unusable;
use crate::failover::Line;
use crate::kernel::absence::Absence;
use crate::kernel::message::DecodeError;
pub use crate::mount::Mount;
use crate::text::OneLine;
use rustix::io::Errno;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use swnclient::{Awaited, Call, Error, Notification, ResourceState};

/// One thing that happened.
#[derive(Debug)]
pub enum Report {
    /// The family is there.
    Listening,
    /// The family is not there.
    Absent(Absence),
    /// A mount wants a witness.
    Asked {
        /// The mount.
        mount: Mount,
        /// The node that serves it.
        address: Option<IpAddr>,
    },
    /// The kernel asked again for what is under way.
    AskedAgain {
        /// The mount.
        mount: Mount,
    },
    /// The mount is served by another node than before.
    AddressChanged {
        /// The mount.
        mount: Mount,
        /// The node's address now.
        address: Option<IpAddr>,
    },
    /// A witness accepted the registration.
    Registered {
        /// The mount.
        mount: Mount,
        /// The node that is watched.
        address: Option<IpAddr>,
        /// The witness's address.
        witness: IpAddr,
        /// The protocol's version.
        version: u8,
    },
    /// An attempt to register failed.
    Failed {
        /// The mount.
        mount: Mount,
        /// Why.
        error: Error,
        /// When the next attempt comes by itself, if it does.
        retry_in: Option<Duration>,
        /// Whether this was reported before.
        again: bool,
        /// Whether a witness watched the mount until then.
        lost: bool,
    },
    /// The mount's credentials are of no use.
    Unusable {
        /// The mount.
        mount: Mount,
        /// Why.
        reason: Unusable,
        /// Whether this was reported before.
        again: bool,
    },
    /// A notification went to the kernel, which answered.
    Notified {
        /// The mount.
        mount: Mount,
        /// What the witness reported.
        notification: Notification,
        /// The kernel's answer.
        answer: Result<(), Errno>,
        /// How long it took, from the decision to tell the kernel.
        delivery: Duration,
    },
    /// A notification could not be given to the kernel.
    NotNotified {
        /// The mount.
        mount: Mount,
        /// What the witness reported.
        notification: Notification,
        /// Why.
        error: String,
    },
    /// A notification came, and the failover looks what it means.
    Told {
        /// The mount.
        mount: Mount,
        /// What the witness reported.
        notification: Notification,
    },
    /// A notification came, and nothing follows from it.
    Ignored {
        /// The mount.
        mount: Mount,
        /// What the witness reported.
        notification: Notification,
    },
    /// A failover goes on.
    Failover {
        /// A mount that it is about.
        mount: Mount,
        /// How many others it is about.
        others: usize,
        /// What happens.
        line: Line,
    },
    /// A notification came for a registration that has ended.
    Late {
        /// The mount.
        mount: Mount,
        /// What the witness reported.
        notification: Notification,
    },
    /// The kernel wants no witness any more.
    Released {
        /// The mount.
        mount: Mount,
    },
    /// A mount that is adopted is gone.
    Unmounted {
        /// The mount.
        mount: Mount,
    },
    /// A mount that is adopted has other credentials.
    Renewed {
        /// The mount.
        mount: Mount,
    },
    /// A registration has ended.
    Unregistered {
        /// The mount.
        mount: Mount,
        /// The node that was watched.
        address: Option<IpAddr>,
    },
    /// The kernel unregisters what is not registered.
    UnknownUnregistered {
        /// The kernel's number.
        id: u32,
    },
    /// Messages of the kernel were lost.
    Overrun,
    /// A message of the kernel cannot be used.
    Undecodable {
        /// Why.
        error: DecodeError,
        /// Whether this was reported before.
        again: bool,
    },
    /// Another process sent something.
    Foreign {
        /// Its port id, where it has one.
        sender: Option<u32>,
    },
}

impl Report {
    /// How much it matters.
    pub fn level(&self) -> log::Level {
        match self {
            Self::Failed { again: true, .. }
            | Self::Unusable { again: true, .. }
            | Self::Undecodable { again: true, .. } => log::Level::Debug,
            Self::Failed { .. }
            | Self::Unusable { .. }
            | Self::Undecodable { .. }
            | Self::NotNotified { .. }
            | Self::Notified { answer: Err(_), .. }
            | Self::Absent(Absence::Option | Absence::Namespace)
            | Self::Overrun
            | Self::Foreign { .. } => log::Level::Warn,
            Self::Failover { line, .. } => line.level(),
            Self::Listening
            | Self::Absent(Absence::Module)
            | Self::Told { .. }
            | Self::Ignored { .. }
            | Self::Asked { .. }
            | Self::AddressChanged { .. }
            | Self::Registered { .. }
            | Self::Notified { .. }
            | Self::Unregistered { .. } => log::Level::Info,
            Self::AskedAgain { .. }
            | Self::Late { .. }
            | Self::Released { .. }
            | Self::Unmounted { .. }
            | Self::Renewed { .. }
            | Self::UnknownUnregistered { .. } => log::Level::Debug,
        }
    }

    /// Names what is reported.
    pub fn kind(&self) -> Kind {
        self.into()
    }

    /// The mount it is about, if it is about one.
    pub fn mount(&self) -> Option<&Mount> {
        match self {
            Self::Asked { mount, .. }
            | Self::AskedAgain { mount }
            | Self::AddressChanged { mount, .. }
            | Self::Registered { mount, .. }
            | Self::Failed { mount, .. }
            | Self::Unusable { mount, .. }
            | Self::Notified { mount, .. }
            | Self::NotNotified { mount, .. }
            | Self::Late { mount, .. }
            | Self::Told { mount, .. }
            | Self::Ignored { mount, .. }
            | Self::Failover { mount, .. }
            | Self::Released { mount }
            | Self::Unmounted { mount }
            | Self::Renewed { mount }
            | Self::Unregistered { mount, .. } => Some(mount),
            _ => None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mount) = self.mount() {
            write!(f, "{mount}")?;
            match self {
                Self::Failover { others: 1, .. } => f.write_str(" and another")?,
                Self::Failover { others: others @ 2.., .. } => write!(f, " and {others} others")?,
                _ => {}
            }
            f.write_str(": ")?;
        }
        match self {
            Self::Listening => f.write_str("listening to the cifs module"),
            Self::Absent(absence) => f.write_str(match absence {
                Absence::Module => "waiting for the cifs module, which the first cifs mount loads",
                Absence::Option => {
                    "the cifs module is loaded and asks for no witness, for the kernel lacks \
                     CONFIG_CIFS_SWN_UPCALL: let swnd adopt its mounts, see swnd.conf(5)"
                }
                Absence::Namespace => {
                    "the kernel offers the cifs module's messages in the machine's own network \
                     namespace only: start swnd there"
                }
            }),
            Self::Asked { address, .. } => {
                write!(f, "asking for a witness of {}", Address(*address))
            }
            Self::AskedAgain { .. } => f.write_str("the kernel asks again"),
            Self::AddressChanged { address, .. } => {
                write!(f, "served by {} now; re-registering", Address(*address))
            }
            Self::Registered { address, witness, version, .. } => write!(
                f,
                "registered at witness {witness}, which watches {} (version {version})",
                Address(*address)
            ),
            Self::Failed { error, retry_in, .. } => {
                f.write_str(&describe(error))?;
                match retry_in {
                    Some(delay) => write!(f, "; next attempt in {:.1} s", delay.as_secs_f32()),
                    None if error.is_refusal() => f.write_str(
                        "; not tried again for hours with the same password, but by swnctl retry",
                    ),
                    None => f.write_str("; next attempt when the kernel asks again"),
                }
            }
            Self::Unusable { reason, .. } => reason.fmt(f),
            Self::Notified { notification, answer, .. } => {
                write!(f, "{}: ", Told(notification))?;
                match answer {
                    Ok(()) if is_unused(notification) => f.write_str(UNUSED),
                    Ok(()) => f.write_str("the kernel accepted it"),
                    Err(Errno::INVAL | Errno::NODEV) => f.write_str(
                        "the kernel does not know the mount any more; its registration ends",
                    ),
                    Err(errno) => write!(f, "the kernel refused it: {errno}"),
                }
            }
            Self::NotNotified { notification, error, .. } => {
                write!(
                    f,
                    "{}: the kernel could not be told: {}",
                    Told(notification),
                    OneLine::error(error)
                )
            }
            Self::Told { notification, .. } => {
                write!(f, "{}", Told(notification))?;
                match notification {
                    Notification::ResourceChange { .. } => {
                        f.write_str(": looking at the kernel's connection")
                    }
                    _ => f.write_str(": asking that address first"),
                }
            }
            Self::Ignored { notification, .. } => {
                let why = if is_unused(notification) { UNUSED } else { "nothing follows" };
                write!(f, "{}: {why}", Told(notification))
            }
            Self::Failover { line, .. } => line.fmt(f),
            Self::Late { notification, .. } => {
                write!(f, "{}: dropped, for the registration has ended", Told(notification))
            }
            Self::Released { .. } => f.write_str("the kernel unregisters it"),
            Self::Unmounted { .. } => f.write_str("not mounted any more"),
            Self::Renewed { .. } => f.write_str("adopted with credentials that are read again"),
            Self::Unregistered { address, .. } => {
                write!(f, "unregistered; {} is watched no more", Address(*address))
            }
            Self::UnknownUnregistered { id } => {
                write!(f, "the kernel unregisters {id}, which is not registered")
            }
            Self::Overrun => f.write_str(
                "messages of the kernel were lost; it repeats them at the next echo \
                 (mount option echo_interval)",
            ),
            Self::Undecodable { error, .. } => {
                write!(f, "a message of the kernel is of no use: {}", OneLine::error(error))
            }
            Self::Foreign { sender } => match sender {
                Some(port) => write!(f, "dropped a message of the process at port id {port}"),
                None => f.write_str("dropped a message of unknown origin"),
            },
        }
    }
}

/// Says why an attempt failed, and what to do about it.
pub(crate) fn describe(error: &Error) -> String {
    match advice(error) {
        Some(advice) => format!("{}; {advice}", OneLine::error(error)),
        None => OneLine::error(error).to_string(),
    }
}

/// Returns what an administrator can do about an error.
fn advice(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NetNameIsAddress(_) => "mount by the cluster's name",
        Error::Resolve { .. } => "check DNS or /etc/hosts",
        Error::NoDescriptor { .. } => {
            "raise the limit of open files (LimitNOFILE= of swnd's unit, or fs.file-max)"
        }
        Error::Connect { .. }
        | Error::Timeout {
            awaited: Awaited::MapperConnection | Awaited::WitnessConnection, ..
        } => "check the network and the firewall (TCP 135 and 49152 to 65535)",
        Error::Fault { call: Call::Map, status, .. } if status.is_access_denied() => {
            "its policy RestrictRemoteClients (\"Restrict Unauthenticated RPC clients\") keeps \
             clients from its endpoint mapper"
        }
        Error::MapperAccessDenied { .. } => {
            "check user, password and domain of the mount, or whether the policy \
             RestrictRemoteClients (\"Restrict Unauthenticated RPC clients\") of the server keeps \
             clients from its endpoint mapper"
        }
        error if error.is_lack_of_header_signing() => {
            "allow it by --allow-unsigned-headers, if the network can be trusted"
        }
        Error::AccessDenied { .. } => "check user, password and domain of the mount",
        Error::KerberosTimeout { .. } => "check the network to the KDC and krb5.conf",
        Error::TicketRefused { .. } => {
            "check that the server is a member of the realm and has the key of that service \
             (klist -k), or mount with sec=ntlmssp"
        }
        _ => return None,
    })
}

/// No Linux acts on these two types.
const UNUSED: &str = "not used by this kernel";

fn is_unused(notification: &Notification) -> bool {
    matches!(notification, Notification::ShareMove { .. } | Notification::IpChange { .. })
}

struct Address(Option<IpAddr>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("an unknown address"),
        }
    }
}

struct Told<'a>(&'a Notification);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Notification::ResourceChange { name, state } => {
                let state = match state {
                    ResourceState::Unknown => "in an unknown state",
                    ResourceState::Available => "available",
                    ResourceState::Unavailable => "unavailable",
                };
                write!(f, "{} is {state}", OneLine::new(name))
            }
            Notification::ClientMove { address } => write!(f, "client move to {address}"),
            Notification::ShareMove { address } => write!(f, "share move to {address}"),
            Notification::IpChange { address } => write!(f, "address change to {address}"),
        }
    }
}

//! The kernel's side: generic netlink and its family `cifs`.

pub mod absence;
pub mod ctrl;
pub mod link;
pub mod message;
mod pending;
pub mod socket;
pub mod wire;

pub use link::{KernelAnswer, Link, LinkError, LinkEvent, NotifyError, Prepared, Transport};
pub use message::{KernelAuth, KernelMessage};
pub use swnclient::Secret;

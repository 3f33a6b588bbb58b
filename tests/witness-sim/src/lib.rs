//! A witness cluster in one process: nodes with addresses, an endpoint mapper
//! on each, and the witness service of [MS-SWN] with real NTLM sign and seal.
//! It shows a failover in ten seconds on a laptop, and it makes the faults that
//! real servers won't. It proves nothing about real servers.
//!
//! - [`Cluster`] is the whole of it, sans-IO: bytes, a clock reading and
//!   [`Step`]s go in; bytes, closes, [`Event`]s and the next deadline come out.
//!   Time counts from the cluster's start.
//! - `net` runs a cluster on real sockets, by tokio.
//! - [`world`] runs a cluster and any number of sans-IO clients in virtual
//!   time, deterministic by seed.
//! - [`Profile`] has what tells vendors apart, with where it is from, [`script`] what can be done to a
//!   cluster, [`Fault`] what can go wrong.

mod answer;
mod cluster;
mod config;
mod connection;
mod event;
mod fault;
#[cfg(feature = "net")]
pub mod net;
mod profile;
mod registration;
mod rpc;
pub mod script;
mod steps;
mod topology;
mod traits;
mod witness;
pub mod world;

pub use cluster::{Cluster, Connect, Output};
pub use config::{ClusterConfig, NodeConfig, User};
pub use connection::ConnId;
pub use event::{Event, Happening};
pub use fault::{Fault, Stage, What};
pub use profile::Profile;
pub use registration::{GroupId, Notice, Pending, Registration, RegistrationId, Waiting};
pub use script::{Destination, Script, ScriptError, Step, Who};
pub use topology::{Address, Node, NodeId, Power, Reach, Service, Topology};
pub use traits::{Listed, MoveFlags, NameSource, NodeDeath, Traits};

/// A reading of the cluster's clock: since its start.
pub type Time = std::time::Duration;

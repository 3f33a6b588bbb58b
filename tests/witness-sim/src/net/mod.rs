//! A cluster on real sockets, in real time.
//!
//! ```no_run
//! # async fn example() -> Result<(), witness_sim::net::StartError> {
//! use witness_sim::net::{RunningCluster, unused_subnet};
//! use witness_sim::{ClusterConfig, NodeId, Profile, Step};
//!
//! let config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
//! let cluster = RunningCluster::start(config).await?;
//! cluster.run(Step::NodeDown { node: NodeId(1), silent: false }).await;
//! # Ok(())
//! # }
//! ```
//!
//! Addresses of 127.0.0.0/8 need no set-up on Linux. A node that is silent
//! here swallows what it is sent and lets connection attempts hang; the
//! kernel below it still acknowledges bytes and answers TCP keepalives, which a
//! dead machine would not.

mod driver;
mod listeners;

use crate::{Cluster, ClusterConfig, Event, Script, Step, Time};
use driver::{Command, Driver, Subscription, Wish};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Why a cluster cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port below 1024 and no privilege.
    #[error(
        "cannot listen on {address}: ports below {} need root (or CAP_NET_BIND_SERVICE); \
         run as root, or choose another port for the endpoint mapper",
        unprivileged_port_start()
    )]
    Privileged {
        /// Where.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: it is in use, perhaps by another cluster in a box; \
         choose another subnet"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

impl StartError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Privileged { address },
            io::ErrorKind::AddrInUse => Self::InUse { address },
            _ => Self::Other { address, error },
        }
    }
}

/// Where ports begin that anybody may listen on.
fn unprivileged_port_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

/// A port of the last address of a subnet that is in use, which keeps others away.
const RESERVING_PORT: u16 = 13_499;

/// A subnet of 127.0.0.0/8 where no other cluster in a box runs, in this
/// process or another, nor will as long as this process runs.
pub fn unused_subnet() -> [u8; 3] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static RESERVED: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let start = std::process::id().wrapping_mul(37);
    loop {
        let n = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [c, b, ..] = n.to_le_bytes();
        // 127.64.0.0 to 127.191.255.0: away from what people use by hand.
        let subnet = [127, 64 + b % 128, c];
        let bind = |host, port| TcpListener::bind((Ipv4Addr::new(127, subnet[1], c, host), port));
        // No cluster has this one. Who has it has the subnet.
        let Ok(reserved) = bind(254, RESERVING_PORT) else { continue };
        let free = match bind(11, dcerpc_proto::epm::PORT) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                bind(11, crate::config::FIRST_WITNESS_PORT)
            }
            other => other,
        };
        if free.is_ok() {
            RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(reserved);
            return subnet;
        }
    }
}

/// A cluster that runs on the current tokio runtime until it is dropped.
#[derive(Debug)]
pub struct RunningCluster {
    commands: mpsc::UnboundedSender<Command>,
    started: Instant,
}

/// How bytes go between the nodes and their clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// As they come.
    #[default]
    Plain,
    /// To the client one at a time, each in a segment of its own.
    ByteByByte,
    /// Of what a client sends on a connection, no more is read once there have been so
    /// many bytes, and its window closes.
    Unread {
        /// In bytes.
        after: usize,
    },
}

/// A condition was not met in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster did not come to the expected state within {0:?}")]
pub struct NotInTime(pub Duration);

impl RunningCluster {
    /// Starts a cluster: binds every address and serves from then on.
    ///
    /// # Errors
    /// [`StartError`] where an address cannot be bound. IPv6 addresses that
    /// this machine doesn't have are left out; they exist on paper.
    pub async fn start(config: ClusterConfig) -> Result<Self, StartError> {
        Self::start_behind(config, Way::Plain).await
    }

    /// As [`RunningCluster::start`], behind another way.
    ///
    /// # Errors
    /// As there.
    #[allow(clippy::unused_async)] // It needs the runtime, which `async` says.
    pub async fn start_behind(config: ClusterConfig, way: Way) -> Result<Self, StartError> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let started = Instant::now();
        let driver = Driver::start(Cluster::new(config), started, inbox, way)?;
        tokio::spawn(driver.run());
        Ok(Self { commands, started })
    }

    /// When its clock began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Does something with the cluster and waits until its effects are on the
    /// sockets: a node that was killed refuses connections by then.
    ///
    /// # Panics
    /// Where the cluster's task has panicked.
    pub async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Cluster, Time) -> T + Send + 'static,
    ) -> T {
        let (done, result) = oneshot::channel();
        self.command(Command::Job(Box::new(move |cluster, now| {
            let value = job(cluster, now);
            Box::new(move || drop(done.send(value)))
        })));
        result.await.expect("the cluster's task has died")
    }

    /// Runs a step now.
    pub async fn run(&self, step: Step) {
        self.with(move |cluster, now| cluster.run(now, step)).await;
    }

    /// Runs a script from now on.
    pub async fn play(&self, script: Script) {
        self.with(move |cluster, now| cluster.play(now, &script)).await;
    }

    /// Sends bytes on each connection, as if from its node: what someone on the way can.
    ///
    /// # Panics
    /// As [`RunningCluster::with`].
    pub fn forge(&self, bytes: Vec<u8>) {
        self.command(Command::Forge(bytes));
    }

    /// What happens from now on.
    pub fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.command(Command::Subscribe(Subscription(sender)));
        receiver
    }

    /// Waits until the cluster is in a certain state.
    ///
    /// # Errors
    /// [`NotInTime`] where it isn't within `limit`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        condition: impl FnMut(&Cluster) -> bool + Send + 'static,
    ) -> Result<(), NotInTime> {
        let (done, met) = oneshot::channel();
        self.command(Command::Wait(Wish { condition: Box::new(condition), done }));
        match tokio::time::timeout(limit, met).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotInTime(limit)),
        }
    }

    fn command(&self, command: Command) {
        // The driver lives as long as this does, unless it panicked.
        drop(self.commands.send(command));
    }
}

//! The control socket: Varlink on a Unix socket, for `swnctl` and others. It has a thread
//! of its own, so that a client costs the event loop only what is copied under the lock.

mod client;
pub mod interface;
mod monitor;
mod probe;
mod wire;

pub use crate::paths::SOCKET;
pub use monitor::Monitors;

use crate::adoption::Rules;
use crate::authentication::Policy;
use crate::failover::driver::Answer;
use crate::report::Kind;
use crate::status::Status;
use crate::table::MountView;
use interface::Reloaded;
use log::LevelFilter;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as Listener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use swnclient::Interface;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};
use wire::Failure;

/// In place of a path: no socket.
pub const NO_SOCKET: &str = "none";
/// How many clients may be connected.
pub const CLIENTS_MAX: usize = 16;
/// How many of them may be of others than root, so that they can't keep root out.
pub const OTHERS_MAX: usize = 12;
/// How long to wait where there is no file descriptor for a client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// In bytes; what is touched of it is locked in memory.
const STACK: usize = 256 << 10;

/// What the socket tells and does. Called from its thread.
pub trait Source: Send + Sync + 'static {
    /// Returns the daemon's status.
    fn status(&self) -> Status;
    /// Returns for how long mounts have been without a witness, all of them together.
    fn unwatched(&self) -> Duration;
    /// Finds out how many connections to witnesses registrations have.
    fn witness_connections(&self) -> Answer<usize>;
    /// Returns up to `limit` of the mounts with the numbers after `after`.
    fn mounts_after(&self, after: Option<u32>, limit: usize) -> Vec<MountView>;
    /// Starts an attempt to register; `false` if there is no such registration.
    fn retry(&self, id: u32) -> bool;
    /// Changes how mounts authenticate from now on.
    fn set_policy(&self, policy: Policy);
    /// Starts to try the way to the witness of one of the kernel's registrations, with its
    /// credentials; `None`: there is no such registration, or none can be tried.
    fn probe(&self, id: u32) -> Option<Probe>;
    /// Returns the cluster's addresses as they were last listed for a registration; `None`:
    /// there is no such registration.
    fn interfaces(&self, id: u32) -> Option<Answer<Vec<Interface>>>;
    /// Gives the kernel a notification for one of its registrations: one that it takes and
    /// ignores, or, with `reconnect`, one that has it reconnect. Returns how long that took.
    /// May block.
    fn test_notify(&self, id: u32, reconnect: bool) -> Result<Duration, TestError>;
    /// Finds out where the kernel should connect to for the mounts by a name that are
    /// adopted: nowhere else than the system's resolver says, or to an address. `None`: no
    /// mount by that name is adopted.
    fn lead(&self, _name: &str) -> Option<Answer<Option<IpAddr>>> {
        None
    }
    /// Changes which mounts are adopted, and has their credentials read again.
    fn set_rules(&self, rules: Rules);
    /// Changes what is logged.
    fn set_log_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }
    /// Reads the configuration again; `Err`: what is wrong in it. May block.
    fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Err(vec!["this daemon has no configuration".into()])
    }
}

/// What it takes to try the way to a witness.
pub struct Probe {
    /// The addresses of the cluster's nodes that are in service, as last told.
    pub nodes: Answer<Vec<IpAddr>>,
    /// One attempt to register, which is taken back: the witness and the protocol's version.
    pub attempt: Answer<Result<(IpAddr, u8), swnclient::Error>>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// Why the kernel has not taken a test's notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// The kernel has no registration of that number.
    #[error("the kernel has no such registration")]
    NotFound,
    /// It could not be sent.
    #[error("the kernel could not be told: {0}")]
    NotSent(String),
    /// The kernel refused it.
    #[error("the kernel refused the notification: {0}")]
    Refused(Errno),
    /// There was no answer.
    #[error("the kernel has not answered the notification")]
    NoAnswer,
}

/// What each client's task has.
struct Context {
    source: Arc<dyn Source>,
    monitors: Monitors,
    started: Instant,
    /// Who may change something, beside root.
    own_uid: u32,
}

/// The running socket, which ends when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// As [`Control::start`]. A daemon without its socket is better than none, so that a
    /// failure is a line in the log.
    pub fn start_or_warn(path: &Path, source: Arc<dyn Source>, monitors: Monitors) -> Option<Self> {
        if path == Path::new(NO_SOCKET) {
            return None;
        }
        let started = Self::start(path, source, monitors);
        started
            .inspect_err(|error| {
                log::warn!(
                    message_id = Kind::NoControlSocket.message_id();
                    "no control socket {}: {error}; swnctl won't work", path.display()
                );
            })
            .ok()
    }

    /// Listens at `path`, whose directory is made where it is missing.
    pub fn start(path: &Path, source: Arc<dyn Source>, monitors: Monitors) -> io::Result<Self> {
        let listener = listen(path)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let context = Arc::new(Context {
            source,
            monitors,
            started: Instant::now(),
            own_uid: rustix::process::geteuid().as_raw(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, context) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("control".into()).stack_size(STACK);
        let thread = Some(thread.spawn(serve)?);
        Ok(Self { path: path.into(), stop: Some(stop), thread })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        drop(self.stop.take());
        // Ends at once: nothing on that thread blocks.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(path: &Path) -> io::Result<Listener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        DirBuilder::new().mode(0o755).create(directory)?;
        // Whatever the umask.
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::other("another swnd listens there")),
            // A swnd that was killed has left it.
            Err(_) => fs::remove_file(path)?,
        }
    }
    let listener = Listener::bind(path)?;
    listener.set_nonblocking(true)?;
    // Everyone who may read /proc/mounts may ask; what changes something is for root.
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves one connection to its end, as the socket does with each that it accepts.
///
/// # Errors
/// The client was dropped, for the reason given.
pub async fn serve_connection(
    stream: tokio::net::UnixStream,
    privileged: bool,
    source: Arc<dyn Source>,
    monitors: Monitors,
) -> io::Result<()> {
    let context = Context { source, monitors, started: Instant::now(), own_uid: 0 };
    let caller = client::Caller { uid: if privileged { 0 } else { 1000 }, privileged };
    client::serve(stream, caller, &context).await
}

async fn serve(listener: Listener, context: Arc<Context>) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::warn!("the control socket has ended: {error}"),
    };
    let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
    let others = Arc::new(Semaphore::new(OTHERS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        let privileged = uid.is_some_and(|uid| uid == 0 || uid == context.own_uid);
        let place = Arc::clone(&clients).try_acquire_owned().ok().filter(|_| uid.is_some());
        let other = match privileged {
            true => Some(None),
            false => Arc::clone(&others).try_acquire_owned().ok().map(Some),
        };
        let (Some(place), Some(other)) = (place, other) else {
            // As much as there is room for: it is not waited for.
            let _ = Failure::busy().encode().map(|reply| stream.try_write(&reply));
            continue;
        };
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            let _places = (place, other);
            let caller = client::Caller { uid: uid.unwrap_or(u32::MAX), privileged };
            if let Err(error) = client::serve(stream, caller, &context).await {
                log::debug!("a client of the control socket was dropped: {error}");
            }
        });
    }
}

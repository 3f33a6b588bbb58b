//! A daemon of this process's, between the stand-in and servers on sockets, whose status is
//! watched: for programs that measure one with many mounts.

use crate::StandInKernel;
use std::net::IpAddr;
use std::sync::Arc;
use swnclient::{Client, Config, RegistrationRequest, Secret};
use swnd::authentication::Policy;
use swnd::control::{Monitors, Source};
use swnd::daemon::{Daemon, Mode, Observer, Status};
use swnd::kernel::{KernelAuth, Link, LinkError};
use swnd::report::Report;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Watcher(watch::Sender<Status>, Monitors);

/// A daemon that runs.
pub struct Watched {
    /// Runs it.
    pub task: JoinHandle<()>,
    /// How many mounts are registered.
    pub status: watch::Receiver<Status>,
    /// What a control socket of it needs.
    pub source: Arc<dyn Source>,
    /// Likewise.
    pub monitors: Monitors,
}

impl Observer for Watcher {
    fn report(&self, report: &Report) {
        self.1.report(report);
    }

    fn status(&self, status: Status) {
        self.0.send_replace(status);
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

/// Starts a daemon, with room in the kernel's socket for that many mounts at once; it runs
/// until the task is aborted. Within a runtime.
///
/// # Errors
/// The link cannot be opened.
pub async fn start_daemon(
    kernel: &StandInKernel,
    mounts: usize,
    config: Config,
    mode: Mode,
) -> Result<Watched, LinkError> {
    kernel.set_room(mounts.max(1000) * 2);
    let link = Link::open(kernel.clone())?;
    let (sender, status) = watch::channel(Status { up: false, mounts: 0, registered: 0 });
    let monitors = Monitors::default();
    let watcher = Watcher(sender, monitors.clone());
    let daemon =
        Daemon::new(link, watcher, Policy::default(), mode, |sink| Client::start(config, sink));
    let source = daemon.source();
    let task = tokio::spawn(async move {
        daemon.run().await;
    });
    // It joins the group first.
    tokio::task::yield_now().await;
    Ok(Watched { task, status, source, monitors })
}

/// An account that the simulated clusters know.
#[must_use]
pub fn known_account() -> KernelAuth {
    KernelAuth::Ntlm {
        user: Some("alice".into()),
        domain: Some("EXAMPLE".into()),
        password: Some(Secret::new("secret")),
    }
}

/// Returns what the kernel asks for one of many mounts of the simulated clusters, by an
/// account that they know.
#[must_use]
pub fn numbered_mount(number: usize, address: IpAddr) -> (RegistrationRequest, KernelAuth) {
    let request = RegistrationRequest::new("cluster.example.test")
        .share(format!("data{number}"))
        .served_by(address)
        .scale_out();
    let auth = known_account();
    (request, auth)
}

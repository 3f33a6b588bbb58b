//! A daemon of this process's, between the stand-in and servers on sockets, whose status is
//! watched: for programs that measure one with many mounts.

use crate::StandInKernel;
use std::net::IpAddr;
use swnclient::{Client, Config, RegistrationRequest, Secret};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer, Status};
use swnd::kernel::{KernelAuth, Link, LinkError};
use swnd::report::Report;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Watcher(watch::Sender<Status>);

impl Observer for Watcher {
    fn report(&self, _report: &Report) {}

    fn status(&self, status: Status) {
        self.0.send_replace(status);
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
) -> Result<(JoinHandle<()>, watch::Receiver<Status>), LinkError> {
    kernel.set_room(mounts.max(1000) * 2);
    let link = Link::open(kernel.clone())?;
    let (sender, status) = watch::channel(Status { up: false, mounts: 0, registered: 0 });
    let daemon = Daemon::new(link, Watcher(sender), Policy::default(), mode, |sink| {
        Client::start(config, sink)
    });
    let task = tokio::spawn(async move {
        daemon.run().await;
    });
    // It joins the group first.
    tokio::task::yield_now().await;
    Ok((task, status))
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

//! The daemon's event loop: the kernel's messages in, the witness's events out.

use crate::authentication::Policy;
use crate::failover::Failover;
use crate::failover::driver::{Network, System};
use crate::kernel::socket::NetlinkSocket;
use crate::kernel::{Link, LinkError, LinkEvent, NotifyTarget, Transport};
use crate::report::Report;
use crate::service_manager;
use crate::table::{Registrar, Table};
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use swnclient::{Client, Config, Event, EventSink, RegistrationId};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

mod work;

/// How long unregistering at every witness may hold up the exit.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// How many different undecodable messages are remembered as reported.
const REPORTED_MAX: usize = 16;

/// How the daemon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether the cifs module is there.
    pub up: bool,
    /// How many mounts want a witness.
    pub mounts: usize,
    /// How many have one.
    pub registered: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.up {
            let Self { mounts, registered, .. } = self;
            write!(f, "{registered} of {mounts} mounts registered")
        } else {
            f.write_str("waiting for the cifs module")
        }
    }
}

/// Who is told what happens. Called on the event loop.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn report(&self, report: &Report);

    /// The numbers have changed.
    fn status(&self, _status: Status) {}
}

/// Writes reports to the log, and the status to the service manager.
#[derive(Debug)]
pub struct LogObserver;

impl Observer for LogObserver {
    fn report(&self, report: &Report) {
        match report.mount() {
            Some(mount) => log::log!(report.level(), swnd_mount:% = mount; "{report}"),
            None => log::log!(report.level(), "{report}"),
        }
    }

    fn status(&self, status: Status) {
        service_manager::status(&status.to_string());
    }
}

/// What becomes of a witness's notifications.
#[derive(Clone)]
pub enum Mode {
    /// The kernel is given each as it comes ([MS-SWN] 3.2.4.2).
    Forward,
    /// The kernel is helped where it needs help: see [`crate::failover`].
    Verified(Arc<dyn Network>),
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "Forward",
            Self::Verified(_) => "Verified",
        })
    }
}

/// What the loop and the client's events share.
struct Shared<T, O> {
    link: Link<T>,
    observer: O,
    books: Mutex<Books>,
    /// Something for the failover to do.
    wake: Notify,
}

#[derive(Default)]
struct Books {
    table: Table,
    /// `None`: notifications are handed on as they come.
    failover: Option<Failover>,
    up: bool,
    status: Option<Status>,
    /// The undecodable messages that were reported.
    undecodable: Vec<crate::kernel::message::DecodeError>,
}

impl<T, O: Observer> Shared<T, O> {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, mut books: MutexGuard<'_, Books>, report: Option<Report>) {
        let (mounts, registered) = books.table.counts();
        let status = Status { up: books.up, mounts, registered };
        let changed = books.status.replace(status) != Some(status);
        // An observer may take its time, and may look at the daemon.
        drop(books);
        if let Some(report) = report {
            self.observer.report(&report);
        }
        if changed {
            self.observer.status(status);
        }
    }
}

/// Hands what the witnesses report to the kernel, from within the client's event:
/// a failover must not wait for another turn of the loop.
pub struct Forwarder<T, O>(Arc<Shared<T, O>>);

impl<T: Transport, O: Observer> EventSink for Forwarder<T, O> {
    fn event(&mut self, registration: RegistrationId, event: Event) {
        let shared = &self.0;
        let mut guard = shared.books();
        let books = &mut *guard;
        let mut outcome = books.table.event(registration, event);
        let now = Instant::now();
        if let (Some((id, watched)), Some(failover)) = (outcome.watched, &mut books.failover) {
            failover.watched(id, watched, now);
            shared.wake.notify_one();
        }
        if let Some(forward) = outcome.forward {
            outcome.report = match &mut books.failover {
                Some(failover) => {
                    shared.wake.notify_one();
                    books.table.consider(forward, failover, now)
                }
                None => {
                    let target = NotifyTarget { id: forward.id, registration: Some(registration) };
                    let table = &books.table;
                    let sent = shared.link.notify(&target, &forward.notification, |message| {
                        table.supersedes(message, &forward)
                    });
                    // Where it was sent, the kernel's answer makes the report.
                    sent.err().and_then(|error| table.not_sent(forward, error))
                }
            };
        }
        shared.tell(guard, outcome.report);
    }
}

/// The daemon around a link and a client.
pub struct Daemon<T, O, C> {
    shared: Arc<Shared<T, O>>,
    client: C,
    network: Option<Arc<dyn Network>>,
}

impl<T: Transport, O: Observer, C: Registrar> Daemon<T, O, C> {
    /// Puts a daemon together; `start` starts the client, given where its events
    /// go.
    pub fn new(
        link: Link<T>,
        observer: O,
        policy: Policy,
        mode: Mode,
        start: impl FnOnce(Forwarder<T, O>) -> C,
    ) -> Self {
        let (failover, network) = match mode {
            Mode::Forward => (None, None),
            Mode::Verified(network) => (Some(Failover::default()), Some(network)),
        };
        let table = Table::new(policy);
        let books = Mutex::new(Books { table, failover, ..Books::default() });
        let shared = Arc::new(Shared { link, observer, books, wake: Notify::new() });
        let client = start(Forwarder(Arc::clone(&shared)));
        Self { shared, client, network }
    }

    /// The client.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// How the daemon stands.
    pub fn status(&self) -> Status {
        let books = self.shared.books();
        let (mounts, registered) = books.table.counts();
        Status { up: books.up, mounts, registered }
    }

    /// Serves the kernel until the link fails. Cancelling loses nothing.
    pub async fn run(&self) -> LinkError {
        let kernel = async {
            loop {
                match self.shared.link.next().await {
                    Ok(event) => self.event(event),
                    Err(error) => return error,
                }
            }
        };
        let Some(network) = &self.network else { return kernel.await };
        tokio::select! {
            biased;
            error = kernel => error,
            error = work::run(&self.shared, &self.client, network) => error,
        }
    }

    fn event(&self, event: LinkEvent) {
        let mut guard = self.shared.books();
        let books = &mut *guard;
        let now = Instant::now();
        let report = match event {
            LinkEvent::Up => {
                books.up = true;
                Some(Report::Listening)
            }
            LinkEvent::Down => {
                books.up = false;
                books.table.clear(&self.client);
                if let Some(failover) = &mut books.failover {
                    failover.clear();
                }
                Some(Report::WaitingForModule)
            }
            LinkEvent::Message(message) => {
                if let Some(failover) = &mut books.failover {
                    failover.kernel_message(&message, now);
                    self.shared.wake.notify_one();
                }
                Some(books.table.message(message, &self.client))
            }
            LinkEvent::Answer(answer) => {
                if let Some(failover) = &mut books.failover {
                    failover.answered(answer.target.id, answer.result.is_ok(), now);
                    self.shared.wake.notify_one();
                }
                books.table.answer(answer, &self.client)
            }
            LinkEvent::Overrun => Some(Report::Overrun),
            LinkEvent::Foreign(sender) => Some(Report::Foreign { sender }),
            LinkEvent::Undecodable(error) => {
                let again = books.undecodable.contains(&error);
                if !again && books.undecodable.len() < REPORTED_MAX {
                    books.undecodable.push(error.clone());
                }
                Some(Report::Undecodable { error, again })
            }
        };
        self.shared.tell(guard, report);
    }
}

impl<T, O> fmt::Debug for Forwarder<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

impl<T, O, C> fmt::Debug for Daemon<T, O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").finish_non_exhaustive()
    }
}

/// What the cluster's administrator sees in the list of registrations.
fn host_name() -> SmolStr {
    rustix::system::uname().nodename().to_string_lossy().into()
}

/// Runs the daemon on the kernel's socket until SIGTERM or SIGINT.
pub async fn serve(config: Config, policy: Policy, verified: bool) -> Result<(), LinkError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // There is nothing to reload, and no reason to die of it.
    let _hangup = signal(SignalKind::hangup())?;

    let socket = NetlinkSocket::open()?;
    if !socket.is_privileged() {
        return Err(LinkError::NotPermitted);
    }
    let config = Config { client_name: host_name(), ..config };
    let mode = match verified {
        true => Mode::Verified(Arc::new(System::open())),
        false => Mode::Forward,
    };
    let link = Link::open(socket)?;
    let daemon = Daemon::new(link, LogObserver, policy, mode, |sink| Client::start(config, sink));
    service_manager::ready();

    let outcome = tokio::select! {
        error = daemon.run() => Err(error),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    service_manager::stopping();
    daemon.client().shutdown(SHUTDOWN_LIMIT).await;
    outcome
}

//! The daemon's event loop: the kernel's messages in, the witness's events out.

use crate::adoption::mounts::{MountTable, OpenMounts};
use crate::adoption::{Adoption, Change, Rules};
use crate::authentication::{Policy, Read};
use crate::control::{Control, Monitors, Source};
use crate::failover::Failover;
use crate::failover::driver::{Network, System};
use crate::kernel::absence::Absence;
use crate::kernel::message::DecodeError;
use crate::kernel::socket::NetlinkSocket;
use crate::kernel::{KernelAnswer, Link, LinkError, LinkEvent, Transport};
use crate::options::FailoverMode;
use crate::reload::Reloading;
use crate::report::{Report, fields};
use crate::service_manager;
use crate::settings::{Settings, Sources};
pub use crate::status::Status;
use crate::status::Unwatched;
use crate::table::{Forward, Outcome, Registrar, Table};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use swnclient::{Client, Event, EventSink, Notification, RegistrationId};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

mod adopted;
mod source;
mod work;

/// How long unregistering at every witness may hold up the exit.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);
/// How many different undecodable messages are remembered as reported.
const REPORTED_MAX: usize = 16;

/// Receives what the daemon reports. Called on the event loop.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn report(&self, report: &Report);

    /// A witness has sent a notification.
    fn notification(&self, _notification: &Notification) {}

    /// The numbers have changed.
    fn status(&self, _status: Status) {}
}

/// Writes reports to the log, and the status to the service manager.
#[derive(Debug)]
pub struct LogObserver;

impl Observer for LogObserver {
    fn report(&self, report: &Report) {
        if report.level() > log::max_level() {
            return;
        }
        let mut record = log::Record::builder();
        record.level(report.level()).target(report.kind().event());
        let fields = fields(report);
        let record = record.key_values(&fields);
        log::logger().log(&record.args(format_args!("{report}")).build());
    }

    fn status(&self, status: Status) {
        service_manager::status(&status.to_string());
    }
}

/// Writes to the log, and tells the clients of the control socket.
#[derive(Debug)]
struct Observers(Monitors);

impl Observer for Observers {
    fn report(&self, report: &Report) {
        LogObserver.report(report);
        self.0.report(report);
    }

    fn notification(&self, notification: &Notification) {
        self.0.counters().notification(notification);
    }

    fn status(&self, status: Status) {
        LogObserver.status(status);
    }
}

/// What is done with a witness's notifications.
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
    /// The link's: to wait for it, and to send by it, without a lock.
    transport: Arc<T>,
    observer: O,
    books: Mutex<Books<T>>,
    /// Something for the failover to do.
    wake: Notify,
    /// Which mounts are adopted, or how, has changed.
    adopt: Notify,
    /// The link has failed while a client's event was handled.
    failed: Notify,
}

struct Books<T> {
    link: Link<T, Forward>,
    table: Table,
    adoption: Adoption,
    /// `None`: notifications are handed on as they come.
    failover: Option<Failover>,
    up: bool,
    status: Option<Status>,
    unwatched: Unwatched,
    /// The undecodable messages that were reported.
    undecodable: Vec<DecodeError>,
    /// Why the link can't go on.
    failure: Option<LinkError>,
}

impl<T: Transport> Books<T> {
    fn current_status(&self) -> Status {
        let (mounts, registered) = self.table.counts();
        Status { up: self.up, mounts, registered }
    }

    /// Handles an event of the link.
    fn on_kernel(
        &mut self,
        event: LinkEvent<Forward>,
        client: &impl Registrar,
        wake: &Notify,
    ) -> Option<Report> {
        let now = Instant::now();
        match event {
            LinkEvent::Up => {
                self.up = true;
                Some(Report::Listening)
            }
            LinkEvent::Down => {
                let was_up = std::mem::replace(&mut self.up, false);
                self.table.clear(client);
                if let Some(failover) = &mut self.failover {
                    failover.clear();
                }
                // What was there needs the module and nothing else.
                Some(Report::Absent(if was_up { Absence::Module } else { Absence::find() }))
            }
            LinkEvent::Message(message) => {
                if let Some(failover) = &mut self.failover {
                    failover.kernel_message(&message, now);
                    wake.notify_one();
                }
                Some(self.table.message(message, client))
            }
            LinkEvent::Answer(KernelAnswer { token: Forward { test: Some(test), .. }, result }) => {
                // Who waits for it may have given up.
                let _ = test.try_send(result);
                None
            }
            LinkEvent::Answer(answer) => {
                if let Some(failover) = &mut self.failover {
                    failover.answered(answer.token.id, answer.result.is_ok(), now);
                    wake.notify_one();
                }
                self.table.answer(answer, client)
            }
            LinkEvent::Overrun => Some(Report::Overrun),
            LinkEvent::Foreign(sender) => Some(Report::Foreign { sender }),
            LinkEvent::Undecodable(error) => {
                let again = self.undecodable.contains(&error);
                if !again && self.undecodable.len() < REPORTED_MAX {
                    self.undecodable.push(error.clone());
                }
                Some(Report::Undecodable { error, again })
            }
        }
    }

    /// Handles a change of the mounts that are adopted.
    fn on_adopted(
        &mut self,
        change: Change,
        account: Option<Read>,
        client: &impl Registrar,
        wake: &Notify,
    ) -> Option<Report> {
        if let Some(failover) = &mut self.failover {
            match &change {
                Change::Register { id, request, witness, .. } => {
                    failover.requested(*id, request, Instant::now());
                    if !witness {
                        failover.watch_connection(*id, Instant::now());
                    }
                }
                Change::Unregister { id } => failover.unmounted(*id),
            }
            wake.notify_one();
        }
        self.table.adopted(change, account, client)
    }

    /// Handles an event of the client.
    fn on_witness(
        &mut self,
        registration: RegistrationId,
        event: Event,
        wake: &Notify,
    ) -> Option<Report> {
        let is_no_news = event == Event::NoNews;
        let Outcome { forward, report, watched, server_lost } =
            self.table.event(registration, event);
        let now = Instant::now();
        if let (true, Some(failover)) = (is_no_news, &mut self.failover) {
            failover.check(now);
            wake.notify_one();
        }
        if let (Some((id, address, error)), Some(failover)) = (server_lost, &mut self.failover) {
            failover.server_lost(id, address, &error, now);
            wake.notify_one();
        }
        if let (Some((id, watched)), Some(failover)) = (watched, &mut self.failover) {
            failover.watched(id, watched, now);
            wake.notify_one();
        }
        let Some(forward) = forward else { return report };
        if let Some(failover) = &mut self.failover {
            wake.notify_one();
            return self.table.consider(forward, failover, now);
        }
        // Where it was sent, the kernel's answer makes the report.
        let scope_id = self.table.scope_id(forward.id);
        let sent = self.link.notify(forward.id, &forward.notification, scope_id, forward.clone());
        sent.err().and_then(|error| self.table.not_sent(forward, &error))
    }
}

impl<T: Transport, O: Observer> Shared<T, O> {
    fn books(&self) -> MutexGuard<'_, Books<T>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles all that the kernel has sent so far: the table knows then what its
    /// numbers stand for.
    fn settled(&self, client: &impl Registrar) -> MutexGuard<'_, Books<T>> {
        loop {
            let mut books = self.books();
            books.link.receive();
            match books.link.poll_event() {
                Some(Ok(event)) => {
                    let report = books.on_kernel(event, client, &self.wake);
                    self.tell(books, report);
                }
                Some(Err(error)) => {
                    books.failure = Some(error);
                    self.failed.notify_one();
                    return books;
                }
                None => return books,
            }
        }
    }

    /// Releases the lock, then reports, with the status where it has changed.
    fn tell(&self, mut books: MutexGuard<'_, Books<T>>, report: Option<Report>) {
        let status = books.current_status();
        let changed = books.status.replace(status) != Some(status);
        if changed {
            books.unwatched.follow(status, Instant::now());
        }
        // An observer may look at the daemon.
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
pub struct Forwarder<T, O, C> {
    shared: Arc<Shared<T, O>>,
    /// The client's events don't keep it alive.
    client: Weak<C>,
}

impl<T: Transport, O: Observer, C: Registrar> EventSink for Forwarder<T, O, C> {
    fn event(&mut self, registration: RegistrationId, event: Event) {
        let shared = &self.shared;
        let mut books = match (&event, self.client.upgrade()) {
            // The kernel may have given the number to another mount meanwhile.
            (Event::Notification(_), Some(client)) => shared.settled(&*client),
            _ => shared.books(),
        };
        let notification = match &event {
            Event::Notification(notification) => Some(notification.clone()),
            _ => None,
        };
        let report = books.on_witness(registration, event, &shared.wake);
        shared.tell(books, report);
        if let Some(notification) = notification {
            shared.observer.notification(&notification);
        }
    }
}

/// The daemon around a link and a client.
pub struct Daemon<T, O, C> {
    shared: Arc<Shared<T, O>>,
    client: Arc<C>,
    network: Option<Arc<dyn Network>>,
    mounts: OpenMounts,
}

impl<T: Transport, O: Observer, C: Registrar> Daemon<T, O, C> {
    /// Puts a daemon together; `start` starts the client, given where its events
    /// go.
    pub fn new(
        link: Link<T, Forward>,
        observer: O,
        policy: Policy,
        mode: Mode,
        start: impl FnOnce(Forwarder<T, O, C>) -> C,
    ) -> Self {
        let (failover, network) = match mode {
            Mode::Forward => (None, None),
            Mode::Verified(network) => (Some(Failover::new(is_own_address)), Some(network)),
        };
        let shared = Arc::new(Shared {
            transport: Arc::clone(link.transport()),
            observer,
            books: Mutex::new(Books {
                link,
                table: Table::new(policy),
                adoption: Adoption::default(),
                failover,
                up: false,
                status: None,
                unwatched: Unwatched::default(),
                undecodable: Vec::new(),
                failure: None,
            }),
            wake: Notify::new(),
            adopt: Notify::new(),
            failed: Notify::new(),
        });
        let client = Arc::new_cyclic(|client| {
            start(Forwarder { shared: Arc::clone(&shared), client: Weak::clone(client) })
        });
        Self { shared, client, network, mounts: Arc::new(MountTable::open) }
    }

    /// Adopts mounts by these rules, which count where failovers are verified, from the
    /// list that `mounts` opens.
    #[must_use]
    pub fn adopting(self, rules: Rules, mounts: OpenMounts) -> Self {
        self.shared.books().adoption = Adoption::new(rules);
        Self { mounts, ..self }
    }

    /// Returns the client.
    pub fn client(&self) -> &C {
        &self.client
    }

    /// Returns the status.
    pub fn status(&self) -> Status {
        self.shared.books().current_status()
    }

    /// Returns what the control socket needs; it does not keep the client alive.
    pub fn source(&self) -> Arc<dyn Source> {
        let (shared, client) = (Arc::clone(&self.shared), Arc::downgrade(&self.client));
        Arc::new(source::SharedSource { shared, client, network: self.network.clone() })
    }

    /// Serves the kernel until the link fails. Cancelling loses nothing.
    pub async fn run(&self) -> LinkError {
        let Some(network) = &self.network else { return self.serve_kernel().await };
        tokio::select! {
            biased;
            error = self.serve_kernel() => error,
            error = work::run(&self.shared, &*self.client, network) => error,
            never = adopted::run(&self.shared, &*self.client, &self.mounts) => match never {},
        }
    }

    async fn serve_kernel(&self) -> LinkError {
        let shared = &self.shared;
        loop {
            let failure = shared.settled(&*self.client).failure.take();
            if let Some(error) = failure {
                return error;
            }
            tokio::select! {
                ready = shared.transport.readable() => {
                    if let Err(error) = ready {
                        return error.into();
                    }
                }
                () = shared.failed.notified() => {}
            }
        }
    }
}

impl<T, O, C> fmt::Debug for Forwarder<T, O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

impl<T, O, C> fmt::Debug for Daemon<T, O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").finish_non_exhaustive()
    }
}

/// Reads the settings again at each signal, off the event loop. The log tells the outcome.
async fn reload_at(signal: &mut Signal, source: &Arc<Reloading>) -> Infallible {
    loop {
        match signal.recv().await {
            Some(()) => {
                let source = Arc::clone(source);
                let _ = spawn_blocking(move || source.reload()).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Runs the daemon on the kernel's socket until SIGTERM or SIGINT, with the settings of
/// `sources`, which SIGHUP has read again.
pub async fn serve(settings: Settings, sources: Sources) -> Result<(), LinkError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let socket = NetlinkSocket::open()?;
    if !socket.is_privileged() {
        return Err(LinkError::NotPermitted);
    }
    let options = &settings.options;
    // What the cluster's administrator sees in the list of registrations.
    let config = options.config();
    let mode = match options.failover {
        FailoverMode::Verified => Mode::Verified(Arc::new(System::open())),
        FailoverMode::Forward => Mode::Forward,
    };
    let (policy, rules, control) = (settings.policy(), settings.rules(), options.control.clone());
    let link = Link::open(socket)?;
    let monitors = Monitors::default();
    let observers = Observers(monitors.clone());
    let daemon = Daemon::new(link, observers, policy, mode, |sink| Client::start(config, sink));
    let daemon = daemon.adopting(rules, Arc::new(MountTable::open));
    let source = Arc::new(Reloading::new(daemon.source(), sources, settings));
    let _control = Control::start_or_warn(&control, source.clone(), monitors);
    service_manager::ready();

    let outcome = tokio::select! {
        error = daemon.run() => Err(error),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        never = service_manager::beat() => match never {},
        never = reload_at(&mut hangup, &source) => match never {},
    };
    service_manager::stopping();
    daemon.client().shutdown(SHUTDOWN_LIMIT).await;
    outcome
}

/// Whether an address is this machine's.
fn is_own_address(address: IpAddr) -> bool {
    swnclient::is_own_address(address.into())
}

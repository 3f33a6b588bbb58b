//! The failover's task: takes its actions, does them, and gives it the results.

use super::{Books, Observer, Shared};
use crate::failover::driver::{Network, Observed};
use crate::failover::{Action, Connection, End, Failover};
use crate::kernel::{LinkError, NotifyError, Prepared, Transport};
use crate::mount::Mount;
use crate::report::Report;
use crate::table::{Forward, Holder, Registrar, in_service};
use smol_str::SmolStr;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use swnclient::Notification;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep_until;

/// How many notifications may wait in the kernel at a time, each in a thread.
const NOTIFICATIONS_MAX: usize = 32;
/// How many may wait for an earlier one of the same registration.
const WAITING_MAX: usize = 8;
/// How many names are looked up at a time, each in a thread.
const LOOK_UPS_MAX: usize = 8;
/// How many probes may be under way, of all addresses.
const PROBES_MAX: usize = 256;

/// The end of something that took time.
enum Done {
    Observed(Observed),
    Probed(IpAddr, bool),
    /// With whether the kernel asks for addresses.
    LookedUp(SmolStr, Vec<IpAddr>, bool),
    Listed(u32, Vec<IpAddr>),
    Sent(u32, Notification, Result<(), NotifyError>),
    Asked(Mount, IpAddr, Result<(), String>),
}

struct Worker<'a, T, O, C> {
    shared: &'a Arc<Shared<T, O>>,
    client: &'a C,
    network: &'a Arc<dyn Network>,
    tasks: JoinSet<Done>,
    notifications: Arc<Semaphore>,
    /// The registrations of which a notification is with the kernel, and those that
    /// come after it.
    waiting: BTreeMap<u32, VecDeque<(Notification, Option<Holder>)>>,
    look_ups: Arc<Semaphore>,
    probes: Arc<Semaphore>,
}

/// Works until the future is dropped.
pub(super) async fn run<T: Transport, O: Observer, C: Registrar>(
    shared: &Arc<Shared<T, O>>,
    client: &C,
    network: &Arc<dyn Network>,
) -> LinkError {
    let semaphore = |permits| Arc::new(Semaphore::new(permits));
    let mut worker = Worker {
        shared,
        client,
        network,
        tasks: JoinSet::new(),
        notifications: semaphore(NOTIFICATIONS_MAX),
        waiting: BTreeMap::new(),
        look_ups: semaphore(LOOK_UPS_MAX),
        probes: semaphore(PROBES_MAX),
    };
    loop {
        let deadline = worker.act();
        tokio::select! {
            () = shared.wake.notified() => {}
            Some(done) = worker.tasks.join_next() => match done {
                Ok(done) => worker.done(done),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            () = async { sleep_until(deadline.unwrap_or_else(Instant::now).into()).await },
                if deadline.is_some() =>
            {
                worker.with(|failover| failover.handle_timeout(Instant::now()));
            }
        }
    }
}

impl<T: Transport, O: Observer, C: Registrar> Worker<'_, T, O, C> {
    fn with<R: Default>(&self, with: impl FnOnce(&mut Failover) -> R) -> R {
        self.shared.books().failover.as_mut().map(with).unwrap_or_default()
    }

    /// Does all that is to do and returns when there is more.
    fn act(&mut self) -> Option<Instant> {
        loop {
            let actions = self.actions();
            if actions.is_empty() {
                return self.with(|failover| failover.next_deadline());
            }
            actions.into_iter().for_each(|(action, holder)| self.start(action, holder));
        }
    }

    /// Returns the actions, each that is about one of the kernel's numbers with who
    /// has it now.
    fn actions(&self) -> Vec<(Action, Option<Holder>)> {
        let mut books = self.shared.books();
        let Books { failover: Some(failover), table, .. } = &mut *books else { return Vec::new() };
        std::iter::from_fn(|| {
            let action = failover.poll_action()?;
            let holder = match &action {
                Action::Notify { id, .. } => table.holder(*id),
                _ => None,
            };
            Some((action, holder))
        })
        .collect()
    }

    fn start(&mut self, action: Action, holder: Option<Holder>) {
        match action {
            Action::Look(before) => {
                let after = self.network.look(&before);
                self.with(|failover| failover.looked(&before, &after, Instant::now()));
            }
            Action::Observe { debug_data, mounts } => {
                let network = Arc::clone(self.network);
                let observe = move || Done::Observed(network.observe(debug_data, mounts));
                self.tasks.spawn_blocking(observe);
            }
            Action::Probe(address) => {
                let probe = self.network.probe(self.shared.books().table.scoped(address));
                let permits = Arc::clone(&self.probes);
                self.tasks.spawn(async move {
                    let _permit = permits.acquire().await;
                    Done::Probed(address, probe.await)
                });
            }
            Action::LookUp(name) => {
                let look_up = self.network.look_up(name.clone());
                let (permits, network) = (Arc::clone(&self.look_ups), Arc::clone(self.network));
                self.tasks.spawn(async move {
                    let _permit = permits.acquire().await;
                    let resolver = spawn_blocking(move || network.has_resolver()).await;
                    Done::LookedUp(name, look_up.await, resolver.unwrap_or_default())
                });
            }
            Action::List(id) => self.list(id),
            Action::Notify { id, notification } => self.notify(id, notification, holder),
            Action::End { connection, if_dead } => {
                let end = self.network.end(&connection, if_dead);
                self.ended(&connection, end);
            }
            Action::Relocate { id, address } => {
                let mut books = self.shared.books();
                let report = books.table.relocate(id, address, self.client);
                self.shared.tell(books, report);
                let mut books = self.shared.books();
                if let Some(failover) = &mut books.failover {
                    failover.relocated(id, address, Instant::now());
                }
            }
            Action::Forget { id, address } => {
                self.shared.books().table.forget(id, address, self.client);
            }
            Action::Ask { mount, address } => {
                // It may wait in the kernel for as long as a server is away: how many do is
                // bounded, and the end of the process ends it.
                let network = Arc::clone(self.network);
                self.tasks.spawn_blocking(move || {
                    let result = network.ask(&mount, address);
                    Done::Asked(mount, address, result)
                });
            }
            Action::Report { mount, others, line } => {
                let report = Report::Failover { mount, others, line };
                self.shared.tell(self.shared.books(), Some(report));
            }
        }
    }

    fn ended(&self, connection: &Connection, end: End) {
        self.with(|failover| failover.ended(connection, end, Instant::now()));
    }

    fn list(&mut self, id: u32) {
        let registration = self.shared.books().table.registration(id);
        if let Some(list) = registration.map(|registration| self.client.interfaces(registration)) {
            self.tasks.spawn(async move { Done::Listed(id, in_service(list.await)) });
        }
    }

    /// Gives the kernel a notification, after those that came before it. It may hold
    /// it for seconds: nothing here waits.
    fn notify(&mut self, id: u32, notification: Notification, holder: Option<Holder>) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            // The latest counts.
            if waiting.len() >= WAITING_MAX {
                waiting.pop_front();
            }
            return waiting.push_back((notification, holder));
        }
        let mut books = self.shared.settled(self.client);
        if holder.is_none() || books.table.holder(id) != holder {
            // Decided before the kernel's last word on that number.
            drop(books);
            return self.late(id, notification, holder);
        }
        let registration = books.table.registration(id);
        let since = Instant::now();
        let (told, test) = (notification.clone(), None);
        let forward = Forward { id, registration, notification: told, since, test };
        let scope_id = books.table.scope_id(id);
        let prepared = books.link.prepare(id, &notification, scope_id, forward);
        drop(books);
        match prepared {
            Ok(prepared) => {
                let permits = Arc::clone(&self.notifications);
                let shared = Arc::clone(self.shared);
                self.waiting.insert(id, VecDeque::new());
                self.tasks.spawn(async move {
                    let _permit = permits.acquire().await;
                    let sent = spawn_blocking(move || send(&shared, &prepared)).await;
                    let sent =
                        sent.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    Done::Sent(id, notification, sent)
                });
            }
            Err(error) => self.sent(id, notification, Err(error)),
        }
    }

    fn late(&self, id: u32, notification: Notification, holder: Option<Holder>) {
        self.with(|failover| failover.answered(id, false, Instant::now()));
        let report = holder.map(|it| Report::Late { mount: it.into_mount(), notification });
        self.shared.tell(self.shared.books(), report);
    }

    fn sent(&self, id: u32, notification: Notification, sent: Result<(), NotifyError>) {
        let now = Instant::now();
        let Err(error) = sent else {
            return self.with(|failover| failover.sent(id, now));
        };
        self.with(|failover| failover.answered(id, false, now));
        let books = self.shared.books();
        let mount = books.table.mount(id);
        let report = mount.map(|mount| Report::NotNotified {
            mount,
            notification,
            error: error.to_string(),
        });
        self.shared.tell(books, report);
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Observed(Observed::Look(look)) => {
                self.with(|failover| failover.observed(look, now));
            }
            Done::Observed(Observed::Blind(debug_data)) => {
                self.with(|failover| failover.observed_without_sight(debug_data, now));
            }
            Done::Probed(address, answered) => {
                self.with(|failover| failover.probed(address, answered, now));
            }
            Done::LookedUp(name, addresses, resolver) => self.with(|failover| {
                failover.set_resolver(resolver);
                failover.looked_up(&name, &addresses, now);
            }),
            Done::Listed(id, addresses) => {
                self.with(|failover| failover.listed(id, &addresses, now));
            }
            Done::Asked(mount, address, result) => {
                self.with(|failover| failover.asked(&mount, address, result, now));
            }
            Done::Sent(id, notification, sent) => {
                self.sent(id, notification, sent);
                for (next, holder) in self.waiting.remove(&id).unwrap_or_default() {
                    self.notify(id, next, holder);
                }
            }
        }
    }
}

/// Sends a notification; the kernel has acted on it when this returns.
fn send<T: Transport, O: Observer>(
    shared: &Shared<T, O>,
    prepared: &Prepared,
) -> Result<(), NotifyError> {
    let sent = prepared.send(&*shared.transport);
    if sent.is_err() {
        shared.books().link.not_sent(prepared);
    }
    sent
}

//! Which of the kernel's registrations is which registration at a witness.
//!
//! Nothing here waits or touches a socket: messages of the kernel and events of
//! the witness client go in; calls to the client, reports and notifications for
//! the kernel come out.

use crate::authentication::{Policy, Unusable};
use crate::failover::Failover;
use crate::failover::driver::Answer;
use crate::kernel::{KernelAnswer, KernelMessage, NotifyError};
use crate::mount::FIRST_ADOPTED;
use crate::report::{Mount, Report};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::time::Instant;
use swnclient::{
    Client, Credentials, Event, Interface, Notification, RegistrationId, RegistrationRequest,
    ResourceState,
};

mod adopted;
mod others;
mod scope;
mod state;

pub use crate::mount::MountKind;
pub use state::{MountState, MountView};

/// How many different failures of one mount are remembered as reported. Each
/// node of a cluster may fail in its own way.
const REPORTED_MAX: usize = 16;

/// What the table needs of [`Client`]. The methods return at once, and events
/// follow from the event loop, never from within a call.
pub trait Registrar: Send + Sync + 'static {
    /// [`Client::register`].
    fn register(&self, request: RegistrationRequest, credentials: Credentials) -> RegistrationId;
    /// [`Client::request_again`].
    fn request_again(&self, id: RegistrationId, credentials: Credentials);
    /// [`Client::try_now`].
    fn try_now(&self, id: RegistrationId);
    /// [`Client::unregister`].
    fn unregister(&self, id: RegistrationId);
    /// One attempt to register, by a registration of its own that ends with it: the
    /// witness and the protocol's version.
    fn attempt(
        &self,
        request: RegistrationRequest,
        credentials: Credentials,
    ) -> Answer<Result<(IpAddr, u8), swnclient::Error>>;
    /// The cluster's addresses, as last listed.
    fn interfaces(&self, id: RegistrationId) -> Answer<Vec<Interface>>;
    /// [`Client::witness_connections`].
    fn witness_connections(&self) -> Answer<usize>;
}

impl Registrar for Client {
    fn register(&self, request: RegistrationRequest, credentials: Credentials) -> RegistrationId {
        Client::register(self, request, credentials)
    }

    fn request_again(&self, id: RegistrationId, credentials: Credentials) {
        Client::request_again(self, id, credentials);
    }

    fn try_now(&self, id: RegistrationId) {
        Client::try_now(self, id);
    }

    fn unregister(&self, id: RegistrationId) {
        Client::unregister(self, id);
    }

    fn attempt(
        &self,
        request: RegistrationRequest,
        credentials: Credentials,
    ) -> Answer<Result<(IpAddr, u8), swnclient::Error>> {
        let mut registration = self.registration(request, credentials);
        Box::pin(async move {
            loop {
                match registration.next_event().await {
                    Some(Event::Registered { witness, version }) => return Ok((witness, version)),
                    Some(Event::Failed { error, .. }) => return Err(error),
                    Some(_) => {}
                    None => return Err(swnclient::Error::NoWitness),
                }
            }
        })
    }

    fn interfaces(&self, id: RegistrationId) -> Answer<Vec<Interface>> {
        Box::pin(Client::interfaces(self, id))
    }

    fn witness_connections(&self) -> Answer<usize> {
        Box::pin(Client::witness_connections(self))
    }
}

/// Returns the addresses that are in service.
pub(crate) fn in_service(mut interfaces: Vec<Interface>) -> Vec<IpAddr> {
    interfaces.retain(|it| it.state == ResourceState::Available);
    interfaces.into_iter().flat_map(|it| it.addresses).collect()
}

/// A notification for the kernel.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The kernel's number.
    pub id: u32,
    /// The registration at the witness client. `None` while the mount has none.
    pub registration: Option<RegistrationId>,
    /// What the kernel is told.
    pub notification: Notification,
    /// Since when it waits to be told.
    pub since: Instant,
    /// Who gets the answer, where it is of an administrator's test and no witness's.
    pub test: Option<SyncSender<Result<(), Errno>>>,
}

/// Who has one of the kernel's numbers: another one as soon as the kernel has taken
/// the number back, given it to another mount, or named another address for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    serial: u64,
    mount: Mount,
}

impl Holder {
    /// Returns the mount.
    pub fn into_mount(self) -> Mount {
        self.mount
    }
}

/// What follows from an event.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A notification for the kernel.
    pub forward: Option<Forward>,
    /// A line for the administrator.
    pub report: Option<Report>,
    /// The mount has a witness now, or has lost the one that it had.
    pub watched: Option<(u32, bool)>,
    /// The connection to the mount's server has ended, which the client keeps.
    pub server_lost: Option<(u32, IpAddr, swnclient::Error)>,
}

/// One of the kernel's registrations.
#[derive(Debug)]
struct Entry {
    /// See [`Holder`].
    serial: u64,
    request: RegistrationRequest,
    /// `None` while the mount's credentials are of no use.
    registration: Option<RegistrationId>,
    credentials: Option<Credentials>,
    /// What was reported since the last success, so that the echo, which
    /// repeats everything each minute, does not repeat it in the log.
    failures: Vec<swnclient::Error>,
    unusable: Option<Unusable>,
    state: MountState,
    since: Instant,
    last_error: Option<swnclient::Error>,
}

/// A registration at the client, until its last event.
#[derive(Debug)]
struct Owner {
    id: u32,
    mount: Mount,
    address: Option<IpAddr>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    policy: Policy,
    last_serial: u64,
    entries: BTreeMap<u32, Entry>,
    /// Those of the entries that are registered.
    registered: BTreeSet<u32>,
    /// Those that swnd watches itself.
    own: BTreeSet<u32>,
    /// By further addresses than that of the entry. See [`Table::keeping_others`].
    others: BTreeMap<u32, Vec<Entry>>,
    keeps_others: bool,
    owners: BTreeMap<RegistrationId, Owner>,
}

impl Table {
    /// An empty table.
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Changes how mounts authenticate: each when the kernel next asks for it.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Returns how many mounts want a witness, and how many have one.
    pub fn counts(&self) -> (usize, usize) {
        (self.entries.len() - self.own.len(), self.registered.len())
    }

    /// Handles a message of the kernel.
    pub fn message(&mut self, message: KernelMessage, client: &impl Registrar) -> Report {
        match message {
            KernelMessage::Register { id, request, auth } => {
                let credentials = self.policy.of(&request.net_name).credentials(&auth);
                self.register(id, request, credentials, client)
            }
            KernelMessage::Unregister { id } => match self.release(id, client) {
                Some(mount) => Report::Released { mount },
                None => Report::UnknownUnregistered { id },
            },
        }
    }

    fn register(
        &mut self,
        id: u32,
        request: RegistrationRequest,
        credentials: Result<Credentials, Unusable>,
        client: &impl Registrar,
    ) -> Report {
        let mount = Mount::from(&request);
        let address = request.ip_address;
        let known = self.entries.get(&id);
        let same = known.is_some_and(|entry| entry.request == request);
        let moved = known.is_some_and(|entry| Mount::from(&entry.request) == mount);
        let is_shared = self.keeps_others && MountKind::of(id) == MountKind::Kernel;
        match (same, moved && is_shared) {
            (true, _) => {}
            // It has moved, or another mount of the share is by another address.
            (false, true) => self.exchange(id, &request, client),
            // The unregister message was lost, or several mounts share the
            // number, in which case the kernel sends none when it moves.
            (false, false) => drop(self.release(id, client)),
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            serial: {
                self.last_serial += 1;
                self.last_serial
            },
            request,
            registration: None,
            credentials: None,
            failures: Vec::new(),
            unusable: None,
            state: MountState::Registering,
            since: Instant::now(),
            last_error: None,
        });
        match (credentials, entry.registration) {
            (Ok(credentials), Some(registration)) => {
                if entry.credentials.as_ref() != Some(&credentials) {
                    entry.credentials = Some(credentials.clone());
                    // What failed with the old ones is news with the new ones.
                    entry.failures.clear();
                }
                client.request_again(registration, credentials);
                match MountKind::of(id) {
                    MountKind::Kernel => Report::AskedAgain { mount },
                    MountKind::Adopted => Report::Renewed { mount },
                }
            }
            (Ok(credentials), None) => {
                entry.credentials = Some(credentials.clone());
                let registration = client.register(entry.request.clone(), credentials);
                entry.registration = Some(registration);
                entry.unusable = None;
                entry.enter(MountState::Registering, Instant::now());
                let owner = Owner { id, mount: mount.clone(), address };
                self.owners.insert(registration, owner);
                if moved && !same {
                    Report::AddressChanged { mount, address }
                } else {
                    Report::Asked { mount, address }
                }
            }
            // What runs goes on with the credentials it has.
            (Err(reason), registration) => {
                if registration.is_none() {
                    entry.enter(MountState::Unusable, Instant::now());
                }
                let again = entry.unusable.replace(reason.clone()).as_ref() == Some(&reason);
                Report::Unusable { mount, reason, again }
            }
        }
    }

    /// Forgets the kernel's number and ends its registration.
    fn release(&mut self, id: u32, client: &impl Registrar) -> Option<Mount> {
        self.release_others(id, client);
        let entry = self.entries.remove(&id)?;
        self.registered.remove(&id);
        self.own.remove(&id);
        if let Some(registration) = entry.registration {
            client.unregister(registration);
        }
        Some(Mount::from(&entry.request))
    }

    /// Ends every registration of the kernel's: it is not there any more to tell what
    /// becomes of them.
    pub fn clear(&mut self, client: &impl Registrar) {
        let kernels: Vec<u32> = self.entries.range(..FIRST_ADOPTED).map(|(id, _)| *id).collect();
        for id in kernels {
            self.release(id, client);
        }
    }

    /// Handles an event of the client.
    pub fn event(&mut self, registration: RegistrationId, event: Event) -> Outcome {
        let Some(owner) = self.owners.get(&registration) else {
            return Outcome::default();
        };
        let id = owner.id;
        let is_of = |entry: &&mut Entry| entry.registration == Some(registration);
        let others = self.others.get_mut(&id).into_iter().flatten();
        let current = self.entries.get_mut(&id).filter(is_of);
        let is_current = current.is_some();
        let entry = current.into_iter().chain(others).find(|it| is_of(it));
        let event = match (event, &entry) {
            (Event::Notification(notification), Some(_)) => {
                let (registration, since) = (Some(registration), Instant::now());
                let forward = Forward { id, registration, notification, since, test: None };
                return Outcome { forward: Some(forward), ..Outcome::default() };
            }
            (Event::ServerLost { address, error }, Some(_)) => {
                let server_lost = Some((id, address, error));
                return Outcome { server_lost, ..Outcome::default() };
            }
            (event, _) => event,
        };
        let (mount, address) = (owner.mount.clone(), owner.address);
        let mut watched = None;
        let report = match (event, entry) {
            (Event::Notification(notification), _) => Report::Late { mount, notification },
            (Event::Registered { witness, version }, Some(entry)) => {
                if is_current {
                    self.registered.insert(id);
                    watched = Some((id, true));
                }
                entry.failures.clear();
                entry.last_error = None;
                entry.enter(MountState::Registered { witness, version }, Instant::now());
                Report::Registered { mount, address, witness, version }
            }
            (Event::Failed { error, retry_in }, Some(entry)) => {
                if is_current && self.registered.remove(&id) {
                    watched = Some((id, false));
                }
                let lost = matches!(entry.state, MountState::Registered { .. });
                let again = entry.failures.contains(&error);
                if !again && entry.failures.len() < REPORTED_MAX {
                    entry.failures.push(error.clone());
                }
                entry.last_error = Some(error.clone());
                let now = Instant::now();
                entry.enter(MountState::failed(retry_in, now), now);
                Report::Failed { mount, error, retry_in, again, lost }
            }
            (Event::Unregistered, entry) => {
                if let Some(entry) = entry {
                    entry.registration = None;
                    if is_current {
                        self.registered.remove(&id);
                    }
                }
                self.owners.remove(&registration);
                Report::Unregistered { mount, address }
            }
            // On its way out already, or nothing that this daemon has a use for.
            _ => return Outcome::default(),
        };
        Outcome { report: Some(report), watched, ..Outcome::default() }
    }

    /// Reports a notification that did not go to the kernel.
    pub fn not_sent(&self, forward: Forward, error: &NotifyError) -> Option<Report> {
        let mount = self.mount_of_forward(&forward)?;
        let notification = forward.notification;
        Some(Report::NotNotified { mount, notification, error: error.to_string() })
    }

    /// Returns the registration behind one of the kernel's numbers.
    pub fn registration(&self, id: u32) -> Option<RegistrationId> {
        self.entries.get(&id).and_then(|entry| entry.registration)
    }

    /// Returns who has one of the kernel's numbers.
    pub fn holder(&self, id: u32) -> Option<Holder> {
        let entry = self.entries.get(&id)?;
        Some(Holder { serial: entry.serial, mount: Mount::from(&entry.request) })
    }

    /// Hands a notification to the failover.
    pub fn consider(
        &self,
        forward: Forward,
        failover: &mut Failover,
        now: Instant,
    ) -> Option<Report> {
        let Forward { id, registration, notification, .. } = forward;
        let at = registration.and_then(|it| self.owners.get(&it)?.address);
        let something_follows = match &notification {
            Notification::ResourceChange { state, .. } => {
                failover.state_changed_at(id, at, *state, now)
            }
            Notification::ClientMove { address } => failover.move_ordered_at(id, at, *address, now),
            // No Linux acts on these two.
            Notification::ShareMove { .. } | Notification::IpChange { .. } => false,
        };
        let mount = self.mount_of(registration?)?;
        Some(match something_follows {
            true => Report::Told { mount, notification },
            false => Report::Ignored { mount, notification },
        })
    }

    /// The mount of one of the kernel's registrations, and whether its share is
    /// scale-out.
    pub fn mounted(&self, id: u32) -> Option<(Mount, bool)> {
        let entry = self.entries.get(&id)?;
        Some((Mount::from(&entry.request), entry.request.ip_notify))
    }

    /// The mount of one of the kernel's registrations.
    pub fn mount(&self, id: u32) -> Option<Mount> {
        self.entries.get(&id).map(|entry| Mount::from(&entry.request))
    }

    /// The kernel is served by another address now, and has not said so yet.
    pub fn relocate(
        &mut self,
        id: u32,
        address: IpAddr,
        client: &impl Registrar,
    ) -> Option<Report> {
        let entry = self.entries.get_mut(&id)?;
        if entry.request.ip_address == Some(address) {
            return None;
        }
        entry.request.ip_address = Some(address);
        let mount = Mount::from(&entry.request);
        if self.own.contains(&id) {
            return Some(adopted::watching(mount, address));
        }
        self.registered.remove(&id);
        self.forget(id, address, client);
        let entry = self.entries.get_mut(&id)?;
        if let Some(old) = entry.registration.take() {
            client.unregister(old);
            let credentials = entry.credentials.clone()?;
            let registration = client.register(entry.request.clone(), credentials);
            entry.registration = Some(registration);
            entry.enter(MountState::Registering, Instant::now());
            let owner = Owner { id, mount: mount.clone(), address: Some(address) };
            self.owners.insert(registration, owner);
        }
        Some(Report::AddressChanged { mount, address: Some(address) })
    }

    /// The mount of a registration.
    pub fn mount_of(&self, registration: RegistrationId) -> Option<Mount> {
        let owner = self.owners.get(&registration)?;
        Some(owner.mount.clone())
    }

    fn mount_of_forward(&self, forward: &Forward) -> Option<Mount> {
        match forward.registration {
            Some(registration) => self.mount_of(registration),
            None => self.mount(forward.id),
        }
    }

    /// Handles the kernel's answer to a notification.
    pub fn answer(
        &mut self,
        answer: KernelAnswer<Forward>,
        client: &impl Registrar,
    ) -> Option<Report> {
        let KernelAnswer { token: forward, result: answer } = answer;
        let mount = self.mount_of_forward(&forward)?;
        let Forward { id, registration, notification, since, .. } = forward;
        let current = self.entries.get(&id).is_some_and(|entry| entry.registration == registration);
        if current && matches!(answer, Err(Errno::INVAL | Errno::NODEV)) {
            // Its unregister message was lost.
            self.release(id, client);
        }
        Some(Report::Notified { mount, notification, answer, delivery: since.elapsed() })
    }
}

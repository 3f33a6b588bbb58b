//! Which registrations there are, and which requests wait for what.
//!
//! A request here is what a future is elsewhere: when something has happened to
//! it, its waker is told, and its owner then asks [`Registry::poll`] for the
//! outcome. So nothing is lost where a request goes away in between, and all of
//! its memory is the business of the thread that owns it.

#[cfg(test)]
mod tests;

use crate::backlog;
use crate::errno::Errno;
use core_client::{Client, Credentials, Event, Notification, RegistrationId, RegistrationRequest};
use std::collections::{BTreeMap, VecDeque};

/// Names a request within its registry. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// What a request has come to. Only a wait gives notifications.
pub(crate) type Outcome = Result<Vec<Notification>, Errno>;

/// Tells a request's owner to ask for its outcome, some time after this call. On
/// any of the caller's threads.
pub(crate) trait Wake {
    fn wake(&self, request: RequestId);
}

/// What the registry needs of [`Client`]. Returns at once; events follow from
/// elsewhere, never from within a call.
pub(crate) trait Registrar {
    fn register(&self, request: RegistrationRequest, credentials: Credentials) -> RegistrationId;
    fn request_again(&self, id: RegistrationId, credentials: Credentials);
    fn unregister(&self, id: RegistrationId);
}

impl Registrar for Client {
    fn register(&self, request: RegistrationRequest, credentials: Credentials) -> RegistrationId {
        Self::register(self, request, credentials)
    }

    fn request_again(&self, id: RegistrationId, credentials: Credentials) {
        Self::request_again(self, id, credentials);
    }

    fn unregister(&self, id: RegistrationId) {
        Self::unregister(self, id);
    }
}

/// See the module's description. Trees, because a hash table that grows keeps the
/// caller's loop waiting for as long as it takes to move everything.
#[derive(Debug)]
pub(crate) struct Registry<W> {
    /// Those that a caller can name, with names in lower case.
    known: BTreeMap<RegistrationRequest, RegistrationId>,
    registrations: BTreeMap<RegistrationId, Registration>,
    requests: BTreeMap<RequestId, Request<W>>,
    last_request: u64,
}

#[derive(Debug)]
struct Registration {
    info: RegistrationRequest,
    credentials: Credentials,
    phase: Phase,
    /// What no wait has taken yet, oldest first; bounded by `backlog`.
    notifications: VecDeque<Notification>,
    waiter: Option<RequestId>,
}

#[derive(Debug)]
enum Phase {
    /// The first attempt is under way. `joined` asked for the same meanwhile.
    Starting { owner: RequestId, joined: Vec<RequestId> },
    /// A witness accepted it. From here on the client recovers by itself;
    /// `failing` while it does.
    Established { failing: bool },
    /// The client gave it up while no request waited. The next wait is told.
    GivenUp(Errno),
    /// It is being taken back, and can't be named any more.
    Ending { by: Option<RequestId> },
}

#[derive(Debug)]
struct Request<W> {
    registration: RegistrationId,
    kind: Kind,
    waker: W,
    /// `None` also for a wait whose notifications are with its registration.
    outcome: Option<Result<(), Errno>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Register,
    Wait,
    Unregister,
}

/// Names are compared without regard to case.
fn normalized(mut info: RegistrationRequest) -> RegistrationRequest {
    info.net_name = info.net_name.to_ascii_lowercase().into();
    info.share_name = info.share_name.map(|name| name.to_ascii_lowercase().into());
    info
}

impl<W> Default for Registry<W> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            registrations: BTreeMap::new(),
            requests: BTreeMap::new(),
            last_request: 0,
        }
    }
}

/// The caller's side.
impl<W: Wake> Registry<W> {
    /// Starts a registration, or joins one that is starting.
    ///
    /// # Errors
    /// [`Errno::EXIST`] where it exists; new credentials are taken over.
    pub(crate) fn register(
        &mut self,
        info: RegistrationRequest,
        credentials: Credentials,
        client: &impl Registrar,
        waker: W,
    ) -> Result<RequestId, Errno> {
        let key = normalized(info.clone());
        let request = self.next_request();
        let (mut notifications, mut waiter) = (VecDeque::new(), None);
        if let Some(&id) = self.known.get(&key) {
            let registration = self.registrations.get_mut(&id).ok_or(Errno::FAULT)?;
            match &mut registration.phase {
                Phase::Established { failing } => {
                    if *failing || registration.credentials != credentials {
                        registration.credentials = credentials.clone();
                        client.request_again(id, credentials);
                    }
                    return Err(Errno::EXIST);
                }
                Phase::Starting { joined, .. } => {
                    joined.push(request);
                    self.add_request(request, id, Kind::Register, waker);
                    return Ok(request);
                }
                Phase::GivenUp(_) | Phase::Ending { .. } => {
                    notifications = std::mem::take(&mut registration.notifications);
                    waiter = registration.waiter;
                    self.registrations.remove(&id);
                }
            }
        }
        let id = client.register(info, credentials.clone());
        self.known.insert(key.clone(), id);
        if let Some(waiting) = waiter.and_then(|waiter| self.requests.get_mut(&waiter)) {
            waiting.registration = id;
        }
        let phase = Phase::Starting { owner: request, joined: Vec::new() };
        let registration = Registration { info: key, credentials, phase, notifications, waiter };
        self.registrations.insert(id, registration);
        self.add_request(request, id, Kind::Register, waker);
        Ok(request)
    }

    /// Waits for notifications of a registration.
    ///
    /// # Errors
    /// [`Errno::NOENT`] where there is no such registration, [`Errno::BUSY`]
    /// where another request waits, or why the registration was given up.
    pub(crate) fn wait(&mut self, info: RegistrationRequest, waker: W) -> Result<RequestId, Errno> {
        let request = self.next_request();
        let id = *self.known.get(&normalized(info)).ok_or(Errno::NOENT)?;
        let registration = self.registrations.get_mut(&id).ok_or(Errno::FAULT)?;
        if registration.waiter.is_some() {
            return Err(Errno::BUSY);
        }
        if registration.notifications.is_empty() {
            if let Phase::GivenUp(errno) = registration.phase {
                self.forget(id);
                return Err(errno);
            }
        }
        let waits = registration.notifications.is_empty();
        registration.waiter = Some(request);
        self.add_request(request, id, Kind::Wait, waker);
        if !waits {
            self.wake(request);
        }
        Ok(request)
    }

    /// Ends a registration. Requests that start it, or wait for it, are canceled.
    ///
    /// # Errors
    /// [`Errno::NOENT`] where there is no such registration.
    pub(crate) fn unregister(
        &mut self,
        info: RegistrationRequest,
        client: &impl Registrar,
        waker: W,
    ) -> Result<RequestId, Errno> {
        let request = self.next_request();
        let id = *self.known.get(&normalized(info)).ok_or(Errno::NOENT)?;
        let given_up = self.end(id, Errno::CANCELED, client);
        self.add_request(request, id, Kind::Unregister, waker);
        if given_up {
            self.settle(request, Ok(()));
        } else if let Some(registration) = self.registrations.get_mut(&id) {
            registration.phase = Phase::Ending { by: Some(request) };
        }
        Ok(request)
    }

    /// The outcome of a request, once. `None`: not yet, or no longer.
    pub(crate) fn poll(&mut self, request: RequestId) -> Option<Outcome> {
        let known = self.requests.get(&request)?;
        let outcome = match known.outcome {
            Some(outcome) => outcome.map(|()| Vec::new()),
            None if known.kind == Kind::Wait => {
                let registration = self.registrations.get_mut(&known.registration)?;
                if registration.notifications.is_empty() {
                    return None;
                }
                registration.waiter = None;
                Ok(std::mem::take(&mut registration.notifications).into())
            }
            None => return None,
        };
        self.requests.remove(&request);
        Some(outcome)
    }

    /// Removes a request that goes away, with or without its outcome. A registration
    /// that no request was told of ends.
    pub(crate) fn abandon(&mut self, request: RequestId, client: &impl Registrar) {
        let Some(gone) = self.requests.remove(&request) else {
            return;
        };
        let id = gone.registration;
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match (gone.kind, &mut registration.phase) {
            (Kind::Register, Phase::Starting { owner, joined }) => {
                joined.retain(|other| *other != request);
                if *owner != request {
                    return;
                }
                if joined.is_empty() {
                    self.end(id, Errno::CANCELED, client);
                } else {
                    *owner = joined.remove(0);
                }
            }
            (Kind::Register, Phase::Established { .. }) if gone.outcome == Some(Ok(())) => {
                self.end(id, Errno::CANCELED, client);
            }
            (Kind::Unregister, Phase::Ending { by }) => *by = None,
            (Kind::Wait, _) => registration.waiter = None,
            _ => {}
        }
    }

    /// Takes notifications back that a wait gave and the caller did not receive.
    pub(crate) fn give_back(&mut self, info: RegistrationRequest, batch: Vec<Notification>) {
        let Some(id) = self.known.get(&normalized(info)) else {
            return;
        };
        let Some(registration) = self.registrations.get_mut(id) else {
            return;
        };
        let newer = std::mem::replace(&mut registration.notifications, batch.into());
        for notification in newer {
            backlog::add(&mut registration.notifications, notification);
        }
        if let Some(waiter) = registration.waiter {
            self.wake(waiter);
        }
    }

    /// Everything ends, and every request is told why.
    pub(crate) fn close(&mut self, errno: Errno) {
        self.known.clear();
        self.registrations.clear();
        for (id, request) in &mut self.requests {
            request.outcome = Some(Err(errno));
            request.waker.wake(*id);
        }
    }
}

/// The client's side.
impl<W: Wake> Registry<W> {
    /// What was asked for, and whether the client has been left to recover by
    /// itself; `None` where it has ended.
    pub(crate) fn describe(&self, id: RegistrationId) -> Option<(&RegistrationRequest, bool)> {
        let registration = self.registrations.get(&id)?;
        let recovers = matches!(registration.phase, Phase::Established { .. });
        Some((&registration.info, recovers))
    }

    /// Something happened to a registration.
    pub(crate) fn event(&mut self, id: RegistrationId, event: Event, client: &impl Registrar) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match (event, &mut registration.phase) {
            (Event::Registered { .. }, Phase::Starting { owner, joined }) => {
                let (owner, joined) = (*owner, std::mem::take(joined));
                registration.phase = Phase::Established { failing: false };
                self.settle(owner, Ok(()));
                for request in joined {
                    self.settle(request, Err(Errno::EXIST));
                }
            }
            (Event::Registered { .. }, Phase::Established { failing }) => *failing = false,
            (Event::Notification(_), Phase::Ending { .. }) => {}
            (Event::Notification(notification), _) => {
                backlog::add(&mut registration.notifications, notification);
                if let Some(waiter) = registration.waiter {
                    self.wake(waiter);
                }
            }
            (Event::Failed { error, .. }, Phase::Starting { .. }) => {
                self.end(id, Errno::from(&error), client);
            }
            (Event::Failed { error, retry_in: None }, Phase::Established { .. }) => {
                self.give_up(id, Errno::from(&error), client);
            }
            (Event::Failed { .. }, Phase::Established { failing }) => *failing = true,
            (Event::Unregistered, Phase::Ending { by }) => {
                let by = by.take();
                self.registrations.remove(&id);
                if let Some(request) = by {
                    self.settle(request, Ok(()));
                }
            }
            _ => {}
        }
    }

    /// A registration that was in order won't be again. Notifications that are
    /// left, and then the error, are for the next waits.
    fn give_up(&mut self, id: RegistrationId, errno: Errno, client: &impl Registrar) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.waiter.is_some() && registration.notifications.is_empty() {
            self.end(id, errno, client);
        } else {
            registration.phase = Phase::GivenUp(errno);
            client.unregister(id);
        }
    }

    /// Takes a registration back. `errno` is for those that wait for anything
    /// of it. Whether there is nothing to wait for, because the client has
    /// given it up before.
    fn end(&mut self, id: RegistrationId, errno: Errno, client: &impl Registrar) -> bool {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return true;
        };
        self.known.remove(&registration.info);
        registration.notifications.clear();
        let waiter = registration.waiter.take();
        let phase = std::mem::replace(&mut registration.phase, Phase::Ending { by: None });
        if let Some(waiter) = waiter {
            self.settle(waiter, Err(errno));
        }
        match phase {
            Phase::GivenUp(_) => {
                self.registrations.remove(&id);
                return true;
            }
            Phase::Starting { owner, joined } => {
                for request in [owner].into_iter().chain(joined) {
                    self.settle(request, Err(errno));
                }
            }
            Phase::Established { .. } | Phase::Ending { .. } => {}
        }
        client.unregister(id);
        false
    }

    /// Drops a registration that the client has given up.
    fn forget(&mut self, id: RegistrationId) {
        if let Some(registration) = self.registrations.remove(&id) {
            self.known.remove(&registration.info);
        }
    }

    fn settle(&mut self, id: RequestId, outcome: Result<(), Errno>) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.outcome = Some(outcome);
            self.wake(id);
        }
    }

    fn wake(&self, id: RequestId) {
        if let Some(request) = self.requests.get(&id) {
            request.waker.wake(id);
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    fn add_request(&mut self, id: RequestId, registration: RegistrationId, kind: Kind, waker: W) {
        self.requests.insert(id, Request { registration, kind, waker, outcome: None });
    }
}

//! What a `struct swnc_state` stands for: a registry and the client that it
//! speaks through.
//!
//! The caller's threads have the registry for themselves. The engine's only
//! leaves in the inbox what has happened.

use crate::engine::Engine;
use crate::errno::Errno;
use crate::inbox::{Bell, Events, Inbox};
use crate::registry::{Outcome, Registry, RequestId, Wake};
use crate::report;
use core_client::{Client, Config, Credentials, Notification, RegistrationRequest};
use smol_str::SmolStr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many events are looked at in one turn of the caller's loop.
const EVENTS_IN_A_TURN: usize = 16;
/// How much room for events is kept, in their number.
const ROOM: usize = 64;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct State<W> {
    books: Mutex<Books<W>>,
    inbox: Arc<Inbox<W>>,
}

#[derive(Debug)]
struct Books<W> {
    registry: Registry<W>,
    /// Out of the inbox, to be looked at next.
    events: Events,
    running: Option<Running>,
}

/// Dropped in this order: the client's tasks are the engine's.
#[derive(Debug)]
struct Running {
    client: Client,
    _engine: Arc<Engine>,
}

impl<W: Wake + Bell + Send + Sync + 'static> State<W> {
    pub(crate) fn new() -> Arc<Self> {
        let books = Books { registry: Registry::default(), events: Events::new(), running: None };
        Arc::new(Self { books: Mutex::new(books), inbox: Arc::default() })
    }

    fn with_books<T>(&self, work: impl FnOnce(&mut Books<W>) -> T) -> T {
        // Plain data, in order between any two statements.
        work(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those to be rung when there is something to [`catch_up`](Self::catch_up)
    /// with.
    pub(crate) fn set_bells(&self, bells: Arc<[W]>) {
        self.inbox.set_bells(bells);
    }

    /// Looks at some of what has happened. Whether there is more to look at.
    pub(crate) fn catch_up(&self) -> bool {
        self.with_books(|books| {
            let Books { registry, events, running } = books;
            let all = self.inbox.take(events);
            let Some(running) = running else {
                return false;
            };
            for _ in 0..EVENTS_IN_A_TURN {
                let Some((id, event)) = events.pop_front() else {
                    break;
                };
                if let Some((info, recovers)) = registry.describe(id) {
                    report::event(info, &event, recovers);
                }
                registry.event(id, event, &running.client);
            }
            if events.is_empty() {
                events.shrink_to(ROOM);
            }
            !all || !events.is_empty()
        })
    }

    /// See [`Registry::register`]. The first one starts the client, under the
    /// name that `client_name` gives, or the host's.
    pub(crate) fn register(
        &self,
        info: RegistrationRequest,
        credentials: Credentials,
        client_name: impl FnOnce() -> Option<SmolStr>,
        waker: W,
    ) -> Result<RequestId, Errno> {
        self.with_books(|books| {
            let running = match &mut books.running {
                Some(running) => running,
                none => none.insert(self.start(client_name())?),
            };
            books.registry.register(info, credentials, &running.client, waker)
        })
    }

    fn start(&self, client_name: Option<SmolStr>) -> Result<Running, Errno> {
        let engine = Engine::get().map_err(|error| {
            log::error!("cannot start the witness client: {error}");
            Errno::from(&error)
        })?;
        let inbox = Arc::clone(&self.inbox);
        let sink = move |id, event| inbox.post(id, event);
        let config = async {
            let name = match client_name {
                Some(name) => Some(name),
                None => tokio::task::spawn_blocking(crate::ffi::host::fqdn).await.ok().flatten(),
            };
            let config = Config::default();
            Config { client_name: name.unwrap_or(config.client_name), ..config }
        };
        let _runtime = engine.runtime().enter();
        let client = Client::start_deferred(config, sink);
        Ok(Running { client, _engine: Arc::clone(&engine) })
    }

    /// See [`Registry::wait`].
    pub(crate) fn wait(&self, info: RegistrationRequest, waker: W) -> Result<RequestId, Errno> {
        self.with_books(|books| books.registry.wait(info, waker))
    }

    /// See [`Registry::unregister`].
    pub(crate) fn unregister(
        &self,
        info: RegistrationRequest,
        waker: W,
    ) -> Result<RequestId, Errno> {
        self.with_books(|books| {
            let running = books.running.as_ref().ok_or(Errno::NOENT)?;
            books.registry.unregister(info, &running.client, waker)
        })
    }

    /// See [`Registry::poll`].
    pub(crate) fn poll(&self, request: RequestId) -> Option<Outcome> {
        self.with_books(|books| books.registry.poll(request))
    }

    /// See [`Registry::abandon`].
    pub(crate) fn abandon(&self, request: RequestId) {
        self.with_books(|books| {
            if let Some(running) = &books.running {
                books.registry.abandon(request, &running.client);
            }
        });
    }

    /// See [`Registry::give_back`].
    pub(crate) fn give_back(&self, info: RegistrationRequest, batch: Vec<Notification>) {
        self.with_books(|books| books.registry.give_back(info, batch));
    }

    /// See [`Registry::close`]. Ends the engine where nobody else uses it.
    pub(crate) fn close(&self) {
        let running = self.with_books(|books| {
            books.registry.close();
            books.running.take()
        });
        // Waits for a thread.
        drop(running);
        self.inbox.set_bells(Arc::new([]));
    }
}

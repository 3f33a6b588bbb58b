//! What a `struct swnc_state` stands for: a registry and the client that it
//! speaks through. Used by the caller's threads and by the engine's.

use crate::engine::Engine;
use crate::errno::Errno;
use crate::registry::{Outcome, Registry, RequestId, Wake};
use crate::report;
use core_client::{
    Client, Config, Credentials, Event, Notification, RegistrationId, RegistrationRequest,
};
use smol_str::SmolStr;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct State<W> {
    books: Mutex<Books<W>>,
}

#[derive(Debug)]
struct Books<W> {
    registry: Registry<W>,
    running: Option<Running>,
}

/// Dropped in this order: the client's tasks are the engine's.
#[derive(Debug)]
struct Running {
    client: Client,
    _engine: Arc<Engine>,
}

impl<W: Wake + Send + 'static> State<W> {
    pub(crate) fn new() -> Arc<Self> {
        let books = Books { registry: Registry::default(), running: None };
        Arc::new(Self { books: Mutex::new(books) })
    }

    /// Works with the books. Whoever that wakes is rung without the lock: the
    /// thread that rings may lose its CPU to the one that it has woken, which
    /// wants the lock next.
    fn with_books<T>(&self, work: impl FnOnce(&mut Books<W>) -> T) -> T {
        let (result, woken) = {
            // Plain data, in order between any two statements.
            let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
            (work(&mut books), books.registry.take_woken())
        };
        for waker in woken {
            waker.ring();
        }
        result
    }

    /// See [`Registry::register`]. The first one starts the client, under the
    /// name that `client_name` gives, or the host's.
    pub(crate) fn register(
        self: &Arc<Self>,
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

    fn start(self: &Arc<Self>, client_name: Option<SmolStr>) -> Result<Running, Errno> {
        let engine = Engine::get().map_err(|error| {
            log::error!("cannot start the witness client: {error}");
            Errno(error.raw_os_error().unwrap_or(libc::EAGAIN))
        })?;
        let state = Arc::downgrade(self);
        let sink = move |id, event| {
            if let Some(state) = state.upgrade() {
                state.event(id, event);
            }
        };
        let config = async {
            let name = match client_name {
                Some(name) => Some(name),
                None => tokio::task::spawn_blocking(crate::ffi::host::fqdn).await.ok().flatten(),
            };
            let config = Config::default();
            Config { client_name: name.unwrap_or(config.client_name), ..config }
        };
        let _runtime = engine.runtime().enter();
        let client = Client::start_when(config, sink);
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
        // Waits for a thread that may be about to take the lock.
        drop(running);
    }

    fn event(&self, id: RegistrationId, event: Event) {
        let described = self.with_books(|books| books.registry.describe(id));
        if let Some((info, recovers)) = described {
            report::event(&info, &event, recovers);
        }
        self.with_books(|books| {
            if let Some(running) = &books.running {
                books.registry.event(id, event, &running.client);
            }
        });
    }
}

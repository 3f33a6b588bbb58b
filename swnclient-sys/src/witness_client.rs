//! The witness client of a `struct swnc_state`: a registry, and the client of the
//! core that it speaks through.
//!
//! The caller's threads have the registry for themselves. The engine's only
//! leaves in the inbox what has happened.

use crate::engine::Engine;
use crate::errno::Errno;
use crate::inbox::{Events, Inbox, Notifier};
use crate::registry::{Outcome, Registry, RequestId, Wake};
use crate::report;
use core_client::{
    Client, ClientName, Config, Credentials, Event, EventSink, Notification, RegistrationId,
    RegistrationRequest, host_name,
};
use smol_str::SmolStr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many events are looked at in one turn of the caller's loop.
const EVENTS_IN_A_TURN: usize = 16;
/// How much room for events is kept, in their number.
const ROOM: usize = 64;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct WitnessClient<W> {
    inner: Mutex<Inner<W>>,
    inbox: Arc<Inbox<W>>,
}

#[derive(Debug)]
struct Inner<W> {
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

/// The client's sink; dropped where the client ends.
#[derive(Debug)]
struct InboxSink<W: Notifier>(Arc<Inbox<W>>);

impl<W: Notifier + Send + Sync + 'static> EventSink for InboxSink<W> {
    fn event(&mut self, id: RegistrationId, event: Event) {
        #[cfg(test)]
        tests::panic_if_told();
        // No caller asks for these.
        if !matches!(event, Event::NoNews | Event::ServerLost { .. }) {
            self.0.post(id, event);
        }
    }
}

impl<W: Notifier> Drop for InboxSink<W> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<W: Wake + Notifier + Send + Sync + 'static> WitnessClient<W> {
    pub(crate) fn new() -> Arc<Self> {
        let inner = Inner { registry: Registry::default(), events: Events::new(), running: None };
        Arc::new(Self { inner: Mutex::new(inner), inbox: Arc::default() })
    }

    fn with_inner<T>(&self, work: impl FnOnce(&mut Inner<W>) -> T) -> T {
        // Plain data, in order between any two statements.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets those that are notified when there is something to
    /// [`catch_up`](Self::catch_up) with.
    pub(crate) fn set_notifiers(&self, notifiers: Arc<[W]>) {
        self.inbox.set_notifiers(notifiers);
    }

    /// Looks at some of what has happened. Whether there is more to look at.
    pub(crate) fn catch_up(&self) -> bool {
        let (more, ended) = self.with_inner(|inner| {
            let Inner { registry, events, running } = inner;
            let all = self.inbox.take(events);
            let Some(client) = running.as_ref().map(|running| &running.client) else {
                return (false, None);
            };
            for _ in 0..EVENTS_IN_A_TURN {
                let Some((id, event)) = events.pop_front() else {
                    break;
                };
                if let Some((info, recovers)) = registry.describe(id) {
                    report::event(info, &event, recovers);
                }
                registry.event(id, event, client);
            }
            if !events.is_empty() {
                return (true, None);
            }
            events.shrink_to(ROOM);
            // Nothing but a panic ends it while it runs: the next register starts another.
            let ended = self.inbox.take_end().then(|| {
                registry.close(Errno::FAULT);
                running.take()
            });
            (!all, ended)
        });
        // Waits for a thread.
        drop(ended);
        more
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
        self.with_inner(|inner| {
            let running = match &mut inner.running {
                Some(running) => running,
                none => none.insert(self.start(client_name())?),
            };
            inner.registry.register(info, credentials, &running.client, waker)
        })
    }

    fn start(&self, client_name: Option<SmolStr>) -> Result<Running, Errno> {
        let engine = Engine::get().map_err(|error| {
            log::error!("cannot start the witness client: {error}");
            Errno::from(&error)
        })?;
        let sink = InboxSink(Arc::clone(&self.inbox));
        let client_name = match client_name {
            Some(name) => name.into(),
            None => ClientName::of_host(host_name),
        };
        let config = Config { client_name, ..Config::default() };
        let _runtime = engine.runtime().enter();
        let client = Client::start(config, sink);
        Ok(Running { client, _engine: Arc::clone(&engine) })
    }

    /// See [`Registry::wait`].
    pub(crate) fn wait(&self, info: RegistrationRequest, waker: W) -> Result<RequestId, Errno> {
        self.with_inner(|inner| inner.registry.wait(info, waker))
    }

    /// See [`Registry::unregister`].
    pub(crate) fn unregister(
        &self,
        info: RegistrationRequest,
        waker: W,
    ) -> Result<RequestId, Errno> {
        self.with_inner(|inner| {
            let running = inner.running.as_ref().ok_or(Errno::NOENT)?;
            inner.registry.unregister(info, &running.client, waker)
        })
    }

    /// See [`Registry::poll`].
    pub(crate) fn poll(&self, request: RequestId) -> Option<Outcome> {
        self.with_inner(|inner| inner.registry.poll(request))
    }

    /// See [`Registry::abandon`].
    pub(crate) fn abandon(&self, request: RequestId) {
        self.with_inner(|inner| {
            if let Some(running) = &inner.running {
                inner.registry.abandon(request, &running.client);
            }
        });
    }

    /// See [`Registry::give_back`].
    pub(crate) fn give_back(&self, info: RegistrationRequest, batch: Vec<Notification>) {
        self.with_inner(|inner| inner.registry.give_back(info, batch));
    }

    /// See [`Registry::close`]. Ends the engine where no other client uses it.
    pub(crate) fn close(&self) {
        let running = self.with_inner(|inner| {
            inner.registry.close(Errno::CANCELED);
            inner.running.take()
        });
        // Waits for a thread.
        drop(running);
        self.inbox.set_notifiers(Arc::new([]));
    }
}

#[cfg(test)]
mod tests {
    use super::WitnessClient;
    use crate::errno::Errno;
    use crate::inbox::Notifier;
    use crate::registry::{Outcome, RequestId, Wake};
    use core_client::{Credentials, NtlmCredentials, RegistrationRequest};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    static PANIC: AtomicBool = AtomicBool::new(false);

    /// The fault of the test below, on the engine's thread.
    pub(super) fn panic_if_told() {
        assert!(!PANIC.load(Ordering::Relaxed), "on purpose");
    }

    /// A loop that waits for a notification.
    #[derive(Debug, Clone)]
    struct Loop(SyncSender<()>);

    impl Notifier for Loop {
        fn notify(&self) {
            let _ = self.0.try_send(());
        }
    }

    impl Wake for Loop {
        fn wake(&self, _: RequestId) {
            self.notify();
        }
    }

    /// The outcome of a request at a client whose loop is run here.
    fn outcome(
        client: &WitnessClient<Loop>,
        notified: &Receiver<()>,
        request: RequestId,
    ) -> Outcome {
        loop {
            notified.recv_timeout(Duration::from_secs(10)).expect("the loop is notified");
            while client.catch_up() {}
            if let Some(outcome) = client.poll(request) {
                return outcome;
            }
        }
    }

    #[test]
    fn a_panic_of_the_engine_fails_what_waits_and_the_next_register_starts_another() {
        let (notify, notified) = sync_channel(1);
        let client = WitnessClient::new();
        client.set_notifiers(Arc::new([Loop(notify.clone())]));
        let register = || {
            // Nothing listens there: the client says so, which is what panics.
            let request =
                RegistrationRequest::new("cluster.example.test").served_by([127, 0, 0, 1].into());
            let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
            let name = || Some("laptop".into());
            client
                .register(request, Credentials::Ntlm(alice), name, Loop(notify.clone()))
                .expect("it starts")
        };
        PANIC.store(true, Ordering::Relaxed);
        let first = register();
        assert_eq!(outcome(&client, &notified, first), Err(Errno::FAULT));
        PANIC.store(false, Ordering::Relaxed);
        let second = register();
        let told = outcome(&client, &notified, second);
        assert!(told.is_err() && told != Err(Errno::FAULT), "{told:?}");
        client.close();
    }
}

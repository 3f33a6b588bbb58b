//! The handle to a running client.

use crate::commands::Command;
use crate::driver::Driver;
use crate::sink::EventSink;
use crate::{Config, Credentials, Event, Interface, RegistrationId, RegistrationRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, oneshot};

/// How many events wait at a handle; the oldest go first.
const EVENTS_MAX: usize = 64;

/// A handle to a running client. Clones name the same client; it stops, and
/// its connections close, when the last one is dropped. It also stops where
/// something in it panics, the sink for example. When it has stopped the sink is dropped,
/// and what is asked of it is not heard.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    last_id: Arc<AtomicU64>,
}

impl Client {
    /// Starts a client on the current tokio runtime, which should be a
    /// current-thread one with IO and time enabled.
    pub fn start(config: Config, sink: impl EventSink) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let stop = commands.downgrade();
        tokio::spawn(Driver::run(config, Box::new(sink), receiver, stop));
        Self { commands, last_id: Arc::default() }
    }

    /// Starts a registration; its events follow.
    pub fn register(
        &self,
        request: RegistrationRequest,
        credentials: Credentials,
    ) -> RegistrationId {
        let id = self.new_id();
        self.ask(Command::Register(id, request, credentials, None));
        id
    }

    /// Starts a registration whose events come by its own handle, not by the sink.
    pub fn registration(
        &self,
        request: RegistrationRequest,
        credentials: Credentials,
    ) -> Registration {
        let id = self.new_id();
        let (sender, events) = broadcast::channel(EVENTS_MAX);
        self.ask(Command::Register(id, request, credentials, Some(sender)));
        Registration { client: self.clone(), id, events }
    }

    fn ask(&self, command: Command) {
        // An error: the event loop has ended, and every registration with it.
        let _ = self.commands.send(command);
    }

    fn new_id(&self) -> RegistrationId {
        RegistrationId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The consumer asked for the same registration again: takes over the
    /// credentials where they are new, and cuts a running backoff short, at
    /// most once in a second. Costs nothing where the registration is in order.
    pub fn request_again(&self, id: RegistrationId, credentials: Credentials) {
        self.ask(Command::RequestAgain(id, credentials));
    }

    /// Tries at once where a registration waits, but at most once in a second; also with
    /// credentials that servers have refused, which may lock the account: for a person
    /// who asks for it.
    pub fn try_now(&self, id: RegistrationId) {
        self.ask(Command::TryNow(id));
    }

    /// Returns the last interface list that was got for a registration: from the
    /// node that serves the share, or, after the loss of a witness, from the next
    /// one. Empty where there is none yet, and for an id that is not in use. No
    /// server is asked.
    pub fn interfaces(
        &self,
        id: RegistrationId,
    ) -> impl Future<Output = Vec<Interface>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::Interfaces(id, answer));
        async { answered.await.unwrap_or_default() }
    }

    /// Returns how many connections to witnesses registrations have, which they share.
    /// None where the client has stopped.
    pub fn witness_connections(&self) -> impl Future<Output = usize> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        self.ask(Command::WitnessConnections(answer));
        async { answered.await.unwrap_or_default() }
    }

    /// Ends a registration; [`Event::Unregistered`] follows.
    pub fn unregister(&self, id: RegistrationId) {
        self.ask(Command::Unregister(id));
    }

    /// Unregisters everything at every witness, for `limit` at the longest.
    pub async fn shutdown(&self, limit: Duration) {
        let (done, ended) = oneshot::channel();
        self.ask(Command::Shutdown(done));
        let _ = tokio::time::timeout(limit, ended).await;
    }
}

/// A registration with its events; dropped, it is unregistered. See
/// [`Client::registration`].
#[derive(Debug)]
pub struct Registration {
    client: Client,
    id: RegistrationId,
    events: broadcast::Receiver<Event>,
}

impl Registration {
    /// Its name with the client's other methods.
    pub fn id(&self) -> RegistrationId {
        self.id
    }

    /// Waits for the next event; `None` once it has ended. Of those that nothing has
    /// waited for, the last 64 are kept, and a line in the log says how many are lost.
    /// Dropping the future loses nothing.
    pub async fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(lost)) => {
                    log::warn!("registration {}: {lost} events were not waited for", self.id.0);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// See [`Client::request_again`].
    pub fn request_again(&self, credentials: Credentials) {
        self.client.request_again(self.id, credentials);
    }

    /// See [`Client::interfaces`].
    pub fn interfaces(&self) -> impl Future<Output = Vec<Interface>> + Send + use<> {
        self.client.interfaces(self.id)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.client.unregister(self.id);
    }
}

//! The handle to a running client.

use crate::commands::{self, Command};
use crate::driver::Driver;
use crate::{Config, Credentials, Event, Interface, RegistrationId, RegistrationRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Receives the events of every registration of a client, in order, on the
/// client's event loop. It must not block. It may call the client's methods.
pub trait EventSink: Send + 'static {
    /// Takes one event.
    fn event(&mut self, id: RegistrationId, event: Event);
}

impl<F: FnMut(RegistrationId, Event) + Send + 'static> EventSink for F {
    fn event(&mut self, id: RegistrationId, event: Event) {
        self(id, event);
    }
}

/// A handle to a running client. Clones name the same client; it stops, and
/// its connections close, when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    commands: commands::Sender,
    last_id: Arc<AtomicU64>,
}

impl Client {
    /// Starts a client on the current tokio runtime, which should be a
    /// current-thread one with IO and time enabled.
    pub fn start(config: Config, sink: impl EventSink) -> Self {
        Self::start_when(std::future::ready(config), sink)
    }

    /// As [`Client::start`], with a configuration that takes time to find out,
    /// such as the host's name. What is asked for meanwhile waits for it.
    pub fn start_when(
        config: impl Future<Output = Config> + Send + 'static,
        sink: impl EventSink,
    ) -> Self {
        let (commands, receiver) = commands::queue();
        tokio::spawn(async { Driver::run(config.await, Box::new(sink), receiver).await });
        Self { commands, last_id: Arc::default() }
    }

    /// Starts a registration; its events follow.
    pub fn register(
        &self,
        request: RegistrationRequest,
        credentials: Credentials,
    ) -> RegistrationId {
        let id = RegistrationId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        self.commands.send(Command::Register(id, request, credentials));
        id
    }

    /// The consumer asked for the same registration again: takes over the
    /// credentials where they are new, and cuts a running backoff short, at
    /// most once in a second. Costs nothing where the registration is in order.
    pub fn retry(&self, id: RegistrationId, credentials: Credentials) {
        self.commands.send(Command::Retry(id, credentials));
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
        self.commands.send(Command::Interfaces(id, answer));
        async { answered.await.unwrap_or_default() }
    }

    /// Ends a registration; [`Event::Unregistered`] follows.
    pub fn unregister(&self, id: RegistrationId) {
        self.commands.send(Command::Unregister(id));
    }

    /// Unregisters everything at every witness, for `limit` at the longest.
    pub async fn shutdown(&self, limit: Duration) {
        let (done, ended) = oneshot::channel();
        self.commands.send(Command::Shutdown(done));
        let _ = tokio::time::timeout(limit, ended).await;
    }
}

//! The tokio driver around the protocol's logic.

use crate::{Credentials, Event, RegistrationId, RegistrationRequest};

/// Receives the events of every registration of a client, in order, on the
/// client's event loop. It must not block.
pub trait EventSink: Send + 'static {
    /// Takes one event.
    fn event(&mut self, id: RegistrationId, event: Event);
}

/// How a client behaves.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {}

/// A handle to a running client.
#[derive(Debug, Clone)]
pub struct Client {}

impl Client {
    /// Starts a client on the current tokio runtime.
    pub fn start(_config: Config, _sink: impl EventSink) -> Self {
        unimplemented!()
    }

    /// Starts a registration; its events follow.
    pub fn register(
        &self,
        _request: RegistrationRequest,
        _credentials: Credentials,
    ) -> RegistrationId {
        unimplemented!()
    }

    /// The consumer asked for the same registration again: takes over the
    /// credentials where they are new, and cuts a running backoff short.
    /// Costs nothing where the registration is in order.
    pub fn retry(&self, _id: RegistrationId, _credentials: Credentials) {
        unimplemented!()
    }

    /// Ends a registration; [`Event::Unregistered`] follows.
    pub fn unregister(&self, _id: RegistrationId) {
        unimplemented!()
    }

    /// Unregisters everything at every witness, for `limit` at the longest.
    pub async fn shutdown(&self, _limit: std::time::Duration) {
        unimplemented!()
    }
}

//! Where a client's events go.

use crate::{Event, RegistrationId};

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

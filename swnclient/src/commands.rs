//! What the consumer asks for, on its way to the event loop by tokio's channel.
//!
//! Both may be threads of their own, of which the consumer's must not wait: the channel
//! has no lock, and uses its blocks of 32 commands again instead of allocating one on
//! the one side and freeing it on the other.

use crate::{Credentials, Event, Interface, RegistrationId, RegistrationRequest};
use tokio::sync::{broadcast, oneshot};

/// What the consumer asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// The events go by the sender where there is one.
    Register(RegistrationId, RegistrationRequest, Credentials, Option<broadcast::Sender<Event>>),
    RequestAgain(RegistrationId, Credentials),
    TryNow(RegistrationId),
    Unregister(RegistrationId),
    Interfaces(RegistrationId, oneshot::Sender<Vec<Interface>>),
    WitnessConnections(oneshot::Sender<usize>),
    Shutdown(oneshot::Sender<()>),
    /// Ends the event loop. The driver asks for it where something panics.
    Stop,
}

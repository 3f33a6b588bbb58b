//! What happens to registrations, as lines for the log.

use core_client::{Event, Notification, RegistrationRequest};

/// Tells what happened to a registration, which `recovers` by itself or not.
pub(crate) fn event(info: &RegistrationRequest, event: &Event, recovers: bool) {
    let net_name = &info.net_name;
    let share = info.share_name.as_deref().unwrap_or_default();
    match event {
        Event::Registered { witness, version } => {
            log::info!(r"\\{net_name}\{share}: registered at witness {witness}, version {version}");
        }
        Event::Notification(notification) => match notification {
            Notification::ResourceChange { name, state } => {
                log::info!(r"\\{net_name}\{share}: {name} is {state}");
            }
            Notification::ClientMove { address } => {
                log::info!(r"\\{net_name}\{share}: the client is moved to {address}");
            }
            Notification::ShareMove { address } => {
                log::info!(r"\\{net_name}\{share}: the share is moved to {address}");
            }
            Notification::IpChange { address } => {
                log::info!(r"\\{net_name}\{share}: the address is now {address}");
            }
        },
        Event::Failed { error, retry_in: Some(after) } if recovers => {
            log::warn!(r"\\{net_name}\{share}: {error} (next attempt in {} s)", after.as_secs());
        }
        Event::Failed { error, .. } => log::warn!(r"\\{net_name}\{share}: {error}"),
        Event::Unregistered => log::debug!(r"\\{net_name}\{share}: unregistered"),
        other => log::debug!(r"\\{net_name}\{share}: {other:?}"),
    }
}

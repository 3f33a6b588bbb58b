//! The cifs mounts of this machine.

use swnd::control::interface::Registration;
pub use swnd::mountinfo::CifsMount;

/// Whether a registration is for a mount.
pub fn is_of(mount: &CifsMount, registration: &Registration) -> bool {
    let share = registration.share_name.as_deref().unwrap_or_default();
    mount.is_share(&registration.net_name, share)
}

/// Returns the mounts of the running system; none where they can't be read.
pub fn read() -> Vec<CifsMount> {
    swnd::mountinfo::read().unwrap_or_default()
}

/// Reads the text of a `mountinfo`.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Vec<CifsMount> {
    swnd::mountinfo::parse(text.as_bytes()).unwrap_or_default()
}

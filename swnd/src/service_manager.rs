//! What the service manager is told (sd_notify(3)). Without one, nothing is.

use sd_notify::NotifyState;

/// The daemon serves.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// The daemon is about to exit.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    notify(&NotifyState::Status(line));
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        log::debug!("the service manager cannot be told: {error}");
    }
}

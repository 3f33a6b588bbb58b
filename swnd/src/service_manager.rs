//! What the service manager is told (sd_notify(3)). Without one, nothing is.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How long a service manager that is busy may hold up the start: without the
/// message it would end the daemon.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// The daemon serves. Waits for a service manager that is busy, for 5 s at most.
pub fn ready() {
    notify("READY=1", Some(READY_LIMIT));
}

/// The daemon is about to exit.
pub fn stopping() {
    notify("STOPPING=1", None);
}

/// One line for `systemctl status`. Where the service manager does not read, it
/// keeps the one it has.
pub fn status(line: &str) {
    notify(&format!("STATUS={line}"), None);
}

/// Tells a service manager that watches the daemon, again and again, that the event loop
/// goes on (`WatchdogSec=` of systemd.service(5)). Never ends; part of the event loop.
pub async fn beat() -> Infallible {
    let Some(limit) = watchdog_limit() else {
        return std::future::pending().await;
    };
    let mut interval = tokio::time::interval(limit / 2);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        notify("WATCHDOG=1", None);
    }
}

/// How long the daemon may be silent; `None` where it is not watched.
fn watchdog_limit() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_other = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
    let limit = number("WATCHDOG_USEC").filter(|limit| *limit > 1 && !is_other)?;
    Some(Duration::from_micros(limit))
}

fn notify(message: &str, wait: Option<Duration>) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, message, wait) {
        log::debug!("the service manager cannot be told: {error}");
    }
}

/// Sends one message, and waits for room no longer than that; `None`: not at all.
fn send(socket: &OsStr, message: &str, wait: Option<Duration>) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;

    datagram.set_nonblocking(wait.is_none())?;
    datagram.set_write_timeout(wait)?;
    datagram.send_to_addr(format!("{message}\n").as_bytes(), &address).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::mpsc;

    /// More than any socket holds.
    const MANY: usize = 100_000;

    #[test]
    fn a_service_manager_that_does_not_read_holds_nothing_up() {
        let name = format!("swnd-unread-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _unread = UnixDatagram::bind_addr(&address).unwrap();
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let socket = format!("@{name}");
            let send = |wait| send(socket.as_ref(), "STATUS=1 of 1 mounts registered", wait);
            let full = (0..MANY).find_map(|_| send(None).err()).unwrap();
            let ready = send(Some(Duration::from_millis(1))).unwrap_err();
            done.send([full.kind(), ready.kind()]).unwrap();
        });
        let kinds = ended.recv_timeout(Duration::from_secs(30)).expect("nothing waits");
        assert_eq!(kinds, [ErrorKind::WouldBlock; 2]);
    }

    #[test]
    fn a_message_arrives_as_a_line() {
        let name = format!("swnd-read-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        send(format!("@{name}").as_ref(), "READY=1", Some(READY_LIMIT)).unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(buffer.get(..length), Some(b"READY=1\n".as_slice()));
    }
}

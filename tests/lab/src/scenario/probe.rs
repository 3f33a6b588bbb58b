//! When an address answers again.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::in_client_namespace;

/// One attempt, and the pause after one that is refused.
const ATTEMPT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(20);

/// Tries an address's SMB port from another client until it answers.
#[derive(Debug)]
pub(super) struct Probe {
    stop: std::sync::Arc<AtomicBool>,
    thread: JoinHandle<Option<Duration>>,
}

impl Probe {
    /// Starts; `since` is when the time begins.
    pub(super) fn start(address: Ipv4Addr, since: Instant) -> Probe {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let target = SocketAddr::from((address, 445));
        let thread = std::thread::spawn(move || {
            in_client_namespace(|| {
                while !stopped.load(Ordering::SeqCst) {
                    if TcpStream::connect_timeout(&target, ATTEMPT).is_ok() {
                        return Some(since.elapsed());
                    }
                    sleep(PAUSE);
                }
                None
            })
        });
        Probe { stop, thread }
    }

    /// Ends it, and returns after what time the address has answered.
    pub(super) fn end(self) -> Option<Duration> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().ok().flatten()
    }
}

//! The thread that the witness client runs on: one in the process, while there
//! is a state that has registered something.

use crate::system;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How long the end of the thread waits for what cannot be stopped: a look-up
/// in DNS. It ends by itself then.
const BLOCKING_GRACE: Duration = Duration::from_millis(20);

static CURRENT: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
/// How many threads there are: two for a moment, while one ends.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// The process that they are in.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Whether this process was forked while the thread was running: it has a copy
/// of everything but the thread, and locks that are never released.
pub(crate) fn is_forked() -> bool {
    THREADS.load(Ordering::Relaxed) > 0 && PROCESS.load(Ordering::Relaxed) != std::process::id()
}

/// Ends the thread when it is dropped, and waits until it has.
#[derive(Debug)]
pub(crate) struct Engine {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// The process's engine.
    ///
    /// # Errors
    /// The operating system has no thread or file descriptor to give.
    pub(crate) fn get() -> io::Result<Arc<Self>> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = current.upgrade() {
            return Ok(engine);
        }
        let engine = Arc::new(Self::start()?);
        *current = Arc::downgrade(&engine);
        Ok(engine)
    }

    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .thread_name("swnclient-dns")
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // An error: the sender is gone, which says the same.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_timeout(BLOCKING_GRACE);
        };
        let thread = system::with_signals_blocked(|| {
            std::thread::Builder::new().name("swnclient".into()).spawn(run)
        })?;
        PROCESS.store(std::process::id(), Ordering::Relaxed);
        THREADS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where tasks are spawned.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked; the panic was logged where it happened.
            let _ = thread.join();
        }
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

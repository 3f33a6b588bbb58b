//! The threads of authentication jobs, which may wait for a KDC.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};

/// How many jobs run at a time, each in a thread. It leaves most of tokio's blocking
/// threads to name resolution.
const THREADS: usize = 32;
/// How many more may be stuck in the Kerberos library.
const STUCK_MAX: usize = 96;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct AuthThreads {
    free: Arc<Semaphore>,
    stuck: Arc<Semaphore>,
    limit: Duration,
}

/// The right to run one job.
#[derive(Debug)]
pub(crate) struct Permit {
    free: OwnedSemaphorePermit,
    stuck: Arc<Semaphore>,
    limit: Duration,
}

impl AuthThreads {
    /// A job that takes longer than `limit`, of which its connection has been given up, does
    /// not keep others from running.
    pub(crate) fn new(limit: Duration) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { free: semaphore(THREADS), stuck: semaphore(STUCK_MAX), limit }
    }

    /// Waits for a thread.
    pub(crate) async fn wait(&self) -> Permit {
        let (free, stuck) = (Arc::clone(&self.free), Arc::clone(&self.stuck));
        loop {
            // It is closed never.
            if let Ok(free) = Arc::clone(&free).acquire_owned().await {
                return Permit { free, stuck, limit: self.limit };
            }
        }
    }
}

impl Permit {
    /// Runs a job to its end. The permit is given back earlier where that takes too long.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let mut running = spawn_blocking(job);
        match tokio::time::timeout(self.limit, &mut running).await {
            Ok(ended) => ended,
            Err(_) => {
                let stuck = self.stuck.try_acquire_owned();
                if stuck.is_ok() {
                    drop(self.free);
                }
                running.await
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    const LIMIT: Duration = Duration::from_secs(10);

    /// A job that ends when what is returned is dropped.
    fn stuck_job() -> (impl FnOnce() + Send + 'static, Sender<()>) {
        let (sender, receiver) = channel();
        let job = move || {
            let _ = receiver.recv();
        };
        (job, sender)
    }

    #[tokio::test]
    async fn a_job_that_is_stuck_keeps_no_other_from_running_up_to_a_bound() {
        // Each is given up at once.
        let threads = AuthThreads::new(Duration::ZERO);
        let mut ends = Vec::new();
        for _ in 0..THREADS + STUCK_MAX {
            // Once all are taken it waits for one to be given up.
            let given_up = tokio::time::timeout(LIMIT, threads.wait()).await;
            let permit = given_up.expect("the permit of a job that is stuck comes back");
            let (job, end) = stuck_job();
            ends.push(end);
            tokio::spawn(permit.run(job));
        }
        while threads.stuck.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(threads.free.available_permits(), 0);
        // One that ends makes room for another.
        ends.pop();
        let next = tokio::time::timeout(LIMIT, threads.wait()).await;
        assert!(next.is_ok());
    }
}

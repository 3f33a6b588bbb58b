//! The thread that everything runs on, but for what may wait.

use std::future::Future;
use std::io;
use tokio::runtime::Builder;

/// Runs a future on an event loop. Returns when it has ended, also where a thread still
/// waits in the kernel or for a KDC.
///
/// # Errors
/// The operating system has no descriptor for the loop.
pub fn run<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(output)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_end_does_not_wait_for_a_job_that_is_blocked() {
        let (release, blocked) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let job = async {
                let (started, is_started) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = started.send(());
                    let _ = blocked.recv();
                });
                is_started.await.unwrap();
            };
            end.send(run(job).is_ok()).unwrap();
        });
        let ended = ended.recv_timeout(Duration::from_secs(10));
        drop(release);
        assert_eq!(ended, Ok(true));
    }
}

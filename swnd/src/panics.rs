//! What a panic does: it ends swnd, which its unit starts again.
//!
//! A task or a thread that panics ends alone, and leaves a daemon that runs without
//! it: one that reads nothing more from a witness, for example. A restarted daemon has
//! every mount back at the kernel's next echo.

use crate::text::OneLine;
use log::LevelFilter;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long the log may take for the line.
const LOG_LIMIT: Duration = Duration::from_secs(1);

/// For the test that a panic ends the program: a debug build panics where
/// `SWND_TEST_PANIC` says, in the turn of the event loop that runs, in a task or in a
/// thread of its pool.
#[allow(clippy::panic, reason = "this is what it is for")]
pub fn panic_if_told() {
    #[cfg(debug_assertions)]
    match std::env::var("SWND_TEST_PANIC").as_deref() {
        Ok("turn") => panic!("in a turn"),
        Ok("task") => drop(tokio::spawn(async { panic!("in a task") })),
        Ok("thread") => drop(tokio::task::spawn_blocking(|| panic!("in a thread"))),
        _ => {}
    }
}

/// Makes every panic, in whichever thread or task, log a line and abort the process.
pub fn abort_on_panic() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    std::panic::set_hook(Box::new(|info| {
        if PANICKED.swap(true, Ordering::Relaxed) {
            // The first one is about to abort; this may be its log.
            thread::sleep(LOG_LIMIT);
        } else {
            write(describe(info));
        }
        std::process::abort();
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let at = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
    format!("a bug in swnd, which ends: panicked{at}: {}", OneLine::error(what))
}

fn write(line: String) {
    if log::max_level() == LevelFilter::Off {
        let _ = writeln!(std::io::stderr(), "swnd: {line}");
    }
    let (done, written) = mpsc::channel();
    // Not in this thread, which may hold a lock of the log's.
    let writer = thread::Builder::new().spawn(move || {
        log::error!("{line}");
        log::logger().flush();
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = written.recv_timeout(LOG_LIMIT);
    }
}

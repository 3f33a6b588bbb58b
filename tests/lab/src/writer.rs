//! A program in the guest that writes to the share.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::{Guest, Process, SHARE, beside_test, lab_dir};

/// The bytes that it writes at a time.
const BLOCK: u64 = 4096;

/// How a writer writes; by default each write waits for the server, and one follows the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterOptions {
    /// Writes only after [`Writer::go`].
    pub idle: bool,
    /// Doesn't wait for the server.
    pub no_sync: bool,
}

/// A running `lab-writer`.
#[derive(Debug)]
pub struct Writer<'a> {
    guest: &'a Guest,
    process: Process<'a>,
    /// It ends when this exists.
    stop: String,
    /// It writes ten blocks when this appears, where it is idle otherwise.
    go: String,
    /// The file in the cluster's storage.
    stored: PathBuf,
    /// The same bytes on this machine's file system.
    copy: PathBuf,
    /// When it had written what.
    trace: PathBuf,
}

/// What a writer has done.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Written {
    /// How many times it wrote 4 KiB.
    pub writes: u64,
    /// The longest time that one write took, in milliseconds.
    pub stall_ms: u64,
    /// When that write was begun, in milliseconds since 1970.
    pub stalled_at_ms: u64,
    /// How often a call failed with EBADF, by call; the same descriptor went on, but for those `reopened`.
    pub ebadf: BTreeMap<String, u64>,
    /// How often the kernel lost the open file, so that the writer had to open it again.
    pub reopened: u64,
    /// All other errors, by call and text. The write was tried again.
    pub errors: BTreeMap<String, u64>,
}

impl Written {
    /// The longest time that one write took.
    pub fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }

    /// All EBADF.
    pub fn ebadf(&self) -> u64 {
        self.ebadf.values().sum()
    }
}

/// A writer's progress: milliseconds since 1970, and the bytes that the server had by then.
pub type Trace = Vec<(u64, u64)>;

impl<'a> Writer<'a> {
    pub(crate) fn start(
        guest: &'a Guest,
        point: &str,
        name: &str,
        options: WriterOptions,
    ) -> Writer<'a> {
        let program = beside_test("lab-writer");
        let shared = |what: &str| guest.shared_dir().join(format!("{name}.{what}"));
        let (copy, trace) = (shared("copy"), shared("trace"));
        let (stop, go) = (format!("/run/{name}.stop"), format!("/run/{name}.go"));
        let command = format!(
            "rm -f '{stop}' '{go}'; exec '{}' '{point}/{name}' '{}' '{stop}' --trace '{}' {} {}",
            program.display(),
            copy.display(),
            trace.display(),
            if options.idle { format!("--idle '{go}'") } else { String::new() },
            if options.no_sync { "--no-sync" } else { "" },
        );
        // All shares are this directory. The file may be there from before.
        let stored = lab_dir().join("shared").join(SHARE).join(name);
        let _ = fs::remove_file(&stored);
        let process = guest.spawn(&command);
        let writer = Writer { guest, process, stop, go, stored, copy, trace };
        if !options.no_sync {
            writer.wait_for_bytes(10 * BLOCK);
        }
        writer
    }

    /// Returns the bytes that the server has of its file.
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.stored).map_or(0, |file| file.len())
    }

    /// Waits until the server has got ten more writes.
    ///
    /// # Panics
    /// After a minute, or where the writer has ended.
    pub fn wait_for_progress(&self) {
        self.wait_for_bytes(self.bytes() + 10 * BLOCK);
    }

    /// Waits until the server has so many bytes.
    ///
    /// # Panics
    /// After a minute, or where the writer has ended.
    pub fn wait_for_bytes(&self, wanted: u64) {
        let limit = Duration::from_secs(60);
        assert!(
            self.reaches(wanted, limit),
            "after {limit:?} the writer has not got on: {} of {wanted} bytes",
            self.bytes()
        );
    }

    /// Waits until the server has `wanted` bytes of its file, and returns whether it did within `limit`.
    ///
    /// # Panics
    /// Where the writer has ended.
    pub fn reaches(&self, wanted: u64, limit: Duration) -> bool {
        let start = Instant::now();
        while self.bytes() < wanted {
            if start.elapsed() >= limit {
                return false;
            }
            assert!(self.process.is_running(), "the writer has ended: {}", self.process.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Makes an idle writer write ten blocks; returns how many bytes there are then.
    pub fn go(&self) -> u64 {
        let wanted = self.bytes() + 10 * BLOCK;
        self.guest.ok(&format!("touch '{}'", self.go));
        wanted
    }

    /// Stops it, and compares the file in the cluster's storage with what was written.
    ///
    /// # Panics
    /// Where a write failed with anything but EBADF, or the file isn't right.
    pub fn stop(self) -> Written {
        let (written, _) = self.end();
        assert!(written.errors.is_empty(), "the writer's writes failed: {:?}", written.errors);
        written
    }

    /// Stops it, compares the file in the cluster's storage with what was written, and returns what it did and when.
    ///
    /// # Panics
    /// Where it can't be stopped or the file isn't right.
    pub fn end(self) -> (Written, Trace) {
        self.guest.ok(&format!("touch '{}'", self.stop));
        let output = self.process.wait(Duration::from_secs(60));
        assert_eq!(output.status, 0, "the writer failed: {}", output.stderr);
        let written: Written = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|e| panic!("the writer said {:?}: {e}", output.stdout));
        self.assert_stored(written.writes);
        (written, self.trace())
    }

    fn assert_stored(&self, writes: u64) {
        let stored = fs::read(&self.stored).expect("the cluster has the file");
        let wanted = fs::read(&self.copy).expect("the writer made its copy");
        assert_eq!(wanted.len() as u64, writes * BLOCK, "the writer's copy");
        let same = stored.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
        assert!(
            stored == wanted,
            "{} bytes were written, {} stored, the first {same} alike",
            wanted.len(),
            stored.len()
        );
    }

    /// Returns when it had written what, also while it runs.
    ///
    /// # Panics
    /// Where it has left no trace.
    pub fn trace(&self) -> Trace {
        let text = self.guest.read(&self.trace);
        let text = String::from_utf8_lossy(&text);
        let mut points = text.lines().filter_map(|line| {
            let (time, bytes) = line.split_once(' ')?;
            Some((time.parse::<u64>().ok()?, bytes.parse::<u64>().ok()?))
        });
        let (start, _) = points.next().expect("the writer traces its start");
        points.map(|(time, bytes)| (start + time, bytes)).collect()
    }
}

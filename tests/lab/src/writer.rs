//! A program in the guest that writes to the share.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Guest, Mount, Process, SHARE, beside_test, lab_dir, wait_until};

/// A running `lab-writer`.
#[derive(Debug)]
pub struct Writer<'a> {
    guest: &'a Guest,
    process: Process<'a>,
    /// It ends when this exists.
    stop: String,
    /// The file in the cluster's storage.
    stored: PathBuf,
    /// The same bytes on this machine's file system.
    copy: PathBuf,
}

/// What a writer has done.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// How many times it wrote 4 KiB.
    pub writes: u64,
    /// The longest time that one write took.
    pub stall: Duration,
    /// How often the kernel lost the open file, so that the writer had to open it anew.
    pub reopened: u64,
}

impl<'a> Writer<'a> {
    pub(crate) fn start(guest: &'a Guest, name: &str) -> Writer<'a> {
        let copy = guest.shared_dir().join(format!("{name}.copy"));
        let program = beside_test("lab-writer");
        let stop = format!("/run/{name}.stop");
        let (program, point) = (program.display(), Mount::POINT);
        let command = format!("exec '{program}' '{point}/{name}' '{}' '{stop}'", copy.display());
        let stored = lab_dir().join("shared").join(SHARE).join(name);
        let writer = Writer { guest, process: guest.spawn(&command), stop, stored, copy };
        writer.wait_for_progress();
        writer
    }

    /// Waits until the server has got ten more writes.
    ///
    /// # Panics
    /// After a minute, or where the writer has ended.
    pub fn wait_for_progress(&self) {
        let size = || fs::metadata(&self.stored).map_or(0, |file| file.len());
        let before = size();
        wait_until("the writer gets on", Duration::from_secs(60), || {
            assert!(self.process.is_running(), "the writer has ended: {}", self.process.stderr());
            let written = size().saturating_sub(before);
            if written >= 10 * 4096 { Ok(()) } else { Err(format!("{written} bytes more")) }
        });
    }

    /// Stops it, and compares the file in the cluster's storage with what was written.
    ///
    /// # Panics
    /// Where a write failed or the file isn't right.
    pub fn stop(self) -> Written {
        self.guest.ok(&format!("touch '{}'", self.stop));
        let output = self.process.wait(Duration::from_secs(60));
        assert_eq!(output.status, 0, "the writer failed: {}", output.stderr);
        let numbers: Vec<u64> =
            output.stdout.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [writes, stall, reopened] = numbers[..] else {
            panic!("the writer said {:?}", output.stdout)
        };

        let stored = fs::read(&self.stored).expect("the cluster has the file");
        let wanted = fs::read(&self.copy).expect("the writer made its copy");
        assert_eq!(wanted.len() as u64, writes * 4096, "the writer's copy");
        let same = stored.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
        assert!(
            stored == wanted,
            "{} bytes were written, {} stored, the first {same} alike",
            wanted.len(),
            stored.len()
        );
        Written { writes, stall: Duration::from_millis(stall), reopened }
    }
}

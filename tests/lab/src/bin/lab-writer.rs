//! Writes to a file, each write waiting until the server has it, and measures how long the longest took.
//!
//! `lab-writer FILE COPY STOP [--idle GO] [--no-sync] [--trace TRACE]` writes the same bytes to FILE and to COPY until
//! STOP exists, then prints one line of JSON: see [`Report`].
//!
//! - `--idle GO`: writes ten blocks at the start and ten each time that GO appears, which it removes.
//! - `--no-sync`: doesn't wait for the server; the file is synchronised once, at the end.
//! - `--trace TRACE`: writes the time and the bytes acknowledged so far to TRACE after each block.
//!
//! Linux sends FLUSH once more after a reconnect, but with the file id of the lost session: fdatasync then fails with
//! EBADF although the open file is there (docs: "What the kernel does" in the README). So a block that failed with it
//! is written again to the same descriptor, and FILE is opened again only where that fails too. Any other error is
//! counted, and the block written again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The bytes of a write.
const BLOCK: usize = 4096;
/// Between two writes, so that the writer doesn't keep the machine busy.
const PACE: Duration = Duration::from_millis(10);
/// How many blocks the idle writer writes at a time.
const BURST: u64 = 10;
/// The same number on every Linux.
const EBADF: i32 = 9;

/// What is printed.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Blocks that the server has.
    writes: u64,
    /// The longest time that one block took, in milliseconds.
    stall_ms: u64,
    /// When that block was begun, in milliseconds since 1970.
    stalled_at_ms: u64,
    /// EBADF, by call.
    ebadf: BTreeMap<&'static str, u64>,
    /// How often FILE had to be opened again.
    reopened: u64,
    /// Other errors, by call and number.
    errors: BTreeMap<String, u64>,
}

struct Options {
    file: PathBuf,
    copy: PathBuf,
    stop: PathBuf,
    go: Option<PathBuf>,
    sync: bool,
    trace: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let options = parse(std::env::args().skip(1))?;
    let mut writer = Writer::start(&options)?;
    while !options.stop.exists() {
        if writer.is_due() {
            writer.write_block(&options)?;
        }
        sleep(PACE);
    }
    let report = writer.finish()?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> io::Result<Options> {
    let usage = || {
        io::Error::other("usage: lab-writer FILE COPY STOP [--idle GO] [--no-sync] [--trace TRACE]")
    };
    let mut path = || args.next().map(PathBuf::from).ok_or_else(usage);
    let (file, copy, stop) = (path()?, path()?, path()?);
    let mut options = Options { file, copy, stop, go: None, sync: true, trace: None };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--idle" => options.go = Some(args.next().ok_or_else(usage)?.into()),
            "--no-sync" => options.sync = false,
            "--trace" => options.trace = Some(args.next().ok_or_else(usage)?.into()),
            _ => return Err(usage()),
        }
    }
    Ok(options)
}

struct Writer {
    file: File,
    copy: File,
    trace: Option<Trace>,
    /// `--idle`, and how many blocks are left of a burst.
    idle: Option<(PathBuf, u64)>,
    report: Report,
}

impl Writer {
    fn start(options: &Options) -> io::Result<Self> {
        Ok(Self {
            file: File::create(&options.file)?,
            copy: File::create(&options.copy)?,
            trace: options.trace.as_deref().map(Trace::create).transpose()?,
            idle: options.go.clone().map(|go| (go, BURST)),
            report: Report::default(),
        })
    }

    /// Returns whether a block must be written now.
    fn is_due(&mut self) -> bool {
        let Some((go, left)) = &mut self.idle else { return true };
        if *left == 0 && std::fs::remove_file(go).is_ok() {
            *left = BURST;
        }
        let due = *left > 0;
        *left = left.saturating_sub(1);
        due
    }

    /// Writes one block until the server has it or the writer is stopped.
    fn write_block(&mut self, options: &Options) -> io::Result<()> {
        let block = block(self.report.writes);
        let (start, at) = (Instant::now(), unix_ms());
        let mut ebadf_in_a_row = 0;
        while let Err((call, error)) = self.try_block(&block, options.sync) {
            if error.raw_os_error() == Some(EBADF) {
                *self.report.ebadf.entry(call).or_default() += 1;
                ebadf_in_a_row += 1;
                if ebadf_in_a_row == 2 {
                    ebadf_in_a_row = 0;
                    self.file = File::options().write(true).open(&options.file)?;
                    self.report.reopened += 1;
                }
                continue;
            }
            *self.report.errors.entry(format!("{call}: {error}")).or_default() += 1;
            if options.stop.exists() {
                return Ok(());
            }
            sleep(PACE);
        }
        let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if took > self.report.stall_ms {
            (self.report.stall_ms, self.report.stalled_at_ms) = (took, at);
        }
        self.copy.write_all(&block)?;
        self.report.writes += 1;
        if let Some(trace) = &mut self.trace {
            trace.add(self.report.writes)?;
        }
        Ok(())
    }

    /// Returns when the server has the block; the error names the call.
    fn try_block(&self, block: &[u8; BLOCK], sync: bool) -> Result<(), (&'static str, io::Error)> {
        let at = self.report.writes * BLOCK as u64;
        self.file.write_all_at(block, at).map_err(|error| ("pwrite", error))?;
        if sync { self.file.sync_data().map_err(|error| ("fdatasync", error)) } else { Ok(()) }
    }

    fn finish(mut self) -> io::Result<Report> {
        // Without a block that is not acknowledged.
        self.file.set_len(self.report.writes * BLOCK as u64)?;
        while let Err(error) = self.file.sync_all() {
            *self.report.errors.entry(format!("fsync at the end: {error}")).or_default() += 1;
            sleep(PACE);
        }
        Ok(self.report)
    }
}

/// Lines of "milliseconds bytes"; the first is the time of the start since 1970, and the others count from there.
struct Trace {
    file: File,
    start: Instant,
}

impl Trace {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        writeln!(file, "{} 0", unix_ms())?;
        Ok(Self { file, start: Instant::now() })
    }

    fn add(&mut self, writes: u64) -> io::Result<()> {
        let line = format!("{} {}\n", self.start.elapsed().as_millis(), writes * BLOCK as u64);
        self.file.write_all(line.as_bytes())
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes that differ from one write to the next, and within one.
fn block(number: u64) -> [u8; BLOCK] {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
}

//! Writes to a file, each write waiting until the server has it, and measures how long the longest took.
//!
//! `lab-writer FILE COPY STOP` writes the same bytes to FILE and to COPY until STOP exists, then prints the number of
//! writes, the longest stall in milliseconds and how often it had to open FILE anew.
//!
//! Samba has no persistent handles. Where a connection ends while the kernel opens the file anew after the end of
//! another, the file is lost to the program (EBADF), which has to open it itself, as it would after any server's crash.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two writes, so that the writer doesn't keep the machine busy.
const PACE: Duration = Duration::from_millis(10);

/// The same number on every Linux.
const EBADF: i32 = 9;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, copy, stop] = args.as_slice() else {
        return Err(io::Error::other("usage: lab-writer FILE COPY STOP"));
    };
    let (mut open, mut copy) = (File::create(file)?, File::create(copy)?);
    let (mut writes, mut longest, mut reopened) = (0u64, Duration::ZERO, 0);
    while !Path::new(stop).exists() {
        let block = block(writes);
        let start = Instant::now();
        while let Err(error) = write(&open, &block, writes) {
            if error.raw_os_error() != Some(EBADF) {
                return Err(error);
            }
            open = File::options().write(true).open(file)?;
            reopened += 1;
        }
        longest = longest.max(start.elapsed());
        copy.write_all(&block)?;
        writes += 1;
        sleep(PACE);
    }
    println!("{writes} {} {reopened}", longest.as_millis());
    Ok(())
}

/// Returns when the server has it.
fn write(file: &File, block: &[u8; 4096], number: u64) -> io::Result<()> {
    file.write_all_at(block, number * 4096)?;
    file.sync_data()
}

/// Bytes that differ from one write to the next, and within one.
fn block(number: u64) -> [u8; 4096] {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
}

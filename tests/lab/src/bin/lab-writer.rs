//! Writes to a file, each write waiting until the server has it, and measures how long the longest took.
//!
//! `lab-writer FILE COPY STOP` writes the same bytes to FILE and to COPY until STOP exists, then prints the number of
//! writes, the longest stall in milliseconds and how many writes had been made before it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two writes, so that the writer doesn't keep the machine busy.
const PACE: Duration = Duration::from_millis(10);

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, copy, stop] = args.as_slice() else {
        return Err(io::Error::other("usage: lab-writer FILE COPY STOP"));
    };
    let (mut file, mut copy) = (File::create(file)?, File::create(copy)?);
    let (mut writes, mut longest, mut at) = (0u64, Duration::ZERO, 0);
    while !Path::new(stop).exists() {
        let block = block(writes);
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        let stall = start.elapsed();
        copy.write_all(&block)?;
        if stall > longest {
            (longest, at) = (stall, writes);
        }
        writes += 1;
        sleep(PACE);
    }
    println!("{writes} {} {at}", longest.as_millis());
    Ok(())
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

//! Standard output.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Writes a line. Where the reader has gone, as `head` does, the program has nothing
/// left to do and ends.
pub(crate) fn line(text: Arguments<'_>) {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("swnctl: standard output: {error}");
            std::process::exit(1);
        }
    }
}

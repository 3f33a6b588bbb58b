//! See the library.

use clap::Parser;
use std::process::ExitCode;
use swnctl::commands;
use swnctl::exit::Exit;
use swnctl::options::Options;

fn main() -> ExitCode {
    match commands::run(Options::parse()) {
        Ok(()) | Err(Exit::ReaderGone) => ExitCode::SUCCESS,
        Err(exit) => {
            if let Some(text) = exit.message() {
                eprintln!("swnctl: {text}");
            }
            ExitCode::from(exit.code())
        }
    }
}

//! See the library.

use clap::Parser;
use std::process::ExitCode;
use swnctl::demo;
use swnctl::options::{Command, Options};

fn main() -> ExitCode {
    let outcome = match Options::parse().command {
        Command::Demo => demo::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swnctl: {error}");
            ExitCode::FAILURE
        }
    }
}

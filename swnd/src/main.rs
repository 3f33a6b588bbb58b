//! See the library.

use clap::Parser;
use std::process::ExitCode;
#[cfg(feature = "demo")]
use swnd::demo;
#[cfg(feature = "demo")]
use swnd::options::Command;
use swnd::options::{FailoverMode, Options};
use swnd::{daemon, hardening, logging};

fn main() -> ExitCode {
    let options = Options::parse().checked().unwrap_or_else(|error| error.exit());
    #[cfg(feature = "demo")]
    if options.command == Some(Command::Demo) {
        return exit(demo::run());
    }
    let hardening = hardening::harden(options.allow_core_dumps);
    if let Err(error) = logging::init(options.log, options.level()) {
        return exit(Err(error));
    }
    log::info!("swnd {} starts", env!("CARGO_PKG_VERSION"));
    hardening.report();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| {
            let verified = options.failover == FailoverMode::Verified;
            let served = daemon::serve(options.config(), options.policy(), verified);
            let outcome = runtime.block_on(served);
            // A thread may still wait in the kernel or for a KDC.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends what has no log: on the standard error stream.
fn exit(outcome: Result<(), impl std::fmt::Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swnd: {error}");
            ExitCode::FAILURE
        }
    }
}

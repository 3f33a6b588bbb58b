//! See the library.

use std::process::ExitCode;
use swnd::report::Kind;
use swnd::settings::{SettingsError, Sources};
use swnd::{daemon, descriptors, event_loop, hardening, logging, panics, privileges, seccomp};

fn main() -> ExitCode {
    panics::abort_on_panic();
    let sources = Sources::of_process();
    let settings = match sources.load() {
        Ok(settings) => settings,
        Err(SettingsError::CommandLine(error)) => error.exit(),
        Err(SettingsError::Configuration(problems)) => {
            for problem in problems {
                eprintln!("swnd: {problem}");
            }
            return ExitCode::from(2);
        }
    };
    let options = &settings.options;
    let hardening = hardening::harden(options.allow_core_dumps);
    // Before there is a thread.
    let privileges = privileges::reduce();
    let filter = seccomp::install(options.seccomp);
    if let Err(error) = logging::init(options.log, options.level()) {
        eprintln!("swnd: {error}");
        return ExitCode::FAILURE;
    }
    log::info!(
        message_id = Kind::Started.message_id();
        "swnd {} starts", env!("CARGO_PKG_VERSION")
    );
    hardening.report();
    descriptors::raise_limit();
    if let Err(error) = privileges {
        log::warn!("more may be done than is needed: {error}");
    }
    if let Err(error) = filter {
        log::warn!("any system call may be made: no seccomp filter: {error}");
    }
    let served = async {
        panics::panic_if_told();
        daemon::serve(settings, sources).await
    };
    let outcome = event_loop::run(served).unwrap_or_else(|error| Err(error.into()));
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    };
    log::logger().flush();
    code
}

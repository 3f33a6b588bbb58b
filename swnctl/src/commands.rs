//! The commands that talk to the daemon.

use crate::check::{self, Facts, Outcome};
use crate::connection::{CallError, Connection};
use crate::exit::{Exit, print_json};
use crate::mounts;
use crate::options::{Authentication, Command, Json, Options};
use crate::selection::{is_about, select};
use crate::{config, metrics, resolve, trial, witness};
use crate::{demo, show};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often `wait` looks where it is told nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs a command.
pub fn run(options: Options) -> Result<(), Exit> {
    let Options { json, socket, command } = options;
    let command = command.unwrap_or(Command::Status { mounts: Vec::new() });
    if command == Command::Demo {
        return demo::run().map_err(Exit::Failed);
    }
    if let Command::ResolveKey { key } = command {
        return resolve::run(&socket, key);
    }
    let output = &mut io::stdout().lock();
    if let Command::Check { target, authentication } = &command {
        return check(output, &socket, target, authentication, json);
    }
    if let Command::Completion { shell } = &command {
        return Ok(output.write_all(shell.completion().as_bytes())?);
    }
    if let Command::Interfaces(command) = &command {
        return witness::interfaces::run(output, &socket, command, json);
    }
    if let Command::Watch(command) = &command {
        return witness::watch::run(output, command, json);
    }
    if let Command::Config(command) = &command {
        return config::run(output, command, json);
    }
    if let Command::Metrics(options) = &command {
        return metrics::run(output, &socket, options);
    }
    if let Command::Test(options) = &command {
        return trial::run(output, &socket, options, json);
    }
    let mut daemon = match Connection::open(&socket) {
        Ok(daemon) => daemon,
        Err(error) => {
            if matches!((&command, &error), (Command::Status { .. }, CallError::NotRunning(_))) {
                match json {
                    Some(form) => print_json(output, form, &serde_json::json!({ "daemon": null }))?,
                    None => show::mounts_without_daemon(output, &mounts::read())?,
                }
            }
            return Err(error.into());
        }
    };
    match command {
        Command::Status { mounts } => status(output, &mut daemon, &mounts, json),
        Command::List => {
            let registrations = daemon.status()?.registrations;
            match json {
                Some(form) => print_json(output, form, &registrations),
                None => Ok(show::list(output, &registrations)?),
            }
        }
        Command::Monitor { all, mounts } => monitor(output, &mut daemon, all, &mounts, json),
        Command::Wait { mount, timeout } => {
            wait(&mut daemon, &socket, &mount, Duration::from_secs(timeout.into()))
        }
        Command::Retry { mount } => {
            let registrations = daemon.status()?.registrations;
            for registration in select(&registrations, &mounts::read(), &[mount])? {
                daemon.retry(registration.id)?;
            }
            Ok(())
        }
        Command::LogLevel { level: Some(level) } => Ok(daemon.set_log_level(&level)?),
        Command::LogLevel { level: None } => {
            let level = daemon.status()?.daemon.log_level;
            match json {
                Some(form) => print_json(output, form, &level),
                None => Ok(writeln!(output, "{level}")?),
            }
        }
        Command::Reload => {
            let reloaded = daemon.reload()?;
            match json {
                Some(form) => print_json(output, form, &reloaded),
                None => Ok(writeln!(output, "{reloaded}")?),
            }
        }
        Command::Check { .. } | Command::Metrics(_) | Command::Test(_) | Command::Demo => Ok(()),
        Command::Completion { .. } | Command::Config(_) | Command::ResolveKey { .. } => Ok(()),
        Command::Interfaces(_) | Command::Watch(_) => Ok(()),
    }
}

fn status(
    output: &mut impl Write,
    daemon: &mut Connection,
    names: &[String],
    json: Option<Json>,
) -> Result<(), Exit> {
    let mut status = daemon.status()?;
    let mounted = mounts::read();
    if !names.is_empty() {
        status.registrations =
            select(&status.registrations, &mounted, names)?.into_iter().cloned().collect();
    }
    match json {
        Some(form) => print_json(output, form, &status)?,
        None => show::status(output, &status, &mounted)?,
    }
    match status.registrations.iter().all(|it| it.state.is_watched()) {
        true => Ok(()),
        false => Err(Exit::NotWell),
    }
}

fn check(
    output: &mut impl Write,
    socket: &Path,
    target: &str,
    authentication: &Authentication,
    json: Option<Json>,
) -> Result<(), Exit> {
    let credentials = match authentication.is_given() {
        true => Some(witness::credentials::get(authentication).map_err(Exit::Failed)?),
        false => None,
    };
    let mapper = authentication.mapper_port;
    let mut daemon = Connection::open(socket);
    let status = match &mut daemon {
        Ok(daemon) => daemon.status().map_err(|error| error.to_string()),
        // What to do about it is another matter.
        Err(CallError::NotRunning(error)) => {
            Err(format!("swnd does not run, or has no control socket: {error}"))
        }
        Err(error) => Err(error.to_string()),
    };
    let mut facts = Facts::collect(target, status, credentials, mapper)
        .ok_or_else(|| Exit::NotMounted(target.into()))?;
    facts.test_kernel(|id| match daemon.ok()?.test_notify(id, false) {
        Ok(took) => Some(Ok(took)),
        Err(CallError::TestFailed(reason)) => Some(Err(reason)),
        Err(_) => None,
    });
    let rows = check::rows(&facts);
    match json {
        Some(form) => print_json(output, form, &rows)?,
        None => show::check(output, &rows)?,
    }
    match rows.iter().any(|row| row.outcome == Outcome::Fail) {
        true => Err(Exit::NotWell),
        false => Ok(()),
    }
}

fn monitor(
    output: &mut impl Write,
    daemon: &mut Connection,
    all: bool,
    names: &[String],
    json: Option<Json>,
) -> Result<(), Exit> {
    let mounted = mounts::read();
    daemon.monitor()?;
    loop {
        let event = daemon.event()?.event;
        if !all && matches!(event.level.as_str(), "debug" | "trace") {
            continue;
        }
        if !names.is_empty() && !names.iter().any(|name| is_about(&event, &mounted, name)) {
            continue;
        }
        match json {
            Some(form) => print_json(output, form, &event)?,
            None => show::event(output, &event)?,
        }
    }
}

/// Waits until all registrations that `name` names are registered.
fn wait(daemon: &mut Connection, socket: &Path, name: &str, limit: Duration) -> Result<(), Exit> {
    let deadline = Instant::now() + limit;
    // First, so that nothing happens between the look and the events.
    let mut events = Connection::open(socket)?;
    events.monitor()?;
    let mounted = mounts::read();
    let names = [name.to_owned()];
    loop {
        let registrations = daemon.status()?.registrations;
        let problem = match select(&registrations, &mounted, &names) {
            Ok(selected) => match selected.iter().find(|it| !it.state.is_watched()) {
                None => return Ok(()),
                Some(registration) => show::problem(registration),
            },
            Err(_) => "swnd knows no such mount".into(),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Exit::Timeout(format!("{name}: {problem}")));
        }
        events.event_within(left.min(LOOK_AGAIN))?;
    }
}

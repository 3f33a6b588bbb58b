//! The commands that talk to the daemon.

use crate::check::{self, Facts, Outcome};
use crate::connection::{CallError, Connection};
use crate::exit::{Exit, print_json};
use crate::mounts::{self, CifsMount};
use crate::options::{Authentication, Command, Options};
use crate::{config, metrics, witness};
use crate::{demo, show};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use swnd::control::interface::{Event, Registration, State};

/// How often `wait` looks where it is told nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs a command.
pub fn run(options: Options) -> Result<(), Exit> {
    let Options { json, socket, command } = options;
    let command = command.unwrap_or(Command::Status { mounts: Vec::new() });
    if command == Command::Demo {
        return demo::run().map_err(Exit::Failed);
    }
    let output = &mut io::stdout().lock();
    if let Command::Check { target, authentication } = &command {
        return check(output, &socket, target, authentication, json);
    }
    if let Command::Completion { shell } = &command {
        return Ok(output.write_all(shell.completion().as_bytes())?);
    }
    if let Command::Interfaces(command) = &command {
        return witness::interfaces::run(output, command, json);
    }
    if let Command::Watch(command) = &command {
        return witness::watch::run(output, command, json);
    }
    if let Command::Config(command) = &command {
        return config::run(output, command, json);
    }
    if let Command::Metrics { textfile } = &command {
        return write_metrics(output, &socket, textfile.as_deref());
    }
    let mut daemon = match Connection::open(&socket) {
        Ok(daemon) => daemon,
        Err(error) => {
            if matches!((&command, &error), (Command::Status { .. }, CallError::NotRunning(_))) {
                show::mounts_without_daemon(output, &mounts::read(), json)?;
            }
            return Err(error.into());
        }
    };
    match command {
        Command::Status { mounts } => status(output, &mut daemon, &mounts, json),
        Command::List => {
            let registrations = daemon.status()?.registrations;
            match json {
                true => print_json(output, &registrations),
                false => Ok(show::list(output, &registrations)?),
            }
        }
        Command::Monitor { mounts } => monitor(output, &mut daemon, &mounts, json),
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
                true => print_json(output, &level),
                false => Ok(writeln!(output, "{level}")?),
            }
        }
        Command::Reload => {
            let reloaded = daemon.reload()?;
            match json {
                true => print_json(output, &reloaded),
                false => Ok(writeln!(output, "{reloaded}")?),
            }
        }
        Command::Check { .. } | Command::Metrics { .. } | Command::Demo => Ok(()),
        Command::Completion { .. } | Command::Config(_) => Ok(()),
        Command::Interfaces(_) | Command::Watch(_) => Ok(()),
    }
}

fn status(
    output: &mut impl Write,
    daemon: &mut Connection,
    names: &[String],
    json: bool,
) -> Result<(), Exit> {
    let mut status = daemon.status()?;
    let mounted = mounts::read();
    if !names.is_empty() {
        status.registrations =
            select(&status.registrations, &mounted, names)?.into_iter().cloned().collect();
    }
    match json {
        true => print_json(output, &status)?,
        false => show::status(output, &status, &mounted)?,
    }
    match status.registrations.iter().all(|it| it.state == State::Registered) {
        true => Ok(()),
        false => Err(Exit::NotWell),
    }
}

fn check(
    output: &mut impl Write,
    socket: &Path,
    target: &str,
    authentication: &Authentication,
    json: bool,
) -> Result<(), Exit> {
    let credentials = match authentication.is_given() {
        true => Some(witness::credentials::get(authentication).map_err(Exit::Failed)?),
        false => None,
    };
    let mapper = authentication.mapper_port;
    let status = Connection::open(socket).and_then(|mut daemon| daemon.status());
    let facts =
        Facts::collect(target, status.map_err(|error| error.to_string()), credentials, mapper)
            .ok_or_else(|| Exit::NotMounted(target.into()))?;
    let rows = check::rows(&facts);
    match json {
        true => print_json(output, &rows)?,
        false => show::check(output, &rows)?,
    }
    match rows.iter().any(|row| row.outcome == Outcome::Fail) {
        true => Err(Exit::NotWell),
        false => Ok(()),
    }
}

/// A daemon that does not run is a metric, too.
fn write_metrics(
    output: &mut impl Write,
    socket: &Path,
    textfile: Option<&Path>,
) -> Result<(), Exit> {
    let status = match Connection::open(socket).and_then(|mut daemon| daemon.status()) {
        Ok(status) => Some(status),
        Err(CallError::NotRunning(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let text = metrics::text(status.as_ref());
    match textfile {
        Some(path) => metrics::write_file(path, &text)
            .map_err(|error| Exit::Failed(format!("{}: {error}", path.display()))),
        None => Ok(output.write_all(text.as_bytes())?),
    }
}

fn monitor(
    output: &mut impl Write,
    daemon: &mut Connection,
    names: &[String],
    json: bool,
) -> Result<(), Exit> {
    let mounted = mounts::read();
    daemon.monitor()?;
    loop {
        let event = daemon.event()?.event;
        if !names.is_empty() && !names.iter().any(|name| is_about(&event, &mounted, name)) {
            continue;
        }
        match json {
            true => print_json(output, &event)?,
            false => show::event(output, &event)?,
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
            Ok(selected) => match selected.iter().find(|it| it.state != State::Registered) {
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

/// Returns the registrations that the names name.
fn select<'a>(
    registrations: &'a [Registration],
    mounted: &[CifsMount],
    names: &[String],
) -> Result<Vec<&'a Registration>, Exit> {
    let mut selected = Vec::new();
    for name in names {
        let before = selected.len();
        selected.extend(registrations.iter().filter(|it| {
            name.parse() == Ok(it.id)
                || is_named(&it.net_name, it.share_name.as_deref(), mounted, name)
        }));
        if selected.len() == before {
            return Err(Exit::NoSuchMount(name.clone()));
        }
    }
    selected.sort_by_key(|it| it.id);
    selected.dedup_by_key(|it| it.id);
    Ok(selected)
}

fn is_about(event: &Event, mounted: &[CifsMount], name: &str) -> bool {
    let net_name = event.net_name.as_deref();
    net_name.is_some_and(|net| is_named(net, event.share_name.as_deref(), mounted, name))
}

/// Whether a name, a directory or `//SERVER/SHARE`, names a share.
fn is_named(net_name: &str, share: Option<&str>, mounted: &[CifsMount], name: &str) -> bool {
    let share = share.unwrap_or_default();
    let is =
        |net: &str, of: &str| net.eq_ignore_ascii_case(net_name) && of.eq_ignore_ascii_case(share);
    let unc = name.replace('\\', "/");
    if let Some((net, of)) = unc.strip_prefix("//").and_then(|unc| unc.split_once('/')) {
        return is(net, of.trim_end_matches('/'));
    }
    let directory = match name.trim_end_matches('/') {
        "" => "/",
        directory => directory,
    };
    mounted.iter().any(|mount| mount.path == directory && is(&mount.net_name, &mount.share_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(id: u32, net_name: &str, share: &str) -> Registration {
        Registration {
            id,
            net_name: net_name.into(),
            share_name: Some(share.into()),
            address: None,
            state: State::Registering,
            state_ms: 0,
            witness: None,
            version: None,
            retry_in_ms: None,
            problem: None,
            reason: None,
        }
    }

    #[test]
    fn a_mount_is_named_by_directory_share_or_number() {
        let registrations =
            [registration(7, "cluster", "data"), registration(8, "cluster", "home")];
        let mounted = mounts::parse("70 25 0:44 / /mnt/data rw - cifs //CLUSTER/Data rw,witness\n");
        let ids = |name: &str| -> Result<Vec<u32>, u8> {
            let selected = select(&registrations, &mounted, &[name.into()]);
            selected.map(|all| all.iter().map(|it| it.id).collect()).map_err(|exit| exit.code())
        };
        for name in ["7", "/mnt/data", "/mnt/data/", "//cluster/data", r"\\CLUSTER\DATA"] {
            assert_eq!(ids(name), Ok(vec![7]), "{name}");
        }
        assert_eq!(ids("//cluster/home"), Ok(vec![8]));
        for name in ["9", "/mnt", "//cluster/other", "cluster"] {
            assert_eq!(ids(name), Err(4), "{name}");
        }
    }
}

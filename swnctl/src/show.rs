//! The text for people.

use crate::check::{Outcome, Row};
use crate::mounts::{self, CifsMount};
use crate::terminal::{Colour, Terminal};
use crate::trial::step::Step;
use crate::witness::answer::{Answer, Happened};
use std::fmt::Display;
use std::io::{self, Write};
use swnd::control::interface::{Event, Interface, MountKind, Registration, State, Status};

/// Shows the daemon and its mounts.
pub(crate) fn status(
    output: &mut impl Write,
    status: &Status,
    mounted: &[CifsMount],
) -> io::Result<()> {
    let daemon = &status.daemon;
    let has_adopted = status.registrations.iter().any(|it| it.kind == MountKind::Adopted);
    let cifs = match (daemon.cifs, has_adopted) {
        (true, _) => "listening",
        (false, true) => "asks for no witness",
        (false, false) => "not loaded",
    };
    let uptime = duration(daemon.uptime_ms);
    let terminal = Terminal::of_output();
    let is_well = status.registrations.iter().all(|it| it.state.is_watched());
    if terminal.colour {
        let colour = if is_well { Colour::Good } else { Colour::Bad };
        write!(output, "{} ", terminal.paint("●", colour))?;
    }
    writeln!(
        output,
        "swnd {}, up {uptime}, PID {}; cifs module: {cifs}",
        daemon.version, daemon.pid
    )?;
    writeln!(output, "{} of {} mounts registered", daemon.registered, daemon.mounts)?;
    if status.registrations.is_empty() {
        return Ok(());
    }
    let mut rows =
        vec![["MOUNT", "SHARE", "SERVED BY", "WITNESS", "V", "STATE", "SINCE"].map(String::from)];
    for it in &status.registrations {
        let paths: Vec<&str> = mounted
            .iter()
            .filter(|mount| mounts::is_of(mount, it))
            .map(|mount| mount.path.as_str())
            .collect();
        rows.push([
            if paths.is_empty() { "-".into() } else { printable(&paths.join(" ")) },
            share(it),
            or_dash(it.address),
            or_dash(it.witness),
            or_dash(it.version),
            state(it),
            duration(it.state_ms),
        ]);
    }
    table(output, &rows)?;
    for it in &status.registrations {
        if it.problem.is_some() {
            let text = format!("{}: {}", share(it), problem(it));
            writeln!(output, "  {}", terminal.wrap(&text, 2))?;
        }
    }
    Ok(())
}

/// Lists the registrations.
pub(crate) fn list(output: &mut impl Write, all: &[Registration]) -> io::Result<()> {
    let mut rows = vec![["ID", "SHARE", "SERVED BY", "WITNESS", "V", "STATE"].map(String::from)];
    rows.extend(all.iter().map(|it| {
        let version = or_dash(it.version);
        let (address, witness) = (or_dash(it.address), or_dash(it.witness));
        [it.id.to_string(), share(it), address, witness, version, state(it)]
    }));
    table(output, &rows)
}

/// Shows an event.
pub(crate) fn event(output: &mut impl Write, event: &Event) -> io::Result<()> {
    if event.lost > 0 {
        writeln!(output, "({} events lost)", event.lost)?;
    }
    let terminal = Terminal::of_output();
    let level = format!("{:<7}", event.level);
    let level = match event.level.as_str() {
        "error" => terminal.paint(&level, Colour::Bad),
        "warning" => terminal.paint(&level, Colour::Doubtful),
        _ => terminal.paint(&level, Colour::Quiet),
    };
    // The time and the level before it.
    let text = terminal.wrap(&printable(&event.text), 22);
    writeln!(output, "{} {level} {text}", time(event.time_us))?;
    output.flush()
}

/// Shows what happens to a registration of this program's own.
pub(crate) fn watched(output: &mut impl Write, happened: &Happened) -> io::Result<()> {
    writeln!(output, "{} {}", time(happened.time_us), printable(&happened.text))?;
    output.flush()
}

/// Shows the lists of a cluster's nodes.
pub(crate) fn interfaces(output: &mut impl Write, answers: &[Answer]) -> io::Result<()> {
    for answer in answers {
        if let Some(error) = &answer.error {
            writeln!(output, "{}", printable(error))?;
            continue;
        }
        writeln!(output, "{} lists:", answer.asked)?;
        let mut rows = vec![["NODE", "ADDRESS", "STATE", "WITNESS", "VERSION"].map(String::from)];
        rows.extend(answer.interfaces.iter().map(|it| {
            let addresses: Vec<_> = it.addresses.iter().map(ToString::to_string).collect();
            let witness = if it.may_be_witness { "yes" } else { "no" };
            [
                printable(&it.name),
                addresses.join(" "),
                it.state.into(),
                witness.into(),
                it.version.clone(),
            ]
        }));
        table(output, &rows)?;
    }
    Ok(())
}

/// Shows the lists that the daemon has, each with its share.
pub(crate) fn known_interfaces(
    output: &mut impl Write,
    lists: &[(String, Vec<Interface>)],
) -> io::Result<()> {
    for (share, list) in lists {
        if list.is_empty() {
            writeln!(output, "{share}: no node has told its list yet")?;
            continue;
        }
        writeln!(output, "{share}: last listed:")?;
        let mut rows = vec![["NODE", "ADDRESS", "STATE", "WITNESS"].map(String::from)];
        rows.extend(list.iter().map(|it| {
            let addresses: Vec<_> = it.addresses.iter().map(ToString::to_string).collect();
            let witness = if it.may_be_witness { "yes" } else { "no" };
            [printable(&it.name), addresses.join(" "), printable(&it.state), witness.into()]
        }));
        table(output, &rows)?;
    }
    Ok(())
}

/// The time of a day, UTC.
fn time(time_us: u64) -> String {
    let (seconds, micros) = (time_us / 1_000_000, time_us % 1_000_000);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}Z", seconds % 60, micros / 1000)
}

/// Shows what can be said where the daemon does not run.
pub(crate) fn mounts_without_daemon(
    output: &mut impl Write,
    mounted: &[CifsMount],
) -> io::Result<()> {
    let count = mounted.iter().filter(|mount| mount.has("witness")).count();
    writeln!(output, "{count} of {} cifs mounts have the option witness", mounted.len())?;
    for mount in mounted {
        let witness = if mount.has("witness") { "witness" } else { "no witness" };
        let unc = printable(&format!(r"\\{}\{}", mount.net_name, mount.share_name));
        writeln!(output, "{}  {unc}  {witness}", printable(&mount.path))?;
    }
    Ok(())
}

/// Where a row of a check has what was found.
const INDENT: usize = 26;

/// Shows what was checked.
pub(crate) fn check(output: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let terminal = Terminal::of_output();
    for row in rows {
        let (outcome, colour) = match row.outcome {
            Outcome::Ok => ("ok", Colour::Good),
            Outcome::Warn => ("warn", Colour::Doubtful),
            Outcome::Fail => ("FAIL", Colour::Bad),
            Outcome::Skip => ("skip", Colour::Quiet),
        };
        let outcome = terminal.paint(&format!("{outcome:<5}"), colour);
        let found = terminal.wrap(&printable(&row.found), INDENT);
        writeln!(output, "{outcome} {:<18}  {found}", row.id)?;
        if let Some(advice) = row.advice {
            writeln!(output, "{:<INDENT$}{}", "", terminal.wrap(advice, INDENT))?;
        }
    }
    Ok(())
}

/// Shows a step of a test.
pub(crate) fn step(output: &mut impl Write, step: &Step) -> io::Result<()> {
    let terminal = Terminal::of_output();
    let outcome = match step.ok {
        true => terminal.paint("ok   ", Colour::Good),
        false => terminal.paint("FAIL ", Colour::Bad),
    };
    let took = step.micros.map_or_else(String::new, micros);
    writeln!(output, "{outcome} {took:>9}  {}", printable(&step.text))?;
    output.flush()
}

/// Says how an administrator of the cluster moves this client.
pub(crate) fn how_to_move(
    output: &mut impl Write,
    registration: &Registration,
    host: &str,
) -> io::Result<()> {
    let net_name = printable(&registration.net_name);
    writeln!(
        output,
        "Waiting for a move of {}. On the cluster, for example:\n  \
         Samba:   net witness client-move --witness-net-name={net_name} \
         --witness-client-computer-name={host} --witness-new-ip=ADDRESS\n  \
         Windows: Move-SmbWitnessClient -ClientName {host} -DestinationNode NODE",
        share(registration)
    )?;
    output.flush()
}

/// A time of some microseconds, or longer.
fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros / 10_000 % 100),
    }
}

/// Says why a mount is not registered.
pub(crate) fn problem(registration: &Registration) -> String {
    match &registration.problem {
        Some(problem) => printable(problem),
        None => state(registration),
    }
}

fn state(registration: &Registration) -> String {
    let state = how_far(registration);
    match registration.kind {
        MountKind::Kernel => state,
        MountKind::Adopted => format!("{state} (adopted)"),
    }
}

fn how_far(registration: &Registration) -> String {
    match (registration.state, registration.retry_in_ms) {
        (State::Registered, _) => "registered".into(),
        (State::Registering, _) => "registering".into(),
        (State::Waiting, Some(left)) => format!("waiting {}", duration(left)),
        (State::Waiting, None) => "waiting".into(),
        (State::Blocked, _) => "blocked".into(),
        (State::Unusable, _) => "unusable".into(),
        (State::Connection, _) => "connection".into(),
    }
}

pub(crate) fn share(registration: &Registration) -> String {
    let net_name = &registration.net_name;
    printable(&match &registration.share_name {
        Some(share) => format!(r"\\{net_name}\{share}"),
        None => format!(r"\\{net_name}"),
    })
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// The two greatest units of a time.
fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Escapes what a name from outside could do to a terminal.
fn printable(text: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn table<const N: usize>(output: &mut impl Write, rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let terminal = Terminal::of_output();
    let widths = terminal.fit(widths, BETWEEN.len());
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| self::cell(terminal, cell, width)).collect();
        writeln!(output, "{}", cells.join(BETWEEN).trim_end())?;
    }
    Ok(())
}

/// What is between two columns.
const BETWEEN: &str = "  ";

/// Cuts or fills a cell, and colours a state.
fn cell(terminal: Terminal, text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return kept + "…";
    }
    let filled = format!("{text:<width$}");
    match text.split(' ').next() {
        Some("registered") => terminal.paint(&filled, Colour::Good),
        Some("registering" | "waiting") => terminal.paint(&filled, Colour::Doubtful),
        Some("blocked" | "unusable") => terminal.paint(&filled, Colour::Bad),
        _ => filled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_two_greatest_units() {
        let second = 1000;
        let times = [
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (8040, "2 h 14 min"),
            (90_000, "1 d 1 h"),
        ];
        for (seconds, text) in times {
            assert_eq!(duration(seconds * second), text);
        }
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2J\n"), r"a\u{1b}[2J\u{a}");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["A".into(), "B".into()], ["long".into(), "x".into()]];
        let mut text = Vec::new();
        table::<2>(&mut text, &rows).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "A     B\nlong  x\n");
    }
}

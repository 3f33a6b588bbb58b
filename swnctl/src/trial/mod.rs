//! `swnctl test`: the way of a notification to a mount, tried step by step, the harmless
//! ones first.

pub(crate) mod step;

use crate::connection::{CallError, Connection};
use crate::exit::{Exit, print_json};
use crate::mounts::{self, CifsMount};
use crate::options::{Json, Test};
use crate::selection::{is_about, select};
use crate::show;
use crate::witness::call;
use crate::witness::{self, credentials, interfaces};
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use step::Step;
use swnclient::ScopedAddr;
use swnclient_proto::wire::Version;
use swnd::control::interface::{MountKind, ProbeStep, Registration};

/// How long a mount may take to answer after it was made to reconnect.
const RECONNECT_LIMIT: Duration = Duration::from_secs(120);

/// Shows each step, and remembers whether all went well.
struct Shown<'a, W> {
    output: &'a mut W,
    json: Option<Json>,
    well: bool,
}

impl<W: Write> Shown<'_, W> {
    fn step(&mut self, step: &Step) -> Result<(), Exit> {
        self.well &= step.ok;
        match self.json {
            Some(form) => print_json(self.output, form, step),
            None => Ok(show::step(self.output, step)?),
        }
    }
}

/// Runs the command.
pub(crate) fn run(
    output: &mut impl Write,
    socket: &Path,
    options: &Test,
    json: Option<Json>,
) -> Result<(), Exit> {
    let mut daemon = Connection::open(socket)?;
    let mounted = mounts::read();
    let names = [options.mount.clone()];
    let registrations = daemon.status()?.registrations;
    let selected = select(&registrations, &mounted, &names)?;
    let mut shown = Shown { output, json, well: true };
    // The kernel takes none about those that swnd has adopted.
    let is_the_kernels = |it: &&&Registration| it.kind == MountKind::Kernel;
    for registration in selected.iter().filter(is_the_kernels) {
        shown.step(&notification(&mut daemon, registration)?)?;
    }
    for registration in &selected {
        let mut steps = Vec::new();
        match daemon.probe(registration.id, |step| steps.push(step)) {
            Ok(()) => {}
            // It is of an older version, or the mount's credentials are of no use.
            Err(CallError::Other(_) | CallError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        }
        for ProbeStep { step, ok, micros, text } in steps {
            let text = format!("{}: {text}", show::share(registration));
            shown.step(&Step { step: step_name(&step), ok, micros, text })?;
        }
    }
    if options.all_nodes {
        for registration in &selected {
            for step in all_nodes(registration, &mounted, options)? {
                shown.step(&step)?;
            }
        }
    }
    if options.reconnect {
        for registration in &selected {
            let mount = mounted.iter().find(|mount| mounts::is_of(mount, registration));
            if !options.yes && !is_confirmed(&show::share(registration))? {
                return Err(Exit::Failed("nothing is reconnected".into()));
            }
            shown.step(&reconnect(&mut daemon, registration, mount)?)?;
        }
    }
    if options.wait_move {
        wait_move(&mut shown, socket, options, &selected, &mounted)?;
    }
    match shown.well {
        true => Ok(()),
        false => Err(Exit::NotWell),
    }
}

fn step_name(step: &str) -> &'static str {
    match step {
        "nodes" => "nodes",
        _ => "register",
    }
}

/// A notification of an unknown state, which the kernel takes and ignores.
fn notification(daemon: &mut Connection, registration: &Registration) -> Result<Step, CallError> {
    let share = show::share(registration);
    match daemon.test_notify(registration.id, false) {
        Ok(took) => {
            let text = format!("{share}: the kernel took a harmless notification");
            Ok(Step::done("notification", took, text))
        }
        Err(CallError::TestFailed(reason)) => {
            Ok(Step::failed("notification", format!("{share}: {reason}")))
        }
        Err(error) => Err(error),
    }
}

/// A registration at each node that its list says can be a witness.
fn all_nodes(
    registration: &Registration,
    mounted: &[CifsMount],
    options: &Test,
) -> Result<Vec<Step>, Exit> {
    let credentials = credentials::get(&options.authentication).map_err(Exit::Failed)?;
    let (cluster, mapper) = (&registration.net_name, options.authentication.mapper_port);
    let nodes = match registration.address {
        Some(address) => vec![mounts::scoped(mounted, &registration.net_name, address)],
        None => witness::addresses(cluster, None).map_err(Exit::Failed)?,
    };
    let answers = interfaces::ask(cluster, nodes, false, &credentials, mapper);
    let Some(answer) = answers.last().filter(|answer| answer.error.is_none()) else {
        let error = answers.into_iter().filter_map(|answer| answer.error).next_back();
        return Ok(vec![Step::failed("node", error.unwrap_or_else(|| "no node answers".into()))]);
    };
    let served_by = registration.address.unwrap_or(answer.asked.address());
    let candidates = answer.interfaces.iter().filter(|it| it.may_be_witness);
    let candidates: Vec<(ScopedAddr, Version)> = candidates
        .filter_map(|it| Some((answer.asked.beside(*it.addresses.first()?), it.version())))
        .collect();
    if candidates.is_empty() {
        let text = format!("{} lists no other node that can be a witness", answer.asked);
        return Ok(vec![Step::failed("node", text)]);
    }
    let steps = candidates.into_iter().map(|(node, version)| {
        let share = registration.share_name.as_deref();
        let registering = call::Registering { net_name: cluster, share, served_by, version };
        match call::register(node, mapper, &credentials, &registering) {
            Ok(took) => {
                Step::done("node", took, format!("{node} registered this machine, and let it go"))
            }
            Err(error) => Step::failed("node", error.to_string()),
        }
    });
    Ok(steps.collect())
}

/// Asks on the terminal.
fn is_confirmed(share: &str) -> Result<bool, Exit> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let missing = |error: io::Error| {
        Exit::Failed(format!("no terminal to ask at ({error}): give --yes to reconnect {share}"))
    };
    let mut terminal = terminal.map_err(missing)?;
    write!(terminal, "Reconnect {share}? Programs that use it wait meanwhile. [y/N] ")?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Has the kernel reconnect, and waits until the mount answers.
fn reconnect(
    daemon: &mut Connection,
    registration: &Registration,
    mount: Option<&CifsMount>,
) -> Result<Step, Exit> {
    let share = show::share(registration);
    let started = Instant::now();
    match daemon.test_notify(registration.id, true) {
        Ok(_) => {}
        Err(CallError::TestFailed(reason)) => {
            return Ok(Step::failed("reconnect", format!("{share}: {reason}")));
        }
        Err(error) => return Err(error.into()),
    }
    let Some(path) = mount.map(|mount| mount.path.clone()) else {
        let text = format!("{share}: the kernel reconnects; it is mounted nowhere here");
        return Ok(Step::done("reconnect", started.elapsed(), text));
    };
    // It may wait in the kernel for longer than this program does.
    let (answered, answer) = mpsc::channel();
    let looked_at = path.clone();
    std::thread::spawn(move || answered.send(rustix::fs::statvfs(looked_at.as_str()).map(drop)));
    Ok(match answer.recv_timeout(RECONNECT_LIMIT) {
        Ok(Ok(())) => {
            let text = format!("{share}: {path} answers again");
            Step::done("reconnect", started.elapsed(), text)
        }
        Ok(Err(error)) => Step::failed("reconnect", format!("{share}: {path}: {error}")),
        Err(_) => {
            let seconds = RECONNECT_LIMIT.as_secs();
            Step::failed("reconnect", format!("{share}: {path} does not answer within {seconds} s"))
        }
    })
}

/// Says how the cluster's administrator orders a move, and waits for it.
fn wait_move(
    shown: &mut Shown<'_, impl Write>,
    socket: &Path,
    options: &Test,
    selected: &[&Registration],
    mounted: &[CifsMount],
) -> Result<(), Exit> {
    let deadline = Instant::now() + Duration::from_secs(options.timeout.into());
    let mut events = Connection::open(socket)?;
    events.monitor()?;
    if shown.json.is_none() {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for registration in selected {
            show::how_to_move(shown.output, registration, &host)?;
        }
    }
    let mut told = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Exit::Timeout(format!("{}: no move has been made", options.mount)));
        }
        let Some(event) = events.event_within(left)?.map(|monitored| monitored.event) else {
            continue;
        };
        let is_meant =
            options.mount.parse::<u32>().is_ok() || is_about(&event, mounted, &options.mount);
        if !is_meant {
            continue;
        }
        let since = told.map_or(Duration::ZERO, |told| {
            Duration::from_micros(event.time_us.saturating_sub(told))
        });
        let is_told = matches!(event.kind.as_str(), "told" | "notified");
        match (event.kind.as_str(), event.reason.as_deref()) {
            _ if is_told && told.is_none() => {
                told = Some(event.time_us);
                shown.step(&Step::done("move", Duration::ZERO, event.text))?;
            }
            ("failover", Some("done")) if told.is_some() => {
                shown.step(&Step::done("moved", since, event.text))?;
            }
            ("registered", _) if told.is_some() => {
                return shown.step(&Step::done("registered", since, event.text));
            }
            _ => {}
        }
    }
}

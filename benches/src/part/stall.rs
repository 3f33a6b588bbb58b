//! How long a writer stalls in a failover, with a real cluster and a real kernel: without a witness, with swnd, and
//! where they are asked for with the C daemon, with swnd that forwards each notification, and with swnd that adopts
//! the mount of a kernel that asks for no witness.

use super::Findings;
use super::daemon::OTHER;
use crate::Options;
use crate::report::{Limit, Row, Series, number};
use crate::stats::{float, median};
use lab::Cluster;
use lab::scenario::{Death, DoubleDeath, Order, Outcome, Planned, PlannedStep, Scenario, Variant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub(super) const TITLE: &str = "the longest stall of a writer in a failover";

/// How much longer than of another mount the stall of an adopted one may be, in seconds.
const ADOPTED_MORE: f64 = 0.2;

/// The scenarios; `--scenario` chooses from them.
pub(crate) const SCENARIOS: [&str; 8] = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F9"];

/// One of them.
struct Case {
    name: &'static str,
    what: &'static str,
    scenario: Box<dyn Scenario>,
    /// Whether it can happen without a daemon.
    without: bool,
    /// How many seconds of it the picture shows, where there is one.
    picture: Option<f64>,
}

fn case(name: &str) -> Case {
    let new = |name, what, scenario, picture| Case { name, what, scenario, without: true, picture };
    match name {
        "F1" => new(
            "F1",
            "the node dies, its address is taken over",
            Box::new(Death::with_takeover()),
            Some(15.0),
        ),
        "F2" => new(
            "F2",
            "the same, and nothing resets the connection",
            Box::new(Death::without_reset()),
            Some(30.0),
        ),
        "F3" => new(
            "F3",
            "the node dies, its address stays dead",
            Box::new(Death::without_takeover()),
            Some(30.0),
        ),
        "F4" => Case {
            without: false,
            ..new(
                "F4",
                "an administrator moves the client",
                Box::new(Planned::new(PlannedStep::ClientMove)),
                Some(12.0),
            )
        },
        "F5" => new(
            "F5",
            "the node is taken out of service",
            Box::new(Planned::new(PlannedStep::Disable)),
            None,
        ),
        "F6" => new(
            "F6",
            "the witness's node dies with it",
            Box::new(DoubleDeath::new(Order::Together)),
            None,
        ),
        "F7" => {
            new("F7", "first access to an idle mount", Box::new(Death::of_an_idle_mount()), None)
        }
        "F9" => new("F9", "another node dies", Box::new(Death::elsewhere()), None),
        _ => panic!("there is no scenario {name}"),
    }
}

/// Whether there is such a scenario.
pub(crate) fn is_scenario(name: &str) -> bool {
    SCENARIOS.contains(&name)
}

/// The rounds of one variant.
struct Column {
    name: String,
    variant: Variant,
    /// The kernel, where it is another than the lab's.
    kernel: Option<String>,
    rounds: usize,
    outcomes: Vec<Outcome>,
}

pub(super) fn run(options: &Options) -> Findings {
    let cluster = Cluster::fresh();
    let mut findings = Findings::default();
    for name in &options.scenarios {
        let case = case(name);
        let mut columns = columns(options, &case);
        let most = columns.iter().map(|column| column.rounds).max().unwrap_or_default();
        for round in 0..most {
            findings.feel_noise();
            // None of them is always the first after the others.
            let count = columns.len();
            for index in 0..count {
                let column = &mut columns[(index + round) % count];
                if round < column.rounds {
                    measure(&cluster, &case, column, &mut findings);
                }
            }
        }
        report(&case, &columns, &mut findings);
    }
    match std::env::var_os(OTHER) {
        Some(_) => {}
        None => findings.note(format!("Without the C daemon: {OTHER} names none.")),
    }
    findings.note("Seconds; a stall without end counts as long as it was waited for.");
    findings
}

fn columns(options: &Options, case: &Case) -> Vec<Column> {
    let new = |name: &str, variant, rounds| Column {
        name: name.into(),
        variant,
        kernel: None,
        rounds,
        outcomes: Vec::new(),
    };
    let mut columns = vec![new("swnd", Variant::Swnd(String::new()), options.rounds)];
    if case.without {
        let rounds = options.without_rounds.unwrap_or(options.rounds);
        columns.push(new("without a witness", Variant::Without, rounds));
    }
    if options.forward {
        columns.push(new(
            "swnd --failover forward",
            Variant::Swnd("--failover forward".into()),
            options.rounds,
        ));
    }
    if options.adopted {
        let kernel = std::env::var("LAB_KERNEL").unwrap_or_else(|_| "6.12".into());
        // These take the kernel elsewhere, so that it has to ask where.
        let (name, variant) = match case.name {
            "F3" | "F4" => ("swnd, adopted, asked", Variant::Resolving(String::new())),
            _ => ("swnd, adopted", Variant::Adopted(String::new())),
        };
        let kernel = Some(format!("{kernel}+nowitness"));
        columns.push(Column { kernel, ..new(name, variant, options.rounds) });
    }
    if let Some(program) = std::env::var_os(OTHER) {
        columns.push(new("C swnd", Variant::Other(PathBuf::from(program)), options.rounds));
    }
    columns
}

/// One round. What goes wrong in it doesn't end the others.
fn measure(cluster: &Cluster, case: &Case, column: &mut Column, findings: &mut Findings) {
    let run = || case.scenario.run_on(column.kernel.as_deref(), cluster, &column.variant);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => {
            eprintln!("{}, {}: {outcome}", case.name, column.name);
            column.outcomes.push(outcome);
        }
        Err(_) => findings.note(format!("{}, {}: a round failed.", case.name, column.name)),
    }
}

fn stalls(column: &Column) -> Vec<f64> {
    column.outcomes.iter().map(|outcome| outcome.stall.seconds()).collect()
}

fn report(case: &Case, columns: &[Column], findings: &mut Findings) {
    let Some((ours, others)) = columns.split_first() else { return };
    if ours.outcomes.is_empty() {
        return;
    }
    let what = format!("{}: {}", case.name, case.what);
    let with: Vec<&Column> = others.iter().filter(|column| !column.outcomes.is_empty()).collect();
    let without = with.iter().copied().find(|column| column.variant == Variant::Without);
    let limit = limit(case.name, ours, without);
    let (adopted, mut others): (Vec<&Column>, Vec<&Column>) = with
        .iter()
        .partition(|column| matches!(column.variant, Variant::Adopted(_) | Variant::Resolving(_)));
    let row = match others.is_empty() {
        false => {
            let first = others.remove(0);
            Row::paired(&what, "s", &stalls(ours), (&first.name, &stalls(first)), limit)
        }
        true => Row { limit, ..Row::new(&what, "s", &stalls(ours)) },
    };
    findings.rows.push(row);
    let named = |column: &Column| format!("{}: {}", case.name, column.name);
    for column in adopted {
        findings.rows.push(adopted_row(case.name, &named(column), column, ours, without));
    }
    for column in others {
        findings.rows.push(Row::new(&named(column), "s", &stalls(column)));
    }
    // An address that has been alive all the time answers at once.
    let dies = ["F1", "F2", "F6"].contains(&case.name);
    for (what, of, shown) in [
        ("the address answers again after", times(ours, |outcome| outcome.answers_after), dies),
        ("swnd is told after", times(ours, |outcome| outcome.told_after), true),
        ("without a witness, by the log", times(ours, |outcome| outcome.unwatched), true),
        ("without a witness, by the list", times(ours, |outcome| outcome.unlisted), true),
    ] {
        if shown && !of.is_empty() {
            findings.rows.push(Row::new(&format!("{}: {what}", case.name), "s", &of));
        }
    }
    for column in columns {
        findings.note(counts(case.name, column));
    }
    if let Some(until) = case.picture {
        let shown = columns
            .iter()
            .filter(|column| matches!(column.name.as_str(), "swnd" | "without a witness"));
        findings.series.extend(shown.filter_map(|column| series(case.name, column, until)));
    }
}

/// The stalls of an adopted mount, beside those of a mount that the kernel asks a witness for.
fn adopted_row(
    name: &str,
    what: &str,
    column: &Column,
    ours: &Column,
    without: Option<&Column>,
) -> Row {
    let limit = limit(name, column, without).map(|limit| match limit {
        Limit::AtMost(limit) => Limit::AtMost(limit + ADOPTED_MORE),
        other @ Limit::RatioAtMost(_) => other,
    });
    Row::paired(what, "s", &stalls(column), (&ours.name, &stalls(ours)), limit)
}

fn times(column: &Column, of: impl Fn(&Outcome) -> Option<std::time::Duration>) -> Vec<f64> {
    column.outcomes.iter().filter_map(of).map(|time| time.as_secs_f64()).collect()
}

/// What swnd's stall may be. Nothing where that depends on figures that there are none of.
fn limit(name: &str, ours: &Column, without: Option<&Column>) -> Option<Limit> {
    let than = |times: Vec<f64>, more: f64| {
        (!times.is_empty()).then(|| Limit::AtMost(median(&times) + more))
    };
    match name {
        "F1" | "F5" => than(without.map(stalls)?, 0.3),
        "F2" => than(times(ours, |outcome| outcome.answers_after), 0.5),
        "F3" => than(times(ours, |outcome| outcome.told_after), 1.5),
        "F4" => Some(Limit::AtMost(0.2)),
        "F6" => Some(Limit::AtMost(8.0)),
        "F7" => Some(Limit::AtMost(1.0)),
        _ => None,
    }
}

/// What was counted: rounds, connections that were lost, EBADF and other errors.
fn counts(name: &str, column: &Column) -> String {
    let outcomes = &column.outcomes;
    let endless = outcomes.iter().filter(|outcome| !outcome.stall.has_ended()).count();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let losses = sum(|outcome| outcome.losses.iter().sum());
    let ebadf = sum(|outcome| outcome.written.iter().map(lab::Written::ebadf).sum());
    let errors = sum(|outcome| outcome.written.iter().flat_map(|w| w.errors.values()).sum());
    let mut text = format!(
        "{name}, {}: {} rounds, {losses} connections lost, {ebadf} EBADF, {errors} other errors",
        column.name,
        outcomes.len()
    );
    if endless > 0 {
        let waited = outcomes.iter().filter(|outcome| !outcome.stall.has_ended());
        let waited = waited.map(|outcome| outcome.stall.seconds()).fold(0.0, f64::max);
        text += &format!("; {endless} had not ended after {} s", number(waited));
    }
    text + "."
}

/// How far the writer got in the round with the median stall, from two seconds before the fault until `until` after it.
fn series(plot: &str, column: &Column, until: f64) -> Option<Series> {
    const BEFORE: f64 = -2.0;
    /// As fine as a picture can show.
    const STEPS: usize = 300;
    let middle = median(&stalls(column));
    let outcome = column.outcomes.iter().find(|outcome| outcome.stall.seconds() >= middle)?;
    let step = (until - BEFORE) / float(STEPS);
    let shown = outcome.trace.iter().copied();
    let shown: Vec<_> = shown.filter(|(time, _)| (BEFORE..=until).contains(time)).collect();
    let mut last = *shown.first()?;
    let mut points = vec![last];
    for (time, written) in shown {
        // A stall is a level line to the write that ended it.
        if time - last.0 > 5.0 * step {
            points.extend([last, (time, last.1)]);
        }
        if points.last().is_none_or(|point| time - point.0 >= step) {
            points.push((time, written));
        }
        last = (time, written);
    }
    points.push(last);
    if !outcome.stall.has_ended() || outcome.stall.seconds() > until {
        points.push((until, last.1));
    }
    let start = points[0].1;
    let points = points.into_iter().map(|(time, written)| (time, written - start)).collect();
    Some(Series { plot: plot.into(), name: column.name.clone(), points })
}

//! The last results as tables in `docs/benchmarks.md` and `docs/failover.md`, and as plots beside them.

use crate::plot::{Axis, grid, plot};
use crate::report::{Limit, Part, Report, number};
use crate::source;
use std::fmt::Write;

const START: &str = "<!-- written by `benches/run document` from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Writes them.
pub(crate) fn write(report: &Report) {
    let (stall, others): (Vec<&Part>, Vec<&Part>) =
        report.parts.iter().partition(|part| part.name == "stall");
    put_tables("docs/benchmarks.md", &others);
    put_tables("docs/failover.md", &stall);
    for part in stall {
        put("failover.svg", &stall_picture(part));
    }
    for part in others {
        let (x, y, title) = match part.name.as_str() {
            "register" => (
                Axis::new("percent of the registrations", false),
                Axis::new("milliseconds", true),
                "From nothing to registered: wall clock",
            ),
            "notify" => (
                Axis::new("percent of the notifications", false),
                Axis::new("microseconds", true),
                "From a notification's bytes to the netlink message",
            ),
            "flat" => (
                Axis::new("registrations of the client", true),
                Axis::new("CPU of the client, microseconds", false),
                "The cost of one more",
            ),
            _ => continue,
        };
        let name = format!("benchmarks-{}.svg", part.name);
        put(&name, &plot(title, &x, &y, &part.series));
    }
}

/// Writes tables between the marks of a document, where there are any.
fn put_tables(name: &str, parts: &[&Part]) {
    if parts.is_empty() {
        return;
    }
    let path = source(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (before, rest) = text.split_once(START).unwrap_or_else(|| panic!("{name} has no mark"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name} has no mark"));
    let tables: String = parts.iter().map(|part| table(part)).collect();
    let text = format!("{before}{START}\n{tables}{END}{after}");
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{name}: {e}"));
}

fn put(name: &str, svg: &str) {
    let path = source("docs").join(name);
    std::fs::write(&path, svg).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// What a writer has written around each failover.
fn stall_picture(part: &Part) -> String {
    let (x, y) = (Axis::new("seconds after the fault", false), Axis::new("MiB written", false));
    let mut pictures = Vec::new();
    for name in ["F1", "F2", "F3", "F4"] {
        let shown: Vec<_> =
            part.series.iter().filter(|series| series.plot == name).cloned().collect();
        let Some(row) = part.rows.iter().find(|row| row.what.starts_with(name)) else { continue };
        if !shown.is_empty() {
            let title = row.what.split_once(": ").map_or(row.what.as_str(), |(_, what)| what);
            pictures.push(plot(title, &x, &y, &shown));
        }
    }
    grid(&pictures)
}

fn table(part: &Part) -> String {
    let mut text = format!("### {}: {}\n\n", part.name, part.title);
    text += "| | ours | beside | ratio | limit | |\n| --- | --- | --- | --- | --- | --- |\n";
    for row in &part.rows {
        let (beside, ratio) = row.beside.as_ref().map_or_else(Default::default, |beside| {
            (format!("{}: {} {}", beside.who, beside.figure, row.unit), beside.ratio.to_string())
        });
        let limit = match row.limit {
            Some(Limit::AtMost(limit)) => format!("{} {}", number(limit), row.unit),
            Some(Limit::RatioAtMost(limit)) => format!("ratio {}", number(limit)),
            None => String::new(),
        };
        let verdict = row.is_met().map_or("", |met| if met { "kept" } else { "**missed**" });
        let _ = writeln!(
            text,
            "| {} | {} {} | {beside} | {ratio} | {limit} | {verdict} |",
            row.what, row.ours, row.unit
        );
    }
    text.push('\n');
    for note in &part.notes {
        let _ = writeln!(text, "- {note}");
    }
    let machine = &part.machine;
    let _ = write!(
        text,
        "- {} x {}, Linux {}, load {} before and {} after",
        machine.cores, machine.cpu, machine.kernel, machine.load[0], machine.load[1]
    );
    if let Some(noise) = &machine.noise {
        let _ = write!(text, "; fixed work between the rounds: {noise} ms");
    }
    text + "\n\n"
}

//! Measures the project: beside Samba's client in the same run against the same
//! cluster, against the limits that the server and the system set, and against
//! its own past. `docs/benchmarks.md` says what each figure means.

#![allow(clippy::indexing_slicing, reason = "a measurement that goes wrong ends by a panic")]

mod capture;
mod count;
mod document;
mod part;
mod plot;
mod process;
mod report;
mod samba;
mod stats;
mod worker;

use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Measures the project, as root on a machine that has nothing else to do.

Usage: bench [OPTIONS] PART...

  register   registering at a Samba cluster, beside Samba's client and the floor
  notify     from a notification's bytes to the netlink message, beside a bare program
  hold       what a waiting registration takes, 10,000 of them, beside Samba's client
  failover   1,000 mounts whose witness dies, beside Samba's client
  flat       the cost of one registration and one notification, with 100 and with 10,000
  daemon     swnd's memory, start and size, beside the C daemon's
  stall      how long a writer stalls in a failover, without a witness and with swnd
  all        all of these
  count      instructions and allocations for a registration and a notification,
             compared with benches/baseline.json; fails where one has grown by more
             than 5 percent
  document   writes the last results into docs/benchmarks.md and docs/failover.md, and the
             plots beside them

  --rounds N          paired rounds [9]
  --update            count: rewrites the baseline
  --json FILE         where the results go [benches/results.json]
  --scenario F1,F4    stall: which of F1 to F7 and F9 [all]
  --without-rounds N  stall: fewer rounds without a witness, which take minutes
  --forward           stall: also swnd --failover forward
  --adopted           stall: also mounts that swnd adopts, on a kernel that asks for no witness
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    update: bool,
    json: PathBuf,
    parts: Vec<String>,
    /// The part `stall`: its scenarios, rounds without a witness, and whether swnd also forwards
    /// and adopts.
    pub(crate) scenarios: Vec<String>,
    pub(crate) without_rounds: Option<usize>,
    pub(crate) forward: bool,
    pub(crate) adopted: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        // What this program starts itself as.
        Some("worker") => {
            worker::run(&args.collect::<Vec<_>>());
            ExitCode::SUCCESS
        }
        Some("scenario") => {
            count::scenario(&args.next().unwrap_or_default());
            ExitCode::SUCCESS
        }
        first => match parse(first.map(str::to_owned).into_iter().chain(args)) {
            Ok(options) => run(&options),
            Err(error) => {
                eprint!("bench: {error}\n\n{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        rounds: 9,
        update: false,
        json: source("benches/results.json"),
        parts: Vec::new(),
        scenarios: part::SCENARIOS.map(str::to_owned).into(),
        without_rounds: None,
        forward: false,
        adopted: false,
    };
    let number = |text: String| {
        text.parse::<usize>().ok().filter(|n| *n > 0).ok_or(format!("{text:?} rounds?"))
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--rounds" => options.rounds = number(value()?)?,
            "--without-rounds" => options.without_rounds = Some(number(value()?)?),
            "--forward" => options.forward = true,
            "--adopted" => options.adopted = true,
            "--scenario" => {
                options.scenarios = value()?.split(',').map(str::to_owned).collect();
                if let Some(wrong) = options.scenarios.iter().find(|name| !part::is_scenario(name))
                {
                    return Err(format!("there is no scenario {wrong:?}"));
                }
            }
            "--update" => options.update = true,
            "--json" => options.json = value()?.into(),
            "all" => options.parts.extend(part::NAMES.map(str::to_owned)),
            "count" | "document" => options.parts.push(arg),
            _ if part::NAMES.contains(&arg.as_str()) => options.parts.push(arg),
            _ => return Err(format!("there is no part {arg:?}")),
        }
    }
    if options.parts.is_empty() { Err("which part?".into()) } else { Ok(options) }
}

fn run(options: &Options) -> ExitCode {
    let mut good = true;
    for name in &options.parts {
        good &= match name.as_str() {
            "count" => count::run(options.update),
            "document" => {
                document::write(&Report::read(&options.json));
                true
            }
            _ => {
                let part = part::run(name, options);
                print!("{part}");
                let good = part.is_met();
                let mut report = Report::read(&options.json);
                report.put(part);
                report.write(&options.json);
                good
            }
        };
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A file of the project.
pub(crate) fn source(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

//! Instructions and allocations for a registration and for a notification, by
//! callgrind: a check that is stable on a noisy machine.

use crate::source;
use bench::scenario::{Meter, Scenario};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// Growth by more than this is a failure, in percent.
const TOLERANCE: f64 = 5.0;
const BASELINE: &str = "benches/baseline.json";
/// What made this program.
const COMPILER: &str = env!("COMPILER");
/// What is counted: its name, and how many registrations or notifications it has.
const SCENARIOS: [(&str, usize); 3] = [
    ("the first registration of a cluster", 1),
    ("a further registration", 1000),
    ("a notification", 1000),
];
/// Registrations that are there, where there are others.
const THERE: usize = 100;
/// What gives memory in the C library.
const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

/// What one registration or notification takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Count {
    instructions: f64,
    allocations: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    compiler: String,
    counts: BTreeMap<String, Count>,
}

/// Counts all scenarios, and compares them with the baseline or rewrites it.
pub(crate) fn run(update: bool) -> bool {
    let counts: BTreeMap<String, Count> =
        SCENARIOS.iter().map(|(name, each)| ((*name).into(), count(name, *each))).collect();
    let path = source(BASELINE);
    if update {
        let baseline = Baseline { compiler: COMPILER.into(), counts: counts.clone() };
        let text = serde_json::to_string_pretty(&baseline).expect("plain data") + "\n";
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let baseline: Baseline =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut good = true;
    for (name, now) in &counts {
        let then = baseline.counts.get(name);
        let then = then.unwrap_or_else(|| panic!("{BASELINE} lacks {name:?}"));
        good &= compare(name, "instructions", now.instructions, then.instructions);
        good &= compare(name, "allocations", now.allocations, then.allocations);
    }
    if baseline.compiler != COMPILER {
        println!(
            "\n{BASELINE} is of {}, and this was made by {COMPILER}:\n\
             the figures cannot be compared. For a baseline of this compiler, run\n\
             `benches/run count --update` without the changes that are to be judged.",
            baseline.compiler
        );
        return false;
    }
    if !good {
        println!(
            "\nThe client takes over {TOLERANCE} percent more than {BASELINE} says.\n\
             Find out why: callgrind_annotate shows where. If it has to be so, say in the commit\n\
             why, and write the new baseline with `benches/run count --update`."
        );
    }
    good
}

/// Prints a figure beside its baseline; whether it is not much more.
fn compare(name: &str, unit: &str, now: f64, then: f64) -> bool {
    let percent = (now / then - 1.0) * 100.0;
    let verdict = match percent {
        p if p > TOLERANCE => "TOO MUCH",
        p if p < -TOLERANCE => "better; write it down with --update",
        _ => "as before",
    };
    println!("{name:36} {now:>9.1} {unit:12}, baseline {then:>9.1}, {percent:+.2} %: {verdict}");
    percent <= TOLERANCE
}

fn count(name: &str, each: usize) -> Count {
    let profile = std::env::temp_dir().join(format!("swn-count-{}", std::process::id()));
    let output = Command::new("setarch")
        .args(["--addr-no-randomize", "valgrind", "--tool=callgrind", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args(["--collect-atstart=no", "--toggle-collect=*counted_*"])
        .arg(std::env::current_exe().expect("a program knows where it is"))
        .args(["scenario", name])
        // Neither the length of the environment nor the allocator's tuning matters.
        .env_clear()
        .stdout(Stdio::null())
        .output()
        .expect("valgrind can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "callgrind failed:\n{said}");
    let counted = std::fs::read_to_string(&profile).expect("callgrind writes a profile");
    std::fs::remove_file(&profile).expect("it is ours");
    let instructions = instructions(&counted);
    assert!(instructions > 0.0, "callgrind does not find the functions to count:\n{said}");
    let each = crate::stats::float(each);
    Count { instructions: instructions / each, allocations: allocations(&counted) / each }
}

fn instructions(profile: &str) -> f64 {
    let summary = profile.lines().find_map(|line| line.strip_prefix("summary: "));
    summary.and_then(|number| number.trim().parse().ok()).expect("a profile has a summary")
}

/// The calls of the functions that give memory: a line that names the function,
/// and behind it one that begins with how often it was called.
fn allocations(profile: &str) -> f64 {
    let lines = profile.lines();
    let calls = lines.clone().zip(lines.skip(1)).filter_map(|(called, calls)| {
        let function = called.strip_prefix("cfn=")?;
        ALLOCATORS.contains(&function).then_some(())?;
        let (times, _) = calls.strip_prefix("calls=")?.split_once(' ')?;
        times.parse::<f64>().ok()
    });
    calls.sum()
}

/// Runs a scenario, to be counted from outside.
pub(crate) fn scenario(name: &str) {
    let index = SCENARIOS.iter().position(|(known, _)| *known == name);
    let each = SCENARIOS[index.expect("a scenario")].1;
    let mut scenario = Scenario::new(Callgrind);
    match name {
        "the first registration of a cluster" => {
            scenario.measure(true);
            scenario.register(each);
        }
        "a further registration" => {
            scenario.register(THERE);
            scenario.measure(true);
            scenario.register(each);
        }
        _ => {
            scenario.register(THERE);
            scenario.measure(true);
            (0..each / THERE).for_each(|_| scenario.notify());
        }
    }
    // Dropping it all does not count.
    scenario.measure(false);
}

struct Callgrind;

impl Meter for Callgrind {
    fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        counted_call(call)
    }
}

/// What callgrind counts, by this name.
#[inline(never)]
fn counted_call<T>(call: impl FnOnce() -> T) -> T {
    call()
}

#[cfg(test)]
mod tests {
    use super::{allocations, instructions};

    const PROFILE: &str = "\
summary: 4711

fn=one
cob=libc.so.6
cfn=malloc
calls=3 0
0 100
cfn=malloc_consolidate
calls=50 0
fn=another
cfn=realloc
calls=4 0
";

    #[test]
    fn a_profile_says_how_many_instructions_and_allocations_there_were() {
        assert_eq!((instructions(PROFILE), allocations(PROFILE)), (4711.0, 7.0));
    }
}

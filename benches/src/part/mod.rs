//! What is measured.

mod daemon;
mod failover;
mod flat;
mod hold;
mod notify;
mod register;
mod stall;

use crate::Options;
use crate::report::{Machine, Part, Row, Series};
use crate::stats::Summary;
use std::hint::black_box;
use std::process::{Child, Command};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// All parts.
pub(crate) const NAMES: [&str; 7] =
    ["register", "notify", "hold", "failover", "flat", "daemon", "stall"];

pub(crate) use stall::{SCENARIOS, is_scenario};

/// What a part has found out.
#[derive(Debug, Default)]
struct Findings {
    rows: Vec<Row>,
    notes: Vec<String>,
    series: Vec<Series>,
    /// How long a fixed amount of work took between the rounds, in milliseconds.
    noise: Vec<f64>,
}

impl Findings {
    /// Does a fixed amount of work.
    fn feel_noise(&mut self) {
        let start = Instant::now();
        let mut state = 1_u64;
        for _ in 0..10_000_000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
        self.noise.push(start.elapsed().as_secs_f64() * 1e3);
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Keeps the processors from sleeping between two messages: how long one, real
/// or virtual, takes to wake up is not what is measured.
struct Awake(Vec<Child>);

impl Awake {
    fn start() -> Self {
        let processors = 0..std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |processor: usize| {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "taskset", "--cpu-list", &processor.to_string()]);
            command.args(["sh", "-c", "while :; do :; done"]);
            command.spawn().expect("chrt can be started")
        };
        Self(processors.map(spin).collect())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures one part.
pub(crate) fn run(name: &str, options: &Options) -> Part {
    let before = load();
    let (title, findings) = match name {
        "register" => (register::TITLE, register::run(options)),
        "notify" => (notify::TITLE, notify::run(options)),
        "hold" => (hold::TITLE, hold::run(options)),
        "failover" => (failover::TITLE, failover::run(options)),
        "flat" => (flat::TITLE, flat::run(options)),
        "daemon" => (daemon::TITLE, daemon::run(options)),
        "stall" => (stall::TITLE, stall::run(options)),
        _ => panic!("there is no part {name}"),
    };
    let Findings { rows, notes, series, noise } = findings;
    let machine = Machine {
        cpu: cpu(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: rustix::system::uname().release().to_string_lossy().into(),
        load: [before, load()],
        noise: (!noise.is_empty()).then(|| Summary::of(&noise)),
    };
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Part { name: name.into(), title: title.into(), at, machine, rows, notes, series }
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("CPU", |(_, model)| model).into()
}

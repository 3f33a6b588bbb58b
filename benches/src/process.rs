//! Processes that are measured: a command in, a line of JSON out.

use crate::stats::float;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process that does what it is told on its standard input. Ends when this
/// is dropped.
pub(crate) struct Worker {
    what: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts this very program in one of its roles, by way of `command`, which
    /// may say where and how.
    pub(crate) fn own(mut command: Command, role: &[&str]) -> Self {
        command.arg(own_path()).arg("worker").args(role);
        Self::start(command, role[0])
    }

    /// Starts a program, and waits until it says that it is ready.
    ///
    /// # Panics
    /// Where it isn't.
    pub(crate) fn start(mut command: Command, what: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{what} cannot be started: {e}"));
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut this = Self { what: what.into(), child, orders, answers };
        let ready: String = this.answer();
        assert_eq!(ready, "ready", "{what}");
        this
    }

    /// Gives an order and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, order: &str) -> T {
        self.tell(order);
        self.answer()
    }

    /// Gives an order; [`Worker::answer`] has the answer.
    pub(crate) fn tell(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("orders are taken until the end");
        writeln!(orders, "{order}").unwrap_or_else(|e| panic!("{}: {e}", self.what));
    }

    /// Waits for an answer.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        assert!(matches!(read, Ok(1..)), "{} has ended: {read:?}", self.what);
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{}: {e}: {line}", self.what))
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("what", &self.what).finish_non_exhaustive()
    }
}

fn own_path() -> std::path::PathBuf {
    std::env::current_exe().expect("a program knows where it is")
}

/// What a process takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident memory, in KiB.
    pub(crate) rss: f64,
    /// Of this, what no file is behind, in KiB.
    pub(crate) anonymous: f64,
    pub(crate) descriptors: f64,
    /// How often its main thread has woken up.
    pub(crate) wake_ups: f64,
}

impl Usage {
    /// # Panics
    /// Where the process has ended.
    pub(crate) fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
            word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
        Self {
            rss: field("VmRSS"),
            anonymous: field("RssAnon"),
            descriptors: float(descriptors),
            wake_ups: field("voluntary_ctxt_switches"),
        }
    }
}

/// The CPU time of all processes of that name so far, in seconds, with what
/// they have waited for.
pub(crate) fn cpu_of_all(name: &str) -> f64 {
    let processes = std::fs::read_dir("/proc").expect("/proc is there");
    let times = processes.filter_map(|entry| {
        let path = entry.ok()?.path();
        let comm = std::fs::read_to_string(path.join("comm")).ok()?;
        if comm.trim_end() != name {
            return None;
        }
        let schedstat = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let nanoseconds: f64 = schedstat.split_whitespace().next()?.parse().ok()?;
        Some(nanoseconds / 1e9)
    });
    times.sum()
}

//! The client library in a process of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::{Cluster, beside_test};

/// A running `lab-client` in the client's network namespace. It goes when this is dropped.
#[derive(Debug)]
pub struct LabClient {
    process: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The lines so far, for messages.
    seen: String,
}

impl LabClient {
    /// Starts one that calls itself `name` and registers for the share as `address` serves it. `options` are those of
    /// `lab-client`, `environment` is what libkrb5 is to read.
    ///
    /// # Panics
    /// Where it can't be started.
    pub fn start(
        cluster: &Cluster,
        name: &str,
        address: Ipv4Addr,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> LabClient {
        let mut command = cluster.client(&program());
        command.args([name, &address.to_string()]).args(options).envs(environment.iter().copied());
        Self::spawn(&mut command)
    }

    /// Starts one that calls itself `name` and registers for the share of the cluster's name, which has the addresses
    /// of the file `hosts`.
    ///
    /// # Panics
    /// Where it can't be started.
    pub fn start_by_name(cluster: &Cluster, name: &str, hosts: &Path) -> LabClient {
        let mut command = cluster.client("unshare");
        let run = "mount --bind \"$1\" /etc/hosts && exec \"$2\" \"$3\" -";
        command.args(["--mount", "sh", "-c", run, "sh"]).arg(hosts).args([&program(), name]);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> LabClient {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("lab-client can be started");
        let stdout = process.stdout.take().expect("stdout is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let commands = process.stdin.take();
        LabClient { process, commands, lines, seen: String::new() }
    }

    /// Gives it a command.
    ///
    /// # Panics
    /// Where it is gone.
    pub fn say(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it is there until it is dropped");
        assert!(writeln!(commands, "{command}").is_ok(), "lab-client is gone\n{}", self.seen);
    }

    /// Waits for a line that begins with `start`, and gives what follows there.
    ///
    /// # Panics
    /// After `limit`, with all lines so far.
    pub fn expect(&mut self, start: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let _ = writeln!(self.seen, "{line}");
                    if let Some(rest) = line.strip_prefix(start) {
                        return rest.trim().to_owned();
                    }
                }
                Err(why) => {
                    panic!("no line {start:?} within {limit:?} ({why}), but\n{}", self.seen)
                }
            }
        }
    }

    /// All lines that were waited for or passed over.
    pub fn seen(&self) -> &str {
        &self.seen
    }
}

/// The program.
fn program() -> String {
    let program = beside_test("lab-client");
    program.to_str().expect("the target directory's name is text").to_owned()
}

impl Drop for LabClient {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.process.wait();
    }
}

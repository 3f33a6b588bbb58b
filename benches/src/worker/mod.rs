//! The roles that this program starts itself in, so that each is measured by
//! itself: orders in, a line each; JSON out, a line each.

mod client;
mod cluster;
mod forward;
mod look;
mod witness;

pub(crate) use client::Sample;

use bench::scenario::{credentials, request};
use serde::Serialize;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

/// Runs a role to the end of its standard input.
pub(crate) fn run(args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[0] {
        "witness" => witness::run(),
        role => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                match role {
                    "client" => client::run(&args[1..]).await,
                    "cluster" => cluster::run(&args[1..]).await,
                    "daemon" => forward::daemon(&args[1..]).await,
                    "bare" => forward::bare(&args[1..]).await,
                    "look" => look::run(&args[1..]).await,
                    _ => panic!("there is no role {role}"),
                }
            });
        }
    }
}

/// Orders from the standard input.
struct Orders(Lines<BufReader<pipe::Receiver>>);

impl Orders {
    /// Says that this process is ready.
    fn new() -> Self {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("a copy of stdin");
        let stdin = pipe::Receiver::from_owned_fd(stdin).expect("stdin is a pipe");
        answer(&"ready");
        Self(BufReader::with_capacity(256, stdin).lines())
    }

    /// The next order, with its number; `None` at the end.
    async fn next(&mut self) -> Option<(String, usize)> {
        let line = self.0.next_line().await.expect("stdin can be read")?;
        Some(split(&line))
    }
}

fn split(line: &str) -> (String, usize) {
    let (order, number) = line.split_once(' ').unwrap_or((line, "0"));
    (order.to_owned(), number.parse().expect("a number"))
}

fn answer(what: &impl Serialize) {
    println!("{}", serde_json::to_string(what).expect("plain data"));
}

/// The CPU time of this process so far.
fn cpu_time() -> Duration {
    clock(rustix::time::ClockId::ProcessCPUTime)
}

/// The clock that two processes can compare.
fn monotonic() -> Duration {
    clock(rustix::time::ClockId::Monotonic)
}

fn clock(id: rustix::time::ClockId) -> Duration {
    let now = rustix::time::clock_gettime(id);
    let seconds = u64::try_from(now.tv_sec).expect("a clock that counts up");
    Duration::new(seconds, u32::try_from(now.tv_nsec).expect("less than a second"))
}

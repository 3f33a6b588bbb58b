//! The control socket as systemd's varlinkctl speaks to it, which systemd has from 255 on.
//! `VARLINKCTL` names another one, and may have arguments.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

mod bench;

use bench::Bench;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use swnd::control::interface::{DESCRIPTION, NAME};
use witness_sim::{Destination, NodeId, Step, Who};

/// Returns the program with its first arguments; `None` on Debian 12, which has none.
///
/// # Panics
/// On any other system without it.
fn varlinkctl() -> Option<Vec<String>> {
    let named = std::env::var("VARLINKCTL").ok();
    let words: Vec<_> =
        named.as_deref().unwrap_or("varlinkctl").split(' ').map(str::to_owned).collect();
    let is_there = Command::new(&words[0]).arg("--version").stdout(Stdio::null()).status().is_ok();
    if is_there {
        return Some(words);
    }
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_debian_12 = release.lines().any(|line| line == "VERSION_ID=\"12\"")
        && release.lines().any(|line| line == "ID=debian");
    assert!(is_debian_12, "varlinkctl is missing: install systemd 255 or later");
    eprintln!("not tested: Debian 12 has no varlinkctl");
    None
}

/// Speaks to one daemon.
struct Varlinkctl<'a> {
    words: Vec<String>,
    socket: &'a Path,
}

impl Varlinkctl<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn address(&self) -> &str {
        self.socket.to_str().unwrap()
    }

    /// Calls a method that replies.
    async fn call(&self, method: &str, parameters: &str) -> Value {
        let method = format!("{NAME}.{method}");
        let output = self.run(&["call", "--json=short", self.address(), &method, parameters]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let problems = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method}: {text}{problems}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Calls a method that fails, and returns the name of its error.
    async fn error(&self, method: &str, parameters: &str) -> String {
        let method = format!("{NAME}.{method}");
        let output = self.run(&["call", "--json=short", self.address(), &method, parameters]).await;
        assert!(!output.status.success(), "{method}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

#[tokio::test]
async fn varlinkctl_reads_the_interface_and_calls_each_method() {
    let Some(words) = varlinkctl() else { return };
    let bench = Bench::start("varlinkctl").await;
    let id = bench.mount(&bench.net_name).to_string();
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let varlinkctl = Varlinkctl { words, socket: &bench.path };

    let info = varlinkctl.run(&["info", varlinkctl.address()]).await;
    assert!(String::from_utf8_lossy(&info.stdout).contains("swnd"), "{info:?}");
    // It parses what it is told, and writes that in its own words.
    let told = varlinkctl.run(&["introspect", varlinkctl.address(), NAME]).await;
    let text = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let methods = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("method "));
        lines.map(|it| it.split(['(', ' ']).next().unwrap().to_owned()).collect()
    };
    let (mut own, mut read) = (methods(DESCRIPTION), methods(&text));
    own.sort();
    read.sort();
    assert_eq!((own.len(), &own), (10, &read), "{text}");

    let by_id = format!("{{\"id\":{id}}}");
    let status = varlinkctl.call("Status", "{}").await;
    assert_eq!(status["registrations"][0]["state"], "registered");
    assert!(varlinkctl.call("Counters", "{}").await["counters"]["events"].is_object());
    let listed = varlinkctl.call("Interfaces", &by_id).await;
    assert_eq!(listed["interfaces"][0]["state"], "available");
    let resolved = varlinkctl.call("Resolve", "{\"name\":\"cluster\"}").await;
    assert_eq!(resolved["adopted"], false);
    let test = format!("{{\"id\":{id},\"reconnect\":false}}");
    assert!(varlinkctl.call("TestNotify", &test).await["micros"].is_u64());
    varlinkctl.call("Retry", &by_id).await;
    varlinkctl.call("SetLogLevel", "{\"level\":\"info\"}").await;
    assert!(varlinkctl.call("Reload", "{}").await["changed"].is_array());
    for method in ["Interfaces", "Retry"] {
        let error = varlinkctl.error(method, "{\"id\":4711}").await;
        assert!(error.contains("org.swnclient.Witness.NotFound"), "{error}");
    }

    let probe = format!("{NAME}.Probe");
    let arguments = ["call", "--more", "--json=short", varlinkctl.address(), &probe, &by_id];
    let steps = String::from_utf8(varlinkctl.run(&arguments).await.stdout).unwrap();
    let is_ok = |step: &str| steps.contains(&format!("\"step\":\"{step}\",\"ok\":true"));
    assert!(is_ok("nodes") && is_ok("register"), "{steps}");
    events(&bench, &varlinkctl, &id).await;
}

/// Has it wait for a client move.
async fn events(bench: &Bench, varlinkctl: &Varlinkctl<'_>, id: &str) {
    use std::io::{BufRead, BufReader};
    let monitor = format!("{NAME}.Monitor");
    let arguments = ["call", "--more", "--json=short", varlinkctl.address(), &monitor, "{}"];
    let mut monitor = varlinkctl.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let shown = tokio::task::spawn_blocking(move || {
        let mut lines = lines.map_while(Result::ok);
        lines.find(|line| line.contains("the kernel accepted it"))
    });
    while !shown.is_finished() {
        assert_eq!(bench.swnctl(&["wait", id]).await.0, Some(0));
        let to = Destination::Node(NodeId(3));
        bench.cluster.run(Step::ClientMove { who: Who::All, to }).await;
    }
    assert!(shown.await.unwrap().is_some());
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}

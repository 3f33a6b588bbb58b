//! The witness client for the command line, at a cluster in a box.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// A port for the endpoint mapper that needs no privilege.
const MAPPER_PORT: u16 = 13_502;

struct Bench {
    cluster: RunningCluster,
    net_name: String,
    addresses: [IpAddr; 3],
    credentials: PathBuf,
}

impl Bench {
    async fn start(name: &str, password: &str) -> Self {
        let config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
        Self::with(name, password, config).await
    }

    async fn with(name: &str, password: &str, mut config: ClusterConfig) -> Self {
        config.mapper_port = MAPPER_PORT;
        let net_name = config.net_name.to_lowercase().to_string();
        let addresses = [1, 2, 3].map(|n| config.address(NodeId(n)).unwrap());
        let cluster = RunningCluster::start(config).await.unwrap();
        let file = format!("swnctl-{name}-{}.credentials", std::process::id());
        let credentials = std::env::temp_dir().join(file);
        let account = format!("username=alice\npassword={password}\ndomain=EXAMPLE\n");
        std::fs::write(&credentials, account).unwrap();
        Self { cluster, net_name, addresses, credentials }
    }

    fn command(&self, name: &str, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
        command.args([name, &self.net_name, "--mapper-port", &MAPPER_PORT.to_string()]);
        command.arg("--address").arg(self.addresses[0].to_string());
        command.arg("--credentials").arg(&self.credentials).args(options);
        command
    }

    async fn output(&self, name: &str, options: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(name, options);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &error)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.credentials);
    }
}

#[tokio::test]
async fn a_cluster_is_asked_for_its_addresses_without_a_daemon() {
    let bench = Bench::start("interfaces", "secret").await;
    let (code, text) = bench.output("interfaces", &[]).await;
    assert_eq!(code, Some(0), "{text}");
    let [first, second, _] = bench.addresses;
    assert!(text.starts_with(&format!("{first} lists:\n")), "{text}");
    let row = |address: IpAddr| {
        let is_of = |line: &&str| line.split_whitespace().nth(1) == Some(&address.to_string());
        text.lines().find(is_of).unwrap().split_whitespace().skip(2).take(2).collect::<Vec<_>>()
    };
    assert_eq!(row(first), ["available", "no"]);
    assert_eq!(row(second), ["available", "yes"]);
}

#[tokio::test]
async fn each_node_is_asked_once_and_has_the_list() {
    let bench = Bench::start("every", "secret").await;
    let (code, json) = bench.output("interfaces", &["--every-node", "--json"]).await;
    assert_eq!(code, Some(0), "{json}");
    let asked = |json: &str| -> Vec<(String, bool)> {
        let answers: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        let is_list = |it: &serde_json::Value| it["interfaces"].as_array().unwrap().len() == 3;
        answers.iter().map(|it| (it["asked"].as_str().unwrap().to_owned(), is_list(it))).collect()
    };
    let all = bench.addresses.map(|address| (address.to_string(), true));
    assert_eq!(asked(&json), all);
}

#[tokio::test]
async fn a_password_that_is_refused_is_told() {
    let bench = Bench::start("refused", "wrong").await;
    let (code, json) = bench.output("interfaces", &["--every-node", "--json"]).await;
    assert_eq!(code, Some(1), "{json}");
    let answers: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(answers.len(), 1, "{json}");
    assert!(!answers[0]["error"].is_null());
}

#[tokio::test]
async fn an_endpoint_mapper_that_wants_to_know_who_asks_is_told() {
    let wary = || {
        let mut config = ClusterConfig::new(Profile::Windows2012R2, 3, unused_subnet());
        config.traits.mapper_wants_logon = true;
        config
    };
    let bench = Bench::with("wary", "secret", wary()).await;
    let (code, json) = bench.output("interfaces", &["--every-node", "--json"]).await;
    assert_eq!(code, Some(0), "{json}");
    drop(bench);
    // Once refused, the credentials are not presented to another node.
    let bench = Bench::with("wary-refused", "wrong", wary()).await;
    let (code, json) = bench.output("interfaces", &["--every-node", "--json"]).await;
    assert_eq!(code, Some(1), "{json}");
    let answers: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(answers.len(), 1, "{json}");
    let error = answers[0]["error"].as_str().unwrap();
    assert!(error.contains("the endpoint mapper refuses the credentials"), "{error}");
    assert!(error.contains("RestrictRemoteClients"), "{error}");
}

#[tokio::test]
async fn what_a_witness_reports_is_shown_as_it_comes() {
    let bench = Bench::start("watch", "secret").await;
    let mut command = bench.command("watch", &["--share", "data"]);
    let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let (told, mut shown) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.for_each(|line| told.send(line.unwrap()).unwrap()));
    let line = shown.recv().await.unwrap();
    let watched = format!(", watching {}", bench.addresses[0]);
    assert!(line.contains("registered with witness") && line.ends_with(&watched), "{line}");
    let to = Destination::Node(NodeId(3));
    bench.cluster.run(Step::ClientMove { who: Who::All, to }).await;
    let line = shown.recv().await.unwrap();
    assert!(line.ends_with(&format!("client move to {}", bench.addresses[2])), "{line}");
    let interrupt = format!("kill -INT {}", program.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || program.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_password_is_read_from_a_descriptor_and_what_is_missing_is_told() {
    let swnctl = |arguments: &str| {
        let script = format!("exec {} {arguments}", env!("CARGO_BIN_EXE_swnctl"));
        let mut command = Command::new("setsid");
        let output = command.args(["sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let nothing_listens = "interfaces c --address 127.0.0.1 --mapper-port 1 --user alice";
    let text = swnctl(nothing_listens);
    assert!(text.contains("no terminal to ask for a password"), "{text}");
    let script = format!("{nothing_listens} 3</dev/null");
    let text = swnctl(&script);
    assert!(text.contains("give --credentials"), "{text}");
    let by_descriptor = Command::new("sh")
        .args([
            "-c",
            &format!(
                "echo secret | PASSWD_FD=0 {} {nothing_listens}",
                env!("CARGO_BIN_EXE_swnctl")
            ),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(by_descriptor.stdout).unwrap();
    assert!(text.contains("does not answer on port 1"), "{text}");
}

#[tokio::test]
async fn a_password_is_asked_for_on_the_terminal_and_not_shown() {
    let bench = Bench::start("terminal", "secret").await;
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let other_end = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let mut terminal = std::fs::File::from(terminal);
    // In a session of its own, with this terminal.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_swnctl"), "interfaces"]);
    command.args([&bench.net_name, "--mapper-port", &MAPPER_PORT.to_string()]);
    command.args(["--address", &bench.addresses[0].to_string(), "--user", r"EXAMPLE\alice"]);
    let mut options = std::fs::OpenOptions::new();
    command.stdin(options.read(true).write(true).open(other_end).unwrap());
    command.stdout(Stdio::piped());
    let program = command.spawn().unwrap();
    let shown = tokio::task::spawn_blocking(move || {
        let mut shown = String::new();
        while !shown.ends_with("alice: ") {
            let mut byte = [0];
            terminal.read_exact(&mut byte).unwrap();
            shown.push(byte[0].into());
        }
        terminal.write_all(b"secret\n").unwrap();
        let output = program.wait_with_output().unwrap();
        let mut rest = [0; 256];
        let length = terminal.read(&mut rest).unwrap_or_default();
        shown.push_str(std::str::from_utf8(&rest[..length]).unwrap());
        (shown, output)
    });
    let (shown, output) = shown.await.unwrap();
    assert_eq!(shown, "Password of EXAMPLE\\alice: \r\n");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("available"), "{text}");
}

#[tokio::test]
async fn a_check_with_credentials_asks_each_node() {
    for (password, bind, interfaces) in [("secret", "ok", "ok"), ("wrong", "FAIL", "skip")] {
        let bench = Bench::start(&format!("check-{password}"), password).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
        command.args(["check", &format!("//{}/data", bench.addresses[0])]);
        command.args(["--mapper-port", &MAPPER_PORT.to_string(), "--credentials"]);
        command.arg(&bench.credentials).args(["--socket", "/nonexistent"]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for (row, outcome) in [
            ("node.port135", "ok"),
            ("node.mapper", "ok"),
            ("node.port", "ok"),
            ("auth.bind", bind),
            ("node.interfaces", interfaces),
        ] {
            let is_row = |line: &&str| line.split_whitespace().nth(1) == Some(row);
            let line = text.lines().find(is_row).unwrap();
            assert!(line.starts_with(outcome), "{line}\n{text}");
        }
    }
}

//! The metrics in Prometheus: what its tools say of them, of the alerts and of the dashboard,
//! and a real one that scrapes the exporter.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

mod bench;

use bench::Bench;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the rules and the dashboard are.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/prometheus");
/// How long Prometheus may take to start and to scrape.
const LIMIT: Duration = Duration::from_secs(60);

fn missing(program: &str) -> String {
    format!("{program} is missing: install prometheus and systemd, as tests/lab/setup does")
}

fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(FILES).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|_| panic!("{}", missing("promtool")));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && error.is_empty(), "{text}{error}");
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    promtool(&["check", "rules", "swnd.rules.yml"], "");
    promtool(&["test", "rules", "swnd.rules.test.yml"], "");
    let rules = fs::read_to_string(Path::new(FILES).join("swnd.rules.yml")).unwrap();
    let tests = fs::read_to_string(Path::new(FILES).join("swnd.rules.test.yml")).unwrap();
    for line in rules.lines() {
        let Some(alert) = line.trim().strip_prefix("- alert: ") else { continue };
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
        assert!(tests.contains(&fires), "no test has {alert} fire");
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_metrics() {
    let bench = Bench::start("promtool").await;
    let id = bench.mount(&bench.net_name).to_string();
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let (_, text, _) = bench.swnctl(&["metrics", "--format", "prometheus"]).await;
    promtool(&["check", "metrics"], &text);
    let file = bench.path.with_extension("prom");
    let written = bench.swnctl(&["metrics", "--textfile", file.to_str().unwrap()]).await;
    assert_eq!(written.0, Some(0), "{}", written.2);
    promtool(&["check", "metrics"], &fs::read_to_string(&file).unwrap());
    fs::remove_file(&file).unwrap();
}

/// A program that is ended with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nothing listens at.
fn unused_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A Prometheus that scrapes what systemd's own stand-in for the socket unit starts.
struct Prometheus {
    address: String,
    directory: PathBuf,
    _programs: [Running; 2],
}

impl Prometheus {
    fn start(socket: &Path) -> Self {
        let (exporter, address) = (unused_address(), unused_address());
        let mut activate = Command::new("systemd-socket-activate");
        activate.args(["--accept", "--inetd", "--listen", &exporter]);
        activate.arg(env!("CARGO_BIN_EXE_swnctl")).arg("--socket").arg(socket);
        activate.args(["metrics", "--http"]).stderr(Stdio::null());
        let activate =
            activate.spawn().unwrap_or_else(|_| panic!("{}", missing("systemd-socket-activate")));
        let directory = socket.with_extension("prometheus");
        fs::create_dir(&directory).unwrap();
        let config = directory.join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [ {FILES}/swnd.rules.yml ]\n\
             scrape_configs: [ {{ job_name: swnd, static_configs: [ {{ targets: [ \"{exporter}\" ] }} ] }} ]\n"
        );
        fs::write(&config, text).unwrap();
        let mut prometheus = Command::new("prometheus");
        prometheus.arg(format!("--config.file={}", config.display()));
        prometheus.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
        prometheus.arg(format!("--web.listen-address={address}")).stderr(Stdio::null());
        let prometheus = prometheus.spawn().unwrap_or_else(|_| panic!("{}", missing("prometheus")));
        Self { address, directory, _programs: [Running(activate), Running(prometheus)] }
    }

    /// Asks its interface; `None` while it does not answer.
    fn get(&self, path: &str) -> Option<serde_json::Value> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET /api/v1/{path} HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    fn query(&self, expression: &str) -> Option<serde_json::Value> {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        let escaped: String = expression.bytes().map(escape).collect();
        self.get(&format!("query?query={escaped}"))
    }

    /// Waits until an expression has a value.
    fn value(&self, expression: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = self.query(expression);
            let value = answer.as_ref().and_then(|it| it.pointer("/data/result/0/value/1"));
            if let Some(value) = value.and_then(serde_json::Value::as_str) {
                return value.to_owned();
            }
            assert!(
                Instant::now() < deadline,
                "{expression}: {answer:?} {:?}",
                self.get("targets")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("swnd_"));
    words.map(Into::into).collect()
}

#[tokio::test]
async fn a_prometheus_scrapes_the_exporter_and_knows_what_rules_and_dashboard_ask() {
    let bench = Bench::start("prometheus").await;
    let id = bench.mount(&bench.net_name).to_string();
    bench.mount("10.0.0.9");
    assert_eq!(bench.swnctl(&["wait", &id]).await.0, Some(0));
    let (_, exported, _) = bench.swnctl(&["metrics"]).await;
    let (path, net_name) = (bench.path.clone(), bench.net_name.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let prometheus = Prometheus::start(&path);
        assert_eq!(prometheus.value("up"), "1");
        assert_eq!(prometheus.value("swnd_up"), "1");
        let registered =
            |name: &str| prometheus.value(&format!("swnd_mount_registered{{net_name=\"{name}\"}}"));
        assert_eq!((&*registered(&net_name), &*registered("10.0.0.9")), ("1", "0"));
        assert_eq!(prometheus.value("swnd_registrations_total{result=\"accepted\"}"), "1");
        let help = prometheus.get("metadata?metric=swnd_registrations").unwrap();
        assert_eq!(help.pointer("/data/swnd_registrations/0/type").unwrap(), "counter");
        // The alert waits for five minutes.
        let pending = "ALERTS{alertname=\"SwndMountWithoutWitness\",alertstate=\"pending\"}";
        assert_eq!(prometheus.value(pending), "1");

        let mut asked =
            names(&fs::read_to_string(Path::new(FILES).join("swnd.rules.yml")).unwrap());
        let dashboard = fs::read_to_string(Path::new(FILES).join("swnd-dashboard.json")).unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
        let mut numbers = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap().replace("$instance", ".*");
                let answer = prometheus.query(&expression).unwrap();
                assert_eq!(answer["status"], "success", "{expression}: {answer}");
                asked.append(&mut names(&expression));
            }
        }
        asked
    });
    let asked = asked.await.unwrap();
    // Of a machine without the cifs module the kernel tells nothing.
    let known = names(&exported);
    let unknown: Vec<_> =
        asked.iter().filter(|it| !known.contains(*it) && *it != "swnd_kernel_guarded").collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(asked.len() > 10, "{asked:?}");
}

//! libswnclient.so.0 between a C program and a real witness: every scenario of `tests/c-consumer`, under valgrind.

use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

use lab::{CLUSTER_NAME, Cluster, PASSWORD, SHARE, Select, Target, USER};

/// How long a scenario may take, with a cluster that is well.
const LIMIT: Duration = Duration::from_secs(120);

/// EEXIST of Linux.
const EEXIST: i32 = 17;

/// Scenarios at a time. They wait for Samba more than they work.
const WORKERS: usize = 4;

/// Those that want something to be done to the cluster, and those that are about a cluster of another kind.
const OTHERS: [&str; 4] = ["daemon", "queue", "many", "credential-cache"];

fn consumer_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../c-consumer").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("a command can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// The C program, linked to the library in TARGET/release.
fn consumer() -> &'static Path {
    static CONSUMER: OnceLock<PathBuf> = OnceLock::new();
    CONSUMER.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_library");
        std::fs::create_dir_all(&directory).expect("cargo's directory can be written");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in cargo's");
        let built = target.join("release/libswnclient.so");
        assert!(
            built.exists(),
            "{} is missing: cargo build --release -p swnclient-sys",
            built.display()
        );
        for name in ["libswnclient.so", "libswnclient.so.0"] {
            let link = directory.join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(&built, link).expect("a link can be made");
        }
        let program = directory.join("consumer");
        let sources = ["consumer.c", "many.c", "scenarios.c"];
        run(Command::new(consumer_file("build")).arg(&directory).arg(&program).args(sources));
        program
    })
}

/// The command that runs a scenario in the client's namespace.
fn scenario(cluster: &Cluster, name: &str, address: IpAddr) -> Command {
    let mut command = cluster.client("timeout");
    command.arg(LIMIT.as_secs().to_string()).arg(consumer_file("valgrind")).arg(consumer());
    command.args([name, CLUSTER_NAME, SHARE, &address.to_string(), USER, PASSWORD]);
    command
}

/// A scenario that is talked to.
struct Interactive {
    child: Child,
    to: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Interactive {
    fn start(cluster: &Cluster, name: &str, address: IpAddr) -> Interactive {
        let mut child = scenario(cluster, name, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the consumer can be started");
        let to = child.stdin.take().expect("stdin is piped");
        let from = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            from.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Interactive { child, to, lines }
    }

    fn expect(&self, line: &str) {
        assert_eq!(self.lines.recv_timeout(LIMIT).as_deref(), Ok(line));
    }

    fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").expect("the consumer listens");
    }

    fn pass(mut self) {
        self.expect("passed");
        let status = self.child.wait().expect("the consumer ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Interactive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_in_c_hears_of_everything_in_order() {
    let cluster = Cluster::fresh();
    let (from, to) = (cluster.address_of(0).into(), cluster.address_of(1).into());
    let mut consumer = Interactive::start(&cluster, "daemon", from);
    consumer.expect("registered");
    let registrations = cluster.registrations();
    assert_eq!(registrations.len(), 1, "{registrations:?}");
    consumer.say("register");
    consumer.expect(&format!("again {EEXIST}"));
    assert_eq!(cluster.registrations(), registrations);

    // Not to another address: five seconds later Samba would drop the registration.
    cluster.share_move(Select::All, Target::Ip(from));
    consumer.expect(&format!("share-move {from}"));
    let moved = r#"{"result": 0, "response": {"type": 4, "messages": [[{"flags": 9, "ipv4": "10.0.10.1"}]]}}"#;
    cluster.force_response(Select::All, moved);
    consumer.expect("ip-change 10.0.10.1");
    // SWN_RESOURCE_STATE_AVAILABLE and _UNAVAILABLE, and what [MS-SWN] 2.2.2.5 has for them.
    for (theirs, ours) in [(0xFF, 2), (1, 1)] {
        let change = format!(
            r#"{{"result": 0, "response": {{"type": 1, "messages": [{{"type": {theirs}, "name": "{CLUSTER_NAME}"}}]}}}}"#
        );
        cluster.force_response(Select::All, &change);
        consumer.expect(&format!("resource-change {CLUSTER_NAME} {ours}"));
    }
    cluster.client_move(Select::All, Target::Ip(to));
    consumer.expect(&format!("client-move {to}"));

    consumer.say("stop");
    consumer.expect("canceled");
    consumer.expect("unregistered");
    consumer.pass();
    assert_eq!(cluster.registrations(), []);
}

#[test]
fn notifications_wait_for_whoever_asks_next() {
    let cluster = Cluster::fresh();
    let from = cluster.address_of(0).into();
    let mut consumer = Interactive::start(&cluster, "queue", from);
    consumer.expect("registered");
    let addresses = [0, 1, 2].map(|node| IpAddr::from(cluster.address_of(node)));
    for address in addresses {
        cluster.share_move(Select::All, Target::Ip(address));
    }
    consumer.say("sent");
    for address in addresses {
        consumer.expect(&format!("share-move {address}"));
    }
    consumer.pass();
}

#[test]
fn every_other_scenario_passes_without_an_error_or_a_leak() {
    let cluster = Cluster::fresh();
    let address = IpAddr::from(cluster.address_of(0));
    let listed = text(&run(Command::new(consumer()).arg("list")).stdout);
    for name in OTHERS {
        assert!(listed.lines().any(|listed| listed == name), "there is no scenario {name}");
    }
    let left = Mutex::new(listed.lines().filter(|name| !OTHERS.contains(name)));
    let next = || left.lock().expect("no thread panics with it").next();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let output = run(&mut scenario(&cluster, name, address));
                    assert_eq!(text(&output.stdout), "passed\n", "{name}");
                    println!("{name}");
                }
            });
        }
    });
    assert_eq!(cluster.registrations(), []);
}

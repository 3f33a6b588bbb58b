//! Builds the library, C programs against it, and runs the consumer with a
//! witness cluster in a box.
//!
//! The endpoint mapper's port is 135 for everybody, so this needs root, or
//! `unshare --user --map-root-user --net` and `ip link set lo up` around it.

// Each test has its own copy of this module, and uses a part of it.
#![allow(dead_code, unused_macros, clippy::unwrap_used)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::script::{Destination, Who};
use witness_sim::{Cluster, ClusterConfig, NodeId, Profile, Step};

/// A test for each scenario, under `wrapper` as in [`start`].
macro_rules! test_scenarios {
    ($wrapper:expr) => {
        test_scenarios! {
            $wrapper =>
            daemon
            free_pending_register
            free_pending_wait
            free_pending_unregister
            cancel_register
            cancel_wait
            time_out
            wait_twice
            unknown
            unregister_while_waiting
            unregister_while_registering
            register_twice
            names_without_case
            recv_misuse
            free_in_callback
            nested_loop
            loop_wait
            queue
            null_arguments
            credentials
            no_server
            free_state
            free_loop
            free_everything
            two_loops
            two_states
            fork_before
            fork_after
        }
    };
    ($wrapper:expr => $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                common::play(&stringify!($test).replace('_', "-"), $wrapper).await;
            }
        )*
    };
}

/// How long a consumer may take until it says something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The library, in a directory where it has its links. LIBSWNCLIENT names one
/// that was built by other means.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let built = std::env::var_os("LIBSWNCLIENT").map_or_else(build_library, PathBuf::from);
        let directory = scratch("lib");
        for name in ["libswnclient.so", "libswnclient.so.0"] {
            let link = directory.join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(&built, link).unwrap();
        }
        directory.join("libswnclient.so.0")
    })
}

/// Builds the library as it is shipped: `cargo test` alone builds no more of a
/// cdylib than its unit tests.
fn build_library() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "swnclient-sys"]);
    cargo.arg("--no-default-features").arg("--target-dir").arg(target);
    if cfg!(feature = "kerberos") {
        cargo.args(["--features", "kerberos"]);
    }
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        cargo.arg("--release");
        "release"
    };
    output(&mut cargo);
    target.join(profile).join("libswnclient.so")
}

/// A directory of this test's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(test.file_name().unwrap()).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

pub(crate) fn include() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../include")
}

/// What a command prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// pkg-config's answer, word by word.
pub(crate) fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let modules = ["talloc", "tevent", "samba-credentials", "samba-hostconfig"];
    let words = output(Command::new("pkg-config").args(arguments).args(modules));
    words.split_whitespace().map(Into::into).collect()
}

/// A script or a source of the C programs.
pub(crate) fn c_consumer(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/c-consumer").join(file)
}

/// Compiles a C program to run with the library.
pub(crate) fn compile(name: &str, sources: &[&str]) -> PathBuf {
    let program = scratch("bin").join(name);
    let directory = library().parent().unwrap();
    output(Command::new(c_consumer("build")).arg(directory).arg(&program).args(sources));
    program
}

pub(crate) fn consumer() -> &'static Path {
    static CONSUMER: OnceLock<PathBuf> = OnceLock::new();
    CONSUMER.get_or_init(|| compile("consumer", &["consumer.c", "many.c", "scenarios.c"]))
}

/// A running consumer.
pub(crate) struct Consumer {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    /// Starts `command`, which is the consumer or something that runs it.
    pub(crate) fn start(command: Command) -> Self {
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("the consumer: {error}"));
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, to, from }
    }

    /// The next line; empty at the end.
    pub(crate) async fn line(&mut self) -> String {
        self.from.next_line().await.unwrap().unwrap_or_default()
    }

    pub(crate) async fn expect(&mut self, line: &str) {
        assert_eq!(self.line().await, line);
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// It says that all was well.
    pub(crate) async fn pass(mut self) {
        self.expect("passed").await;
        let status = self.child.wait().await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Waits until every registration waits for news.
pub(crate) async fn all_wait(cluster: &RunningCluster) {
    let waiting = |cluster: &Cluster| {
        let mut all = cluster.registrations();
        all.len() > 0 && all.all(|registration| !registration.waiting.is_empty())
    };
    cluster.wait_until(PATIENCE, waiting).await.unwrap();
}

/// A cluster of a test's own.
pub(crate) fn cluster() -> ClusterConfig {
    let mut config = ClusterConfig::new(Profile::Windows2012R2, 3, unused_subnet());
    config.detection = Duration::from_millis(50);
    config
}

/// Starts the consumer for a cluster, at its first node. `wrapper` is a command
/// that runs what follows it.
pub(crate) fn start(scenario: &str, wrapper: &[&str], config: &ClusterConfig) -> Consumer {
    let words: Vec<&str> =
        wrapper.iter().copied().chain([consumer().to_str().unwrap(), scenario]).collect();
    let (program, arguments) = words.split_first().unwrap();
    let (name, address) = (config.dns_name(), config.address(NodeId(1)).unwrap().to_string());
    let mut command = Command::new(program);
    command.args(arguments).args([name.as_str(), "data", &address, "alice", "secret"]);
    Consumer::start(command)
}

pub(crate) fn share_move(to: IpAddr) -> Step {
    Step::ShareMove { who: Who::All, to: Destination::from(to) }
}

/// Runs a scenario with a cluster of its own. For `wrapper` see [`start`].
pub(crate) async fn play(scenario: &str, wrapper: &[&str]) {
    let config = cluster();
    let address = |node| config.address(NodeId(node)).unwrap();
    let (first, second, third) = (address(1), address(2), address(3));
    let cluster = RunningCluster::start(config.clone()).await.unwrap();
    let mut consumer = start(scenario, wrapper, &config);
    let interaction = async {
        match scenario {
            "daemon" => {
                consumer.expect("registered").await;
                consumer.say("register").await;
                consumer.expect(&format!("again {}", libc::EEXIST)).await;
                cluster.run(share_move(second)).await;
                consumer.expect(&format!("share-move {second}")).await;
                let to = Destination::from(third);
                cluster.run(Step::IpChange { who: Who::All, to }).await;
                consumer.expect(&format!("ip-change {third}")).await;
                cluster.run(Step::NodeDown { node: NodeId(1), silent: false }).await;
                let line = consumer.line().await;
                assert!(line.starts_with("resource-change ") && line.ends_with(" 2"), "{line}");
                let to = Destination::from(second);
                cluster.run(Step::ClientMove { who: Who::All, to }).await;
                consumer.expect(&format!("client-move {second}")).await;
                consumer.say("stop").await;
                consumer.expect("canceled").await;
                consumer.expect("unregistered").await;
            }
            "queue" => {
                consumer.expect("registered").await;
                for address in [first, second, third] {
                    // Two at once would be told as one.
                    all_wait(&cluster).await;
                    cluster.run(share_move(address)).await;
                }
                all_wait(&cluster).await;
                consumer.say("sent").await;
                for address in [first, second, third] {
                    consumer.expect(&format!("share-move {address}")).await;
                }
            }
            _ => {}
        }
        consumer.pass().await;
    };
    tokio::time::timeout(PATIENCE, interaction).await.expect("the consumer hangs");
}

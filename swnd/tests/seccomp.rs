//! The filter of system calls: what it refuses, and that all of the daemon's work goes on
//! under it.
//!
//! This program starts itself again for each, since a filter stays for good. A call that is
//! missing on the list (`swnd/src/seccomp/calls.rs`) ends the child by SIGSYS; its number is in
//! the kernel's log (`type=1326 ... syscall=`), and `strace -f` shows it.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use kernel_sim::{StandInKernel, known_account};
use rustix::net::{AddressFamily, SocketType, socket};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use swnclient::{Client, Config, RegistrationRequest};
use swnd::account::Account;
use swnd::adoption::mounts::MountTable;
use swnd::adoption::{CredentialsFrom, Rules};
use swnd::authentication::Policy;
use swnd::control::{Control, Monitors};
use swnd::daemon::{Daemon, LogObserver, Mode};
use swnd::failover::driver::{Network, Observed, System};
use swnd::kernel::{KernelAuth, Link};
use swnd::options::{LogTarget, Seccomp};
use swnd::{hardening, logging, panics, privileges, seccomp, service_manager, settings};
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Happening, NodeId, Profile, Step};

const MAPPER_PORT: u16 = 13_505;
const LIMIT: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
const SIGSYS: i32 = 31;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    match arguments.get(1).zip(arguments.get(2)) {
        Some((child, name)) if child == "child" => return run(name),
        _ => {}
    }
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64"))) {
        println!("no filter for this architecture");
        return;
    }
    for (name, expected) in [
        ("refused", Ok(0)),
        ("killed", Err(SIGSYS)),
        ("panics", Err(SIGABRT)),
        ("working", Ok(0)),
        ("ending-connections", Ok(0)),
    ] {
        let status = start(name);
        match expected {
            Ok(code) => assert_eq!(status.code(), Some(code), "{name}: {status}"),
            Err(signal) => assert_eq!(status.signal(), Some(signal), "{name}: {status}"),
        }
        println!("test {name} ... ok");
    }
}

fn start(name: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", name]).env("RESOLV_HOST_CONF", "/dev/null");
    command.stdin(Stdio::null()).status().unwrap()
}

/// As swnd starts.
fn confined(mode: Seccomp) {
    panics::abort_on_panic();
    hardening::harden(false);
    privileges::reduce().unwrap();
    seccomp::install(mode).unwrap();
    logging::init(Some(LogTarget::Stderr), log::LevelFilter::Error).unwrap();
}

fn run(name: &str) {
    match name {
        "refused" => refused(),
        "killed" => {
            confined(Seccomp::Kill);
            let _ = Command::new("true").status();
        }
        "panics" => {
            confined(Seccomp::Kill);
            panic!("expected by the test");
        }
        "working" => {
            confined(Seccomp::Kill);
            work();
        }
        "ending-connections" => ending_connections(),
        other => panic!("{other}"),
    }
}

/// Nothing is started, and no packet made by hand; what is not used is missing.
fn refused() {
    confined(Seccomp::Refuse);
    assert!(Command::new("true").status().is_err());
    let error = socket(AddressFamily::PACKET, SocketType::RAW, None).unwrap_err();
    assert_eq!(error, rustix::io::Errno::PERM);
    assert_eq!(rustix::process::nice(0).unwrap_err(), rustix::io::Errno::NOSYS);
    drop(TcpListener::bind("127.0.0.1:0").unwrap());
}

/// A life of the daemon: settings, control socket, watchdog, a registration with NTLM and
/// one with Kerberos, whose ticket is looked for, a failover, look-ups, and the end.
fn work() {
    let sources = settings::Sources {
        arguments: vec!["swnd".into(), "--config".into(), "none".into()],
        environment: Vec::new(),
    };
    sources.load().unwrap();
    service_manager::ready();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, serve()).await.expect("in time") });
    service_manager::stopping();
    log::logger().flush();
}

async fn serve() {
    let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    let request = RegistrationRequest::new(config.net_name.clone())
        .share("data")
        .served_by(config.address(NodeId(1)).unwrap())
        .scale_out();
    let cluster = RunningCluster::start(config).await.unwrap();
    let kernel = StandInKernel::with_module();
    let link = Link::open(kernel.clone()).unwrap();
    let system = Arc::new(System::open());
    let monitors = Monitors::default();
    let client = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let mode = Mode::Verified(system.clone());
    let daemon =
        Daemon::new(link, LogObserver, Policy::default(), mode, |sink| Client::start(client, sink));
    let rules = Rules { all: true, ..Rules::default() };
    let daemon = daemon.adopting(rules, Arc::new(MountTable::open));
    let directory = std::env::temp_dir().join(format!("swnd-seccomp-{}", std::process::id()));
    let path = directory.join("socket");
    let control = Control::start(&path, daemon.source(), monitors).unwrap();
    let mut events = cluster.events();
    let happens = async {
        tokio::task::yield_now().await;
        let ntlm = known_account();
        kernel.mount(&request, &ntlm);
        // Without a ticket, as far as the library gets.
        let other = RegistrationRequest { share_name: Some("other".into()), ..request.clone() };
        kernel.mount(&other, &KernelAuth::Kerberos);
        cluster.wait_until(LIMIT, |it| it.registrations().len() == 1).await.unwrap();
        // The serving node's death: looks, probes, a look-up of the name.
        cluster.run(Step::NodeDown { node: NodeId(1), silent: false }).await;
        let is_told = |what: &Happening| matches!(what, Happening::Notified { .. });
        while !is_told(&events.recv().await.unwrap().what) {}
        assert!(matches!(system.observe(true, true), Observed::Look(_) | Observed::Blind(_)));
        // A file of credentials, for a mount that is adopted.
        let read = || CredentialsFrom::Fstab.read("cluster", "data").is_ok();
        assert!(!tokio::task::spawn_blocking(read).await.unwrap());
        assert!(Account::of_private_file("/proc/self/stat".as_ref()).is_err());
        let found = system.look_up("localhost".into()).await;
        assert!(!found.is_empty());
        system.look_up("no-such-host.invalid".into()).await;
        system.has_resolver();
        system.probe(IpAddr::from([127, 0, 0, 1]).into()).await;
        let socket = path.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&socket)).await.unwrap();
        assert!(answer.contains("\"parameters\""), "{answer}");
    };
    tokio::select! {
        error = daemon.run() => panic!("{error}"),
        () = happens => {}
    }
    daemon.client().shutdown(Duration::from_secs(2)).await;
    drop(control);
    std::fs::remove_dir(&directory).unwrap();
}

/// One call to the control socket.
fn ask(path: &std::path::Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"{\"method\":\"org.varlink.service.GetInfo\"}\0").unwrap();
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(0, &mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// A connection of root's to port 445, seen and ended as the kernel's are.
fn ending_connections() {
    let subnet = unused_subnet();
    let [a, b, c] = subnet;
    let server = TcpListener::bind((std::net::Ipv4Addr::new(a, b, c, 9), 445));
    confined(Seccomp::Kill);
    let system = System::open();
    let Ok(server) = server else {
        println!("without privileges there is no server on port 445");
        return;
    };
    let stream = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let _accepted = server.accept().unwrap();
    if let Ok(sock_diag) = swnd::failover::sock_diag::SockDiag::open() {
        let found = sock_diag.list().unwrap();
        let local = stream.local_addr().unwrap();
        let (connection, _) = found.into_iter().find(|(it, _)| it.local == local).unwrap();
        assert_eq!(system.look(std::slice::from_ref(&connection)).len(), 1);
        system.end(&connection, None);
        system.look(&[connection]);
    }
}

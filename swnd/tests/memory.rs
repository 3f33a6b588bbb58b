//! Where a mount's password is in swnd's memory once the mount is registered.
//!
//! This program starts itself again: the child is the daemon, which hears of the
//! password from the kernel alone; the parent plays the kernel and the cluster,
//! and searches the child's memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails, which is what it is for"
)]

mod apart;

use apart::{Running, pump};
use kernel_sim::StandInKernel;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::PathBuf;
use swnclient::{Client, Config, KerberosCredentials, RegistrationRequest, Secret};
use swnd::authentication::{Mechanism, Policy};
use swnd::daemon::{Daemon, LogObserver, Mode};
use swnd::kernel::KernelAuth;
use swnd::options::LogTarget;
use tokio::net::UnixDatagram;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, NodeId, Profile, User};

const USER: &str = "quentin-tester";
const PASSWORD: &str = "Zebra7-quince";
/// MD4 of the password in UTF-16LE.
const NT_HASH: [u8; 16] = [
    0x12, 0x00, 0x1b, 0xe9, 0xdd, 0x56, 0xed, 0x6f, 0xac, 0xbd, 0x5b, 0x6e, 0x85, 0xdb, 0x3b, 0xe6,
];
const MAPPER_PORT: u16 = 13_501;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some("child") {
        return runtime().block_on(child(&arguments[2..]));
    }
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    // With NTLM alone the hash is all that a new registration takes.
    let found = runtime().block_on(parent(&["ntlm"]));
    found.expect("the password", 0);
    found.expect("the NT hash", 1);
    // Kerberos takes the password itself, each time it needs a new ticket.
    let found = runtime().block_on(parent(&["kerberos", "ntlm"]));
    found.expect("the password", 1);
    found.expect("the NT hash", 1);
    println!("test memory ... ok");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn child(mechanisms: &[String]) {
    // As swnd does, but for the one thing that would keep the parent out.
    swnd::hardening::harden(true);
    swnd::privileges::reduce().unwrap();
    swnd::seccomp::install(swnd::options::Seccomp::Kill).unwrap();
    swnd::logging::init(Some(LogTarget::Stderr), log::LevelFilter::Trace).unwrap();
    let link = apart::link();
    let mechanisms: Vec<Mechanism> = mechanisms
        .iter()
        .map(|name| if name == "ntlm" { Mechanism::Ntlm } else { Mechanism::Kerberos })
        .collect();
    let policy = Policy::new(&mechanisms, KerberosCredentials::from_environment());
    let config = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let daemon =
        Daemon::new(link, LogObserver, policy, Mode::Forward, |sink| Client::start(config, sink));
    panic!("{}", daemon.run().await);
}

async fn parent(mechanisms: &[&str]) -> Found {
    let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    config.users = vec![User { name: USER.into(), domain: "".into(), password: PASSWORD.into() }];
    let request = RegistrationRequest::new(config.net_name.clone())
        .share("data")
        .served_by(config.address(NodeId(1)).unwrap())
        .scale_out();
    let auth = KernelAuth::Ntlm {
        user: Some(USER.into()),
        domain: None,
        password: Some(Secret::new(PASSWORD)),
    };
    let _cluster = RunningCluster::start(config).await.unwrap();

    let (ours, theirs) = StdDatagram::pair().unwrap();
    let daemon = Running::start(theirs, mechanisms);
    let kernel = StandInKernel::with_module();
    ours.set_nonblocking(true).unwrap();
    let pump = tokio::spawn(pump(kernel.clone(), UnixDatagram::from_std(ours).unwrap()));
    daemon.wait_log("listening to the cifs module").await;
    kernel.mount(&request, &auth);
    daemon.wait_log("registered at witness").await;
    // The kernel repeats the message, password included, at each echo.
    kernel.echo();
    daemon.wait_log("the kernel asks again").await;
    let found = search(&daemon);
    pump.abort();

    let log = daemon.log();
    assert!(log.contains(" debug "), "{log}");
    assert!(!log.contains(PASSWORD), "the log has the password\n{log}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(!log.contains(&hex(PASSWORD.as_bytes())), "the log has the password\n{log}");
    assert!(!log.contains(&hex(&NT_HASH)), "the log has the hash\n{log}");
    found
}

/// Every place in the child's memory.
fn search(daemon: &Running) -> Found {
    let directory = PathBuf::from(format!("/proc/{}", daemon.process.id()));
    let maps = std::fs::read_to_string(directory.join("maps")).unwrap();
    let memory = File::open(directory.join("mem")).unwrap();
    let utf16: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut found = Found::default();
    let mut control = 0;
    for map in maps.lines() {
        let mut fields = map.split_whitespace();
        let (range, access) = (fields.next().unwrap(), fields.next().unwrap());
        // The program itself has the password, for its parent's sake.
        let of_file = fields.nth(2).is_some_and(|inode| inode != "0");
        let name = fields.next().unwrap_or("anonymous memory");
        if !access.starts_with("rw") || (of_file && name.starts_with('/') && !access.contains('w'))
        {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (number(start), number(end));
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        control += places(&bytes, USER.as_bytes()).count();
        for (what, needle) in [
            ("the password", PASSWORD.as_bytes()),
            ("the password", &utf16),
            ("the NT hash", &NT_HASH),
        ] {
            let at = places(&bytes, needle).map(|at| {
                let context = &bytes[at.saturating_sub(32)..(at + 48).min(bytes.len())];
                (what, format!("{name} + {at:#x}: {}", context.escape_ascii()))
            });
            found.0.extend(at);
        }
    }
    // The search finds what is there.
    assert_ne!(control, 0, "not even the user's name was found");
    found
}

fn places<'a>(bytes: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(needle.len()).enumerate().filter(move |(_, part)| *part == needle).map(|it| it.0)
}

#[derive(Default)]
struct Found(Vec<(&'static str, String)>);

impl Found {
    fn expect(&self, what: &str, count: usize) {
        let places: Vec<&str> =
            self.0.iter().filter(|it| it.0 == what).map(|it| it.1.as_str()).collect();
        assert_eq!(places.len(), count, "{what} is at\n{}", places.join("\n"));
    }
}

//! A KDC that does not answer delays those that need it, and no others.
//!
//! This program starts itself again, with a krb5.conf that names a KDC which is
//! silent: the library reads the environment, which a test may not change.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use swnclient::{
    Client, Config, Credentials, Event, KerberosCredentials, NtlmCredentials, RegistrationId,
    RegistrationRequest, Secret,
};
use tokio::sync::mpsc;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, NodeId, Profile};

const MAPPER_PORT: u16 = 13_502;
const LIMIT: Duration = Duration::from_secs(20);
/// More than run at a time.
const WAITING: u32 = 50;
/// How many of them may be with the library, each in a thread; and the threads
/// that there are besides.
const AUTH_THREADS: usize = 32;
const OTHER_THREADS: usize = 8;
const ROUNDS: u32 = 10;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("SILENT_KDC").is_some() {
        // All that GSSAPI does is on the list of system calls.
        swnd::privileges::reduce().unwrap();
        swnd::seccomp::install(swnd::options::Seccomp::Kill).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test());
        // The library still waits in its threads.
        std::process::exit(0);
    }
    // It takes what comes and says nothing.
    let (udp, _tcp) = silent();
    let path = std::env::temp_dir().join(format!("swnd-kdc-{}.conf", std::process::id()));
    let kdc = udp.local_addr().unwrap();
    let text = format!(
        "[libdefaults]\ndefault_realm = SILENT.TEST\ndns_lookup_kdc = false\n\
         [realms]\nSILENT.TEST = {{\nkdc = {kdc}\n}}\n"
    );
    std::fs::write(&path, text).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .env("SILENT_KDC", "1")
        .env("KRB5_CONFIG", &path)
        .status();
    std::fs::remove_file(&path).unwrap();
    if status.unwrap().success() {
        println!("test kdc ... ok");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Sockets of both kinds with one number, which for one of them may be taken.
fn silent() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        match TcpListener::bind(udp.local_addr().unwrap()) {
            Ok(tcp) => return (udp, tcp),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn test() {
    let mut config = ClusterConfig::new(Profile::Samba, 3, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    config.aliases = (0..WAITING).map(|n| format!("kerberos{n}").into()).collect();
    let request = RegistrationRequest::new(config.net_name.clone())
        .share("data")
        .served_by(config.address(NodeId(1)).unwrap())
        .scale_out();
    let _cluster = RunningCluster::start(config).await.unwrap();
    let (sender, mut events) = mpsc::unbounded_channel();
    let client = Config { mapper_port: MAPPER_PORT, ..Config::default() };
    let client = Client::start(client, move |id, event| {
        let _ = sender.send((id, event));
    });

    let before = register(&client, &request, &mut events).await;
    for n in 0..WAITING {
        let request =
            RegistrationRequest { net_name: format!("kerberos{n}").into(), ..request.clone() };
        let jane = KerberosCredentials::from_password("jane", "", Secret::new("hidden"));
        client.register(request, Credentials::Kerberos(jane));
    }
    // They wait for the KDC once their servers have named their ports.
    register(&client, &request, &mut events).await;
    let meanwhile = register(&client, &request, &mut events).await;
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(threads > 1, "none of the {WAITING} registrations waits for a KDC");
    assert!(
        threads <= AUTH_THREADS + OTHER_THREADS,
        "{WAITING} registrations wait for a KDC in {threads} threads"
    );
    println!("{WAITING} registrations wait for a KDC; threads of the process: {threads}");
    println!("{ROUNDS} registrations by NTLM, one after the other: {before:?}");
    println!("with {WAITING} others waiting for a KDC: {meanwhile:?}");
}

type Events = mpsc::UnboundedReceiver<(RegistrationId, Event)>;

/// Registers by NTLM and unregisters, one time after the other. None of the
/// others may come to anything meanwhile.
async fn register(client: &Client, request: &RegistrationRequest, events: &mut Events) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        let id = client.register(request.clone(), Credentials::Ntlm(alice));
        let event = next(events).await;
        assert!(matches!(event, (who, Event::Registered { .. }) if who == id), "{event:?}");
        client.unregister(id);
        let event = next(events).await;
        assert!(matches!(event, (who, Event::Unregistered) if who == id), "{event:?}");
    }
    start.elapsed()
}

async fn next(events: &mut Events) -> (RegistrationId, Event) {
    tokio::time::timeout(LIMIT, events.recv()).await.expect("something happens").unwrap()
}

//! Clusters that are reached otherwise: by an address of their link, by a name with many
//! addresses, through an endpoint mapper that wants to know who asks.

#![allow(clippy::indexing_slicing, reason = "tests fail by panics")]

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lab::{
    CLUSTER_NAME, Cluster, Guest, LabClient, Mount, MountOptions, PASSWORD, SHARE, Swnd, USER,
    in_client_namespace, in_node_namespace,
};
use swnclient::{
    Call, Client, Config, Credentials, Error, Event, NtlmCredentials, RegistrationRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How long the cluster may take for anything here.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs one registration in the client's namespace, until `script` has seen its events.
fn registered(
    config: Config,
    request: RegistrationRequest,
    script: impl FnOnce(&mut dyn FnMut() -> Event),
) {
    let (sender, events) = mpsc::channel();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_client_namespace(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let client = Client::start(config, move |_, event| {
                        let _ = sender.send(event);
                    });
                    let user = NtlmCredentials::from_password(USER, "", PASSWORD);
                    client.register(request, Credentials::Ntlm(user));
                    // Also where the script has failed.
                    let _ = ended.await;
                    client.shutdown(LIMIT).await;
                });
            });
        });
        let _end = end;
        script(&mut || events.recv_timeout(LIMIT).expect("an event of the registration"));
    });
}

/// The witness that has accepted a registration.
fn witness_of(event: Event) -> IpAddr {
    match event {
        Event::Registered { witness, .. } => witness,
        event => panic!("not registered: {event:?}"),
    }
}

fn lab_config() -> Config {
    Config { client_name: "lab".into(), ..Config::default() }
}

/// The address of a node that is good on the cluster's link only.
fn of_link(cluster: &Cluster, node: usize) -> Ipv6Addr {
    let show = ["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"];
    let shown = cluster.node(node, &show);
    let address = shown.split_whitespace().find_map(|word| word.strip_suffix("/64"));
    let address = address.and_then(|text| text.parse().ok());
    address.unwrap_or_else(|| panic!("node {node} has no address of its link: {shown}"))
}

/// The number of the client's interface.
fn link() -> u32 {
    let number = in_client_namespace(|| {
        let output = std::process::Command::new("ip").args(["-o", "link", "show", "eth0"]).output();
        String::from_utf8(output.expect("ip can be started").stdout).expect("text")
    });
    let number = number.split(':').next().and_then(|it| it.trim().parse().ok());
    number.expect("the client has an interface")
}

/// Samba's witness leaves addresses of a link out of what it watches, wherever they are from: it
/// gives its list by one, and refuses to watch it.
#[test]
fn a_node_is_asked_for_its_list_by_an_address_of_its_link() {
    let cluster = Cluster::fresh();
    let from = IpAddr::from(of_link(&cluster, 0));
    let request = RegistrationRequest::new(CLUSTER_NAME).share(SHARE).served_by(from);
    let others = [1, 2].map(|node| IpAddr::from(cluster.address_of(node)));
    let start = Instant::now();
    registered(lab_config(), request.on_link(link()), |next| match next() {
        Event::Failed {
            error: Error::Refused { address, call: Call::Register, status }, ..
        } => {
            println!("{address} of the list refuses after {:.1?}: {status}", start.elapsed());
            assert!(others.contains(&address), "{address}");
            assert!(status.to_string().contains("ERROR_INVALID_STATE"), "{status}");
        }
        event => panic!("{event:?}"),
    });
}

/// The kernel names the link beside the address of a mount.
#[test]
fn the_kernel_has_a_mount_by_an_address_of_its_link_watched_on_that_link() {
    let cluster = Cluster::fresh();
    let from = of_link(&cluster, 0);
    let guest = Guest::boot();
    // Before that the kernel has no address to connect from.
    let addresses = "ip -6 -o addr show dev vec0 scope link";
    guest.ok(&format!("until {addresses} | grep -qv tentative; do sleep 0.1; done"));
    let link = guest.ok("cat /sys/class/net/vec0/ifindex");
    let swnd = Swnd::start(&guest);
    let options = MountOptions { more: "witness".into(), ..MountOptions::default() };
    let mount = Mount::by(&guest, format!("{from}%{}", link.trim()), options);
    let line = swnd.wait_log("the witness's answer", LIMIT, |line| line.contains("Register"));
    println!("{line}");
    // Which is in the list that the node has given.
    let others = [1, 2].map(|node| cluster.address_of(node).to_string());
    assert!(others.iter().any(|other| line.contains(other.as_str())), "{line}");
    assert!(line.contains("ERROR_INVALID_STATE"), "{line}");
    mount.unmount();
    swnd.wait_log("the end", LIMIT, |line| line.contains(&format!("unregistered; {from}")));
    swnd.stop();
}

/// A file of hosts by which the cluster's name has these addresses.
fn hosts(addresses: &[String]) -> PathBuf {
    let file = std::env::temp_dir().join("swn-lab-hosts");
    let lines = addresses.iter().map(|address| format!("{address} {CLUSTER_NAME}\n"));
    fs::write(&file, lines.collect::<String>()).expect("a file can be written");
    file
}

#[test]
fn a_name_with_twenty_addresses_of_which_one_lives_is_registered() {
    let cluster = Cluster::fresh();
    let lives = cluster.address_of(0).to_string();
    // None of these answers: on the link itself that takes the longest. By the numbers the
    // resolver takes them for nearer to the client, and puts them first.
    let mut addresses: Vec<String> = (20..=38).map(|last| format!("10.77.0.{last}")).collect();
    addresses.push(lives);
    let mut client = LabClient::start_by_name(&cluster, "lab", &hosts(&addresses));
    let start = Instant::now();
    client.say(&format!("register key ntlm {USER} {PASSWORD}"));
    let witness = client.expect("key registered", LIMIT);
    let failures = client.seen().lines().filter(|line| line.starts_with("key failed")).count();
    println!("registered at {witness} after {:.1?}, {failures} retries", start.elapsed());
    assert_eq!(failures, 0, "{}", client.seen());
    assert_eq!(cluster.registrations().len(), 1);
}

/// Where the endpoint mappers are that want to know who asks.
const WARY_PORT: u16 = 1135;
/// RPC_S_ACCESS_DENIED, as Windows with RestrictRemoteClients=2 answers.
const ACCESS_DENIED: u32 = 5;

/// Reads a PDU, by its length in the header (C706 12.6.3.1).
async fn read_pdu(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut pdu = vec![0; 16];
    stream.read_exact(&mut pdu).await?;
    let length = usize::from(u16::from_le_bytes([pdu[8], pdu[9]]));
    pdu.resize(length, 0);
    stream.read_exact(&mut pdu[16..]).await?;
    Ok(pdu)
}

/// Stands before a node's endpoint mapper: a call of a client that has not said who it is is
/// refused, all else goes through.
async fn guard(mut client: TcpStream, refused: Arc<AtomicUsize>) -> io::Result<()> {
    let mut mapper = TcpStream::connect(("127.0.0.1", 135)).await?;
    let bind = read_pdu(&mut client).await?;
    mapper.write_all(&bind).await?;
    let is_anonymous = bind[10..12] == [0, 0];
    if is_anonymous {
        let answer = read_pdu(&mut mapper).await?;
        client.write_all(&answer).await?;
        let call = read_pdu(&mut client).await?;
        let mut fault = vec![5, 0, 3, 3, 0x10, 0, 0, 0, 32, 0, 0, 0];
        fault.extend(&call[12..16]);
        fault.extend([0; 8]);
        fault.extend(ACCESS_DENIED.to_le_bytes());
        fault.extend([0; 4]);
        refused.fetch_add(1, Ordering::Relaxed);
        return client.write_all(&fault).await;
    }
    copy_bidirectional(&mut client, &mut mapper).await.map(drop)
}

#[test]
fn an_endpoint_mapper_that_wants_to_know_who_asks_is_told_by_the_mounts_credentials() {
    let cluster = Cluster::fresh();
    let (refused, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    std::thread::scope(|scope| {
        let mut ends = Vec::new();
        let (ready, readies) = mpsc::channel();
        for node in 0..Cluster::NODES {
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            let (refused, asked, ready) = (Arc::clone(&refused), Arc::clone(&asked), ready.clone());
            scope.spawn(move || {
                in_node_namespace(node, move || {
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.expect("a runtime").block_on(async {
                        let listener = TcpListener::bind(("0.0.0.0", WARY_PORT)).await;
                        let listener = listener.expect("the port is free");
                        ready.send(()).expect("it is waited for");
                        tokio::spawn(async move {
                            while let Ok((client, _)) = listener.accept().await {
                                asked.fetch_add(1, Ordering::Relaxed);
                                tokio::spawn(guard(client, Arc::clone(&refused)));
                            }
                        });
                        // Also where the test has failed.
                        let _ = ended.await;
                    });
                });
            });
        }
        for _ in 0..Cluster::NODES {
            readies.recv_timeout(LIMIT).expect("each node has a guard");
        }
        let from = IpAddr::from(cluster.address_of(0));
        let request = RegistrationRequest::new(CLUSTER_NAME).share(SHARE).served_by(from);
        let config = Config { mapper_port: WARY_PORT, ..lab_config() };
        let start = Instant::now();
        registered(config, request, |next| {
            let witness = witness_of(next());
            println!("registered at {witness} after {:.1?}", start.elapsed());
            assert_eq!(cluster.registrations().len(), 1);
        });
        drop(ends);
    });
    let (refused, asked) = (refused.load(Ordering::Relaxed), asked.load(Ordering::Relaxed));
    println!("{asked} questions, {refused} of them anonymous");
    // One at each of the two nodes that were asked.
    assert_eq!((asked, refused), (4, 2));
}

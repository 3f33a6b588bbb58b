//! The cluster by itself, and the project's crates against its witness service.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use lab::{
    CLUSTER_NAME, Cluster, PASSWORD, SHARE, Select, Target, USER, in_client_namespace, wait_until,
};
use swnclient::{
    AuthLevel, Client, Config, Credentials, Event, Notification, NtlmCredentials,
    RegistrationRequest,
};

/// How long the cluster may take for anything here.
const LIMIT: Duration = Duration::from_secs(20);

const ENDPOINT_MAPPER: u16 = 135;

fn connect(address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((address, port));
    in_client_namespace(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)))
}

#[test]
fn each_node_of_a_healthy_cluster_holds_one_address() {
    let cluster = Cluster::fresh();
    let holders: BTreeSet<_> = cluster.holders().into_values().collect();
    assert_eq!(holders, (0..Cluster::NODES).map(Some).collect());
}

#[test]
fn the_address_of_a_killed_node_moves_and_comes_back() {
    let cluster = Cluster::fresh();
    let address = cluster.address_of(1);
    cluster.kill(1);
    cluster.wait_moved(address, 1);
    // CTDB says who is to have the address before its script has set it up there.
    wait_until("the node that took the address over answers there", LIMIT, || {
        connect(address, ENDPOINT_MAPPER)
    });
    cluster.start(1);
    cluster.wait_healthy();
    assert_eq!(cluster.holder(address), 1);
}

/// The whole of a registration's life with one authentication service and level.
fn lives(cluster: &Cluster, config: Config) {
    let (from, to) = (IpAddr::from(cluster.address_of(0)), IpAddr::from(cluster.address_of(1)));
    let (sender, events) = mpsc::channel();
    let (commands, mut orders) = tokio::sync::mpsc::unbounded_channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_client_namespace(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let client = Client::start(config, move |_, event| {
                        let _ = sender.send(event);
                    });
                    let request = RegistrationRequest::new(CLUSTER_NAME)
                        .share(SHARE)
                        .served_by(from)
                        .scale_out();
                    let user = NtlmCredentials::from_password(USER, "", PASSWORD);
                    let id = client.register(request, Credentials::Ntlm(user));
                    // The test says when, or has failed.
                    let _ = orders.recv().await;
                    client.unregister(id);
                    client.shutdown(LIMIT).await;
                });
            });
        });
        let commands = commands; // Dropped where an assertion fails: the client ends.
        let next = || events.recv_timeout(LIMIT).expect("an event of the registration");
        let Event::Registered { witness, version: 2 } = next() else {
            panic!("not registered by version 2")
        };
        assert_ne!(witness, from, "the node that serves the share can't be its own witness");
        let [registration] = &cluster.registrations()[..] else {
            panic!("not exactly one registration")
        };
        assert_eq!(registration.ip_address, from);
        cluster.client_move(Select::All, Target::Ip(to));
        let moved = Event::Notification(Notification::ClientMove { address: to });
        assert_eq!(next(), moved);
        commands.send(()).expect("the client runs");
        assert_eq!(next(), Event::Unregistered);
    });
    wait_until("nothing is registered", LIMIT, || match cluster.registrations() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
}

#[test]
fn ntlm_and_spnego_live_with_integrity_and_with_privacy() {
    let cluster = Cluster::fresh();
    for spnego in [false, true] {
        for auth_level in [AuthLevel::Integrity, AuthLevel::Privacy] {
            println!("SPNEGO: {spnego}, level: {auth_level:?}");
            let client_name = "lab".into();
            lives(&cluster, Config { client_name, spnego, auth_level, ..Config::default() });
        }
    }
}

//! Many registrations at once, and users whose names have letters of all kinds.

use lab::{CLUSTER_NAME, Cluster, PASSWORD, USER, in_client_namespace, wait_until};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient::{
    Client, Config, Credentials, Event, NtlmCredentials, RegistrationRequest, Uppercase,
};
use tokio::sync::mpsc;

/// How long thousands of registrations may take, which is a thing of the machine's.
const LIMIT: Duration = Duration::from_secs(300);

/// What became of registrations that were asked for at once.
#[derive(Debug, Default)]
struct Outcome {
    registered: usize,
    /// Of how many attempts the consumer was told that they had failed.
    failures: Vec<String>,
    /// When half of them, and all, were registered.
    half: Duration,
    all: Duration,
}

/// Registers for so many shares at once, by so many clients that know nothing of each other,
/// and looks at the cluster before it ends them.
fn register(
    cluster: &Cluster,
    (clients, count): (usize, usize),
    credentials: &Credentials,
    look: impl FnOnce() + Send,
) -> Outcome {
    let serves = IpAddr::from(cluster.address_of(0));
    in_client_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (sender, mut events) = mpsc::unbounded_channel();
            let start_client = |_| {
                let config = Config { client_name: "crowd".into(), ..Config::default() };
                let sender = sender.clone();
                Client::start(config, move |_, event| {
                    let _ = sender.send(event);
                })
            };
            let clients: Vec<Client> = (0..clients).map(start_client).collect();
            let start = Instant::now();
            for (number, client) in (0..count).zip(clients.iter().cycle()) {
                let request = RegistrationRequest::new(CLUSTER_NAME)
                    .share(format!("data{number}"))
                    .served_by(serves);
                client.register(request, credentials.clone());
            }
            let mut outcome = Outcome::default();
            while outcome.registered < count {
                match tokio::time::timeout(LIMIT, events.recv()).await {
                    Ok(Some(Event::Registered { .. })) => {
                        outcome.registered += 1;
                        outcome.all = start.elapsed();
                        if outcome.registered == count.div_ceil(2) {
                            outcome.half = outcome.all;
                        }
                    }
                    Ok(Some(Event::Failed { error, .. })) => {
                        outcome.failures.push(error.to_string());
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => panic!("no more events: {outcome:#?}"),
                }
            }
            look();
            for client in clients {
                client.shutdown(LIMIT).await;
            }
            outcome
        })
    })
}

fn storm(clients: usize, count: usize, is_cold: bool) -> Vec<String> {
    let cluster = Cluster::fresh();
    if is_cold {
        (0..Cluster::NODES).for_each(|node| cluster.restart_dcerpcd(node));
    }
    let user = Credentials::Ntlm(NtlmCredentials::from_password(USER, "", PASSWORD));
    let Outcome { failures, half, all, .. } = register(&cluster, (clients, count), &user, || {
        assert_eq!(cluster.registrations().len(), count);
    });
    println!("{count} of {clients} at once: half after {half:.1?}, all after {all:.1?}");
    println!("{} retries", failures.len());
    wait_until("nothing is registered", LIMIT, || match cluster.registrations().len() {
        0 => Ok(()),
        left => Err(format!("{left} are left")),
    });
    failures
}

#[test]
fn a_thousand_registrations_at_once_are_made_without_a_retry() {
    assert_eq!(storm(1, 1000, false), [""; 0]);
}

#[test]
fn five_thousand_registrations_at_once_are_made_without_a_retry() {
    assert_eq!(storm(1, 5000, false), [""; 0]);
}

#[test]
fn a_thousand_at_once_at_services_that_have_just_started_are_made_without_a_retry() {
    assert_eq!(storm(1, 1000, true), [""; 0]);
}

#[test]
fn thirty_clients_at_once_at_services_that_have_just_started_are_all_registered() {
    for failure in storm(30, 30, true) {
        println!("{failure}");
    }
}

/// Of the letters whose capitals Samba and the kernel don't have: two of Romanian, and others
/// of all alphabets.
const LETTERS: &str = "șțȳɒʇϙӏԍԥზტჯჽⅎⰺⱆⱓⱟⲇⲟⲷⳑⳳⴋⴗⴣꙑꙩꚓꜳꝋꝥꞇꞥꟊꭶꮃꮏꮛꮧꮳ";
/// How many of them are in one name.
const OF_A_NAME: usize = 7;

#[test]
fn a_user_whose_name_has_letters_without_capitals_is_registered_with_either_table() {
    let cluster = Cluster::fresh();
    let letters: Vec<char> = LETTERS.chars().collect();
    for (number, letters) in letters.chunks(OF_A_NAME).enumerate() {
        let name = format!("wit{number}{}", String::from_iter(letters));
        let line = format!("{name}:x:{}:65534::/nonexistent:/usr/sbin/nologin", 7100 + number);
        let known = format!("grep -qxF '{line}' /etc/passwd || echo '{line}' >> /etc/passwd");
        for node in 0..Cluster::NODES {
            cluster.node(node, &["sh", "-c", &known]);
        }
        let add = format!("printf '%s\\n' '{PASSWORD}' '{PASSWORD}' | smbpasswd -s -a '{name}'");
        cluster.node(cluster.any_node(), &["sh", "-c", &add]);
        for table in [Uppercase::Samba, Uppercase::Linux] {
            let user = NtlmCredentials::from_password(&name, "", PASSWORD).with_uppercase(table);
            let outcome = register(&cluster, (1, 1), &Credentials::Ntlm(user), || {
                assert_eq!(cluster.registrations().len(), 1, "{name}");
            });
            assert_eq!(outcome.failures, [""; 0], "{name}, {table:?}");
        }
    }
}

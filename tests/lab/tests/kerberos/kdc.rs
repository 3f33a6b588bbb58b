//! A KDC that does not answer, one that is gone, and its return.

use std::time::{Duration, Instant};

use lab::{Cluster, LabClient, PASSWORD, USER, wait_until};

use crate::{LIMIT, take_turn, two_addresses};

/// How many registrations wait for the KDC: more than may run at a time.
const WAITING: usize = 40;
const ROUNDS: u32 = 20;

/// Gives the KDC back, whatever comes of the test.
struct Kdc<'a>(&'a Cluster);

impl Drop for Kdc<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::panic::catch_unwind(|| self.0.kdc("stop"));
            let _ = std::panic::catch_unwind(|| self.0.kdc("start"));
        }
    }
}

#[test]
fn gone_the_kdc_delays_only_who_needs_it_and_back_it_serves_them() {
    /// The longest wait between two attempts, and an attempt.
    const RECOVERY: Duration = Duration::from_secs(90);
    let (cluster, _turn) = take_turn();
    let (from, _) = two_addresses(cluster);
    let config = cluster.krb5_file("krb5.conf").display().to_string();
    let environment = [("KRB5_CONFIG", config.as_str())];
    let mut client = LabClient::start(cluster, "kdc", from, &[], &environment);
    let before = rounds(&mut client);

    let _kdc = Kdc(cluster);
    cluster.kdc("pause");
    client.say(&format!("register affected password {USER} {PASSWORD}"));
    for n in 1..WAITING {
        // With credentials of their own, so that they share no association.
        client.say(&format!("register other{n} password other{n} {PASSWORD}"));
    }
    wait_until("a question waits for the KDC", LIMIT, || {
        let sockets = cluster.krb5(&["ss", "-Hlun", "sport = :88"]);
        let waits = |line: &str| line.split_whitespace().nth(1).is_some_and(|queue| queue != "0");
        if sockets.lines().any(waits) { Ok(()) } else { Err(sockets) }
    });
    let meanwhile = rounds(&mut client);
    assert!(!client.seen().contains("failed"), "none of them waited\n{}", client.seen());
    println!("NTLM, registered and unregistered, median of {ROUNDS}: {before:?}");
    println!("with {WAITING} others waiting for a silent KDC: {meanwhile:?}");

    println!("a silent KDC: {}", client.expect("affected failed", RECOVERY));
    cluster.kdc("stop");
    println!(
        "no KDC: {}",
        client
            .expect("affected failed Kerberos: swnuser with a password: Cannot contact", RECOVERY)
    );
    let gone = rounds(&mut client);
    println!("NTLM while the KDC is gone: {gone:?}");
    cluster.kdc("start");
    let back = Instant::now();
    client.expect("affected registered", RECOVERY);
    println!("registered {:?} after the KDC came back", back.elapsed());
}

/// The median of the times that a registration takes by NTLM.
fn rounds(client: &mut LabClient) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|n| {
            let start = Instant::now();
            client.say(&format!("register ntlm{n} ntlm {USER} {PASSWORD}"));
            client.expect(&format!("ntlm{n} registered"), LIMIT);
            let time = start.elapsed();
            client.say(&format!("unregister ntlm{n}"));
            client.expect(&format!("ntlm{n} unregistered"), LIMIT);
            time
        })
        .collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().expect("there are some rounds")
}

//! What lasts longer than a ticket.

use std::fs;
use std::time::{Duration, Instant};

use lab::{LabClient, Select, USER};

use crate::{EXPIRY, LIMIT, registration, take_turn, two_addresses};

#[test]
fn the_lifetimes_of_five_tickets_pass_unnoticed_with_a_keytab() {
    const LIFETIME: Duration = Duration::from_secs(15);
    const TICKETS: usize = 5;
    let (cluster, turn) = take_turn();
    let (from, _) = two_addresses(cluster);
    let file = |name| cluster.krb5_file(name).display().to_string();
    let (config, trace, keytab) = (file("short.conf"), file("short.trace"), file("swnuser.keytab"));
    let text = fs::read_to_string(cluster.krb5_file("krb5.conf")).expect("krb5.conf can be read");
    let lifetime = format!("[libdefaults]\n\tticket_lifetime = {}s\n", LIFETIME.as_secs());
    let text = text.replace("[libdefaults]\n", &lifetime);
    fs::write(&config, text).expect("a file can be written beside krb5.conf");
    let environment = [("KRB5_CONFIG", config.as_str()), ("KRB5_TRACE", &trace)];
    let mut client = LabClient::start(cluster, EXPIRY, from, &[], &environment);
    let start = Instant::now();
    client.say(&format!("register it keytab {keytab} {USER}"));
    client.expect("it registered", LIMIT);
    let mut known = registration(cluster, EXPIRY);
    drop(turn);

    for _ in 0..TICKETS {
        // An association outlives its ticket, so nothing happens meanwhile; a new one takes a new ticket.
        std::thread::sleep(LIFETIME + Duration::from_secs(2));
        let (_, _turn) = take_turn();
        assert_eq!(registration(cluster, EXPIRY), known, "the registration outlives its ticket");
        let asked = tickets(&trace);
        cluster.force_unregister(Select::Id(&known.id));
        let taken_back = Instant::now();
        client.expect("it registered", LIMIT);
        println!("{:?} old: re-registered within {:?}", start.elapsed(), taken_back.elapsed());
        let renewed = registration(cluster, EXPIRY);
        assert_ne!(renewed.id, known.id);
        assert!(tickets(&trace) > asked, "{EXPIRY} got no new ticket after its old one expired");
        known = renewed;
    }
    let asked = tickets(&trace);
    println!(
        "{asked} tickets of {LIFETIME:?} in {:?}, {TICKETS} re-registrations",
        start.elapsed()
    );
    assert!(!client.seen().contains("Kerberos"), "{}", client.seen());
}

/// How often the library has got a ticket for the keytab's key.
fn tickets(trace: &str) -> usize {
    let trace = fs::read_to_string(trace).expect("KRB5_TRACE is written");
    trace.matches("Getting initial credentials").count()
}

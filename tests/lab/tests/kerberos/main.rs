//! Kerberos: the cluster with a KDC, and all that may be wrong with tickets.
//!
//! One test lasts five minutes, because tickets last one; it leaves the cluster to the others meanwhile. So with two
//! threads all of them take little longer than that: `-- --test-threads=2`.

mod c_interface;
mod expiry;
mod kdc;
mod mount;
mod sources;
mod swnctl;
mod troubles;
mod without;

use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::{Cluster, Guest, Registration, Select, wait_until};

/// How long anything may take that waits for the cluster alone.
const LIMIT: Duration = Duration::from_secs(20);

/// The client that has its registration all the time.
const EXPIRY: &str = "expiry";

/// The cluster, and the right to do to it and the KDC what others would notice.
fn take_turn() -> (&'static Cluster, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::new(());
    let cluster = Cluster::with_kerberos();
    (cluster, TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The one registration of a client.
fn registration(cluster: &Cluster, client: &str) -> Registration {
    wait_until(&format!("{client} has one registration"), LIMIT, || {
        match <[Registration; 1]>::try_from(registrations(cluster, client)) {
            Ok([registration]) => Ok(registration),
            Err(others) => Err(format!("{others:?}")),
        }
    })
}

fn registrations(cluster: &Cluster, client: &str) -> Vec<Registration> {
    let mut all = cluster.registrations();
    all.retain(|registration| registration.client_computer_name == client);
    all
}

fn wait_unregistered(cluster: &Cluster, client: &str) {
    wait_until(&format!("{client} has no registration"), LIMIT, || {
        let left = registrations(cluster, client);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// What swnd and the kernel in the guest call themselves.
const GUEST: &str = "swnguest";

/// A guest in the realm, with tickets of the user in root's default cache. What one before it has left is cleared.
fn boot(cluster: &Cluster) -> Guest {
    for left in registrations(cluster, GUEST) {
        cluster.force_unregister(Select::Id(&left.id));
    }
    wait_unregistered(cluster, GUEST);
    let guest = Guest::boot();
    let file = |name| cluster.krb5_file(name).display().to_string();
    guest.ok(&format!("mount --bind '{}' /etc/krb5.conf", file("krb5.conf")));
    guest.ok(&format!("kinit -k -t '{}' {}", file("swnuser.keytab"), lab::USER));
    guest
}

/// The addresses of a node that serves and of another one.
fn two_addresses(cluster: &Cluster) -> (Ipv4Addr, Ipv4Addr) {
    (cluster.address_of(0), cluster.address_of(1))
}

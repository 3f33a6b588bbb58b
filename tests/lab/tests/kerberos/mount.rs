//! A mount of the real kernel with sec=krb5.

use std::net::IpAddr;
use std::time::Instant;

use lab::{CLUSTER_NAME, Mount, MountOptions, SHARE, Select, Swnd, Target, USER, wait_until};

use crate::{GUEST, LIMIT, boot, registration, take_turn, two_addresses, wait_unregistered};

#[test]
fn mounted_with_kerberos_is_registered_with_kerberos_and_moved() {
    let (cluster, _turn) = take_turn();
    let (from, to) = two_addresses(cluster);
    let guest = boot(cluster);
    let swnd = Swnd::start(&guest);
    let mount = Mount::with_kerberos(&guest, from);
    let known = registration(cluster, GUEST);
    assert_eq!((known.net_name.as_str(), known.share_name.as_deref()), (CLUSTER_NAME, Some(SHARE)));
    // The kernel has no password to give: a session with a name has shown a ticket.
    assert_eq!((known.ip_address, known.account_name.as_str()), (from.into(), USER));
    let tickets = std::fs::read_to_string(cluster.krb5_file("kdc.log")).expect("the KDC's log");
    assert!(tickets.contains("10.77.0.3: ISSUE"), "{tickets}");

    cluster.client_move(Select::Id(&known.id), Target::Ip(to.into()));
    let told = Instant::now();
    wait_until("the session has moved", LIMIT, || match guest.session_addresses() {
        now if now == [IpAddr::from(to)] => Ok(()),
        now => Err(format!("{now:?}")),
    });
    println!("a client move with Kerberos: the session was there after {:?}", told.elapsed());
    guest.ok(&format!("cd {} && echo moved > kerberos && grep -q moved kerberos", Mount::POINT));
    wait_until(
        "the mount is registered for its new address",
        2 * Mount::ECHO_INTERVAL + LIMIT,
        || match registration(cluster, GUEST) {
            moved if moved.ip_address == to && moved.account_name == USER => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(swnd.warnings(), Vec::<String>::new());
    swnd.stop();
    wait_unregistered(cluster, GUEST);

    // A cache that is not there is passed over where there is a keytab.
    let keytab = cluster.krb5_file("swnuser.keytab");
    let options = format!("--ccache FILE:/nonexistent --keytab '{}'", keytab.display());
    let swnd = Swnd::start_with(&guest, "KRB5CCNAME=FILE:/nonexistent", &options);
    assert_eq!(registration(cluster, GUEST).account_name, USER);
    mount.unmount();
    wait_unregistered(cluster, GUEST);
    assert_eq!(swnd.warnings(), Vec::<String>::new());
    swnd.stop();
}

#[test]
fn a_mount_that_is_adopted_is_registered_by_a_keytab() {
    // A user's keytab, and one as a domain member has it: with the machine's account.
    for (keytab, account) in [("swnuser.keytab", USER), ("machine.keytab", "SWNGUEST$")] {
        let (cluster, _turn) = take_turn();
        let (from, _) = two_addresses(cluster);
        let guest = boot(cluster);
        let dir = guest.shared_dir().display();
        guest.ok(&format!("echo '[mount.\"//{CLUSTER_NAME}/*\"]' > {dir}/swnd.conf"));
        let file = cluster.krb5_file(keytab);
        let options = format!("--keytab '{}' --config {dir}/swnd.conf", file.display());
        let swnd = Swnd::start_with(&guest, "KRB5CCNAME=FILE:/nonexistent", &options);
        let more = "sec=krb5".to_owned();
        let options = MountOptions { user: None, more, ..MountOptions::default() };
        let mount = Mount::by(&guest, from, options);
        let known = registration(cluster, GUEST);
        println!("{keytab}: registered by {}", known.account_name);
        assert_eq!(known.ip_address, IpAddr::from(from));
        assert!(known.account_name.eq_ignore_ascii_case(account), "{known:?}");
        mount.unmount();
        wait_unregistered(cluster, GUEST);
        swnd.stop();
    }
}

//! A newcomer's walk: set-ups that are broken, and only what swnctl says to mend them by.

use crate::guide::{self, Guide};
use crate::{CREDENTIALS, LIMIT, Shell, addresses, shortened};
use lab::{CLUSTER_NAME, Cluster, Guest, Mount, PASSWORD, Swnd, USER, wait_until};
use std::path::Path;

#[test]
fn a_newcomer_mends_five_set_ups_by_what_swnctl_says() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    guest.set_cluster_addresses(&addresses(&cluster));
    let shell = Shell::new(&guest);
    let mut guide = Guide::read();
    let from = cluster.address_of(0);
    let mut record = |name: &str, arguments: &str| {
        let session = shell.session(arguments, 1);
        guide.block(name, &shortened(&session));
    };

    // The daemon does not run.
    let mount = Mount::with_witness(&guest, from);
    let check = format!("check {}", mount.point());
    record("walk-daemon", &check);
    assert!(shell.wrong(mount.point()).contains(&"daemon.running".to_owned()));
    let swnd = Swnd::start(&guest);
    shell.wait(mount.point());

    // A second one runs.
    let second = Swnd::start_with(&guest, "", "--control none");
    second.wait_log("that it listens", LIMIT, |line| line.contains("listening"));
    record("walk-second", &check);
    assert!(shell.wrong(mount.point()).contains(&"daemon.only".to_owned()));
    second.stop();
    mount.unmount();

    // It is mounted without the option.
    let mount = Mount::without_witness(&guest, from);
    record("walk-option", &check);
    assert!(shell.wrong(mount.point()).contains(&"mount.option".to_owned()));
    mount.unmount();

    // It is mounted by an address.
    let mount = Mount::new(&guest, &from.to_string(), from, "witness");
    wait_until("swnd knows the mount", LIMIT, || {
        let (text, _) = shell.run("list");
        if text.contains("blocked") { Ok(()) } else { Err(text) }
    });
    record("walk-address", &check);
    assert!(shell.wrong(mount.point()).contains(&"mount.name".to_owned()));
    mount.unmount();

    // The firewall of the nodes lets no RPC through; a new swnd remembers no port.
    swnd.stop();
    let swnd = Swnd::start(&guest);
    let rule = ["INPUT", "-p", "tcp", "--dport", "135", "-j", "REJECT"];
    for node in 0..Cluster::NODES {
        cluster.node(node, &[&["iptables", "-w", "-I"][..], &rule].concat());
    }
    let mount = Mount::with_witness(&guest, from);
    wait_until("swnd has tried", LIMIT, || {
        let (text, _) = shell.run("list");
        if text.contains("waiting") { Ok(()) } else { Err(text) }
    });
    record("walk-firewall", &check);
    assert!(shell.wrong(mount.point()).contains(&"node.port135".to_owned()));
    for node in 0..Cluster::NODES {
        cluster.node(node, &[&["iptables", "-w", "-D"][..], &rule].concat());
    }
    let (text, status) = shell.run(&format!("retry {}", mount.point()));
    assert_eq!(status, 0, "{text}");
    shell.wait(mount.point());

    // The account's password has changed since.
    cluster.set_password(USER, "another password");
    let wrong = format!("check //{CLUSTER_NAME}/data --credentials {CREDENTIALS}");
    record("walk-password", &wrong);
    cluster.set_password(USER, PASSWORD);
    let (text, _) = shell.run(&wrong);
    assert!(!text.contains("FAIL"), "{text}");
    mount.unmount();
    swnd.stop();
    guide.finish(Path::new(guide::PATH));
}

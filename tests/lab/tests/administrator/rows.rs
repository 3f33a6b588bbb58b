//! Rows of a check that fail on purpose, with the real kernel and cluster. The walk has others.

use crate::{CREDENTIALS, LIMIT, Shell, addresses};
use lab::{CLUSTER_NAME, Cluster, Guest, Mount, Swnd, built, wait_until};
use std::fs;
use std::net::Ipv4Addr;

/// Whether `LAB_PERSISTENT` makes the lab's share continuously available.
fn is_continuously_available() -> bool {
    std::env::var_os("LAB_PERSISTENT").is_some_and(|value| !value.is_empty())
}

impl Shell<'_> {
    /// Asserts that a row of a check is not well, and what is found and advised then.
    fn finds(&self, target: &str, row: &str, outcome: &str, says: &str) {
        let (text, _) = self.run(&format!("check {target}"));
        let mut lines = text.lines();
        let is_row = |line: &&str| line.split_whitespace().nth(1) == Some(row);
        let line = lines.find(is_row).unwrap_or_else(|| panic!("no row {row}\n{text}"));
        let told = format!("{line}\n{}", lines.next().unwrap_or_default());
        println!("{told}");
        assert!(line.starts_with(outcome) && told.contains(says), "{row}: {says}\n{text}");
    }

    /// Waits until an attempt to register the only mount has failed.
    fn wait_failed(&self) {
        wait_until("an attempt has failed", LIMIT, || {
            let (text, _) = self.run("list");
            let is_failed = ["waiting", "blocked"].iter().any(|it| text.contains(it));
            if is_failed { Ok(()) } else { Err(text) }
        });
    }
}

/// The keys of both lists are set side by side in swnctl(8).
fn assert_listed_as_by_the_cluster(shell: &Shell<'_>, cluster: &Cluster) {
    let (text, _) = shell.run("--json list");
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let all = cluster.registrations();
    let [known] = &all[..] else { panic!("{all:?}") };
    let version = match known.version.as_str() {
        "0x00020000" => 2,
        _ => 1,
    };
    let expected = serde_json::json!({
        "net_name": known.net_name,
        "share_name": known.share_name,
        "address": known.ip_address,
        "witness": known.witness,
        "version": version,
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(list.pointer(&format!("/0/{key}")), Some(value), "{key}\n{text}");
    }
}

#[test]
fn a_good_set_up_has_nothing_to_warn_of_but_a_share_that_is_not_continuously_available() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    guest.set_cluster_addresses(&addresses(&cluster));
    let shell = Shell::new(&guest);
    let swnd = Swnd::start(&guest);
    let mount = Mount::with_witness(&guest, cluster.address_of(0));
    shell.wait(mount.point());
    assert_listed_as_by_the_cluster(&shell, &cluster);
    let target = format!("{} --credentials {CREDENTIALS}", mount.point());
    println!("{}", shell.session(&format!("check {target}"), 0));
    let expected: &[&str] = if is_continuously_available() { &[] } else { &["share.ca"] };
    assert_eq!(shell.wrong(&target), expected);
    mount.unmount();
    swnd.stop();
}

#[test]
fn each_thing_that_is_broken_is_a_row_that_is_not_well_and_says_what_to_do() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let known = addresses(&cluster);
    guest.set_cluster_addresses(&known);
    let shell = Shell::new(&guest);
    let from = cluster.address_of(0);
    let by_name = format!("//{CLUSTER_NAME}/data --credentials {CREDENTIALS}");

    shell.finds("//no-such-cluster/data", "name.dns", "FAIL", "/etc/hosts");
    guest.ok("hostname localhost");
    shell.finds(&by_name, "admin.name", "warn", "localhost");
    guest.ok("hostname swnguest");

    // The kernel speaks to one network namespace only.
    let program = match std::env::var_os("SWND") {
        Some(program) => program.into(),
        None => built("release/swnd", "cargo build --release -p swnd"),
    };
    let elsewhere = format!("#!/bin/sh\nexec unshare -n '{}' \"$@\"\n", program.display());
    let script = guest.shared_dir().join("elsewhere");
    fs::write(&script, elsewhere).expect("the shared directory can be written");
    guest.ok(&format!("chmod +x '{}'", script.display()));
    let swnd = Swnd::start_program(&guest, &script, "", "");
    wait_until("swnd answers", LIMIT, || match shell.run("log-level") {
        (_, 0) => Ok(()),
        (text, _) => Err(text),
    });
    let mount = Mount::with_witness(&guest, from);
    shell.finds(mount.point(), "kernel.netns", "FAIL", "network namespace");
    shell.finds(mount.point(), "kernel.group", "FAIL", "kernel.netns");
    mount.unmount();
    swnd.stop();

    let swnd = Swnd::start(&guest);
    mounts_that_are_wrong(&shell, &guest, from);
    names_that_are_wrong(&shell, &cluster, &guest);

    let rule = ["INPUT", "-p", "tcp", "--dport", "49152:65535", "-j", "REJECT"];
    for node in 0..Cluster::NODES {
        cluster.node(node, &[&["iptables", "-w", "-I"][..], &rule].concat());
    }
    shell.finds(&by_name, "node.port", "FAIL", "49152");
    for node in 0..Cluster::NODES {
        cluster.node(node, &[&["iptables", "-w", "-D"][..], &rule].concat());
    }
    let rule = ["INPUT", "-p", "tcp", "--dport", "445", "-j", "REJECT"];
    cluster.node(1, &[&["iptables", "-w", "-I"][..], &rule].concat());
    shell.finds(&by_name, "node.port445", "FAIL", "445");
    cluster.node(1, &[&["iptables", "-w", "-D"][..], &rule].concat());
    cluster.stop_dcerpcd(2);
    let (text, _) = shell.run(&format!("check {by_name}"));
    assert!(text.lines().any(|line| line.starts_with("FAIL  node.")), "{text}");
    cluster.restart_dcerpcd(2);

    // The guest's /etc is this machine's: a copy.
    guest.ok("cp -a /etc /run/etc && mkdir -p /run/etc/swnd && mount --bind /run/etc /etc");
    guest.ok("echo 'keytap = \"/etc/krb5.keytab\"' > /etc/swnd/swnd.conf");
    shell.finds(&by_name, "daemon.config", "FAIL", "keytap");
    swnd.stop();
}

/// Mounts with options that cost something in a failover.
fn mounts_that_are_wrong(shell: &Shell<'_>, guest: &Guest, from: Ipv4Addr) {
    let mount = Mount::new(guest, CLUSTER_NAME, from, "witness,soft,echo_interval=90");
    shell.finds(mount.point(), "mount.hard", "warn", "soft");
    shell.finds(mount.point(), "mount.echo", "warn", "90 s");
    mount.unmount();
    let mount = Mount::new(guest, CLUSTER_NAME, from, "vers=2.1");
    shell.finds(mount.point(), "mount.dialect", "FAIL", "3.0");
    mount.unmount();
}

/// Mounts of a node's own address, and of a name that the cluster does not have.
fn names_that_are_wrong(shell: &Shell<'_>, cluster: &Cluster, guest: &Guest) {
    let own = Ipv4Addr::new(10, 77, 0, 11);
    let mount = Mount::with_witness(guest, own);
    shell.wait_failed();
    shell.finds(mount.point(), "address.public", "FAIL", "public_addresses");
    mount.unmount();

    guest.ok("echo '10.77.0.101 elsewhere' >> /etc/hosts");
    let mount = Mount::new(guest, "elsewhere", cluster.address_of(0), "witness");
    shell.wait_failed();
    shell.finds(mount.point(), "name.cluster", "FAIL", "elsewhere");
    mount.unmount();
}

/// With `LAB_KERNEL=6.12+nowitness` the kernel lacks it.
#[test]
fn a_kernel_without_the_option_is_told_and_what_to_do_then() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let has_option = !guest.kernel().contains("nowitness");
    guest.set_cluster_addresses(&addresses(&cluster));
    let shell = Shell::new(&guest);
    let mount = Mount::without_witness(&guest, cluster.address_of(0));
    match has_option {
        true => {
            let (text, _) = shell.run(&format!("check {}", mount.point()));
            assert!(text.contains("ok    kernel.witness"), "{text}");
        }
        false => shell.finds(mount.point(), "kernel.witness", "FAIL", "swnd.conf(5)"),
    }
    mount.unmount();
}

#[test]
fn a_mount_that_is_adopted_is_told_how_it_can_be_moved() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    guest.set_cluster_addresses(&addresses(&cluster));
    let shell = Shell::new(&guest);
    let mount = Mount::without_witness(&guest, cluster.address_of(0));
    let swnd = Swnd::start_adopting(&guest, "");
    shell.wait(mount.point());
    shell.finds(mount.point(), "mount.resolver", "warn", "request-key.conf");
    Swnd::install_resolver(&guest);
    shell.finds(mount.point(), "mount.resolver", "ok", "asks swnd");
    // Its program is removed, and its file is not.
    guest.ok("sed -i 's|/[^ ]*/swnctl|/nonexistent/swnctl|' /etc/request-key.d/swnd.conf");
    shell.finds(mount.point(), "mount.resolver", "FAIL", "/nonexistent/swnctl");
    mount.unmount();
    swnd.stop();
}

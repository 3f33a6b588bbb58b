//! Each row, failing.

use super::*;
use crate::mounts;
use swnd::control::interface::{Daemon, Registration, State, Status};

const DEBUG_DATA: &str = "Features: DFS,SMB_DIRECT,ACL,WITNESS\n\
    1) ConnectionId: 0x1 Hostname: cluster \n\
    \t0) IPC: \\\\cluster\\IPC$ Mounts: 1 DevInfo: 0x0\n\
    \tShare Capabilities: None\tShare Flags: 0x30\n\
    \t1) \\\\CLUSTER\\data Mounts: 1 DevInfo: 0x20\n\
    \tPathComponentMax: 255\n\
    \tShare Capabilities: CONTINUOUS AVAILABILITY, CLUSTER,\tShare Flags: 0x0\n\
    \t2) \\\\cluster\\plain Mounts: 1 DevInfo: 0x20\n\
    \tShare Capabilities: None\n";

const OPTIONS: &str = "rw,vers=3.1.1,sec=ntlmssp,username=alice,hard,witness";

fn mounted(options: &str) -> Option<mounts::CifsMount> {
    mounts::parse(&format!("70 25 0:44 / /mnt rw - cifs //cluster/data {options}\n")).pop()
}

/// Where all is well.
fn facts() -> Facts {
    let address = "10.0.0.11".parse().unwrap();
    let port = |port| Port { address, port, answers: Ok(()) };
    Facts {
        net_name: "cluster".into(),
        share_name: "data".into(),
        mount: mounted(OPTIONS),
        status: Ok(Status {
            daemon: Daemon {
                version: env!("CARGO_PKG_VERSION").into(),
                pid: 1,
                uptime_ms: 0,
                cifs: true,
                mounts: 1,
                registered: 1,
                log_level: "info".into(),
            },
            registrations: vec![Registration {
                id: 1,
                net_name: "cluster".into(),
                share_name: Some("data".into()),
                address: Some(address),
                state: State::Registered,
                state_ms: 0,
                witness: Some(address),
                version: Some(2),
                retry_in_ms: None,
                problem: None,
            }],
        }),
        debug_data: Some(DEBUG_DATA.into()),
        kernel_config: Some("CONFIG_CIFS_SWN_UPCALL=y\nCONFIG_INET_DIAG_DESTROY=y\n".into()),
        addresses: Ok(vec![address]),
        ports: vec![port(445), port(135)],
        host_name: "laptop".into(),
    }
}

/// Returns the rows that are not ok after a change, by name.
fn wrong(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Outcome)> {
    let mut facts = facts();
    change(&mut facts);
    let rows = rows(&facts);
    for row in &rows {
        let needs_advice = matches!(row.outcome, Warn | Fail);
        assert_eq!(row.advice.is_some(), needs_advice, "{row:?}");
    }
    let rows = rows.into_iter().filter(|row| row.outcome != Outcome::Ok);
    rows.map(|row| (row.id, row.outcome)).collect()
}

use Outcome::{Fail, Skip, Warn};

#[test]
fn where_all_is_well_each_row_says_so() {
    assert_eq!(wrong(|_| {}), []);
}

#[test]
fn a_kernel_without_witness_or_without_sock_diags_end_is_found() {
    let lacks = |facts: &mut Facts| facts.kernel_config = Some("# nothing\n".into());
    assert_eq!(wrong(lacks), [("kernel.diag", Warn)]);
    let feature = |facts: &mut Facts| facts.debug_data = Some(DEBUG_DATA.replace(",WITNESS", ""));
    assert_eq!(wrong(feature), [("kernel.witness", Fail)]);
    let not_loaded = [
        ("kernel.module", Warn),
        ("kernel.witness", Fail),
        ("kernel.diag", Warn),
        ("share.cluster", Skip),
        ("share.ca", Skip),
    ];
    let unloaded = |facts: &mut Facts| {
        lacks(facts);
        facts.debug_data = None;
    };
    assert_eq!(wrong(unloaded), not_loaded);
}

#[test]
fn a_kernel_that_nothing_is_known_of_is_skipped() {
    let unknown = |facts: &mut Facts| {
        facts.kernel_config = None;
        facts.debug_data = Some(DEBUG_DATA.split_once('\n').unwrap().1.into());
    };
    assert_eq!(wrong(unknown), [("kernel.witness", Skip), ("kernel.diag", Skip)]);
}

#[test]
fn a_daemon_that_does_not_run_or_is_older_is_found() {
    let rows = [("daemon.running", Fail), ("daemon.version", Skip), ("mount.registration", Skip)];
    assert_eq!(wrong(|facts| facts.status = Err("no".into())), rows);
    let older = |facts: &mut Facts| facts.status.as_mut().unwrap().daemon.version = "0.0.9".into();
    assert_eq!(wrong(older), [("daemon.version", Warn)]);
}

#[test]
fn each_option_that_is_wrong_is_found() {
    for (before, after, row) in [
        (",witness", "", ("mount.option", Fail)),
        ("vers=3.1.1", "vers=2.1", ("mount.dialect", Fail)),
        (",username=alice", "", ("mount.credentials", Fail)),
        ("sec=ntlmssp", "sec=none", ("mount.credentials", Fail)),
        (",hard", ",soft", ("mount.hard", Warn)),
    ] {
        let options = OPTIONS.replace(before, after);
        assert_eq!(wrong(|facts| facts.mount = mounted(&options)), [row], "{options}");
    }
    let kerberos = OPTIONS.replace("ntlmssp,username=alice", "krb5i");
    assert_eq!(wrong(|facts| facts.mount = mounted(&kerberos)), []);
}

#[test]
fn what_is_not_mounted_is_checked_as_far_as_it_can_be() {
    let rows = wrong(|facts| facts.mount = None);
    assert!(rows.iter().all(|row| row.1 == Skip && row.0.starts_with("mount.")), "{rows:?}");
    assert_eq!(rows.len(), 5);
}

#[test]
fn a_mount_by_address_is_found() {
    for name in ["10.0.0.9", "fe80::1", "[fe80::1]"] {
        let rows = wrong(|facts| facts.net_name = name.into());
        assert!(rows.contains(&("mount.name", Fail)), "{name}");
    }
}

#[test]
fn what_the_server_says_of_the_share_is_read_and_of_no_other() {
    let rows = [("share.cluster", Fail), ("share.ca", Warn)];
    assert_eq!(wrong(|facts| facts.share_name = "plain".into()), rows);
    let rows = [("share.cluster", Skip), ("share.ca", Skip)];
    assert_eq!(wrong(|facts| facts.share_name = "other".into()), rows);
}

#[test]
fn a_name_that_does_not_resolve_and_ports_that_do_not_answer_are_found() {
    let unresolved = |facts: &mut Facts| {
        facts.addresses = Err("no such name".into());
        facts.ports.clear();
    };
    let rows = [("name.dns", Fail), ("node.port445", Skip), ("node.port135", Skip)];
    assert_eq!(wrong(unresolved), rows);
    assert_eq!(wrong(|facts| facts.addresses = Ok(Vec::new())), [("name.dns", Fail)]);
    for (n, row) in [(0, "node.port445"), (1, "node.port135")] {
        let silent = |facts: &mut Facts| {
            facts.ports.get_mut(n).unwrap().answers = Err("timed out".into());
        };
        assert_eq!(wrong(silent), [(row, Fail)]);
    }
}

#[test]
fn a_machine_without_a_name_of_its_own_is_found() {
    assert_eq!(wrong(|facts| facts.host_name = "localhost".into()), [("admin.name", Warn)]);
}

#[test]
fn a_mount_that_is_not_registered_is_found_with_its_reason() {
    let row = [("mount.registration", Fail)];
    let none = |facts: &mut Facts| facts.status.as_mut().unwrap().registrations.clear();
    assert_eq!(wrong(none), row);
    let blocked = |facts: &mut Facts| {
        let status = facts.status.as_mut().unwrap();
        let registration = status.registrations.first_mut().unwrap();
        registration.state = State::Blocked;
        registration.problem = Some("refused the credentials".into());
    };
    assert_eq!(wrong(blocked), row);
    let mut facts = facts();
    blocked(&mut facts);
    assert_eq!(rows(&facts).pop().unwrap().found, "refused the credentials");
}

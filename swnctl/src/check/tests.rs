//! Each row, failing.

use super::*;
use crate::mounts;
use crate::witness::answer::{Answer, Interface};
use dcerpc_proto::security::kerberos::KerberosErrorKind;
use std::net::IpAddr;
use std::time::Duration;
use swnd::control::interface::{Daemon, MountKind, Registration, State, Status};
use swnd::settings::Sources;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, NodeId, Profile};

pub(super) const DEBUG_DATA: &str = "Features: DFS,SMB_DIRECT,ACL,WITNESS\n\
    1) ConnectionId: 0x1 Hostname: cluster \n\
    \t0) IPC: \\\\cluster\\IPC$ Mounts: 1 DevInfo: 0x0\n\
    \tShare Capabilities: None\tShare Flags: 0x30\n\
    \t1) \\\\CLUSTER\\data Mounts: 1 DevInfo: 0x20\n\
    \tPathComponentMax: 255\n\
    \tShare Capabilities: CONTINUOUS AVAILABILITY, CLUSTER,\tShare Flags: 0x0\n\
    \t2) \\\\cluster\\plain Mounts: 1 DevInfo: 0x20\n\
    \tShare Capabilities: None\n";

const OPTIONS: &str = "rw,vers=3.1.1,sec=ntlmssp,username=alice,hard,witness";

pub(super) fn mounted(options: &str) -> Option<mounts::CifsMount> {
    mounts::parse(&format!("70 25 0:44 / /mnt rw - cifs //cluster/data {options}\n")).pop()
}

/// What a node of a cluster of two lists.
fn list(asked: &str, state: &'static str) -> Answer {
    let asked: IpAddr = asked.parse().unwrap();
    let nodes = ["10.0.0.11", "10.0.0.12"].map(|address| address.parse::<IpAddr>().unwrap());
    let interfaces = nodes.map(|address| Interface {
        name: "node".into(),
        addresses: vec![address],
        state,
        version: "0x00020000".into(),
        may_be_witness: address != asked,
    });
    let interfaces = interfaces.into();
    Answer { asked: asked.into(), interfaces, error: None, refused: false, kerberos: None }
}

/// Where all is well.
pub(super) fn facts() -> Facts {
    let served_by: IpAddr = "10.0.0.11".parse().unwrap();
    let address = served_by.into();
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
                kind: MountKind::Kernel,
                net_name: "cluster".into(),
                share_name: Some("data".into()),
                address: Some(served_by),
                state: State::Registered,
                state_ms: 0,
                witness: Some(served_by),
                version: Some(2),
                retry_in_ms: None,
                problem: None,
                reason: None,
            }],
        }),
        debug_data: Some(DEBUG_DATA.into()),
        kernel_config: Some("CONFIG_CIFS_SWN_UPCALL=y\nCONFIG_INET_DIAG_DESTROY=y\n".into()),
        addresses: Ok(vec![address]),
        ports: vec![port(445), port(135)],
        services: vec![Service { address, port: Ok(49_153), answers: Ok(()) }],
        registered: Some(Ok(())),
        clocks: vec![Clock { address, ahead: 1 }],
        kernel: Some(Ok(Duration::from_micros(40))),
        lists: Some(vec![list("10.0.0.11", "available"), list("10.0.0.12", "available")]),
        guarded: Some(true),
        same_namespace: Some(true),
        daemons: vec![1],
        enabled: Some(true),
        resolver: None,
        configuration: Ok(()),
        tickets: Vec::new(),
        host_name: "laptop".into(),
    }
}

/// Returns the rows that are not ok after a change, by name.
pub(super) fn wrong(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Outcome)> {
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
fn a_mount_that_is_adopted_needs_no_witness_of_the_kernels() {
    let mut facts = facts();
    facts.mount = mounted("rw,vers=3.1.1,hard,username=alice,sec=ntlmssp,echo_interval=600");
    facts.debug_data = Some(DEBUG_DATA.replace(",WITNESS", ""));
    let failing = |facts: &Facts| -> Vec<&str> {
        let rows = rows(facts).into_iter().filter(|row| row.outcome != Outcome::Ok);
        rows.filter(|row| row.outcome != Skip).map(|row| row.id).collect()
    };
    let before = failing(&facts);
    for id in ["kernel.witness", "mount.option", "mount.echo"] {
        assert!(before.contains(&id), "{before:?}");
    }
    let status = facts.status.as_mut().unwrap();
    status.daemon.cifs = false;
    status.registrations[0].kind = MountKind::Adopted;
    facts.kernel = None;
    assert_eq!(failing(&facts), Vec::<&str>::new());
}

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
        ("share.scaleout", Skip),
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
    let rows = [
        ("kernel.group", Skip),
        ("daemon.running", Fail),
        ("daemon.version", Skip),
        ("daemon.only", Skip),
        ("mount.registration", Skip),
    ];
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
        (",hard", ",hard,echo_interval=61", ("mount.echo", Warn)),
    ] {
        let options = OPTIONS.replace(before, after);
        assert_eq!(wrong(|facts| facts.mount = mounted(&options)), [row], "{options}");
    }
    let kerberos = OPTIONS.replace("ntlmssp,username=alice", "krb5i");
    let default = [("krb.source", Skip)];
    assert_eq!(wrong(|facts| facts.mount = mounted(&kerberos)), default);
}

#[test]
fn what_is_not_mounted_is_checked_as_far_as_it_can_be() {
    let rows = wrong(|facts| facts.mount = None);
    let is_of_a_mount = |id: &str| {
        id.starts_with("mount.") || ["krb.source", "krb.spn", "test.kernel"].contains(&id)
    };
    assert!(rows.iter().all(|row| row.1 == Skip && is_of_a_mount(row.0)), "{rows:?}");
    assert_eq!(rows.len(), 10);
}

#[test]
fn a_mount_by_address_is_found() {
    for name in ["10.0.0.9", "fe80::1", "[fe80::1]", "fe80::1%eth0"] {
        let rows = wrong(|facts| facts.net_name = name.into());
        assert!(rows.contains(&("mount.name", Fail)), "{name}");
    }
}

#[test]
fn what_the_server_says_of_the_share_is_read_and_of_no_other() {
    let rows = [("share.cluster", Fail), ("share.ca", Warn)];
    assert_eq!(wrong(|facts| facts.share_name = "plain".into()), rows);
    let rows = [("share.cluster", Skip), ("share.ca", Skip), ("share.scaleout", Skip)];
    assert_eq!(wrong(|facts| facts.share_name = "other".into()), rows);
}

#[test]
fn a_name_that_does_not_resolve_and_ports_that_do_not_answer_are_found() {
    let unresolved = |facts: &mut Facts| {
        facts.addresses = Err("no such name".into());
        facts.ports.clear();
        facts.services.clear();
    };
    let rows = [
        ("name.dns", Fail),
        ("node.port445", Skip),
        ("node.port135", Skip),
        ("node.mapper", Skip),
        ("node.port", Skip),
    ];
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
    let row = rows(&facts).into_iter().find(|row| row.id == "mount.registration").unwrap();
    assert_eq!(row.found, "refused the credentials");
}

#[test]
fn a_daemon_that_the_kernel_does_not_speak_to_is_found() {
    let deaf = |facts: &mut Facts| facts.status.as_mut().unwrap().daemon.cifs = false;
    assert_eq!(wrong(deaf), [("kernel.group", Fail)]);
    let elsewhere = |facts: &mut Facts| facts.same_namespace = Some(false);
    assert_eq!(wrong(elsewhere), [("kernel.netns", Fail)]);
    assert_eq!(wrong(|facts| facts.same_namespace = None), [("kernel.netns", Skip)]);
}

#[test]
fn a_kernel_that_tells_passwords_to_each_user_is_found() {
    assert_eq!(wrong(|facts| facts.guarded = Some(false)), [("kernel.guarded", Warn)]);
    assert_eq!(wrong(|facts| facts.guarded = None), [("kernel.guarded", Skip)]);
}

#[test]
fn a_second_daemon_is_found_with_its_number() {
    let second = |facts: &mut Facts| facts.daemons.push(77);
    assert_eq!(wrong(second), [("daemon.only", Fail)]);
    let mut facts = facts();
    second(&mut facts);
    let row = rows(&facts).into_iter().find(|row| row.id == "daemon.only").unwrap();
    assert_eq!(row.found, "another witness daemon runs, PID 77");
}

#[test]
fn a_daemon_that_would_not_start_again_is_found() {
    let bad = |facts: &mut Facts| facts.configuration = Err("swnd.conf:1: unknown key".into());
    assert_eq!(wrong(bad), [("daemon.config", Fail)]);
    assert_eq!(wrong(|facts| facts.enabled = Some(false)), [("boot.order", Warn)]);
    assert_eq!(wrong(|facts| facts.enabled = None), [("boot.order", Skip)]);
}

#[test]
fn tickets_that_swnd_cannot_read_are_found() {
    let kerberos = OPTIONS.replace("ntlmssp,username=alice", "krb5");
    let tickets = |source: &str, usable: Result<(), &str>| Tickets {
        source: source.into(),
        usable: usable.map_err(Into::into),
    };
    let cache = tickets("the credential cache /tmp/cc", Err("it belongs to the user 1000"));
    let of = |all: &[Tickets]| {
        wrong(|facts| {
            facts.mount = mounted(&kerberos);
            facts.tickets = all.to_vec();
        })
    };
    assert_eq!(of(std::slice::from_ref(&cache)), [("krb.source", Fail)]);
    assert_eq!(of(&[cache, tickets("the keytab /etc/krb5.keytab", Ok(()))]), []);
}

#[test]
fn a_node_without_a_witness_service_and_one_behind_a_firewall_are_found() {
    let none = |facts: &mut Facts| {
        facts.services.first_mut().unwrap().port = Err("it has none".into());
    };
    assert_eq!(wrong(none), [("node.mapper", Fail), ("node.port", Skip)]);
    let blocked = |facts: &mut Facts| {
        facts.services.first_mut().unwrap().answers = Err("timed out".into());
    };
    assert_eq!(wrong(blocked), [("node.port", Fail)]);
}

#[tokio::test]
async fn the_witness_service_of_a_node_is_looked_for_through_its_mapper() {
    const MAPPER_PORT: u16 = 13_503;
    let mut config = ClusterConfig::new(Profile::Samba, 2, unused_subnet());
    config.mapper_port = MAPPER_PORT;
    let address = config.address(NodeId(1)).unwrap();
    let cluster = RunningCluster::start(config).await.unwrap();
    let ask = |port| tokio::task::spawn_blocking(move || Service::of(address.into(), port, None));
    let found = ask(MAPPER_PORT).await.unwrap();
    assert!(found.port.is_ok() && found.answers.is_ok(), "{found:?}");
    let silent = ask(1).await.unwrap().port.unwrap_err();
    assert!(silent.contains("does not answer on port 1"), "{silent}");
    drop(cluster);
}

#[test]
fn a_cache_and_a_keytab_of_the_configuration_are_looked_at() {
    let name = format!("swnctl-tickets-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, "ccache = \"FILE:/nonexistent/cc\"\nkeytab = \"/proc\"\n").unwrap();
    let settings = Sources::of_file(&file).load();
    std::fs::remove_file(&file).unwrap();
    let found = facts::tickets(&settings.unwrap());
    let [cache, keytab] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(cache.source, "the credential cache FILE:/nonexistent/cc");
    assert!(cache.usable.as_ref().unwrap_err().contains("No such file"), "{cache:?}");
    assert_eq!(keytab.usable, Err("this is not a file".into()));
}

#[test]
fn without_credentials_no_node_is_asked_for_its_list() {
    let rows = [("auth.bind", Skip), ("node.interfaces", Skip)];
    assert_eq!(wrong(|facts| facts.lists = None), rows);
}

#[test]
fn credentials_that_are_refused_and_nodes_that_disagree_or_are_alone_are_found() {
    let refused = Answer {
        interfaces: Vec::new(),
        error: Some("10.0.0.11: access denied".into()),
        refused: true,
        ..list("10.0.0.11", "available")
    };
    let silent = Answer { refused: false, ..refused.clone() };
    let of = |lists: &[Answer]| wrong(|facts| facts.lists = Some(lists.to_vec()));
    let (first, second) = (list("10.0.0.11", "available"), list("10.0.0.12", "available"));
    assert_eq!(of(&[refused]), [("auth.bind", Fail), ("node.interfaces", Skip)]);
    assert_eq!(of(std::slice::from_ref(&silent)), [("auth.bind", Skip), ("node.interfaces", Skip)]);
    assert_eq!(of(&[silent, second]), []);
    assert_eq!(of(&[list("10.0.0.11", "unavailable")]), [("node.interfaces", Fail)]);
    let mut other = list("10.0.0.12", "available");
    other.interfaces.truncate(1);
    assert_eq!(of(&[first, other]), [("node.interfaces", Warn)]);
}

/// Returns what a row has found and its advice.
fn row(facts: &Facts, id: &str) -> (String, &'static str) {
    let row = rows(facts).into_iter().find(|row| row.id == id).unwrap();
    (row.found, row.advice.unwrap_or_default())
}

/// The daemon's registration is not there, for this reason.
fn failed(reason: &str) -> impl Fn(&mut Facts) {
    let reason = reason.to_owned();
    move |facts| {
        let status = facts.status.as_mut().unwrap();
        let registration = status.registrations.first_mut().unwrap();
        registration.state = State::Waiting;
        registration.reason = Some(reason.clone());
        facts.registered = None;
    }
}

#[test]
fn a_name_and_an_address_that_the_cluster_does_not_know_are_found() {
    for (reason, status, id, found, advice) in [
        (
            "unknown_net_name",
            "ERROR_INVALID_PARAMETER",
            "name.cluster",
            "the cluster does not go by the name cluster",
            "mount by the cluster's own name",
        ),
        (
            "unknown_address",
            "ERROR_INVALID_STATE",
            "address.public",
            "cluster is served by an address that is none of the cluster's",
            "have the name resolve to the cluster's public addresses",
        ),
    ] {
        let other = if id == "name.cluster" { "address.public" } else { "name.cluster" };
        // By the daemon's word, and by a registration of this program.
        let mut by_daemon = wrong(failed(reason));
        by_daemon.sort();
        let mut rows = [(id, Fail), (other, Skip), ("mount.registration", Fail)];
        rows.sort();
        assert_eq!(by_daemon, rows);
        let refused = |facts: &mut Facts| {
            facts.registered = Some(Err(format!("10.0.0.12: {status}")));
        };
        assert_eq!(wrong(refused), [(id, Fail)]);
        let mut facts = facts();
        refused(&mut facts);
        let row = row(&facts, id);
        assert!(row.0 == found && row.1.starts_with(advice), "{row:?}");
    }
}

#[test]
fn clocks_that_differ_are_found_and_matter_to_kerberos() {
    let kerberos = OPTIONS.replace("ntlmssp,username=alice", "krb5");
    let address = "10.0.0.12".parse::<IpAddr>().unwrap().into();
    let differ = |ahead: i64, kerberos: Option<&str>| {
        let mut facts = facts();
        facts.clocks.push(Clock { address, ahead });
        if let Some(options) = kerberos {
            facts.mount = mounted(options);
        }
        let outcome = rows(&facts).into_iter().find(|row| row.id == "auth.clock").unwrap().outcome;
        (outcome, row(&facts, "auth.clock").0)
    };
    let found = |outcome, text: &str| (outcome, text.to_owned());
    assert_eq!(differ(59, None), found(Outcome::Ok, "the clocks agree to a minute"));
    let six = "this clock is 6 min behind 10.0.0.12";
    assert_eq!(differ(360, None), found(Warn, six));
    assert_eq!(differ(360, Some(&kerberos)), found(Fail, six));
    let ahead = "this clock is 3 h ahead of 10.0.0.12";
    assert_eq!(differ(-3 * 3600, Some(&kerberos)), found(Fail, ahead));
    assert_eq!(differ(-90, Some(&kerberos)).0, Warn);

    let rows = wrong(failed("clock_skew"));
    assert!(rows.contains(&("auth.clock", Fail)), "{rows:?}");
    let mut skewed = facts();
    failed("clock_skew")(&mut skewed);
    assert!(row(&skewed, "auth.clock").1.contains("chrony"));
    assert_eq!(wrong(|facts| facts.clocks.clear()), [("auth.clock", Skip)]);
}

#[test]
fn a_cluster_that_the_kdc_does_not_know_is_found() {
    let rows = wrong(failed("unknown_service"));
    assert!(rows.contains(&("krb.spn", Fail)), "{rows:?}");
    let asked = |facts: &mut Facts| {
        let list = facts.lists.as_mut().unwrap().first_mut().unwrap();
        list.kerberos = Some(KerberosErrorKind::UnknownService);
    };
    assert_eq!(wrong(asked), [("krb.spn", Fail)]);
    let mut facts = facts();
    asked(&mut facts);
    let row = row(&facts, "krb.spn");
    assert_eq!(row.0, "the KDC does not know cifs/cluster");
    assert!(row.1.contains("setspn"), "{row:?}");
}

#[test]
fn a_kernel_that_does_not_take_a_notification_is_found() {
    let mut facts = facts();
    facts.kernel = Some(Err("the kernel refused the notification: EINVAL".into()));
    let row = row(&facts, "test.kernel");
    assert_eq!(row.0, "the kernel refused the notification: EINVAL");
    assert!(row.1.starts_with("unmount and mount again"), "{row:?}");
    assert_eq!(wrong(|facts| facts.kernel = None), [("test.kernel", Skip)]);
}

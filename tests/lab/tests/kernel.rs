//! swnd between a real kernel and a real witness.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lab::{
    Attributes, CLUSTER_NAME, Capture, Cluster, Guest, Message, Mount, PASSWORD, Registration,
    SHARE, Select, Swnd, Target, USER, sockaddr_storage, wait_until,
};

/// How long anything may take that waits for the kernel to ask again. It does so at every echo, but for one that it
/// leaves out because the server was heard of just before; registering then takes a moment.
const TWO_ECHOES: Duration =
    Mount::ECHO_INTERVAL.saturating_mul(2).saturating_add(Duration::from_secs(2));

/// How long the kernel may take to reconnect once it is told to. Its receiving thread may sleep up to seven seconds
/// before it looks whether it has to.
const RECONNECT: Duration = Duration::from_secs(15);

/// How long anything may take that waits for nothing.
const PROMPTLY: Duration = Duration::from_secs(5);

/// Waits until there is exactly one registration, the one for the mount served by `address`.
fn wait_registered(cluster: &Cluster, address: Ipv4Addr, limit: Duration) -> Registration {
    wait_until(&format!("the mount at {address} is registered, once"), limit, || {
        match <[Registration; 1]>::try_from(cluster.registrations()) {
            Ok([registration]) if registration.ip_address == address => Ok(registration),
            Ok(other) => Err(format!("{other:?}")),
            Err(others) => Err(format!("{others:?}")),
        }
    })
}

fn wait_unregistered(cluster: &Cluster) {
    wait_until("nothing is registered", PROMPTLY, || {
        let left = cluster.registrations();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

fn wait_session(guest: &Guest, address: Ipv4Addr) {
    wait_until(&format!("the kernel's session is with {address}"), RECONNECT, || {
        let now = guest.session_addresses();
        if now == [IpAddr::from(address)] { Ok(()) } else { Err(format!("{now:?}")) }
    });
}

#[test]
fn a_mount_is_registered_moves_while_it_is_written_to_and_is_unregistered() {
    let cluster = Cluster::fresh();
    let (from, to) = (cluster.address_of(0), cluster.address_of(1));
    let guest = Guest::boot();
    let swnd = Swnd::start(&guest);
    let mount = Mount::with_witness(&guest, from);
    let registration = wait_registered(&cluster, from, PROMPTLY);
    assert_eq!(registration.net_name, CLUSTER_NAME);
    assert_eq!(registration.share_name.as_deref(), Some(SHARE));
    for status in swnd.thread_statuses(&guest) {
        // CAP_NET_ADMIN alone.
        for line in ["CapEff:\t0000000000001000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.lines().any(|it| it == line), "{line}: {status}");
        }
    }
    assert_eq!(registration.account_name, USER);
    assert_ne!(
        registration.witness, from,
        "the node that serves the share can't be its own witness"
    );

    let writer = mount.writer("moved");
    cluster.client_move(Select::All, Target::Ip(to.into()));
    wait_session(&guest, to);
    wait_registered(&cluster, to, TWO_ECHOES);
    writer.wait_for_progress();
    let written = writer.stop();
    println!(
        "a client move: the writer stalled for {:?}, {} writes",
        written.stall(),
        written.writes
    );

    mount.unmount();
    wait_unregistered(&cluster);
    swnd.stop();
}

#[test]
fn each_type_of_notification_reaches_the_kernel_byte_for_byte() {
    let cluster = Cluster::fresh();
    let (from, to) = (cluster.address_of(0), cluster.address_of(1));
    let guest = Guest::boot();
    let capture = Capture::netlink(&guest);
    let _swnd = Swnd::start_with(&guest, "", "--failover forward");
    let mount = Mount::with_witness(&guest, from);
    wait_registered(&cluster, from, PROMPTLY);
    let asked = capture.messages();
    let asked = asked
        .iter()
        .rfind(|m| m.command == Message::REGISTER)
        .expect("the kernel asked for a registration");
    let id =
        asked.attributes.u32(Attributes::REGISTRATION_ID).expect("the kernel gave it a number");

    let mut seen = 0;
    let mut next = |what: &str| -> Attributes {
        wait_until(
            &format!("the kernel has been told of a {what}, and has accepted it"),
            PROMPTLY,
            || {
                let messages = capture.messages();
                let notify =
                    messages.into_iter().filter(|m| m.command == Message::NOTIFY).nth(seen);
                match notify {
                    Some(Message { attributes, answer: Some(0), .. }) => {
                        seen += 1;
                        Ok(attributes)
                    }
                    other => Err(format!("{other:?}")),
                }
            },
        )
    };
    let assert_address = |told: &Attributes, kind: u32, address: IpAddr| {
        assert_eq!(told.u32(Attributes::REGISTRATION_ID), Some(id));
        assert_eq!(told.u32(Attributes::NOTIFICATION_TYPE), Some(kind));
        assert_eq!(told.bytes(Attributes::IP), Some(&sockaddr_storage(address)[..]));
        assert_eq!(told.0.len(), 3, "{told:?}");
    };

    // Not to another address: five seconds later Samba would drop the registration.
    cluster.share_move(Select::All, Target::Ip(from.into()));
    assert_address(&next("share move"), 3, from.into());

    let v6: IpAddr = "fd00::10".parse().expect("an address");
    cluster.force_response(Select::All, &address_list(3, 10, "ipv6", v6));
    assert_address(&next("share move to IPv6"), 3, v6);

    let v4: IpAddr = "10.0.10.1".parse().expect("an address");
    cluster.force_response(Select::All, &address_list(4, 9, "ipv4", v4));
    assert_address(&next("change of address"), 4, v4);

    for state in [0xFF, 1] {
        let response = format!(
            r#"{{"result": 0, "response": {{"type": 1, "messages": [{{"type": {state}, "name": "{CLUSTER_NAME}"}}]}}}}"#
        );
        cluster.force_response(Select::All, &response);
        let told = next("change of a resource");
        assert_eq!(told.u32(Attributes::REGISTRATION_ID), Some(id));
        assert_eq!(told.u32(Attributes::NOTIFICATION_TYPE), Some(1));
        assert_eq!(told.string(Attributes::RESOURCE_NAME).as_deref(), Some(CLUSTER_NAME));
        assert_eq!(told.u32(Attributes::RESOURCE_STATE), Some(state));
        assert_eq!(told.0.len(), 4, "{told:?}");
    }

    // Last, because the kernel then takes this registration back.
    cluster.force_response(Select::All, &address_list(2, 9, "ipv4", to.into()));
    assert_address(&next("client move"), 2, to.into());
    wait_session(&guest, to);
    mount.unmount();
}

/// A response for `net witness force-response` with one address.
fn address_list(kind: u32, flags: u32, member: &str, address: IpAddr) -> String {
    format!(
        r#"{{"result": 0, "response": {{"type": {kind}, "messages": [[{{"flags": {flags}, "{member}": "{address}"}}]]}}}}"#
    )
}

#[test]
fn a_writer_survives_the_death_of_its_node_with_and_without_a_witness() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let _swnd = Swnd::start(&guest);
    let stall = |file: &str, witness: bool| {
        // The one that the cluster's name means in the guest: without a witness the kernel asks for it again.
        let address = Ipv4Addr::new(10, 77, 0, 101);
        let node = cluster.holder(address);
        let mount = if witness {
            let mount = Mount::with_witness(&guest, address);
            wait_registered(&cluster, address, PROMPTLY);
            mount
        } else {
            Mount::without_witness(&guest, address)
        };
        let writer = mount.writer(file);
        cluster.kill(node);
        writer.wait_for_progress();
        let written = writer.stop();
        mount.unmount();
        cluster.start(node);
        cluster.wait_healthy();
        (written.stall(), written.ebadf, written.reopened)
    };
    let with = stall("with", true);
    let without = stall("without", false);
    println!(
        "the serving node died: the writer's longest stall, EBADF by call, and how often it had to open the file \
         again: {with:?} with swnd, {without:?} without a witness"
    );
}

#[test]
fn swnd_started_before_the_cluster_registers_the_first_mount() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    for node in 0..Cluster::NODES {
        cluster.kill(node);
    }
    let _swnd = Swnd::start(&guest);
    for node in 0..Cluster::NODES {
        cluster.start(node);
    }
    cluster.wait_healthy();
    let address = cluster.address_of(0);
    let mount = Mount::with_witness(&guest, address);
    wait_registered(&cluster, address, TWO_ECHOES);
    mount.unmount();
    wait_unregistered(&cluster);
}

#[test]
fn swnd_started_after_the_mount_registers_it() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let address = cluster.address_of(0);
    let mount = Mount::with_witness(&guest, address);
    let _swnd = Swnd::start(&guest);
    wait_registered(&cluster, address, TWO_ECHOES);
    mount.unmount();
    wait_unregistered(&cluster);
}

#[test]
fn swnd_killed_and_restarted_registers_the_mount_again() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let address = cluster.address_of(0);
    let swnd = Swnd::start(&guest);
    let mount = Mount::with_witness(&guest, address);
    let before = wait_registered(&cluster, address, PROMPTLY);
    swnd.kill();
    let swnd = Swnd::start(&guest);
    let start = Instant::now();
    let after = wait_until("the restarted swnd has registered", TWO_ECHOES, || {
        let now = cluster.registrations();
        now.iter()
            .find(|registration| registration.id != before.id)
            .cloned()
            .ok_or(format!("{now:?}"))
    });
    assert_eq!(
        wait_registered(&cluster, address, TWO_ECHOES.saturating_sub(start.elapsed())),
        after
    );
    mount.unmount();
    wait_unregistered(&cluster);
    swnd.stop();
}

/// The session's thread holds the module for a moment after the mount has gone.
fn unload_cifs(guest: &Guest) {
    wait_until("cifs is unloaded", Duration::from_secs(20), || {
        let rmmod = guest.run("rmmod cifs");
        if rmmod.status == 0 { Ok(()) } else { Err(rmmod.stderr) }
    });
}

#[test]
fn swnd_waits_for_the_cifs_module_and_outlives_its_reload() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let address = cluster.address_of(0);
    guest.ok("rmmod cifs");
    let swnd = Swnd::start(&guest);
    for _ in 0..2 {
        // The mount loads the module.
        let mount = Mount::with_witness(&guest, address);
        wait_registered(&cluster, address, TWO_ECHOES);
        mount.unmount();
        wait_unregistered(&cluster);
        unload_cifs(&guest);
    }
    swnd.stop();
}

#[test]
fn a_mount_by_address_gets_one_message_that_says_to_mount_by_name() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let capture = Capture::netlink(&guest);
    let swnd = Swnd::start(&guest);
    let address = cluster.address_of(0);
    let mount = Mount::new(&guest, &address.to_string(), address, "witness");
    // The last question has been answered by the time that the kernel asks again.
    wait_asked(&capture, 3);
    let warnings = swnd.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let hint = "mount by the cluster's name";
    assert!(
        warnings[0].contains(&address.to_string()) && warnings[0].contains(hint),
        "{warnings:?}"
    );
    assert!(cluster.registrations().is_empty());
    mount.unmount();
}

/// The kernel asks again each echo interval, and each refused logon counts where accounts
/// are locked.
#[test]
fn a_wrong_password_gets_one_warning_and_another_try_when_a_person_asks() {
    const WRONG: &str = "changed-meanwhile";
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let address = cluster.address_of(0);
    // The kernel's session stays when the password changes, but swnd can't log on with what the kernel has.
    let mount = Mount::with_witness(&guest, address);
    let capture = Capture::netlink(&guest);
    cluster.set_password(USER, WRONG);
    let swnd = Swnd::start(&guest);
    wait_asked(&capture, 2);
    cluster.set_password(USER, PASSWORD);
    wait_asked(&capture, 4);
    let warnings = swnd.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(cluster.registrations().is_empty());
    guest.ok(&format!("python3 -c '{RETRY}'"));
    wait_registered(&cluster, address, TWO_ECHOES);
    let (log, share) = (swnd.log(), format!(r"\\{CLUSTER_NAME}\{SHARE}"));
    assert!(warnings[0].contains(&share), "{warnings:?}");
    assert!(!log.contains(WRONG) && !log.contains(PASSWORD), "{log}");
    mount.unmount();
}

/// `swnctl retry` of all mounts, by the control socket.
const RETRY: &str = r#"
import json, socket
swnd = socket.socket(socket.AF_UNIX)
swnd.connect("/run/swnd/org.swnclient.Witness")
def call(method, parameters):
    question = {"method": "org.swnclient.Witness." + method, "parameters": parameters}
    swnd.sendall(json.dumps(question).encode() + b"\0")
    answer = b""
    while not answer.endswith(b"\0"):
        answer += swnd.recv(65536)
    return json.loads(answer[:-1])["parameters"]
for mount in call("Status", {})["registrations"]:
    call("Retry", {"id": mount["id"]})
"#;

/// Waits until the kernel has asked for a registration that many times.
fn wait_asked(capture: &Capture<'_>, times: usize) {
    wait_until("the kernel asks again", Mount::ECHO_INTERVAL * 3, || {
        let asked = capture.messages().iter().filter(|m| m.command == Message::REGISTER).count();
        if asked >= times { Ok(()) } else { Err(format!("it asked {asked} times")) }
    });
}

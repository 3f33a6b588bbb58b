//! swnctl with tickets: as a witness client, and beside a mount.

use std::fs;

use lab::{CLUSTER_NAME, Guest, Mount, SHARE, Select, Swnd, Target, USER, built, wait_until};

use crate::{GUEST, LIMIT, boot, registration, take_turn, wait_unregistered};

/// swnctl in the guest.
struct Shell<'a> {
    guest: &'a Guest,
    program: String,
}

impl Shell<'_> {
    fn run(&self, arguments: &str) -> (String, i32) {
        let output = self.guest.run(&format!("{} {arguments} 2>&1", self.program));
        (output.stdout, output.status)
    }

    /// Returns a row of a check, with its advice.
    fn row(&self, arguments: &str, row: &str) -> String {
        let (text, _) = self.run(&format!("check {arguments}"));
        let mut lines = text.lines();
        let is_row = |line: &&str| line.split_whitespace().nth(1) == Some(row);
        let line = lines.find(is_row).unwrap_or_else(|| panic!("no row {row}\n{text}"));
        format!("{line}\n{}", lines.next().unwrap_or_default())
    }
}

#[test]
fn swnctl_asks_watches_and_checks_with_tickets_and_finds_what_is_wrong_with_them() {
    let (cluster, _turn) = take_turn();
    let guest = boot(cluster);
    let known = [0, 1, 2].map(|node| cluster.address_of(node));
    guest.set_cluster_addresses(&known);
    let swnctl = built("release/swnctl", "cargo build --release -p swnctl");
    let shell = Shell { guest: &guest, program: format!("'{}'", swnctl.display()) };
    let keytab = cluster.krb5_file("swnuser.keytab").display().to_string();
    let by_keytab = format!("--keytab '{keytab}' --principal {USER}");

    // By the tickets of who calls, and by a keytab.
    for options in ["--every-node", &format!("--every-node {by_keytab}")] {
        let (text, status) = shell.run(&format!("interfaces {CLUSTER_NAME} {options}"));
        assert_eq!(status, 0, "{text}");
        for address in known {
            assert!(text.contains(&format!("{address} lists:")), "{text}");
        }
    }
    let (text, status) = shell.run(&format!("interfaces {CLUSTER_NAME} --ccache FILE:/none"));
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the credential cache FILE:/none"), "{text}");

    let [from, to, _] = known;
    let arguments = format!("watch {CLUSTER_NAME} --share {SHARE} --address {from} {by_keytab}");
    let watch = guest.spawn(&format!("exec {} {arguments}", shell.program));
    let known = registration(cluster, GUEST);
    assert_eq!((known.ip_address, known.account_name.as_str()), (from.into(), USER));
    cluster.client_move(Select::Id(&known.id), Target::Ip(to.into()));
    wait_until("the move is shown", LIMIT, || {
        let shown = watch.stdout();
        if shown.contains(&format!("client move to {to}")) { Ok(()) } else { Err(shown) }
    });
    watch.signal("INT");
    println!("{}", watch.wait(LIMIT).stdout);
    wait_unregistered(cluster, GUEST);

    let swnd = Swnd::start(&guest);
    let mount = Mount::with_kerberos(&guest, from);
    registration(cluster, GUEST);
    let (text, status) = shell.run(&format!("wait {} --timeout 25", mount.point()));
    assert_eq!(status, 0, "{text}");
    let check = format!("{} {by_keytab}", mount.point());
    let (text, status) = shell.run(&format!("check {check}"));
    println!("{text}");
    assert_eq!(status, 0, "{text}");
    for row in ["auth.bind", "krb.spn", "auth.clock", "mount.credentials", "name.cluster"] {
        assert!(shell.row(&check, row).starts_with("ok "), "{row}\n{text}");
    }

    // The KDC does not know the cluster.
    let config = fs::read_to_string(cluster.krb5_file("krb5.conf")).expect("krb5.conf is there");
    let elsewhere = cluster.krb5_file("swnctl.conf");
    let changed = config.replace("witclu = WIT.TEST", "witclu = OTHER.TEST");
    assert_ne!(changed, config);
    fs::write(&elsewhere, changed).expect("it can be written");
    let unknown = Shell {
        guest: &guest,
        program: format!("KRB5_CONFIG='{}' {}", elsewhere.display(), shell.program),
    };
    let row = unknown.row(&check, "krb.spn");
    println!("{row}");
    assert!(row.starts_with("FAIL"), "{row}");

    // The tickets belong to another user. The guest's /etc is this machine's: a copy.
    guest.ok("cp -a /etc /run/etc && mkdir -p /run/etc/swnd && mount --bind /run/etc /etc");
    guest.ok("cp /run/krb5cc_0 /run/foreign 2>/dev/null || touch /run/foreign");
    guest.ok("chmod 600 /run/foreign && chown 1000 /run/foreign");
    guest.ok("echo 'ccache = \"FILE:/run/foreign\"' > /etc/swnd/swnd.conf");
    let row = shell.row(&check, "krb.source");
    println!("{row}");
    assert!(row.starts_with("FAIL") && row.contains("belongs to the user 1000"), "{row}");

    // Last, because the guest's clock stays wrong.
    guest.ok("date -s '+1 hour'");
    let row = shell.row(&check, "auth.clock");
    println!("{row}");
    assert!(row.starts_with("FAIL"), "{row}");
    mount.unmount();
    swnd.stop();
    wait_unregistered(cluster, GUEST);
}

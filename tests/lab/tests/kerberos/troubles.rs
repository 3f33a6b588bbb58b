//! What may be wrong with Kerberos: each makes one line for an administrator.

use std::fs;
use std::time::Duration;

use lab::{Cluster, Guest, Mount, Swnd, USER, wait_until};

use crate::{GUEST, boot, take_turn, two_addresses, wait_unregistered};

/// How long until swnd has tried twice: until the kernel asks it to, or by itself.
const TWICE: Duration = Duration::from_secs(60);

/// Something that is wrong.
struct Trouble {
    what: &'static str,
    /// Of swnd, as a shell takes them.
    environment: String,
    options: String,
    /// What is wrong and what to do, as the line says them.
    says: [&'static str; 2],
}

#[test]
fn each_thing_that_is_wrong_makes_one_line_that_names_the_mount_and_says_what_to_do() {
    let (cluster, _turn) = take_turn();
    let (from, _) = two_addresses(cluster);
    let guest = boot(cluster);
    let mount = Mount::with_kerberos(&guest, from);
    let troubles = troubles(cluster);
    // Side by side: the kernel asks them all. There is one control socket for them.
    let start = |it: &Trouble| {
        let options = format!("--control none {}", it.options);
        Swnd::start_with(&guest, &it.environment, &options)
    };
    let running: Vec<_> = troubles.iter().map(|it| (it, start(it))).collect();
    for (trouble, swnd) in running {
        check(trouble, &swnd);
    }

    let ntlm_only = NtlmOnly::new(cluster, cluster.holder(from));
    let trouble = Trouble {
        what: "NTLM-only server",
        environment: String::new(),
        options: String::new(),
        says: ["refused the ticket for cifs/WITCLU", "or mount with sec=ntlmssp"],
    };
    check(&trouble, &Swnd::start(&guest));
    drop(ntlm_only);

    // Last, because the guest's clock stays wrong.
    clock_skew(cluster, &guest);
    mount.unmount();
    wait_unregistered(cluster, GUEST);
}

/// One line, though it has been tried twice.
fn check(trouble: &Trouble, swnd: &Swnd<'_>) {
    let [wrong, advice] = trouble.says;
    wait_until(&format!("swnd has failed twice: {}", trouble.what), TWICE, || {
        let log = swnd.log();
        if log.matches(r"\\WITCLU\data: ").count() > 2 && log.matches(wrong).count() >= 2 {
            Ok(())
        } else {
            Err(log)
        }
    });
    let warnings = swnd.warnings();
    let [line] = &warnings[..] else { panic!("{}: {warnings:#?}\n{}", trouble.what, swnd.log()) };
    println!("| {} | {} |", trouble.what, line);
    assert!(line.starts_with(r"warning \\WITCLU\data: "), "{line}");
    assert!(line.contains(wrong) && line.contains(advice), "{}: {line}", trouble.what);
}

fn troubles(cluster: &Cluster) -> Vec<Trouble> {
    let file = |name: &str| cluster.krb5_file(name).display().to_string();
    let admin = |query: &str| cluster.krb5(&["kadmin.local", "-q", query]);
    let keytab = file("swnuser.keytab");

    let (ghost, old) = (file("ghost.keytab"), file("old.keytab"));
    admin("addprinc -randkey ghost");
    admin(&format!("ktadd -k {ghost} ghost"));
    admin("delprinc -force ghost");
    admin("addprinc -randkey old");
    admin(&format!("ktadd -k {old} old"));
    admin("cpw -randkey old");

    let expired = format!("FILE:{}", file("expired.ccache"));
    cluster.krb5(&["kinit", "-l", "1s", "-k", "-t", &keytab, "-c", &expired, USER]);

    let config = fs::read_to_string(cluster.krb5_file("krb5.conf")).expect("krb5.conf is there");
    let variant = |name: &str, from: &str, to: &str| {
        assert!(config.contains(from), "{from:?} is not in\n{config}");
        fs::write(cluster.krb5_file(name), config.replace(from, to)).expect("it can be written");
        format!("KRB5_CONFIG='{}'", file(name))
    };
    let trouble = |what, environment: &str, options: String, says| Trouble {
        what,
        environment: environment.to_owned(),
        options,
        says,
    };
    let by_keytab =
        |keytab: &str, principal: &str| format!("--keytab '{keytab}' --principal {principal}");
    let user = || by_keytab(&keytab, USER);
    vec![
        trouble(
            "wrong realm: krb5.conf has none of that name",
            &variant("realm.conf", "\tWIT.TEST = {", "\tOTHER.TEST = {"),
            user(),
            [
                "Cannot find KDC for realm \"WIT.TEST\"",
                "check default_realm, [realms] and [domain_realm] in krb5.conf",
            ],
        ),
        trouble(
            "wrong realm: the cluster is said to be in another",
            &variant("cluster.conf", "witclu = WIT.TEST", "witclu = OTHER.TEST"),
            user(),
            ["the KDC does not know cifs/witclu@OTHER.TEST", "check [domain_realm] in krb5.conf"],
        ),
        trouble(
            "unknown principal",
            "",
            by_keytab(&ghost, "ghost"),
            [
                "not found in Kerberos database",
                "check the user's or the machine account's name and realm",
            ],
        ),
        trouble(
            "missing keytab",
            "",
            by_keytab("/nonexistent.keytab", USER),
            [
                "the keytab /nonexistent.keytab: No such file or directory",
                "check the keytab with klist -k, or name its principal",
            ],
        ),
        trouble(
            "principal not in the keytab",
            "",
            by_keytab(&keytab, "nobody"),
            ["it has no such key", "check the keytab with klist -k, or name its principal"],
        ),
        trouble(
            "old keytab",
            "",
            by_keytab(&old, "old"),
            ["old in the keytab", "get a new keytab"],
        ),
        trouble(
            "missing cache",
            "",
            "--ccache FILE:/nonexistent.ccache".to_owned(),
            [
                "the credential cache FILE:/nonexistent.ccache",
                "get a ticket for that cache with kinit, or use a keytab",
            ],
        ),
        trouble(
            "expired ticket",
            "",
            format!("--ccache '{expired}'"),
            ["the credential cache FILE:", "renew the tickets with kinit, or use a keytab"],
        ),
        trouble(
            "no KDC",
            &variant("kdc.conf2", "kdc = 10.77.0.2", "kdc = 10.77.0.1"),
            user(),
            [
                "Cannot contact any KDC for realm 'WIT.TEST'",
                "check the network to the KDC (port 88)",
            ],
        ),
    ]
}

/// A node whose RPC services know NTLM alone, until this is dropped.
struct NtlmOnly<'a>(&'a Cluster, usize);

impl<'a> NtlmOnly<'a> {
    fn new(cluster: &'a Cluster, node: usize) -> NtlmOnly<'a> {
        let without = "cd /etc/samba; cp smb.conf smb.conf.kerberos; \
                       sed -i -e '/realm =/d' -e '/kerberos method/d' -e '/keytab/d' smb.conf";
        cluster.node(node, &["sh", "-ec", without]);
        cluster.restart_dcerpcd(node);
        NtlmOnly(cluster, node)
    }
}

impl Drop for NtlmOnly<'_> {
    fn drop(&mut self) {
        let NtlmOnly(cluster, node) = *self;
        cluster.node(node, &["mv", "/etc/samba/smb.conf.kerberos", "/etc/samba/smb.conf"]);
        cluster.restart_dcerpcd(node);
    }
}

fn clock_skew(cluster: &Cluster, guest: &Guest) {
    let keytab = cluster.krb5_file("swnuser.keytab");
    guest.ok(&format!("kinit -k -t '{}' -c FILE:/run/early.ccache {USER}", keytab.display()));
    guest.ok("date -s '+1 hour'");
    let trouble = Trouble {
        what: "clock skew",
        environment: String::new(),
        options: "--ccache FILE:/run/early.ccache".to_owned(),
        says: ["Clock skew too great", "synchronise this machine's clock"],
    };
    check(&trouble, &Swnd::start_with(guest, &trouble.environment, &trouble.options));
}

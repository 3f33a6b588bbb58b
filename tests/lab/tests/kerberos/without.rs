//! The daemon that is built without Kerberos.

use std::process::Command;

use lab::{Mount, Swnd, USER, built};

use crate::{GUEST, LIMIT, boot, registration, take_turn, two_addresses, wait_unregistered};

#[test]
fn built_without_kerberos_it_links_none_registers_with_ntlm_and_says_so_to_a_mount_with_kerberos() {
    let program = built("debug/swnd-without-kerberos", "tests/all builds it");
    let ordinary = built("release/swnd", "cargo build --release -p swnd");
    for (program, kerberos) in [(&program, false), (&ordinary, true)] {
        let ldd = Command::new("ldd").arg(program).output().expect("ldd runs");
        assert!(ldd.status.success());
        let libraries = String::from_utf8_lossy(&ldd.stdout).into_owned();
        let linked = ["krb5", "gssapi"].iter().any(|name| libraries.contains(name));
        assert_eq!(linked, kerberos, "{}\n{libraries}", program.display());
        println!("ldd {}:\n{libraries}", program.display());
    }

    let (cluster, _turn) = take_turn();
    let (from, _) = two_addresses(cluster);
    let guest = boot(cluster);
    let swnd = Swnd::start_program(&guest, &program, "", "");
    let mount = Mount::with_witness(&guest, from);
    assert_eq!(registration(cluster, GUEST).account_name, USER);
    mount.unmount();
    wait_unregistered(cluster, GUEST);
    assert_eq!(swnd.warnings(), Vec::<String>::new());

    let mount = Mount::with_kerberos(&guest, from);
    let said = swnd.wait_log("what it lacks", LIMIT, |line| line.contains(" warning "));
    assert!(said.contains(r"\\WITCLU\data: ") && said.contains("built without it"), "{said}");
    mount.unmount();
    swnd.stop();
}

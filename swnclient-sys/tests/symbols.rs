//! What the shared object offers and asks for, as a linker sees it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{library, output};
use std::collections::BTreeSet;
use std::process::Command;

const FUNCTIONS: [&str; 8] = [
    "swnc_init_state",
    "swnc_register_recv",
    "swnc_register_send",
    "swnc_set_debug_callback",
    "swnc_unregister_recv",
    "swnc_unregister_send",
    "swnc_wait_notification_recv",
    "swnc_wait_notification_send",
];

fn print(program: &str, option: &[&str]) -> String {
    output(Command::new(program).args(option).arg(library()).env("LC_ALL", "C"))
}

#[test]
fn the_eight_functions_are_exported_with_their_version_and_nothing_else() {
    let symbols = print("nm", &["-D", "--defined-only"]);
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_address, symbol)| symbol)
        // The version node itself.
        .filter(|symbol| *symbol != "A SWNCLIENT_0.1.0")
        .collect();
    let expected = FUNCTIONS.map(|name| format!("T {name}@@SWNCLIENT_0.1.0"));
    assert_eq!(exported, expected.iter().map(String::as_str).collect());
}

#[test]
fn the_version_node_is_the_only_one() {
    let versions = print("readelf", &["-W", "-V"]);
    let (_, definitions) = versions.split_once("Version definition section").unwrap();
    let (definitions, _) = definitions.split_once("Version needs section").unwrap();
    let names: Vec<&str> =
        definitions.lines().filter_map(|line| Some(line.split_once("Name: ")?.1.trim())).collect();
    assert_eq!(names, ["libswnclient.so.0", "SWNCLIENT_0.1.0"]);
}

#[test]
fn the_dynamic_section_is_what_distributions_expect() {
    let dynamic = print("readelf", &["-W", "-d"]);
    let all = |tag: &str| -> BTreeSet<&str> {
        let lines = dynamic.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| line.split_once('[')?.1.split(']').next()).collect()
    };
    assert_eq!(all("(SONAME)"), ["libswnclient.so.0"].into());
    let mut expected: BTreeSet<&str> =
        ["libtalloc.so.2", "libtevent.so.0", "libsamba-credentials.so.1"].into();
    if cfg!(feature = "kerberos") {
        expected.extend(["libgssapi_krb5.so.2", "libkrb5.so.3"]);
    }
    // The compiler's and the C library.
    let system = |name: &str| {
        ["libc.so", "libgcc_s.so", "libm.so", "ld-linux", "libpthread.so"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let needed = all("(NEEDED)").into_iter().filter(|name| !system(name));
    assert_eq!(needed.collect::<BTreeSet<_>>(), expected);
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    assert!(!dynamic.contains("RPATH") && !dynamic.contains("RUNPATH"), "{dynamic}");
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap();
    assert!(flags.contains("NOW") && flags.contains("NODELETE"), "{flags}");
    assert!(print("readelf", &["-W", "-l"]).contains("GNU_RELRO"));
}

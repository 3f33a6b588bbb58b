//! Mounts as the kernel lists them, and what follows.

use super::*;
use crate::mountinfo;

fn rules(all: bool, rules: &[(&str, Watch)]) -> Rules {
    let rule = |(pattern, watch): &(&str, Watch)| Rule {
        pattern: pattern.parse().unwrap(),
        watch: *watch,
        credentials: None,
    };
    Rules { all, rules: rules.iter().map(rule).collect() }
}

/// Mounts, each as its number, share and options.
fn found(mounts: &[(u64, &str, &str)]) -> Found {
    let lines: String = mounts
        .iter()
        .map(|(id, share, options)| {
            format!("{id} 1 0:{id} / /mnt/{id} rw - cifs {share} {options}\n")
        })
        .collect();
    Found { mounts: mountinfo::parse(lines.as_bytes()).unwrap(), debug_data: None }
}

/// The changes, each as a line.
fn lines(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::Unregister { id } => format!("- {}", id - FIRST_ADOPTED),
        Change::Register { id, request, witness, .. } => format!(
            "+ {} //{}/{} {}{}{}",
            id - FIRST_ADOPTED,
            request.net_name,
            request.share_name.as_ref().unwrap(),
            request.ip_address.unwrap(),
            if request.ip_notify { " scale-out" } else { "" },
            if *witness { "" } else { " by its connection" },
        ),
    };
    changes.iter().map(line).collect()
}

const DATA: &str = "//WITCLU/data";
const AT_101: &str = "rw,vers=3.1.1,addr=10.77.0.101";
const AT_102: &str = "rw,vers=3.1.1,addr=10.77.0.102";

fn of_cluster() -> Adoption {
    Adoption::new(rules(false, &[("//witclu/*", Watch::Witness)]))
}

#[test]
fn a_mount_is_registered_when_it_is_there_and_unregistered_when_it_is_gone() {
    let mut adoption = of_cluster();
    let mounted = found(&[(7, DATA, AT_101), (8, "//other/data", AT_101)]);
    assert_eq!(lines(&adoption.update(&mounted)), ["+ 0 //WITCLU/data 10.77.0.101"]);
    assert_eq!(adoption.update(&mounted), []);
    assert_eq!(lines(&adoption.update(&found(&[]))), ["- 0"]);
    assert_eq!(adoption.update(&found(&[])), []);
    // The number isn't used again soon.
    assert_eq!(lines(&adoption.update(&mounted)), ["+ 1 //WITCLU/data 10.77.0.101"]);
}

#[test]
fn a_share_is_registered_once_however_often_and_wherever_it_is_mounted() {
    let mut adoption = of_cluster();
    let once = found(&[(7, DATA, AT_101)]);
    adoption.update(&once);
    // A bind mount, a mount of a folder in it, and another user's by another address.
    let often = [
        (5, "//witclu/DATA", AT_102),
        (7, DATA, AT_101),
        (8, DATA, AT_101),
        (9, "//WITCLU/data/folder", AT_101),
    ];
    assert_eq!(adoption.update(&found(&often)), []);
    // The first one goes, the others stay.
    assert_eq!(adoption.update(&found(&[(8, DATA, AT_101), (9, DATA, AT_102)])), []);
    // None is left at the address that is watched.
    let moved = adoption.update(&found(&[(9, DATA, AT_102)]));
    assert_eq!(lines(&moved), ["+ 0 //WITCLU/data 10.77.0.102"]);
    assert_eq!(lines(&adoption.update(&found(&[]))), ["- 0"]);
}

#[test]
fn another_share_of_the_cluster_is_another_registration() {
    let mut adoption = of_cluster();
    let two = [(7, DATA, AT_101), (8, "//WITCLU/home", AT_101)];
    assert_eq!(
        lines(&adoption.update(&found(&two))),
        ["+ 0 //WITCLU/data 10.77.0.101", "+ 1 //WITCLU/home 10.77.0.101"]
    );
    assert_eq!(lines(&adoption.update(&found(&two[1..]))), ["- 0"]);
}

#[test]
fn a_share_that_the_kernel_asks_a_witness_for_is_left_to_it() {
    let mut adoption = of_cluster();
    adoption.update(&found(&[(7, DATA, AT_101)]));
    let with_witness = "rw,witness,vers=3.1.1,addr=10.77.0.102";
    let both = found(&[(7, DATA, AT_101), (8, DATA, with_witness)]);
    assert_eq!(lines(&adoption.update(&both)), ["- 0"]);
    assert_eq!(adoption.update(&found(&[(8, DATA, with_witness)])), []);
}

#[test]
fn a_mount_without_an_address_is_left_out() {
    assert_eq!(of_cluster().update(&found(&[(7, DATA, "rw,vers=3.1.1")])), []);
}

#[test]
fn the_rule_for_a_share_counts_before_the_one_for_its_server() {
    let left_out = [("//witclu/data", Watch::None), ("//witclu/*", Watch::Witness)];
    let mounted = found(&[(7, DATA, AT_101), (8, "//witclu/home", AT_101), (9, "//c/d", AT_101)]);
    for (all, expected) in [
        (false, vec!["+ 0 //witclu/home 10.77.0.101"]),
        (true, vec!["+ 0 //c/d 10.77.0.101", "+ 1 //witclu/home 10.77.0.101"]),
    ] {
        let mut adoption = Adoption::new(rules(all, &left_out));
        assert_eq!(lines(&adoption.update(&mounted)), expected);
    }
}

#[test]
fn of_all_mounts_those_are_adopted_that_can_have_a_witness() {
    const DEBUG_DATA: &str = "\t1) \\\\WITCLU\\data Mounts: 1 DevInfo: 0x20\n\
        \tShare Capabilities: CONTINUOUS AVAILABILITY, CLUSTER,\tShare Flags: 0x30\n\
        \t2) \\\\nas\\data Mounts: 1 DevInfo: 0x20\n\tShare Capabilities: None\tShare Flags: 0x0\n\
        \t3) \\\\sofs\\vms Mounts: 1 DevInfo: 0x20\n\
        \tShare Capabilities: SCALEOUT, CLUSTER,\tShare Flags: 0x0\n";
    let mounted = [
        (1, DATA, AT_101),
        (2, "//nas/data", AT_101),
        (3, "//sofs/vms", AT_102),
        (4, "//10.77.0.101/data", AT_101),
        (5, "//old/data", "rw,vers=2.1,addr=10.77.0.101"),
        (6, "//unlisted/data", AT_101),
    ];
    let found = Found { debug_data: Some(DebugData::parse(DEBUG_DATA)), ..found(&mounted) };
    let mut adoption = Adoption::new(rules(true, &[]));
    let expected = [
        "+ 0 //sofs/vms 10.77.0.102 scale-out",
        "+ 1 //unlisted/data 10.77.0.101",
        "+ 2 //WITCLU/data 10.77.0.101",
    ];
    assert_eq!(lines(&adoption.update(&found)), expected);
    // One that is named is adopted whatever is known of it.
    let named = [("//nas/data", Watch::Witness), ("//old/*", Watch::Witness)];
    let mut adoption = Adoption::new(rules(false, &named));
    let expected = ["+ 0 //nas/data 10.77.0.101", "+ 1 //old/data 10.77.0.101"];
    assert_eq!(lines(&adoption.update(&found)), expected);
}

#[test]
fn a_second_connection_that_does_not_say_yet_what_the_share_can_do_changes_nothing() {
    const SCALE_OUT: &str = "\t1) \\\\WITCLU\\data Mounts: 1 DevInfo: 0x20\n\
        \tShare Capabilities: SCALEOUT, CLUSTER,\tShare Flags: 0x0\n";
    const NEW: &str = "\t1) \\\\WITCLU\\data Mounts: 1 DevInfo: 0x0\n\tShare Capabilities: None\n";
    let mounted = found(&[(7, DATA, AT_101)]);
    let with = |text: &str| Found { debug_data: Some(DebugData::parse(text)), ..mounted.clone() };
    let mut adoption = of_cluster();
    let expected = ["+ 0 //WITCLU/data 10.77.0.101 scale-out"];
    assert_eq!(lines(&adoption.update(&with(SCALE_OUT))), expected);
    for text in [format!("{NEW}{SCALE_OUT}"), format!("{SCALE_OUT}{NEW}"), NEW.into(), "".into()] {
        assert_eq!(adoption.update(&with(&text)), [], "{text}");
    }
}

#[test]
fn other_rules_count_for_mounts_that_are_there() {
    let mut adoption = of_cluster();
    let mounted = found(&[(7, DATA, AT_101), (8, "//other/data", AT_101)]);
    adoption.update(&mounted);
    adoption.set_rules(rules(false, &[("//other/data", Watch::Witness)]));
    let expected = ["- 0", "+ 1 //other/data 10.77.0.101"];
    assert_eq!(lines(&adoption.update(&mounted)), expected);
    adoption.set_rules(Rules::default());
    assert!(adoption.is_needed());
    assert_eq!(lines(&adoption.update(&mounted)), ["- 1"]);
    assert!(!adoption.is_needed());
}

#[test]
fn with_other_credentials_all_are_registered_again_once() {
    let mut adoption = of_cluster();
    let mounted = found(&[(7, DATA, AT_101)]);
    adoption.update(&mounted);
    adoption.register_again();
    assert_eq!(lines(&adoption.update(&mounted)), ["+ 0 //WITCLU/data 10.77.0.101"]);
    assert_eq!(adoption.update(&mounted), []);
}

#[test]
fn a_mount_may_be_watched_by_its_connection_which_is_another_registration() {
    let of = |watch| rules(false, &[("//witclu/*", watch)]);
    let mut adoption = Adoption::new(of(Watch::Connection));
    let mounted = found(&[(7, DATA, AT_101)]);
    let by_connection = ["+ 0 //WITCLU/data 10.77.0.101 by its connection"];
    assert_eq!(lines(&adoption.update(&mounted)), by_connection);
    adoption.set_rules(of(Watch::Witness));
    let expected = ["- 0", "+ 1 //WITCLU/data 10.77.0.101"];
    assert_eq!(lines(&adoption.update(&mounted)), expected);
    adoption.set_rules(of(Watch::Connection));
    let expected = ["- 1", "+ 2 //WITCLU/data 10.77.0.101 by its connection"];
    assert_eq!(lines(&adoption.update(&mounted)), expected);
}

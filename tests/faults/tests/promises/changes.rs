//! What the consumer is told of changes and moves: each once, and in order.

use super::*;

#[test]
fn a_change_that_nobody_could_report_is_reported_once_by_the_next_witness() {
    for profile in [Profile::Windows2012, Profile::Windows2012R2, Profile::OneFs] {
        let (mut bench, client) = bench(profile, 4);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        let witness = bench.witnesses(mount)[0];
        bench.told.clear();
        // Both at once: the witness has nothing to say any more.
        bench.run(Step::NodeDown { node: witness, silent: true });
        bench.run(Step::NodeDown { node: NodeId(1), silent: true });
        settle(&mut bench);
        bench.pass(10 * MINUTE);
        let gone = |what: &Notification| {
            matches!(what, Notification::ResourceChange { state: ResourceState::Unavailable, .. })
        };
        let told = notifications(&bench);
        assert!(told.len() == 1 && told.iter().all(gone), "{profile}: {told:?}");
    }
}

#[test]
fn a_change_that_the_last_witness_reported_is_not_reported_by_the_next() {
    for profile in [Profile::Windows2012, Profile::Windows2012R2, Profile::OneFs] {
        let (mut bench, client) = bench(profile, 4);
        let mount = bench.mount(client, ip(1));
        settle(&mut bench);
        bench.told.clear();
        bench.run(Step::NodeDown { node: NodeId(1), silent: true });
        bench.pass(SECOND);
        assert_eq!(notifications(&bench).len(), 1, "{profile}");
        let node = bench.witnesses(mount)[0];
        bench.run(Step::NodeDown { node, silent: true });
        bench.pass(MINUTE);
        assert_ne!(bench.witnesses(mount), [node], "{profile}");
        assert_eq!(notifications(&bench).len(), 1, "{profile}: {:?}", bench.told);
    }
}

/// Loses the witness of a mount on node 1, goes through some steps before there
/// is another, and returns when there is.
fn change_witness(multiplexing: bool, meanwhile: &[&str]) -> Bench {
    let mut cluster = ClusterConfig::new(Profile::Windows2012R2, 4, [10, 0, 0]);
    cluster.traits.multiplexing = multiplexing;
    let (mut bench, client) = with(cluster, Config::default(), 1);
    let mount = bench.mount(client, ip(1));
    settle(&mut bench);
    let lost = bench.witnesses(mount)[0];
    bench.told.clear();
    bench.run(Step::NodeDown { node: lost, silent: false });
    for text in meanwhile {
        step(&mut bench, text);
    }
    let end = bench.world.now() + MINUTE;
    assert!(bench.pass_until(end, |bench| !versions(bench).is_empty()));
    bench
}

fn states(bench: &Bench) -> Vec<ResourceState> {
    let told = notifications(bench).into_iter();
    told.filter_map(|notification| match notification {
        Notification::ResourceChange { state, .. } => Some(state),
        _ => None,
    })
    .collect()
}

#[test]
fn a_change_that_both_the_list_and_the_witness_tell_is_heard_once() {
    use ResourceState::{Available, Unavailable};
    for multiplexing in [true, false] {
        let mut bench = change_witness(multiplexing, &["fault notify delay 5s"]);
        step(&mut bench, "address 10.0.0.11 offline");
        bench.pass(SECOND);
        assert_eq!(states(&bench), [Unavailable], "multiplexing: {multiplexing}");
        bench.pass(10 * SECOND);
        assert_eq!(states(&bench), [Unavailable], "multiplexing: {multiplexing}");
        // What follows is news.
        for (text, state) in [("online", Available), ("offline", Unavailable)] {
            bench.told.clear();
            step(&mut bench, &format!("address 10.0.0.11 {text}"));
            bench.pass(SECOND);
            assert_eq!(states(&bench), [state], "multiplexing: {multiplexing}");
        }
    }
}

#[test]
fn a_list_that_is_older_than_what_the_witness_told_tells_nothing() {
    use ResourceState::{Available, Unavailable};
    let mut bench = change_witness(true, &["fault list delay 2s"]);
    // The list has it as available.
    bench.pass(SECOND);
    step(&mut bench, "address 10.0.0.11 offline");
    bench.pass(10 * SECOND);
    assert_eq!(states(&bench), [Unavailable]);
    step(&mut bench, "address 10.0.0.11 online");
    bench.pass(10 * SECOND);
    assert_eq!(states(&bench), [Unavailable, Available]);
}

#[test]
fn a_missed_change_is_told_though_the_list_fails_at_first() {
    for fault in ["status ERROR_INVALID_STATE", "fault 0x1c01000b"] {
        for multiplexing in [true, false] {
            let list = format!("fault list times 2 {fault}");
            let mut bench = change_witness(multiplexing, &[&list, "address 10.0.0.11 offline"]);
            bench.pass(MINUTE);
            let missed = [ResourceState::Unavailable];
            assert_eq!(states(&bench), missed, "{fault}, multiplexing: {multiplexing}");
        }
    }
}

#[test]
fn a_list_of_addresses_becomes_one_move_to_the_best() {
    let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2]);
    let entry = AddressInfo::new;
    let cases = [
        (vec![entry(ip(2), false), entry(v6, true), entry(ip(3), true)], Some(ip(3))),
        (vec![entry(ip(2), true), entry(ip(3), true)], Some(ip(2))),
        (vec![entry(ip(2), false), entry(v6, true)], Some(v6)),
        (vec![entry(ip(2), false), entry(v6, false)], None),
        (vec![], None),
    ];
    for (list, best) in cases {
        let (mut bench, client) = bench(Profile::Samba, 3);
        bench.mount(client, ip(1));
        settle(&mut bench);
        let to = Destination::Addresses(list.clone());
        bench.run(Step::ClientMove { who: Who::All, to });
        bench.pass(SECOND);
        let expected: Vec<_> =
            best.into_iter().map(|address| Notification::ClientMove { address }).collect();
        assert_eq!(notifications(&bench), expected, "{list:?}");
    }
}

/// An entry of an IP change, with the flags as Windows sets them.
fn address_info(address: IpAddr, flags: u32) -> AddressInfo {
    AddressInfo { flags: AddressFlags::from_bits_retain(flags), ..AddressInfo::new(address, true) }
}

#[test]
fn an_ip_change_that_takes_the_own_address_away_tells_that_it_is_unavailable() {
    let gone = Notification::ResourceChange {
        name: ip(1).to_string().into(),
        state: ResourceState::Unavailable,
    };
    let to = |address| Notification::IpChange { address };
    let lists = [
        // IPv4 and offline; IPv4 and online.
        (vec![address_info(ip(1), 0x11), address_info(ip(2), 0x09)], vec![gone.clone(), to(ip(2))]),
        (vec![address_info(ip(1), 0x11)], vec![gone.clone()]),
        (vec![address_info(ip(3), 0x11), address_info(ip(2), 0x09)], vec![to(ip(2))]),
        (vec![address_info(ip(1), 0x09)], vec![to(ip(1))]),
    ];
    for (list, expected) in lists {
        let (mut bench, client) = bench(Profile::Windows2012R2, 3);
        bench.mount(client, ip(1));
        settle(&mut bench);
        let to = Destination::Addresses(list.clone());
        bench.run(Step::IpChange { who: Who::All, to: to.clone() });
        bench.pass(SECOND);
        assert_eq!(notifications(&bench), expected, "{list:?}");
        // What the consumer knows already is not said again.
        bench.told.clear();
        bench.run(Step::IpChange { who: Who::All, to });
        bench.pass(SECOND);
        let expected: Vec<_> = expected.into_iter().filter(|told| *told != gone).collect();
        assert_eq!(notifications(&bench), expected, "{list:?}");
    }
}

#[test]
fn the_flags_of_an_ip_change_mean_nothing_in_version_1() {
    let (mut bench, client) = bench(Profile::Windows2012R2, 3);
    step(&mut bench, "fault register-ex status ERROR_CALL_NOT_IMPLEMENTED");
    bench.mount(client, ip(1));
    settle(&mut bench);
    assert_eq!(versions(&bench), [1]);
    let list = vec![address_info(ip(1), 0x11), address_info(ip(2), 0x09)];
    let notice = Ok(Some(NotifyMessages::IpChange(list)));
    bench.run(Step::Answer { who: Who::All, notice });
    bench.pass(SECOND);
    // Neither is out of service, so the first is as good as the other.
    assert_eq!(notifications(&bench), [Notification::IpChange { address: ip(1) }]);
}

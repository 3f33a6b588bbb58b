//! What Microsoft's protocol tests (TestSuites/FileServer of WindowsProtocolTestSuites) ask of a
//! witness service, asked of the simulated one: so that what its clients are tested against is
//! what the protocol's author tests servers by. docs/conformance.md has the cases.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Bench, Logon, SECOND, SUBNET, request};
use std::net::IpAddr;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{GetInterfaceList, NotifyMessages, Register, Status, Version};
use witness_sim::{ClusterConfig, NodeId, Profile};

/// The version that a server of this profile speaks, at the most.
fn version(profile: Profile) -> Version {
    if profile.traits().version_2 { Version::V2 } else { Version::V1 }
}

/// Version 1, and 2 where there is that.
fn versions(profile: Profile) -> impl Iterator<Item = Version> {
    [Version::V1, Version::V2].into_iter().filter(move |it| *it <= version(profile))
}

const WINDOWS: [Profile; 3] = [Profile::Windows2012, Profile::Windows2012R2, Profile::WindowsRole];

/// Registers at node 2 with something changed, and gives what it returns.
fn register_with(
    bench: &mut Bench,
    version: Version,
    change: impl FnOnce(&mut Register),
) -> Result<(), Status> {
    let conn = bench.open(2, Logon::PRIVACY);
    let ip = bench.address(1).to_string();
    let mut register = request(version, &ip);
    change(&mut register);
    bench.try_register(conn, version, &register).unwrap().map(drop)
}

/// BVT_SWN_CheckProtocolVersion, VerifyInterfaceList.
#[test]
fn a_list_has_names_addresses_a_witness_and_a_version_that_there_is() {
    for profile in WINDOWS {
        let mut bench = Bench::new(profile);
        let conn = bench.open(1, Logon::PRIVACY);
        let list = bench.list(conn);
        assert!(!list.is_empty());
        assert!(list.iter().any(|it| it.witness && it.state == ResourceState::Available));
        for interface in list {
            assert!(!interface.group_name.is_empty(), "{profile}");
            assert!(interface.addresses().all(|it| !it.is_unspecified()), "{profile}");
            let unknown = interface.version == 0xffff_ffff;
            let is_named = [0x0001_0001, 0x0002_0000].contains(&interface.version);
            assert!(is_named || unknown && profile != Profile::Windows2012, "{profile}");
        }
    }
}

/// BVT_SWNGetInterfaceList_ClusterSingleNode, _ScaleOutSingleNode.
#[test]
fn a_list_waits_until_there_is_a_witness_to_list() {
    for profile in WINDOWS {
        let mut bench = Bench::with(ClusterConfig::new(profile, 2, SUBNET));
        bench.step("node 2 down");
        bench.pass(SECOND);
        let conn = bench.open(1, Logon::PRIVACY);
        let call = bench.call(conn, &GetInterfaceList);
        bench.pass(100 * SECOND);
        assert_eq!(bench.reply(conn, call), None, "{profile}");
        bench.step("node 2 up");
        bench.pass(SECOND);
        assert!(bench.reply(conn, call).is_some(), "{profile}");
    }
}

/// SWNRegistration_InvalidNetName, SWNRegistrationEx_InvalidNetName.
#[test]
fn a_name_that_is_not_the_clusters_is_an_invalid_parameter() {
    for profile in Profile::ALL {
        for version in versions(profile) {
            let mut bench = Bench::new(profile);
            let refused = register_with(&mut bench, version, |it| {
                it.net_name = Some("XXXXInvalid.contoso.comXXXX".into());
            });
            assert_eq!(refused, Err(Status::INVALID_PARAMETER), "{profile}");
        }
    }
}

/// SWNRegistration_InvalidVersion, SWNRegistrationEx_InvalidVersion.
#[test]
fn a_call_of_one_version_with_the_others_number_is_a_mismatch() {
    for profile in Profile::ALL {
        for version in versions(profile) {
            let other = if version == Version::V1 { Version::V2 } else { Version::V1 };
            let mut bench = Bench::new(profile);
            let refused = register_with(&mut bench, version, |it| it.version = other.to_wire());
            assert_eq!(refused, Err(Status::REVISION_MISMATCH), "{profile}");
        }
    }
}

/// SWNRegistration_InvalidIpAddress, SWNRegistrationEx_InvalidIpAddress.
#[test]
fn an_unknown_address_is_refused_where_shares_are_scale_out() {
    for profile in WINDOWS {
        let expected = match profile {
            Profile::WindowsRole => Ok(()),
            _ => Err(Status::INVALID_STATE),
        };
        for version in versions(profile) {
            let mut bench = Bench::new(profile);
            let told = register_with(&mut bench, version, |it| {
                it.ip_address = Some("255.255.255.255".into());
            });
            assert_eq!(told, expected, "{profile}");
        }
    }
}

/// SWNRegistrationEx_InvalidShareName.
#[test]
fn an_unknown_share_is_refused_where_shares_are_scale_out() {
    for (profile, expected) in [
        (Profile::Windows2012R2, Err(Status::INVALID_STATE)),
        (Profile::WindowsRole, Ok(())),
        (Profile::Samba, Ok(())),
    ] {
        let mut config = ClusterConfig::new(profile, 3, SUBNET);
        config.shares = vec!["data".into()];
        let mut bench = Bench::with(config);
        let told = register_with(&mut bench, Version::V2, |it| {
            it.share_name = Some("XXXXInvalidShareNameXXXX".into());
        });
        assert_eq!(told, expected, "{profile}");
        assert_eq!(register_with(&mut bench, Version::V2, |_| ()), Ok(()), "{profile}");
    }
}

/// SWNRegistration_InvalidUnRegister, SWNRegistrationEx_InvalidUnRegister.
#[test]
fn what_is_unregistered_twice_is_not_found_or_an_invalid_parameter() {
    for profile in WINDOWS {
        for version in versions(profile) {
            let mut bench = Bench::new(profile);
            let conn = bench.open(2, Logon::PRIVACY);
            let handle = bench.register(conn, version, 1);
            assert_eq!(bench.unregister(conn, &handle), Status::SUCCESS);
            let expected = match profile {
                Profile::Windows2012 => Status::NOT_FOUND,
                _ => Status::INVALID_PARAMETER,
            };
            assert_eq!(bench.unregister(conn, &handle), expected, "{profile}");
        }
    }
}

/// SWNAsyncNotification_InvalidRequest.
#[test]
fn asyncnotify_of_what_was_unregistered_is_not_found() {
    for profile in Profile::ALL {
        let mut bench = Bench::new(profile);
        let conn = bench.open(2, Logon::PRIVACY);
        let handle = bench.register(conn, Version::V1, 1);
        assert_eq!(bench.unregister(conn, &handle), Status::SUCCESS);
        assert_eq!(bench.ask(conn, &handle), Err(Status::NOT_FOUND), "{profile}");
    }
}

/// WitnessrRegisterEx_SWNAsyncNotification_Timeout.
#[test]
fn no_news_within_the_keep_alive_is_a_timeout() {
    for profile in [Profile::Windows2012R2, Profile::WindowsRole, Profile::Samba] {
        let mut bench = Bench::new(profile);
        let conn = bench.open(2, Logon::PRIVACY);
        let ip = bench.address(1).to_string();
        let register = Register { keep_alive: 10, ..request(Version::V2, &ip) };
        let handle = bench.try_register(conn, Version::V2, &register).unwrap().unwrap();
        let call = bench.notify(conn, &handle);
        bench.pass(9 * SECOND);
        assert_eq!(bench.told(conn, call), None, "{profile}");
        bench.pass(SECOND);
        assert_eq!(bench.told(conn, call), Some(Err(Status::TIMEOUT)), "{profile}");
    }
}

/// The flags and addresses of a move; VerifyClientMoveShareMoveAndIpChange.
fn entries(told: &NotifyMessages) -> Vec<(u32, IpAddr)> {
    let (NotifyMessages::ClientMove(list)
    | NotifyMessages::ShareMove(list)
    | NotifyMessages::IpChange(list)) = told
    else {
        panic!("{told:?}");
    };
    assert!(!list.is_empty());
    list.iter()
        .map(|it| {
            let address = it.addresses().next().unwrap();
            assert!(!address.is_unspecified());
            (it.flags.bits(), address)
        })
        .collect()
}

/// BVT_WitnessrRegister_SWNAsyncNotification_ClientMove, and that of RegisterEx.
#[test]
fn a_client_move_has_an_address_of_the_node_that_was_named() {
    for profile in Profile::ALL {
        for version in versions(profile) {
            let mut bench = Bench::new(profile);
            let conn = bench.open(2, Logon::PRIVACY);
            let handle = bench.register(conn, version, 1);
            let call = bench.notify(conn, &handle);
            bench.step("client-move all to node 2");
            let told = bench.told(conn, call).unwrap().unwrap().unwrap();
            assert!(matches!(told, NotifyMessages::ClientMove(_)), "{profile}: {told:?}");
            let (flags, address) = entries(&told)[0];
            let expected = bench.cluster.config().nodes[1].addresses.last();
            assert_eq!((flags & 3, Some(&address)), (1, expected), "{profile}");
            if profile == Profile::Windows2012R2 {
                assert_eq!(flags, 1);
            }
            assert_eq!(bench.unregister(conn, &handle), Status::SUCCESS);
        }
    }
}

/// BVT_WitnessrRegisterEx_SWNAsyncNotification_IPChange.
#[test]
fn an_ip_change_says_what_is_offline() {
    for profile in [Profile::Windows2012R2, Profile::WindowsRole, Profile::Samba] {
        let mut bench = Bench::new(profile);
        let conn = bench.open(2, Logon::PRIVACY);
        let handle = bench.register(conn, Version::V2, 1);
        let call = bench.notify(conn, &handle);
        bench.step("node 3 down");
        bench.pass(SECOND);
        bench.step("ip-change all to node 3");
        let told = bench.told(conn, call);
        if profile == Profile::Samba {
            // Its addresses are another node's by now.
            continue;
        }
        let told = told.unwrap().unwrap().unwrap();
        let of_node: Vec<_> = entries(&told);
        assert!(of_node.iter().any(|(flags, _)| *flags == 0x11), "{profile}: {of_node:?}");
    }
}

/// A cluster whose share should be used by node 2.
fn asymmetric(profile: Profile) -> Bench {
    let mut config = ClusterConfig::new(profile, 3, SUBNET);
    config.share_owner = Some(NodeId(2));
    Bench::with(config)
}

/// AsymmetricShare_OnNonOptimumNode.
#[test]
fn who_uses_an_asymmetric_share_by_another_node_is_told_to_move_at_once() {
    let mut bench = asymmetric(Profile::Windows2012R2);
    let conn = bench.open(3, Logon::PRIVACY);
    let handle = bench.register(conn, Version::V2, 1);
    let told = bench.ask(conn, &handle).unwrap().unwrap();
    assert!(matches!(told, NotifyMessages::ShareMove(_)), "{told:?}");
    assert_eq!(entries(&told), [(1, bench.address(2))]);
    assert_eq!(bench.unregister(conn, &handle), Status::SUCCESS);
}

/// AsymmetricShare_OnOptimumNode, AsymmetricShare_OnNonScaleOutShare, AsymmetricShare_OnSmb30.
#[test]
fn who_uses_it_by_its_own_node_and_who_has_another_share_is_told_nothing() {
    let mut owner = asymmetric(Profile::Windows2012R2);
    let mut other = Bench::new(Profile::Windows2012R2);
    for (bench, served_by) in [(&mut owner, 2), (&mut other, 1)] {
        let conn = bench.open(3, Logon::PRIVACY);
        let handle = bench.register(conn, Version::V2, served_by);
        let call = bench.notify(conn, &handle);
        bench.pass(60 * SECOND);
        assert_eq!(bench.told(conn, call), None);
    }
    // Version 1 has no shares.
    let mut bench = asymmetric(Profile::Windows2012R2);
    let conn = bench.open(3, Logon::PRIVACY);
    let handle = bench.register(conn, Version::V1, 1);
    let call = bench.notify(conn, &handle);
    bench.pass(60 * SECOND);
    assert_eq!(bench.told(conn, call), None);
}

/// SWNFileServerFailover_FileServer.
#[test]
fn a_role_that_fails_over_is_told_one_change_at_a_time_until_it_is_available() {
    let mut bench = Bench::with(ClusterConfig::new(Profile::WindowsRole, 2, SUBNET));
    let conn = bench.open(2, Logon::PRIVACY);
    let handle = bench.register(conn, Version::V1, 1);
    let call = bench.notify(conn, &handle);
    bench.step("node 1 down");
    bench.pass(SECOND);
    let first = bench.told(conn, call).unwrap();
    for (told, state) in
        [(first, ResourceState::Unavailable), (bench.ask(conn, &handle), ResourceState::Available)]
    {
        let told = told.unwrap().unwrap();
        let NotifyMessages::ResourceChange(changes) = told else { panic!("{told:?}") };
        assert_eq!(changes, [("NODE2".into(), state)]);
    }
    assert_eq!(bench.unregister(conn, &handle), Status::SUCCESS);
    // It has moved, and stays there.
    let role = bench.address(1);
    let owner = bench.cluster.topology().address(role).unwrap().owner;
    assert_eq!(owner, NodeId(2));
    bench.step("node 1 up");
    bench.pass(SECOND);
    assert_eq!(bench.cluster.topology().address(role).unwrap().owner, NodeId(2));
    // Its address is in no list. (While no other node is there, a list waits.)
    let list = bench.list(conn);
    assert!(list.iter().flat_map(|it| it.addresses()).all(|it| it != role));
}

/// SWNFileServerFailover_ScaleOutFileServer.
#[test]
fn a_node_of_a_scale_out_file_server_that_dies_is_told_as_unavailable() {
    for profile in [Profile::Windows2012, Profile::Windows2012R2] {
        let mut bench = Bench::with(ClusterConfig::new(profile, 2, SUBNET));
        let conn = bench.open(2, Logon::PRIVACY);
        let handle = bench.register(conn, Version::V1, 1);
        let call = bench.notify(conn, &handle);
        bench.step("node 1 down");
        bench.pass(SECOND);
        let told = bench.told(conn, call).unwrap().unwrap().unwrap();
        let NotifyMessages::ResourceChange(changes) = told else { panic!("{told:?}") };
        assert_eq!(changes, [("NODE1".into(), ResourceState::Unavailable)], "{profile}");
    }
}

/// ONTAP's documentation.
#[test]
fn ontap_lists_the_partners_interfaces_and_tells_nothing_of_a_giveback() {
    let mut bench = Bench::with(ClusterConfig::new(Profile::Ontap, 2, SUBNET));
    let conn = bench.open(2, Logon::PRIVACY);
    let addresses: Vec<_> = bench.list(conn).iter().flat_map(|it| it.addresses()).collect();
    assert_eq!(addresses, [bench.address(1)]);
    let handle = bench.register(conn, Version::V2, 1);
    bench.step("node 1 down");
    bench.pass(SECOND);
    assert!(bench.ask(conn, &handle).is_ok());
    // Both states may come in one message or in two.
    let call = bench.notify(conn, &handle);
    let last = bench.told(conn, call);
    bench.step("node 1 up");
    bench.pass(SECOND);
    let call = if last.is_some() { bench.notify(conn, &handle) } else { call };
    assert_eq!(bench.told(conn, call), None);
    assert_eq!(bench.cluster.topology().address(bench.address(1)).unwrap().owner, NodeId(1));
}

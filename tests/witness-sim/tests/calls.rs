//! What the witness service and the endpoint mapper answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Bench, Logon, SECOND, request};
use dcerpc_proto::ResponseError;
use dcerpc_proto::association::{AssociationError, FaultStatus};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::pdu::AuthLevel;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    self, AddressInfo, GetInterfaceList, NotifyMessages, RegisterEx, Status, UnRegister, Version,
};
use witness_sim::{ClusterConfig, NodeId, Profile};

fn changed(name: &str, state: ResourceState) -> common::Told {
    Ok(Some(NotifyMessages::ResourceChange(vec![(name.into(), state)])))
}

#[test]
fn a_registration_lives_from_list_to_unregister_by_every_logon() {
    let levels = [AuthLevel::Integrity, AuthLevel::Privacy];
    for logon in levels.into_iter().flat_map(|l| [Logon::Ntlm(l), Logon::Spnego(l)]) {
        let mut b = Bench::new(Profile::Samba);
        let conn = b.open(1, logon);
        let list = b.list(conn);
        assert_eq!(list.len(), 3);
        let witnesses: Vec<bool> = list.iter().map(|interface| interface.witness).collect();
        assert_eq!(witnesses, [false, true, true]);

        let conn = b.open(2, logon);
        let handle = b.register(conn, Version::V2, 1);
        assert_eq!(b.registrations()[0].node, NodeId(2));
        let call = b.notify(conn, &handle);
        assert_eq!(b.told(conn, call), None);

        b.step("client-move all to node 3");
        let to = vec![AddressInfo::new(b.address(3), true)];
        let moved = Ok(Some(NotifyMessages::ClientMove(to)));
        assert_eq!(b.told(conn, call), Some(moved));

        assert_eq!(b.unregister(conn, &handle), Status::SUCCESS);
        assert!(b.registrations().is_empty());
    }
}

#[test]
fn the_mapper_names_the_port_of_its_own_node() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open_as(b.mapper(2), epm::INTERFACE, Logon::Anonymous, "");
    let call = b.call(conn, &EptMap::new(wire::INTERFACE));
    let reply = b.reply(conn, call).unwrap().unwrap();
    let port = reply.decode::<EptMap>().unwrap();
    assert_eq!(port, b.endpoint(2).port());

    b.step("service node 2 stop");
    let call = b.call(conn, &EptMap::new(wire::INTERFACE));
    let reply = b.reply(conn, call).unwrap().unwrap();
    let error = reply.decode::<EptMap>().unwrap_err();
    assert_eq!(error, ResponseError::Status(epm::EpmError::NotRegistered));
}

#[test]
fn a_wrong_password_is_refused_at_the_first_call() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open_as(b.endpoint(1), wire::INTERFACE, Logon::PRIVACY, "wrong");
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), Some(Err(FaultStatus::ACCESS_DENIED)));
    assert_eq!(b.link(conn).closed, Some(false));
}

#[test]
fn a_wrong_password_inside_spnego_is_refused_during_the_bind() {
    let mut b = Bench::new(Profile::Samba);
    let logon = Logon::Spnego(AuthLevel::Privacy);
    let conn = b.open_as(b.endpoint(1), wire::INTERFACE, logon, "wrong");
    assert_eq!(
        b.link(conn).error,
        Some(AssociationError::AccessDenied(FaultStatus::ACCESS_DENIED))
    );
}

#[test]
fn a_call_without_logon_is_refused() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(1, Logon::Anonymous);
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), Some(Err(FaultStatus::ACCESS_DENIED)));
}

#[test]
fn servers_of_version_1_refuse_register_ex_and_take_register() {
    for profile in [Profile::OneFs, Profile::Windows2012] {
        let mut b = Bench::new(profile);
        let conn = b.open(2, Logon::PRIVACY);
        let ip = b.address(1).to_string();
        assert_eq!(
            b.try_register(conn, Version::V2, &request(Version::V2, &ip)),
            Err(FaultStatus::OP_RNG_ERROR)
        );
        let handle = b.register(conn, Version::V1, 1);
        let call = b.notify(conn, &handle);
        b.pass(3600 * SECOND);
        assert_eq!(b.told(conn, call), None, "version 1 has no keep-alive");
    }
}

#[test]
fn what_is_wrong_with_a_registration_has_a_code_of_its_own() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let ip = b.address(1).to_string();
    let right = request(Version::V2, &ip);
    let wrong = [
        (Status::REVISION_MISMATCH, {
            let mut r = right.clone();
            r.version = Version::V1.to_wire();
            r
        }),
        (Status::INVALID_PARAMETER, {
            let mut r = right.clone();
            r.net_name = Some("OTHER".into());
            r
        }),
        (Status::INVALID_PARAMETER, {
            let mut r = right.clone();
            r.client_name = None;
            r
        }),
        (Status::INVALID_STATE, {
            let mut r = right.clone();
            r.ip_address = Some("192.0.2.1".into());
            r
        }),
    ];
    for (status, register) in wrong {
        assert_eq!(b.try_register(conn, Version::V2, &register), Ok(Err(status)));
    }
    for name in ["cluster", "Cluster.Example.Test"] {
        let mut register = right.clone();
        register.net_name = Some(name.into());
        let registered = b.try_register(conn, Version::V2, &register);
        assert!(matches!(registered, Ok(Ok(_))));
    }
}

#[test]
fn an_unknown_handle_gets_what_the_vendor_says() {
    for (profile, status) in
        [(Profile::Samba, Status::NOT_FOUND), (Profile::Windows2012R2, Status::INVALID_PARAMETER)]
    {
        let mut b = Bench::new(profile);
        let conn = b.open(2, Logon::PRIVACY);
        let handle = b.register(conn, Version::V2, 1);
        assert_eq!(b.unregister(conn, &handle), Status::SUCCESS);
        assert_eq!(b.unregister(conn, &handle), status);
        assert_eq!(b.ask(conn, &handle), Err(Status::NOT_FOUND));
    }
}

#[test]
fn a_handle_is_of_no_use_on_another_connection() {
    let mut b = Bench::new(Profile::Samba);
    let one = b.open(2, Logon::PRIVACY);
    let handle = b.register(one, Version::V2, 1);
    let other = b.open(2, Logon::PRIVACY);
    assert_eq!(b.ask(other, &handle), Err(Status::NOT_FOUND));
}

#[test]
fn nothing_new_within_the_keep_alive_is_a_timeout() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    b.pass(119 * SECOND);
    assert_eq!(b.told(conn, call), None);
    b.pass(SECOND);
    assert_eq!(b.told(conn, call), Some(Err(Status::TIMEOUT)));
}

#[test]
fn samba_drops_a_registration_that_nobody_uses() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    b.pass(29 * SECOND);
    assert_eq!(b.registrations().len(), 1);
    b.pass(SECOND);
    assert!(b.registrations().is_empty());
    assert_eq!(b.ask(conn, &handle), Err(Status::NOT_FOUND));
}

#[test]
fn samba_drops_a_registration_five_seconds_after_it_moved_the_client_away() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    b.step("client-move all to 10.0.0.11");
    assert!(b.told(conn, call).is_some());
    b.pass(10 * SECOND);
    assert_eq!(b.registrations().len(), 1, "moved to where it was");

    b.step("client-move all to 10.0.0.13");
    assert!(b.ask(conn, &handle).is_ok());
    let call = b.notify(conn, &handle);
    b.pass(4 * SECOND);
    assert_eq!(b.told(conn, call), None);
    b.pass(SECOND);
    assert_eq!(b.told(conn, call), Some(Err(Status::NOT_FOUND)));
    assert!(b.registrations().is_empty());
}

#[test]
fn samba_tells_of_a_takeover_that_the_address_went_and_came() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    b.step("node 1 down");
    assert_eq!(b.told(conn, call), None, "not noticed yet");
    b.pass(SECOND);
    let gone = changed("10.0.0.11", ResourceState::Unavailable);
    assert_eq!(b.told(conn, call), Some(gone));
    let back = changed("10.0.0.11", ResourceState::Available);
    assert_eq!(b.ask(conn, &handle), back);
    assert_ne!(b.cluster.topology().address(b.address(1)).unwrap().owner, NodeId(1));
}

#[test]
fn onefs_tells_of_a_dead_node_and_of_its_return() {
    let mut b = Bench::new(Profile::OneFs);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V1, 1);
    let call = b.notify(conn, &handle);
    b.step("node 1 down silent");
    b.pass(SECOND);
    let gone = changed("10.0.0.11", ResourceState::Unavailable);
    assert_eq!(b.told(conn, call), Some(gone));
    assert_eq!(b.list(conn)[0].state, ResourceState::Unavailable);
    b.step("node 1 up");
    b.pass(SECOND);
    let back = changed("10.0.0.11", ResourceState::Available);
    assert_eq!(b.ask(conn, &handle), back);
}

#[test]
fn unregister_ends_the_call_that_waits() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    assert_eq!(b.unregister(conn, &handle), Status::SUCCESS);
    assert_eq!(b.told(conn, call), Some(Err(Status::NOT_FOUND)));
}

#[test]
fn a_lost_connection_takes_its_registration_along() {
    let mut b = Bench::new(Profile::Windows2012R2);
    let conn = b.open(2, Logon::PRIVACY);
    b.register(conn, Version::V2, 1);
    b.cluster.closed(b.now, conn);
    assert!(b.registrations().is_empty());
    assert_eq!(b.cluster.connections(), 0);
}

#[test]
fn without_multiplexing_calls_take_turns() {
    let mut config = ClusterConfig::new(Profile::Samba, 3, common::SUBNET);
    config.traits.multiplexing = false;
    let mut b = Bench::with(config);
    let conn = b.open(2, Logon::PRIVACY);
    assert!(!b.link(conn).association.is_multiplexed());
    let handle = b.register(conn, Version::V2, 1);
    let waiting = b.notify(conn, &handle);
    let queued = b.call(conn, &UnRegister(handle));
    assert_eq!(b.reply(conn, queued), None);
    b.step("answer all ERROR_TIMEOUT");
    assert_eq!(b.told(conn, waiting), Some(Err(Status::TIMEOUT)));
    assert!(b.reply(conn, queued).is_some());
}

#[test]
fn a_cancelled_call_ends_with_a_fault_and_the_registration_stays() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    b.link(conn).association.cancel(call);
    b.settle();
    assert_eq!(b.reply(conn, call), Some(Err(FaultStatus::CANCEL)));
    assert_eq!(b.registrations().len(), 1);

    let call = b.notify(conn, &handle);
    b.link(conn).association.orphan(call);
    b.settle();
    assert!(b.registrations()[0].waiting.is_empty());
    assert_eq!(b.link(conn).error, None);
}

#[test]
fn windows_lists_nothing_until_there_is_a_witness() {
    let mut b = Bench::new(Profile::Windows2012R2);
    b.step("node 2 down");
    b.step("node 3 down");
    b.pass(SECOND);
    let conn = b.open(1, Logon::PRIVACY);
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), None);
    b.step("node 3 up");
    b.pass(SECOND);
    assert!(b.reply(conn, call).is_some());
}

#[test]
fn windows_tells_a_client_with_aliases_once() {
    let mut config = ClusterConfig::new(Profile::Windows2012R2, 3, common::SUBNET);
    config.aliases.push("files".into());
    let mut b = Bench::with(config);
    let conn = b.open(2, Logon::PRIVACY);
    let ip = b.address(1).to_string();
    let mut calls = Vec::new();
    for name in ["CLUSTER", "files"] {
        let mut register = request(Version::V2, &ip);
        register.net_name = Some(name.into());
        let registered = b.try_register(conn, Version::V2, &register);
        let handle = registered.unwrap().unwrap();
        calls.push(b.notify(conn, &handle));
    }
    b.step("node 1 down");
    b.pass(SECOND);
    let gone = changed("NODE1", ResourceState::Unavailable);
    assert_eq!(b.told(conn, calls[0]), Some(gone));
    assert_eq!(b.told(conn, calls[1]), None);
}

#[test]
fn only_who_asked_for_it_hears_of_shares_and_addresses() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open(2, Logon::PRIVACY);
    let ip = b.address(1).to_string();
    let mut register = request(Version::V2, &ip);
    register.share_name = None;
    register.ip_notify = false;
    let handle = b.try_register(conn, Version::V2, &register).unwrap().unwrap();
    let deaf = b.notify(conn, &handle);
    let handle = b.register(conn, Version::V2, 1);
    let listening = b.notify(conn, &handle);

    b.step("share-move all to 10.0.0.13");
    let to = vec![AddressInfo::new(b.address(3), true)];
    let moved = Ok(Some(NotifyMessages::ShareMove(to)));
    assert_eq!(b.told(conn, listening), Some(moved));

    let listening = b.notify(conn, &handle);
    b.step("ip-change all to 10.0.0.11 offline, fd00::12, 10.0.0.13");
    let to = vec![
        AddressInfo::new(b.address(1), false),
        AddressInfo::new("fd00::12".parse().unwrap(), true),
        AddressInfo::new(b.address(3), true),
    ];
    let changed = Ok(Some(NotifyMessages::IpChange(to)));
    assert_eq!(b.told(conn, listening), Some(changed));
    assert_eq!(b.told(conn, deaf), None);
}

#[test]
fn a_later_move_takes_the_place_of_one_that_nobody_fetched() {
    let mut b = Bench::new(Profile::Windows2012R2);
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    b.step("client-move all to 10.0.0.12");
    b.step("client-move all to 10.0.0.13");
    b.step("address 10.0.0.11 offline");
    let gone = changed("NODE1", ResourceState::Unavailable);
    assert_eq!(b.ask(conn, &handle), gone, "changes come first");
    let to = vec![AddressInfo::new(b.address(3), true)];
    let moved = Ok(Some(NotifyMessages::ClientMove(to)));
    assert_eq!(b.ask(conn, &handle), moved);
    let call = b.notify(conn, &handle);
    assert_eq!(b.told(conn, call), None);
}

#[test]
fn a_long_list_comes_in_fragments() {
    let mut b = Bench::with(ClusterConfig::new(Profile::Samba, 40, common::SUBNET));
    let conn = b.open(1, Logon::PRIVACY);
    assert_eq!(b.list(conn).len(), 40);
}

#[test]
fn a_long_request_comes_in_fragments() {
    for logon in [Logon::Ntlm(AuthLevel::Integrity), Logon::PRIVACY] {
        let mut b = Bench::new(Profile::Samba);
        let conn = b.open(2, logon);
        let (ip, name) = (b.address(1).to_string(), "x".repeat(10_000));
        let mut register = request(Version::V2, &ip);
        register.client_name = Some(name.as_str().into());
        let registered = b.try_register(conn, Version::V2, &register);
        assert!(matches!(registered, Ok(Ok(_))));
        assert_eq!(b.registrations()[0].client, name);
    }
}

#[test]
fn requests_that_were_altered_anywhere_are_refused_and_hurt_nobody() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut b = Bench::new(Profile::Samba);
    let good = b.open(2, Logon::PRIVACY);
    b.register(good, Version::V2, 1);
    for _ in 0..300 {
        let conn = b.open(2, Logon::PRIVACY);
        let ip = b.address(1).to_string();
        let call = RegisterEx(request(Version::V2, &ip));
        b.link(conn).association.invoke(&call).unwrap();
        let mut bytes = b.link(conn).association.take_transmit();
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
        b.cluster.receive(b.now, conn, &bytes);
        b.settle();
        b.cluster.closed(b.now, conn);
        b.links.remove(&conn);
    }
    assert_eq!(b.registrations().len(), 1);
    assert_eq!(b.list(good).len(), 3);
}

#[test]
fn an_interface_that_is_not_offered_is_refused() {
    let mut b = Bench::new(Profile::Samba);
    let conn = b.open_as(b.mapper(1), wire::INTERFACE, Logon::Anonymous, "");
    assert_eq!(
        b.link(conn).error,
        Some(AssociationError::ContextRejected { result: 2, reason: 1 })
    );
}

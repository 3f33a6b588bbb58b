//! Each fault is what it says, seen by a plain association.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Bench, Logon, SECOND, request};
use dcerpc_proto::association::{AssociationError, FaultStatus};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::pdu::AuthLevel;
use dcerpc_proto::pdu::{PduError, RejectReason};
use dcerpc_proto::security::SecurityError;
use swnclient_proto::wire::{self, AsyncNotify, GetInterfaceList, RegisterEx, Status, Version};
use witness_sim::{ConnId, Connect, Profile};

fn bench() -> Bench {
    Bench::new(Profile::Samba)
}

/// A bench where a fault befalls the interface list, after a logon.
fn listing(what: &str) -> (Bench, ConnId) {
    let mut b = bench();
    let conn = b.open(1, Logon::PRIVACY);
    b.list(conn);
    b.step(&format!("fault list {what}"));
    b.call(conn, &GetInterfaceList);
    (b, conn)
}

fn list_error(what: &str) -> Option<AssociationError> {
    let (mut b, conn) = listing(what);
    b.link(conn).error.take()
}

#[test]
fn connections_are_refused_or_not_answered() {
    let mut b = bench();
    b.step("fault connect node 2 refuse");
    b.step("fault mapper-connect no-reply");
    let (one, two) = (b.endpoint(1), b.endpoint(2));
    assert!(matches!(b.cluster.connect(b.now, one), Connect::Accepted(_)));
    assert_eq!(b.cluster.connect(b.now, two), Connect::Refused);
    assert!(matches!(b.cluster.connect(b.now, two), Connect::Accepted(_)));
    assert_eq!(b.cluster.connect(b.now, b.mapper(1)), Connect::NoAnswer);
    assert_eq!(b.cluster.connect(b.now, ([192, 0, 2, 1], 135).into()), Connect::NoAnswer);
    assert_eq!(b.cluster.connect(b.now, ([10, 0, 0, 11], 80).into()), Connect::Refused);
}

#[test]
fn an_answer_is_late() {
    let (mut b, conn) = listing("delay 5s");
    b.pass(4 * SECOND);
    assert!(b.link(conn).replies.is_empty());
    // Another call overtakes it, signatures and all.
    b.list(conn);
    b.pass(SECOND);
    assert_eq!(b.link(conn).replies.len(), 1);
    assert_eq!(b.link(conn).error, None);
}

#[test]
fn an_answer_is_lost_or_the_whole_connection() {
    let (mut b, conn) = listing("no-reply");
    assert_eq!(b.list(conn).len(), 3, "the next call is answered");

    let (mut b, conn) = listing("drop");
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), None);
    assert!(b.link(conn).silent);
    assert_eq!(b.link(conn).closed, None);

    let (mut b, conn) = listing("refuse");
    assert_eq!(b.link(conn).closed, Some(true));
}

#[test]
fn an_answer_is_cut_or_comes_in_pieces() {
    let (mut b, conn) = listing("cut 100");
    assert_eq!(b.link(conn).closed, Some(true));
    assert_eq!(b.link(conn).error, None);
    assert!(b.link(conn).replies.is_empty());

    let (mut b, conn) = listing("chunks");
    assert!(b.link(conn).segments > 1000);
    assert_eq!(b.link(conn).replies.len(), 1);

    let (mut b, conn) = listing("fragments 1");
    assert_eq!(b.link(conn).error, None);
    assert_eq!(b.link(conn).replies.len(), 1);
}

#[test]
fn an_altered_or_unprotected_answer_is_noticed() {
    let bad = SecurityError::BadSignature;
    assert_eq!(list_error("garble 100"), Some(bad.into()));
    assert_eq!(list_error("unprotected"), Some(AssociationError::Unprotected));
}

#[test]
fn an_answer_lies_about_itself() {
    assert!(matches!(list_error("wrong-call-id"), Some(AssociationError::UnknownCall(_))));
    assert!(matches!(
        list_error("huge-length"),
        Some(AssociationError::Malformed(PduError::FragmentLength { .. }))
    ));
    for what in ["huge-counts", "truncate 20"] {
        let (mut b, conn) = listing(what);
        let (_, reply) = b.link(conn).replies.pop_last().unwrap();
        let reply = reply.unwrap();
        assert!(reply.decode::<GetInterfaceList>().is_err(), "{what}");
    }
}

#[test]
fn huge_counts_are_everywhere() {
    let mut b = bench();
    b.step("fault ept-map huge-counts");
    let conn = b.open_as(b.mapper(1), epm::INTERFACE, Logon::Anonymous, "");
    let call = b.call(conn, &EptMap::new(wire::INTERFACE));
    let reply = b.reply(conn, call).unwrap().unwrap();
    assert!(reply.decode::<EptMap>().is_err());

    b.step("fault bind huge-counts");
    let conn = b.open(1, Logon::PRIVACY);
    assert!(matches!(b.link(conn).error, Some(AssociationError::Malformed(_))));

    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    b.step("client-move all to node 3");
    b.step("fault notify huge-counts");
    let call = b.notify(conn, &handle);
    let reply = b.reply(conn, call).unwrap().unwrap();
    assert!(reply.decode::<AsyncNotify>().is_err());
}

#[test]
fn a_bind_is_refused() {
    let mut b = bench();
    b.step("fault bind nak 2");
    let conn = b.open(1, Logon::PRIVACY);
    let refused = AssociationError::Rejected(RejectReason::LocalLimitExceeded);
    assert_eq!(b.link(conn).error, Some(refused));
    assert_eq!(b.link(conn).closed, Some(false));
}

#[test]
fn a_logon_is_refused_whichever_way_it_ends() {
    let mut b = bench();
    b.step("fault auth fault 5");
    let conn = b.open(1, Logon::PRIVACY);
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), Some(Err(FaultStatus::ACCESS_DENIED)));

    b.step("fault auth fault 5");
    let conn = b.open(1, Logon::Spnego(AuthLevel::Privacy));
    let refused = AssociationError::AccessDenied(FaultStatus::ACCESS_DENIED);
    assert_eq!(b.link(conn).error, Some(refused));
}

#[test]
fn a_call_returns_what_it_is_told_to_and_does_nothing() {
    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    b.step("fault register-ex node 2 times 2 status ERROR_REVISION_MISMATCH");
    let ip = b.address(1).to_string();
    for _ in 0..2 {
        let registered = b.try_register(conn, Version::V2, &request(Version::V2, &ip));
        assert_eq!(registered, Ok(Err(Status::REVISION_MISMATCH)));
    }
    assert!(b.registrations().is_empty());
    let handle = b.register(conn, Version::V2, 1);

    b.step("fault notify status ERROR_NOT_FOUND");
    assert_eq!(b.ask(conn, &handle), Err(Status::NOT_FOUND));
    b.step("fault notify empty");
    assert_eq!(b.ask(conn, &handle), Ok(None));
    b.step("fault unregister status ERROR_ACCESS_DENIED");
    assert_eq!(b.unregister(conn, &handle), Status::ACCESS_DENIED);
    assert_eq!(b.registrations().len(), 1);
}

#[test]
fn a_lost_answer_leaves_the_registration_behind() {
    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    b.step("fault register-ex no-reply");
    let ip = b.address(1).to_string();
    b.call(conn, &RegisterEx(request(Version::V2, &ip)));
    assert_eq!(b.registrations().len(), 1);
}

#[test]
fn what_nobody_was_told_waits_for_the_next_call() {
    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    b.step("fault notify no-reply");
    let unanswered = b.notify(conn, &handle);
    b.step("client-move all to node 3");
    assert_eq!(b.told(conn, unanswered), None);
    assert!(b.ask(conn, &handle).unwrap().is_some());
}

#[test]
fn a_restarted_service_is_at_another_port_and_knows_nobody() {
    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    b.register(conn, Version::V2, 1);
    let before = b.endpoint(2);
    b.step("service node 2 port 50000");
    assert_eq!(b.link(conn).closed, Some(true));
    assert!(b.registrations().is_empty());
    assert_eq!(b.cluster.connect(b.now, before), Connect::Refused);
    let conn = b.open(2, Logon::PRIVACY);
    b.register(conn, Version::V2, 1);
}

#[test]
fn a_cut_node_keeps_what_was_sent_to_it() {
    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    let handle = b.register(conn, Version::V2, 1);
    let call = b.notify(conn, &handle);
    b.step("node 2 cut");
    assert!(b.link(conn).silent);
    b.step("client-move all to node 3");
    let list = b.call(conn, &GetInterfaceList);
    assert_eq!(b.told(conn, call), None);
    b.step("node 2 up");
    assert!(!b.link(conn).silent);
    assert!(b.told(conn, call).is_some());
    assert!(b.reply(conn, list).is_some());
}

#[test]
fn a_silent_node_resets_when_it_is_back_and_an_address_when_it_moved() {
    let mut b = Bench::new(Profile::OneFs);
    let conn = b.open(2, Logon::PRIVACY);
    b.step("node 2 down silent");
    assert_eq!(b.link(conn).closed, None);
    b.step("node 2 up");
    assert_eq!(b.link(conn).closed, Some(true));

    let mut b = bench();
    let conn = b.open(2, Logon::PRIVACY);
    b.step("node 2 down silent");
    assert_eq!(b.link(conn).closed, None);
    b.pass(SECOND);
    assert_eq!(b.link(conn).closed, Some(true), "another node has the address now");
}

#[test]
fn an_address_that_is_offline_is_silent_and_its_node_goes_on() {
    let mut b = Bench::new(Profile::OneFs);
    let conn = b.open(2, Logon::PRIVACY);
    b.step("address 10.0.0.12 offline");
    assert!(b.link(conn).silent);
    assert_eq!(b.cluster.connect(b.now, b.mapper(2)), Connect::NoAnswer);
    b.step("address 10.0.0.12 online");
    assert!(!b.link(conn).silent);
    assert_eq!(b.list(conn).len(), 3);
}

#[test]
fn a_password_changes() {
    let mut b = bench();
    b.step("password alice other");
    let conn = b.open(1, Logon::PRIVACY);
    let call = b.call(conn, &GetInterfaceList);
    assert_eq!(b.reply(conn, call), Some(Err(FaultStatus::ACCESS_DENIED)));
    let conn = b.open_as(b.endpoint(1), wire::INTERFACE, Logon::PRIVACY, "other");
    assert_eq!(b.list(conn).len(), 3);
}

#[test]
fn a_stream_that_is_not_rpc_is_hung_up_on() {
    let mut b = bench();
    for garbage in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[5, 0, 0, 3, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        let Connect::Accepted(conn) = b.cluster.connect(b.now, b.endpoint(1)) else {
            panic!();
        };
        b.cluster.receive(b.now, conn, garbage);
        assert_eq!(b.cluster.connections(), 0);
        while b.cluster.poll_output().is_some() {}
    }
}

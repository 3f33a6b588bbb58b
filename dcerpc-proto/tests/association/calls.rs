//! Calls: their requests, their turns, and how they end.

use crate::support::{
    PROTECTIONS, any_protection, assert_alive, assert_ended, bind, bound, call, pair, replies,
};
use dcerpc_proto::association::{AssociationError, FaultStatus};
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::{PacketType, PfcFlags};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_request_is_cut_into_fragments_that_the_server_takes(
        protection in any_protection(),
        max_recv_frag in 1432..=u16::MAX,
        stubs in vec(vec(any::<u8>(), 0..14_000), 1..4),
    ) {
        let (mut association, mut server) = pair(protection);
        server.max_recv_frag = max_recv_frag;
        bind(&mut association, &mut server).unwrap();
        for stub in &stubs {
            association.call(7, stub.clone()).unwrap();
        }
        server.receive(&association.take_transmit());
        prop_assert_eq!(server.requests.len(), stubs.len());
        for (request, stub) in server.requests.iter().zip(&stubs) {
            prop_assert_eq!(request.opnum, 7);
            prop_assert_eq!(&request.stub, stub);
            let max = usize::from(max_recv_frag.min(5840));
            prop_assert!(request.fragments.iter().all(|len| *len <= max));
            // Full fragments, but for the last.
            let (_, full) = request.fragments.split_last().unwrap();
            prop_assert!(full.iter().all(|len| *len > max - 48));
        }
    }
}

#[test]
fn several_calls_are_in_flight_where_the_server_multiplexes() {
    for protection in PROTECTIONS {
        let (mut association, mut server) = bound(protection);
        assert!(association.is_multiplexed());
        let ids: Vec<_> = (0..3u8).map(|n| call(&mut association, &mut server, &[n])).collect();
        assert_eq!(server.pending(), [2, 3, 4]);
        assert_eq!(association.calls_under_way(), 3);
        // Answered in another order.
        for (call_id, text) in [(3, "b"), (4, "c"), (2, "a")] {
            let mut answer = server.respond(call_id, text.as_bytes(), 100);
            association.receive(&mut answer).unwrap();
        }
        let got: Vec<_> = replies(&mut association)
            .into_iter()
            .map(|(id, reply)| (id, reply.unwrap().stub))
            .collect();
        let [a, b, c] = ids[..] else { unreachable!() };
        assert_eq!(got, [(b, b"b".to_vec()), (c, b"c".to_vec()), (a, b"a".to_vec())]);
    }
}

#[test]
fn calls_take_turns_where_the_server_does_not_multiplex() {
    for protection in PROTECTIONS {
        let (mut association, mut server) = pair(protection);
        server.grants = PfcFlags::SUPPORT_HEADER_SIGN;
        // One of them made before the bind is complete.
        let mut ids = vec![association.call(7, vec![0]).unwrap()];
        bind(&mut association, &mut server).unwrap();
        assert!(!association.is_multiplexed());
        ids.extend((1..4u8).map(|n| association.call(7, vec![n]).unwrap()));
        server.receive(&association.take_transmit());
        assert_eq!(association.calls_under_way(), 4);
        for (n, id) in (0u8..).zip(ids) {
            assert_eq!(server.requests.len(), 1, "one at a time");
            let request = server.requests.pop().unwrap();
            assert_eq!(request.stub, [n]);
            // A fault ends a turn as a response does.
            let mut answer = if n == 1 {
                server.fault(request.call_id, 0x1c01_0002)
            } else {
                server.respond(request.call_id, &[n], 100)
            };
            association.receive(&mut answer).unwrap();
            assert_eq!(replies(&mut association)[0].0, id);
            server.receive(&association.take_transmit());
        }
        assert_eq!(server.requests, []);
        assert_eq!(association.calls_under_way(), 0);
    }
}

#[test]
fn calls_made_before_the_bind_is_complete_are_sent_in_order() {
    let (mut association, mut server) = pair(PROTECTIONS[3]);
    for n in 0..3u8 {
        association.call(7, vec![n]).unwrap();
    }
    bind(&mut association, &mut server).unwrap();
    let stubs: Vec<_> = server.requests.iter().map(|request| request.stub[0]).collect();
    assert_eq!(stubs, [0, 1, 2]);
}

#[test]
fn a_fault_ends_its_call_alone() {
    for protection in PROTECTIONS {
        for endian in [Endian::Little, Endian::Big] {
            let (mut association, mut server) = bound(protection);
            server.endian = endian;
            let ids: Vec<_> = (0..2u8).map(|n| call(&mut association, &mut server, &[n])).collect();
            // Even in the middle of its response.
            let mut answer = server.fragment(2, PfcFlags::FIRST_FRAG, b"begun");
            answer.extend(server.fault(2, 0x1c01_0002));
            association.receive(&mut answer).unwrap();
            assert_eq!(replies(&mut association), [(ids[0], Err(FaultStatus::OP_RNG_ERROR))]);
            assert_eq!(association.calls_under_way(), 1);
            server.requests.clear();
            assert_alive(&mut association, &mut server);
        }
    }
}

#[test]
fn an_orphaned_call_s_reply_is_not_reported() {
    for fault in [false, true] {
        let (mut association, mut server) = bound(PROTECTIONS[2]);
        let id = call(&mut association, &mut server, b"?");
        association.orphan(id);
        association.orphan(id);
        server.receive(&association.take_transmit());
        let orphaned: Vec<_> =
            server.log.iter().filter(|sent| sent.0 == PacketType::Orphaned).collect();
        assert_eq!(orphaned, [&(PacketType::Orphaned, 2)], "told once");
        // The server may still answer.
        let mut answer =
            if fault { server.fault(2, 0x1c00_000d) } else { server.respond(2, &[1; 500], 100) };
        association.receive(&mut answer).unwrap();
        assert_eq!(replies(&mut association), []);
        assert_eq!(association.calls_under_way(), 0);
        server.requests.clear();
        assert_alive(&mut association, &mut server);
    }
}

#[test]
fn an_orphaned_call_that_waits_for_its_turn_is_never_sent() {
    let (mut association, mut server) = pair(None);
    server.grants = PfcFlags::empty();
    bind(&mut association, &mut server).unwrap();
    call(&mut association, &mut server, b"first");
    let second = association.call(7, b"second".to_vec()).unwrap();
    association.orphan(second);
    assert_eq!(association.take_transmit(), []);
    let mut answer = server.respond(2, b"", 100);
    association.receive(&mut answer).unwrap();
    assert_eq!(association.take_transmit(), []);
    assert_eq!(association.calls_under_way(), 0);
}

#[test]
fn a_cancelled_call_s_end_is_reported() {
    let (mut association, mut server) = bound(None);
    let id = call(&mut association, &mut server, b"?");
    association.cancel(id);
    server.receive(&association.take_transmit());
    assert_eq!(server.log.last(), Some(&(PacketType::Cancel, 2)));
    let mut answer = server.fault(2, 0x1c00_000d);
    association.receive(&mut answer).unwrap();
    assert_eq!(replies(&mut association), [(id, Err(FaultStatus::CANCEL))]);
    // Nothing is left to cancel or to give up.
    association.cancel(id);
    association.orphan(id);
    assert_eq!(association.take_transmit(), []);
}

#[test]
fn an_answer_to_a_call_never_made_ends_the_association() {
    for call_id in [0, 1, 3, u32::MAX] {
        for fault in [false, true] {
            let (mut association, mut server) = bound(None);
            call(&mut association, &mut server, b"?");
            let mut answer =
                if fault { server.fault(call_id, 5) } else { server.respond(call_id, b"", 100) };
            assert_eq!(
                association.receive(&mut answer),
                Err(AssociationError::UnknownCall(call_id))
            );
            assert_ended(&mut association);
        }
    }
}

#[test]
fn a_second_answer_to_a_call_ends_the_association() {
    let (mut association, mut server) = bound(PROTECTIONS[1]);
    call(&mut association, &mut server, b"?");
    let mut answer = server.respond(2, b"", 100);
    association.receive(&mut answer).unwrap();
    let mut again = server.respond(2, b"", 100);
    assert_eq!(association.receive(&mut again), Err(AssociationError::UnknownCall(2)));
}

#[test]
fn an_answer_to_a_call_that_waits_for_its_turn_ends_the_association() {
    let (mut association, mut server) = pair(None);
    server.grants = PfcFlags::empty();
    bind(&mut association, &mut server).unwrap();
    call(&mut association, &mut server, b"first");
    association.call(7, b"second".to_vec()).unwrap();
    let mut answer = server.respond(3, b"", 100);
    assert_eq!(association.receive(&mut answer), Err(AssociationError::UnknownCall(3)));
}

#[test]
fn shutdown_ends_the_association_at_any_time() {
    let shutdown = || {
        let flags = PfcFlags::WHOLE;
        crate::support::Encoder::new(Endian::Little, PacketType::Shutdown, flags, 0).finish(0)
    };
    for protection in PROTECTIONS {
        let (mut association, _) = pair(protection);
        assert_eq!(association.receive(&mut shutdown()), Err(AssociationError::Shutdown));
        assert_ended(&mut association);

        let (mut association, mut server) = bound(protection);
        call(&mut association, &mut server, b"?");
        assert_eq!(association.receive(&mut shutdown()), Err(AssociationError::Shutdown));
        assert_ended(&mut association);
    }
}

#[test]
fn pdus_that_a_server_never_sends_end_the_association() {
    for packet_type in [
        PacketType::Request,
        PacketType::Bind,
        PacketType::BindAck,
        PacketType::BindNak,
        PacketType::AlterContext,
        PacketType::AlterContextResponse,
        PacketType::Auth3,
        PacketType::Cancel,
        PacketType::Orphaned,
    ] {
        let (mut association, _) = bound(None);
        let flags = PfcFlags::WHOLE;
        let mut pdu = crate::support::Encoder::new(Endian::Little, packet_type, flags, 2).finish(0);
        assert_eq!(association.receive(&mut pdu), Err(AssociationError::Unexpected(packet_type)));
        assert_ended(&mut association);
    }
}

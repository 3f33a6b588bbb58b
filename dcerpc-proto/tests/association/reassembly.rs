//! From any split of the byte stream and any fragmentation of the stubs to
//! whole replies.

use crate::support::{any_protection, bound, call, replies};
use dcerpc_proto::association::AssociationError;
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::PfcFlags;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Cuts `data` at the given places.
fn cut<'a>(mut data: &'a mut [u8], at: &[Index]) -> Vec<&'a mut [u8]> {
    let mut places: Vec<usize> = at.iter().map(|index| index.index(data.len() + 1)).collect();
    places.sort_unstable();
    let mut parts = Vec::new();
    let mut done = 0;
    for place in places {
        let (part, rest) = std::mem::take(&mut data).split_at_mut(place - done);
        done = place;
        data = rest;
        parts.push(part);
    }
    parts.push(data);
    parts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn interleaved_responses_survive_any_fragmentation_and_any_split(
        protection in any_protection(),
        big: bool,
        // Of each call its stub, and where it is cut into fragments.
        stubs in vec((vec(any::<u8>(), 0..3000), vec(any::<Index>(), 0..5)), 1..6),
        // Whose fragment is sent next.
        order in vec(any::<Index>(), 36),
        splits in vec(any::<Index>(), 0..40),
    ) {
        let (mut association, mut server) = bound(protection);
        server.endian = if big { Endian::Big } else { Endian::Little };
        let mut under_way = Vec::new();
        let mut stubs = stubs;
        for (stub, fragments) in &mut stubs {
            let call = call(&mut association, &mut server, b"?");
            let request = server.requests.pop().unwrap();
            let whole = stub.clone();
            under_way.push((call, request.call_id, whole, cut(stub, fragments), true));
        }

        let mut stream = Vec::new();
        let mut expected = Vec::new();
        let mut order = order.into_iter();
        while !under_way.is_empty() {
            let next = order.next().unwrap().index(under_way.len());
            let (_, call_id, _, fragments, first) = &mut under_way[next];
            let mut flags = PfcFlags::empty();
            flags.set(PfcFlags::FIRST_FRAG, std::mem::take(first));
            flags.set(PfcFlags::LAST_FRAG, fragments.len() == 1);
            stream.extend(server.fragment(*call_id, flags, fragments.remove(0)));
            if fragments.is_empty() {
                let (call, _, whole, _, _) = under_way.remove(next);
                expected.push((call, whole));
            }
        }

        for part in cut(&mut stream, &splits) {
            association.receive(part).unwrap();
        }
        let replies = replies(&mut association);
        prop_assert_eq!(replies.len(), expected.len());
        for ((call, reply), (expected_call, stub)) in replies.into_iter().zip(expected) {
            let reply = reply.unwrap();
            prop_assert_eq!(call, expected_call);
            prop_assert_eq!(reply.endian, server.endian);
            prop_assert_eq!(reply.stub, stub);
        }
        prop_assert_eq!(association.calls_under_way(), 0);
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_understood() {
    let (mut association, mut server) = bound(None);
    let id = call(&mut association, &mut server, b"?");
    let stub: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let stream = server.respond(2, &stub, 300);
    let last = stream.len() - 1;
    for (at, byte) in stream.into_iter().enumerate() {
        association.receive(&mut [byte]).unwrap();
        let replies = replies(&mut association);
        assert_eq!(replies.len(), usize::from(at == last));
        for (call, reply) in replies {
            assert_eq!((call, reply.unwrap().stub), (id, stub.clone()));
        }
    }
}

#[test]
fn nothing_received_is_nothing() {
    let (mut association, _server) = bound(None);
    association.receive(&mut []).unwrap();
    assert!(association.is_bound());
    assert!(association.poll_event().is_none());
}

#[test]
fn a_fragment_of_the_greatest_length_is_taken() {
    let (mut association, mut server) = bound(None);
    call(&mut association, &mut server, b"?");
    let mut stream = server.respond(2, &[7; 5840 - 24], 5840);
    assert_eq!(stream.len(), 5840);
    association.receive(&mut stream).unwrap();
    assert_eq!(replies(&mut association)[0].1.as_ref().unwrap().stub.len(), 5816);
}

#[test]
fn a_fragment_longer_than_what_was_offered_is_refused() {
    // At once; its header alone; its header in two parts.
    for parts in [&[5841][..], &[16], &[10, 6]] {
        let (mut association, mut server) = bound(None);
        call(&mut association, &mut server, b"?");
        let mut stream = server.respond(2, &[7; 5841 - 24], 5841);
        let mut rest = stream.as_mut_slice();
        let mut result = Ok(());
        for len in parts {
            assert_eq!(result, Ok(()));
            let (part, after) = rest.split_at_mut(*len);
            rest = after;
            result = association.receive(part);
        }
        assert!(matches!(result, Err(AssociationError::Malformed(_))), "{parts:?}");
    }
}

#[test]
fn fragments_out_of_order_are_refused() {
    for (first, second) in [
        // No first one; a second first one.
        (PfcFlags::empty(), None),
        (PfcFlags::LAST_FRAG, None),
        (PfcFlags::FIRST_FRAG, Some(PfcFlags::FIRST_FRAG)),
        (PfcFlags::FIRST_FRAG, Some(PfcFlags::WHOLE)),
    ] {
        let (mut association, mut server) = bound(None);
        call(&mut association, &mut server, b"?");
        let mut stream = server.fragment(2, first, b"a");
        if let Some(second) = second {
            stream.extend(server.fragment(2, second, b"b"));
        }
        assert_eq!(association.receive(&mut stream), Err(AssociationError::FragmentOrder(2)));
        assert!(association.poll_event().is_none());
    }
}

#[test]
fn what_came_whole_before_an_error_is_reported() {
    let (mut association, mut server) = bound(None);
    let id = call(&mut association, &mut server, b"?");
    let mut stream = server.respond(2, b"answer", 100);
    stream.extend([0xff; 100]);
    assert!(association.receive(&mut stream).is_err());
    assert_eq!(replies(&mut association)[0].0, id);
    crate::support::assert_ended(&mut association);
}

use super::*;
use crate::epm;

/// An association that multiplexes, without authentication, that has made
/// nearly all the calls there are identifiers for.
fn worn() -> Association<char> {
    let mut association = Association::new(AssociationConfig::new(epm::INTERFACE), None).unwrap();
    association.take_transmit();
    association.state = State::Bound;
    association.multiplexed = true;
    association.last_call = u32::MAX - 1;
    association
}

fn response(call: CallId) -> Vec<u8> {
    let mut pdu = PduWriter::new(PacketType::Response, PfcFlags::WHOLE, call.0);
    Response { alloc_hint: 0, context_id: CONTEXT_ID }.write(pdu.body());
    pdu.finish(0, &[])
}

#[test]
fn calls_keep_their_replies_apart_when_their_identifiers_come_round() {
    let mut association = worn();
    let calls = ['a', 'b', 'c', 'd'].map(|purpose| {
        let call = association.call_for(purpose, 7, Vec::new()).unwrap();
        (call, purpose)
    });
    // The bind's own identifier is left out.
    assert_eq!(calls.map(|(call, _)| call.0), [u32::MAX, 0, 2, 3]);
    for (call, expected) in [calls[2], calls[0], calls[3], calls[1]] {
        association.receive(&mut response(call)).unwrap();
        let Some(Event::Reply { call: answered, purpose, reply: Ok(_) }) = association.poll_event()
        else {
            panic!("no reply to {expected}");
        };
        assert_eq!((answered, purpose), (call, expected));
    }
    assert_eq!(association.calls_under_way(), 0);
}

#[test]
fn an_identifier_that_still_waits_for_its_reply_is_passed_over() {
    let mut association = worn();
    let waits = association.call_for('a', 7, Vec::new()).unwrap();
    association.last_call = waits.0 - 1;
    assert_eq!(association.call_for('b', 7, Vec::new()).unwrap().0, 0);
}

#[test]
fn replies_to_orphaned_calls_are_not_reported_whether_sent_or_queued() {
    let mut association = worn();
    association.multiplexed = false;
    let [sent, queued, last] =
        ['a', 'b', 'c'].map(|purpose| association.call_for(purpose, 7, Vec::new()).unwrap());
    association.orphan(sent);
    association.orphan(queued);
    association.receive(&mut response(sent)).unwrap();
    assert!(association.poll_event().is_none(), "it is not waited for");
    association.receive(&mut response(last)).unwrap();
    assert!(matches!(association.poll_event(), Some(Event::Reply { purpose: 'c', .. })));
    assert!(association.poll_event().is_none());
}

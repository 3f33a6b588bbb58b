//! What protects a response, and every way it can be missing or wrong.

use crate::support::{
    Encoder, PROTECTIONS, Server, any_protection, assert_alive, assert_ended, bound, call, replies,
    trailer_of,
};
use dcerpc_proto::association::{Association, AssociationError, FaultStatus};
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::{PacketType, PduError, PfcFlags, Response};
use dcerpc_proto::security::SecurityError;
use proptest::prelude::*;

/// An association with a call under way, and the answer to it.
fn answered(protection: crate::support::Protection) -> (Association, Server, Vec<u8>) {
    let (mut association, mut server) = bound(protection);
    call(&mut association, &mut server, b"?");
    server.requests.clear();
    let answer = server.respond(2, b"an answer of some length", 100);
    (association, server, answer)
}

/// The answer is refused, its call is not answered, and another association
/// with the same server goes on.
fn assert_refused(
    protection: crate::support::Protection,
    alter: impl FnOnce(&mut Vec<u8>),
) -> AssociationError {
    let (mut other, mut other_server) = bound(protection);
    let (mut association, _, mut answer) = answered(protection);
    alter(&mut answer);
    let error = association.receive(&mut answer).unwrap_err();
    assert_eq!(replies(&mut association), []);
    assert_ended(&mut association);
    assert_alive(&mut other, &mut other_server);
    error
}

fn set_auth_length(answer: &mut [u8], length: usize) {
    let lengths = [answer.len(), length].map(|len| u16::try_from(len).unwrap().to_le_bytes());
    answer[8..12].copy_from_slice(&lengths.concat());
}

#[test]
fn a_response_without_security_trailer_is_refused() {
    for protection in &PROTECTIONS[1..] {
        let error = assert_refused(*protection, |answer| {
            answer.truncate(trailer_of(answer));
            set_auth_length(answer, 0);
        });
        assert_eq!(error, AssociationError::Unprotected);
    }
}

#[test]
fn a_security_trailer_that_was_not_agreed_is_refused() {
    let response = Response { alloc_hint: 0, context_id: 0 };
    let mut pdu =
        Encoder::new(Endian::Little, PacketType::Response, PfcFlags::WHOLE, 2).body(&response);
    pdu.trailer(24, 10, 6, 1);
    let mut pdu = pdu.finish(16);
    pdu.extend([0; 16]);
    let error = assert_refused(None, |answer| *answer = pdu);
    assert_eq!(error, AssociationError::Unprotected);
}

#[test]
fn a_short_signature_is_refused() {
    for protection in &PROTECTIONS[1..] {
        for len in 1..16 {
            let error = assert_refused(*protection, |answer| {
                answer.truncate(trailer_of(answer) + 8 + len);
                set_auth_length(answer, len);
            });
            assert_eq!(error, AssociationError::Security(SecurityError::BadSignature));
        }
    }
}

#[test]
fn a_long_signature_is_refused() {
    for protection in &PROTECTIONS[1..] {
        let error = assert_refused(*protection, |answer| {
            answer.push(0);
            set_auth_length(answer, 17);
        });
        assert_eq!(error, AssociationError::Security(SecurityError::BadSignature));
    }
}

#[test]
fn another_service_level_or_context_is_refused() {
    for protection in &PROTECTIONS[1..] {
        let (service, level) = protection.unwrap();
        let other_service = if service as u8 == 9 { 10 } else { 9 };
        let other_level = if level as u8 == 5 { 6 } else { 5 };
        for (at, value) in [(0, other_service), (0, 16), (1, other_level), (4, 0), (4, 2), (7, 1)] {
            let error = assert_refused(*protection, |answer| {
                let at = trailer_of(answer) + at;
                answer[at] = value;
            });
            assert_eq!(error, AssociationError::Unprotected);
        }
        // Levels that protect nothing, or nothing enough.
        for level in [1, 2, 3, 4] {
            let error = assert_refused(*protection, |answer| {
                let at = trailer_of(answer) + 1;
                answer[at] = level;
            });
            let service = service as u8;
            let expected = PduError::Security { service, level };
            assert_eq!(error, AssociationError::Malformed(expected));
        }
    }
}

#[test]
fn a_response_sent_twice_is_refused() {
    for protection in &PROTECTIONS[1..] {
        let (mut association, mut server, mut answer) = answered(*protection);
        // Both calls are under way, so that the identifier alone is no reason.
        call(&mut association, &mut server, b"?");
        let mut again = answer.clone();
        association.receive(&mut answer).unwrap();
        assert_eq!(replies(&mut association).len(), 1);
        again[12] = 3;
        assert_eq!(
            association.receive(&mut again),
            Err(AssociationError::Security(SecurityError::BadSignature))
        );
    }
}

#[test]
fn a_fragment_left_out_is_noticed() {
    for protection in &PROTECTIONS[1..] {
        let (mut association, mut server) = bound(*protection);
        call(&mut association, &mut server, b"?");
        let mut first = server.fragment(2, PfcFlags::FIRST_FRAG, b"a");
        server.fragment(2, PfcFlags::empty(), b"b");
        let mut last = server.fragment(2, PfcFlags::LAST_FRAG, b"c");
        association.receive(&mut first).unwrap();
        assert_eq!(
            association.receive(&mut last),
            Err(AssociationError::Security(SecurityError::BadSignature))
        );
    }
}

/// As Samba's come. It can end a call, as a cut cable can.
#[test]
fn a_fault_needs_no_protection_but_one_that_claims_it_must_have_it() {
    for protection in &PROTECTIONS[1..] {
        let (mut association, mut server, _) = answered(*protection);
        let mut fault = server.fault(2, 5);
        association.receive(&mut fault).unwrap();
        assert_eq!(replies(&mut association)[0].1, Err(FaultStatus::ACCESS_DENIED));

        call(&mut association, &mut server, b"?");
        let mut forged = server.fault(3, 5);
        let (service, level) = protection.unwrap();
        forged.extend([service as u8, level as u8, 0, 0, 1, 0, 0, 0]);
        forged.extend([0; 16]);
        set_auth_length(&mut forged, 16);
        assert_eq!(
            association.receive(&mut forged),
            Err(AssociationError::Security(SecurityError::BadSignature))
        );
    }
}

/// Who is on the path can end a connection, and nothing more: by a refusal of the
/// credentials the owner would give the call up, or all of them.
#[test]
fn after_a_verified_response_a_refusal_without_protection_is_a_lost_connection() {
    const CALLS: u32 = 128;
    for protection in &PROTECTIONS[1..] {
        for (call, status, expected) in [
            (1, 5, AssociationError::UnknownCall(1)),
            (1, 0x1c01_0002, AssociationError::UnknownCall(1)),
            (3, 5, AssociationError::Unprotected),
            (3, 0x721, AssociationError::Unprotected),
            (3, 0x8009_030c, AssociationError::Unprotected),
        ] {
            let (mut association, mut server, mut answer) = answered(*protection);
            association.receive(&mut answer).unwrap();
            assert_eq!(replies(&mut association).len(), 1);
            for _ in 0..CALLS {
                crate::support::call(&mut association, &mut server, b"?");
            }
            let error = association.receive(&mut server.fault(call, status)).unwrap_err();
            assert_eq!(error, expected, "call {call}, status {status:#x}");
            assert_eq!(replies(&mut association), []);
            assert_ended(&mut association);
        }
    }
}

/// What the interface itself cannot do says nothing of who is calling, and Samba says it
/// without protection.
#[test]
fn after_a_verified_response_other_faults_need_no_protection() {
    for protection in &PROTECTIONS[1..] {
        let (mut association, mut server, mut answer) = answered(*protection);
        association.receive(&mut answer).unwrap();
        replies(&mut association);
        call(&mut association, &mut server, b"?");
        association.receive(&mut server.fault(3, 0x1c01_0002)).unwrap();
        assert_eq!(replies(&mut association)[0].1, Err(FaultStatus::OP_RNG_ERROR));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// NTLM signs the whole PDU: no bit of it can be altered.
    #[test]
    fn a_response_altered_anywhere_is_refused(
        protection in any_protection(), at in any::<prop::sample::Index>(), mask in 1..=u8::MAX,
    ) {
        prop_assume!(protection.is_some());
        let (mut association, _, mut answer) = answered(protection);
        let at = at.index(answer.len());
        answer[at] ^= mask;
        // A longer fragment is waited for, without end.
        let waits = association.receive(&mut answer).is_ok();
        prop_assert!(!waits || (8..10).contains(&at), "{}", at);
        prop_assert_eq!(replies(&mut association), []);
    }
}

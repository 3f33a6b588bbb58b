//! The initiator against the acceptor, and against everything else.

use proptest::prelude::*;

use super::av_pair::{self, AvPairs, id};
use super::flags::Flags;
use super::messages::{Authenticate, Challenge, MIC_LEN, MIC_OFFSET, Negotiate};
use super::{Logon, NtlmAcceptor, NtlmContext, NtlmCredentials};
use crate::pdu::AuthLevel;
use crate::security::testing::{PROTECTIONS, Side, acceptor, converse, initiator, jane};
use crate::security::{AcceptorContext, Protected, SecurityContext, SecurityError};

/// Where CHALLENGE and AUTHENTICATE have their flags.
const CHALLENGE_FLAGS: usize = 20;
const AUTHENTICATE_FLAGS: usize = 60;

/// Logs on; the result is the acceptor's.
fn log_on(initiator: &mut NtlmContext, acceptor: &mut NtlmAcceptor) -> Result<(), SecurityError> {
    let authenticate = authenticate(initiator, acceptor);
    assert_eq!(acceptor.step(&authenticate)?, []);
    Ok(())
}

/// The first three legs, up to AUTHENTICATE.
fn authenticate(initiator: &mut NtlmContext, acceptor: &mut NtlmAcceptor) -> Vec<u8> {
    let challenge = challenge(initiator, acceptor);
    let last = initiator.step(&challenge).unwrap();
    assert!(!last.expects_reply);
    assert!(initiator.is_established());
    last.token
}

/// The first two legs, up to CHALLENGE.
fn challenge(initiator: &mut NtlmContext, acceptor: &mut NtlmAcceptor) -> Vec<u8> {
    let first = initiator.step(&[]).unwrap();
    assert!(first.expects_reply);
    acceptor.step(&first.token).unwrap()
}

fn established() -> (NtlmContext, NtlmAcceptor) {
    let (mut initiator, mut acceptor) = (initiator(jane()), acceptor());
    log_on(&mut initiator, &mut acceptor).unwrap();
    (initiator, acceptor)
}

fn clear_flag(message: &mut [u8], offset: usize, flag: Flags) {
    let flags = message[offset..].first_chunk_mut().unwrap();
    *flags = (u32::from_le_bytes(*flags) & !flag.bits()).to_le_bytes();
}

#[test]
fn both_sides_understand_each_other_at_all_levels() {
    let (mut initiator, mut acceptor) = established();
    assert_eq!(
        acceptor.logon(),
        Some(&Logon {
            user: "jane".into(),
            domain: "WORK".into(),
            workstation: "LAPTOP".into(),
            target: Some("cifs/node1.work.example".into()),
            mic: true,
        })
    );
    assert!(initiator.has_mic());
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn a_server_without_a_timestamp_gets_lmv2_and_no_promise_of_a_mic() {
    let (mut initiator, mut acceptor) = (initiator(jane()), acceptor().without_timestamp());
    let token = authenticate(&mut initiator, &mut acceptor);
    assert_ne!(Authenticate::decode(&token).unwrap().lm_response, [0; 24]);
    acceptor.step(&token).unwrap();
    assert!(!acceptor.logon().unwrap().mic);
    assert!(!initiator.has_mic());
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn lmv2_is_all_zero_where_there_is_a_timestamp() {
    let token = authenticate(&mut initiator(jane()), &mut acceptor());
    assert_eq!(Authenticate::decode(&token).unwrap().lm_response, [0; 24]);
}

#[test]
fn sessions_without_key_exchange_work() {
    let (mut initiator, mut acceptor) = (initiator(jane()), acceptor().without_timestamp());
    let mut challenge = challenge(&mut initiator, &mut acceptor);
    clear_flag(&mut challenge, CHALLENGE_FLAGS, Flags::KEY_EXCHANGE);
    let token = initiator.step(&challenge).unwrap().token;
    let message = Authenticate::decode(&token).unwrap();
    assert_eq!(message.encrypted_session_key, []);
    acceptor.step(&token).unwrap();
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn users_without_a_domain_are_found() {
    for user in ["jane", "JANE"] {
        let mut initiator = initiator(NtlmCredentials::from_password(user, "", "secret"));
        let mut acceptor = acceptor();
        log_on(&mut initiator, &mut acceptor).unwrap();
        converse(&mut initiator, &mut acceptor);
    }
}

#[test]
fn a_wrong_password_or_user_is_refused() {
    for (user, password) in [("jane", "Secret"), ("jane", ""), ("joan", "secret")] {
        let credentials = NtlmCredentials::from_password(user, "WORK", password);
        let mut acceptor = acceptor();
        let result = log_on(&mut initiator(credentials), &mut acceptor);
        assert!(matches!(result, Err(SecurityError::Credentials(_))));
        assert!(!acceptor.is_established());
    }
}

#[test]
fn a_server_that_offers_less_is_refused() {
    for (flag, expected) in [
        (Flags::UNICODE, "Unicode strings"),
        (Flags::SIGN, "signing"),
        (Flags::EXTENDED_SESSION_SECURITY, "extended session security"),
        (Flags::KEY_128, "128-bit session keys"),
    ] {
        let (mut initiator, mut acceptor) = (initiator(jane()), acceptor());
        let mut challenge = challenge(&mut initiator, &mut acceptor);
        clear_flag(&mut challenge, CHALLENGE_FLAGS, flag);
        assert_eq!(
            initiator.step(&challenge).unwrap_err(),
            SecurityError::Downgrade { missing: expected }
        );
    }
}

#[test]
fn a_server_that_does_not_seal_is_good_for_integrity_only() {
    let (mut initiator, mut acceptor) = (initiator(jane()), acceptor().without_timestamp());
    let mut challenge = challenge(&mut initiator, &mut acceptor);
    clear_flag(&mut challenge, CHALLENGE_FLAGS, Flags::SEAL);
    let token = initiator.step(&challenge).unwrap().token;
    acceptor.step(&token).unwrap();

    let sent = Side::Initiator(&mut initiator).send((AuthLevel::Integrity, true));
    Side::Acceptor(&mut acceptor).receive(&sent).unwrap();
    let message = Protected { pdu: &mut [0; 8], stub: 0..8, header_signing: true };
    assert_eq!(
        initiator.protect(AuthLevel::Privacy, message, &mut Vec::new()),
        Err(SecurityError::Downgrade { missing: "sealing" })
    );
}

#[test]
fn any_change_on_the_way_breaks_the_logon() {
    // In CHALLENGE: caught by the MIC, or by what follows from other names.
    for offset in [CHALLENGE_FLAGS + 2, 24, 32, 48, 60] {
        let (mut initiator, mut acceptor) = (initiator(jane()), acceptor());
        let mut challenge = challenge(&mut initiator, &mut acceptor);
        challenge[offset] ^= 0x40;
        let refused = match initiator.step(&challenge) {
            Ok(step) => acceptor.step(&step.token).is_err(),
            Err(_) => true,
        };
        assert!(refused, "change at {offset}");
    }
    // In AUTHENTICATE: flags, version, MIC, workstation, response, session key.
    let length = authenticate(&mut initiator(jane()), &mut acceptor()).len();
    for offset in [AUTHENTICATE_FLAGS, 64, MIC_OFFSET, 101, length - 40, length - 1] {
        let (mut initiator, mut acceptor) = (initiator(jane()), acceptor());
        let mut token = authenticate(&mut initiator, &mut acceptor);
        token[offset] ^= 0x20;
        assert!(acceptor.step(&token).is_err(), "change at {offset}");
    }
}

#[test]
fn any_change_of_a_pdu_is_refused() {
    for protection in PROTECTIONS {
        let (mut initiator, _) = established();
        let pdu_len = Side::Initiator(&mut initiator).send(protection).pdu.len();
        for offset in 0..pdu_len {
            let (mut initiator, mut acceptor) = established();
            let mut sent = Side::Acceptor(&mut acceptor).send(protection);
            sent.pdu[offset] ^= 1;
            let result = Side::Initiator(&mut initiator).receive(&sent);
            assert_eq!(result, Err(SecurityError::BadSignature));
        }
        for offset in 0..16 {
            let (mut initiator, mut acceptor) = established();
            let mut sent = Side::Initiator(&mut initiator).send(protection);
            sent.signature[offset] ^= 1;
            let result = Side::Acceptor(&mut acceptor).receive(&sent);
            assert_eq!(result, Err(SecurityError::BadSignature));
        }
        for length in [0, 12, 15, 17] {
            let (mut initiator, mut acceptor) = established();
            let mut sent = Side::Acceptor(&mut acceptor).send(protection);
            sent.signature.resize(length, 0);
            let result = Side::Initiator(&mut initiator).receive(&sent);
            assert_eq!(result, Err(SecurityError::BadSignature));
        }
    }
}

#[test]
fn a_pdu_repeated_lost_or_reflected_is_refused() {
    for protection in PROTECTIONS {
        let (mut initiator, mut acceptor) = established();
        let sent = Side::Acceptor(&mut acceptor).send(protection);
        Side::Initiator(&mut initiator).receive(&sent).unwrap();
        let repeated = Side::Initiator(&mut initiator).receive(&sent);
        assert_eq!(repeated, Err(SecurityError::BadSignature));

        let (mut initiator, mut acceptor) = established();
        let _lost = Side::Acceptor(&mut acceptor).send(protection);
        let sent = Side::Acceptor(&mut acceptor).send(protection);
        let out_of_order = Side::Initiator(&mut initiator).receive(&sent);
        assert_eq!(out_of_order, Err(SecurityError::BadSignature));

        let (mut initiator, _) = established();
        let sent = Side::Initiator(&mut initiator).send(protection);
        let reflected = Side::Initiator(&mut initiator).receive(&sent);
        assert_eq!(reflected, Err(SecurityError::BadSignature));
    }
}

#[test]
fn nothing_is_protected_before_the_logon_nor_stepped_after_it() {
    let mut early = initiator(jane());
    let message = Protected { pdu: &mut [0; 8], stub: 0..8, header_signing: true };
    let result = early.protect(AuthLevel::Integrity, message, &mut Vec::new());
    assert!(matches!(result, Err(SecurityError::Misuse(_))));
    assert!(matches!(early.get_mic(b""), Err(SecurityError::Misuse(_))));

    let (mut initiator, mut acceptor) = established();
    assert!(matches!(initiator.step(&[]), Err(SecurityError::Misuse(_))));
    assert!(matches!(acceptor.step(&[]), Err(SecurityError::Misuse(_))));
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn a_refused_token_ends_the_context() {
    let mut initiator = initiator(jane());
    initiator.step(&[]).unwrap();
    let refused = initiator.step(b"NTLMSSP\0");
    assert!(matches!(refused, Err(SecurityError::InvalidToken { .. })));
    assert!(matches!(initiator.step(&[]), Err(SecurityError::Misuse(_))));
    assert!(!initiator.is_established());
}

#[test]
fn a_mic_takes_a_sequence_number_and_the_key_streams_start_anew() {
    let (mut initiator, mut acceptor) = established();
    let mic = initiator.get_mic(b"mechanisms").unwrap();
    acceptor.verify_mic(b"mechanisms", &mic).unwrap();
    let mic = acceptor.get_mic(b"mechanisms").unwrap();
    initiator.verify_mic(b"mechanisms", &mic).unwrap();
    initiator.restart_ciphers().unwrap();
    acceptor.restart_ciphers().unwrap();
    let sent = Side::Initiator(&mut initiator).send((AuthLevel::Privacy, true));
    assert_eq!(sent.signature[12..], [1, 0, 0, 0]);
    Side::Acceptor(&mut acceptor).receive(&sent).unwrap();
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn what_the_server_claims_for_the_client_is_dropped() {
    let mut list = Vec::new();
    for (identifier, value) in [
        (id::TARGET_NAME, vec![b'x', 0]),
        (id::TIMESTAMP, vec![7; 8]),
        (id::CHANNEL_BINDINGS, vec![1; 16]),
        (0x77, vec![5]),
        (id::FLAGS, vec![1, 0, 0, 0]),
        (id::EOL, vec![]),
    ] {
        av_pair::push(&mut list, identifier, &value).unwrap();
    }
    let server = AvPairs::parse(&list).unwrap();
    let ours = av_pair::client_pairs(server, Some(b"y\0")).unwrap();
    let expected: [(u16, &[u8]); 5] = [
        (id::TIMESTAMP, &[7; 8]),
        (0x77, &[5]),
        (id::FLAGS, &[3, 0, 0, 0]),
        (id::CHANNEL_BINDINGS, &[0; 16]),
        (id::TARGET_NAME, b"y\0"),
    ];
    let pairs = AvPairs::parse(&ours).unwrap();
    assert_eq!(pairs.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn names_too_long_for_the_format_are_refused() {
    let long = "x".repeat(40_000);
    for (user, target, workstation) in [
        (long.as_str(), None, ""),
        ("jane", Some(long.as_str()), ""),
        ("jane", None, long.as_str()),
    ] {
        let credentials = NtlmCredentials::from_password(user, "WORK", "secret");
        let mut initiator = NtlmContext::new(credentials, target, workstation);
        let challenge = challenge(&mut initiator, &mut acceptor());
        assert!(initiator.step(&challenge).is_err());
    }
}

#[test]
fn messages_survive_encoding() {
    let negotiate = Negotiate { flags: Flags::OFFERED };
    assert_eq!(Negotiate::decode(&negotiate.encode()), Some(negotiate));
    let challenge = Challenge {
        flags: Flags::OFFERED,
        server_challenge: [7; 8],
        target_name: b"N\0",
        target_info: &[0; 4],
    };
    let bytes = challenge.encode().unwrap();
    assert_eq!(Challenge::decode(&bytes), Some(challenge));
    let authenticate = Authenticate {
        flags: Flags::OFFERED,
        lm_response: &[0; 24],
        nt_response: &[1; 40],
        domain: b"",
        user: b"u\0",
        workstation: b"w\0",
        encrypted_session_key: &[2; 16],
    };
    let bytes = authenticate.encode().unwrap();
    assert_eq!(bytes[MIC_OFFSET..MIC_OFFSET + MIC_LEN], [0; MIC_LEN]);
    assert_eq!(Authenticate::decode(&bytes), Some(authenticate));
}

/// Any bytes, or an NTLM message of type `kind` with any bytes behind.
fn hostile(kind: u8) -> impl Strategy<Value = Vec<u8>> {
    let rest = proptest::collection::vec(any::<u8>(), 0..200);
    // Small numbers make fields that point into the message.
    let small = proptest::collection::vec(0..100_u8, 0..200);
    (any::<bool>(), prop_oneof![rest, small]).prop_map(move |(is_ntlm, rest)| {
        let start: &[u8] = b"NTLMSSP\0";
        match is_ntlm {
            true => [start, &[kind, 0, 0, 0], &rest].concat(),
            false => rest,
        }
    })
}

proptest! {
    #[test]
    fn no_message_panics(bytes in hostile(1), challenge in hostile(2), authenticate in hostile(3)) {
        let _ = Negotiate::decode(&bytes);
        let _ = Challenge::decode(&challenge);
        let _ = Authenticate::decode(&authenticate);
        if let Some(pairs) = AvPairs::parse(&bytes) {
            pairs.iter().count();
            let _ = (pairs.timestamp(), pairs.flags());
            let _ = av_pair::client_pairs(pairs, None);
        }
    }

    #[test]
    fn no_challenge_panics(bytes in hostile(2)) {
        let mut initiator = initiator(jane());
        initiator.step(&[]).unwrap();
        let _ = initiator.step(&bytes);
    }

    #[test]
    fn no_damaged_challenge_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut initiator = initiator(jane());
        let mut challenge = challenge(&mut initiator, &mut acceptor());
        for (offset, byte) in damage {
            let offset = offset.index(challenge.len());
            challenge[offset] = byte;
        }
        let _ = initiator.step(&challenge);
    }

    #[test]
    fn no_negotiate_or_authenticate_panics(first in hostile(1), bytes in hostile(3)) {
        let _ = acceptor().step(&first);
        let (mut initiator, mut acceptor) = (initiator(jane()), acceptor());
        challenge(&mut initiator, &mut acceptor);
        let _ = acceptor.step(&bytes);
        prop_assert!(!acceptor.is_established());
    }

    #[test]
    fn no_pdu_or_signature_panics(mut pdu in proptest::collection::vec(any::<u8>(), 0..100), stub in (0..110_usize, 0..110_usize), signature in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (mut initiator, _) = established();
        let message = Protected { pdu: &mut pdu, stub: stub.0..stub.1, header_signing: true };
        prop_assert!(initiator.unprotect(AuthLevel::Privacy, message, &signature).is_err());
    }
}

//! The initiator against the acceptor, and against everything else.

use proptest::prelude::*;

use super::av_pair::{self, AvPairs, id};
use super::flags::Flags;
use super::messages::{Authenticate, Challenge, MIC_LEN, MIC_OFFSET, Negotiate};
use super::{Logon, NtlmAcceptor, NtlmCredentials, NtlmInitiator, NtlmLogon, NtlmSession};
use crate::pdu::AuthLevel;
use crate::security::spnego::MechanismSession;
use crate::security::testing::{
    LEVELS, PROTECTIONS, acceptor, acceptor_at, converse, goes_on, initiator, is_done, jane, now,
    receive, send,
};
use crate::security::{Handshake, Protected, Protection, SecurityError};
use std::time::Duration;

/// Where CHALLENGE and AUTHENTICATE have their flags.
const CHALLENGE_FLAGS: usize = 20;
const AUTHENTICATE_FLAGS: usize = 60;

type Initiator = Box<dyn Handshake<NtlmSession>>;
type Acceptor = Box<dyn Handshake<NtlmLogon>>;

/// Logs on; the result is the acceptor's.
fn log_on(
    initiator: NtlmInitiator,
    acceptor: NtlmAcceptor,
    level: AuthLevel,
) -> Result<(NtlmSession, NtlmLogon), SecurityError> {
    let (authenticate, session, acceptor) = authenticate(initiator, acceptor, level);
    let (last, logon) = is_done(acceptor.step(&authenticate, level)?);
    assert_eq!(last, []);
    Ok((session, logon))
}

/// The first three legs, up to AUTHENTICATE.
fn authenticate(
    initiator: NtlmInitiator,
    acceptor: NtlmAcceptor,
    level: AuthLevel,
) -> (Vec<u8>, NtlmSession, Acceptor) {
    let (challenge, initiator, acceptor) = challenge(initiator, acceptor, level);
    let (token, session) = is_done(initiator.step(&challenge, level).unwrap());
    (token, session, acceptor)
}

/// The first two legs, up to CHALLENGE.
fn challenge(
    initiator: NtlmInitiator,
    acceptor: NtlmAcceptor,
    level: AuthLevel,
) -> (Vec<u8>, Initiator, Acceptor) {
    let initiator: Initiator = Box::new(initiator);
    let acceptor: Acceptor = Box::new(acceptor);
    let (negotiate, initiator) = goes_on(initiator.step(&[], level).unwrap());
    let (challenge, acceptor) = goes_on(acceptor.step(&negotiate, level).unwrap());
    (challenge, initiator, acceptor)
}

fn established(level: AuthLevel) -> (NtlmSession, NtlmSession) {
    let (initiator, logon) = log_on(initiator(jane()), acceptor(), level).unwrap();
    (initiator, logon.session)
}

fn clear_flag(message: &mut [u8], offset: usize, flag: Flags) {
    let flags = message[offset..].first_chunk_mut().unwrap();
    *flags = (u32::from_le_bytes(*flags) & !flag.bits()).to_le_bytes();
}

#[test]
fn both_sides_understand_each_other_at_all_levels() {
    for level in LEVELS {
        let (mut session, mut logon) = log_on(initiator(jane()), acceptor(), level).unwrap();
        assert_eq!(
            logon.logon,
            Logon {
                user: "jane".into(),
                domain: "WORK".into(),
                workstation: "LAPTOP".into(),
                target: Some("cifs/node1.work.example".into()),
                mic: true,
            }
        );
        assert!(session.wants_mic());
        converse(&mut session, &mut logon.session, level);
    }
}

/// An attacker may have taken it out of the challenge.
#[test]
fn a_server_without_a_timestamp_gets_a_mic_and_no_lmv2_too() {
    for level in LEVELS {
        for server in [acceptor(), acceptor().without_timestamp()] {
            let (token, mut session, acceptor) = authenticate(initiator(jane()), server, level);
            assert_eq!(Authenticate::decode(&token).unwrap().lm_response, [0; 24]);
            let (_, mut logon) = is_done(acceptor.step(&token, level).unwrap());
            assert!(logon.logon.mic);
            assert!(session.wants_mic());
            converse(&mut session, &mut logon.session, level);
        }
    }
}

#[test]
fn clocks_may_differ_by_half_an_hour_unless_the_server_tells_the_time() {
    let log_on_at = |minutes: u64, server: fn(NtlmAcceptor) -> NtlmAcceptor| {
        let acceptor = acceptor_at(now() + Duration::from_secs(60 * minutes));
        log_on(initiator(jane()), server(acceptor), AuthLevel::Privacy).is_ok()
    };
    assert!(log_on_at(29, NtlmAcceptor::without_timestamp));
    assert!(!log_on_at(31, NtlmAcceptor::without_timestamp));
    assert!(log_on_at(600, |acceptor| acceptor));
}

#[test]
fn sessions_without_key_exchange_work() {
    for level in LEVELS {
        let server = acceptor().without_flags(Flags::KEY_EXCHANGE);
        let (challenge, client, server) = challenge(initiator(jane()), server, level);
        let (token, mut session) = is_done(client.step(&challenge, level).unwrap());
        let message = Authenticate::decode(&token).unwrap();
        assert_eq!(message.encrypted_session_key, []);
        let (_, mut logon) = is_done(server.step(&token, level).unwrap());
        converse(&mut session, &mut logon.session, level);
    }
}

#[test]
fn users_without_a_domain_are_found() {
    for user in ["jane", "JANE"] {
        let initiator = initiator(NtlmCredentials::from_password(user, "", "secret"));
        let (mut session, mut logon) = log_on(initiator, acceptor(), AuthLevel::Privacy).unwrap();
        converse(&mut session, &mut logon.session, AuthLevel::Privacy);
    }
}

#[test]
fn a_wrong_password_or_user_is_refused() {
    for (user, password) in [("jane", "Secret"), ("jane", ""), ("joan", "secret")] {
        let credentials = NtlmCredentials::from_password(user, "WORK", password);
        let result = log_on(initiator(credentials), acceptor(), AuthLevel::Privacy);
        assert!(matches!(result, Err(SecurityError::Credentials(_))));
    }
}

#[test]
fn a_server_that_offers_less_is_refused() {
    for (flag, expected) in [
        (Flags::UNICODE, "Unicode strings"),
        (Flags::SIGN, "signing"),
        (Flags::SEAL, "sealing"),
        (Flags::EXTENDED_SESSION_SECURITY, "extended session security"),
        (Flags::KEY_128, "128-bit session keys"),
    ] {
        let level = AuthLevel::Privacy;
        let (mut challenge, initiator, _) = challenge(initiator(jane()), acceptor(), level);
        clear_flag(&mut challenge, CHALLENGE_FLAGS, flag);
        assert_eq!(
            initiator.step(&challenge, level).unwrap_err(),
            SecurityError::Downgrade { missing: expected }
        );
    }
}

#[test]
fn a_server_that_does_not_seal_is_good_for_integrity_only() {
    let without_seal = |level| {
        let server = acceptor().without_flags(Flags::SEAL);
        let (challenge, client, server) = challenge(initiator(jane()), server, level);
        client.step(&challenge, level).map(|step| (is_done(step), server))
    };
    let ((token, mut session), server) = without_seal(AuthLevel::Integrity).unwrap();
    let (_, mut logon) = is_done(server.step(&token, AuthLevel::Integrity).unwrap());
    receive(&mut logon.session, &send(&mut session, true)).unwrap();

    let refused = without_seal(AuthLevel::Privacy).map(|_| ());
    assert_eq!(refused, Err(SecurityError::Downgrade { missing: "sealing" }));
}

#[test]
fn any_change_on_the_way_breaks_the_logon() {
    let level = AuthLevel::Privacy;
    // In CHALLENGE: caught by the MIC, or by what follows from other names.
    for offset in [CHALLENGE_FLAGS + 2, 24, 32, 48, 60] {
        let (mut challenge, client, server) = challenge(initiator(jane()), acceptor(), level);
        challenge[offset] ^= 0x40;
        let refused = match client.step(&challenge, level) {
            Ok(step) => server.step(&is_done(step).0, level).is_err(),
            Err(_) => true,
        };
        assert!(refused, "change at {offset}");
    }
    // In AUTHENTICATE: flags, version, MIC, workstation, response, session key.
    let length = authenticate(initiator(jane()), acceptor(), level).0.len();
    for offset in [AUTHENTICATE_FLAGS, 64, MIC_OFFSET, 101, length - 40, length - 1] {
        let (mut token, _, server) = authenticate(initiator(jane()), acceptor(), level);
        token[offset] ^= 0x20;
        assert!(server.step(&token, level).is_err(), "change at {offset}");
    }
}

#[test]
fn any_change_of_a_pdu_is_refused() {
    for (level, header_signing) in PROTECTIONS {
        let (mut initiator, _) = established(level);
        let pdu_len = send(&mut initiator, header_signing).pdu.len();
        for offset in 0..pdu_len {
            let (mut initiator, mut acceptor) = established(level);
            let mut sent = send(&mut acceptor, header_signing);
            sent.pdu[offset] ^= 1;
            assert_eq!(receive(&mut initiator, &sent), Err(SecurityError::BadSignature));
        }
        for offset in 0..16 {
            let (mut initiator, mut acceptor) = established(level);
            let mut sent = send(&mut initiator, header_signing);
            sent.signature[offset] ^= 1;
            assert_eq!(receive(&mut acceptor, &sent), Err(SecurityError::BadSignature));
        }
        for length in [0, 12, 15, 17] {
            let (mut initiator, mut acceptor) = established(level);
            let mut sent = send(&mut acceptor, header_signing);
            sent.signature.resize(length, 0);
            assert_eq!(receive(&mut initiator, &sent), Err(SecurityError::BadSignature));
        }
    }
}

#[test]
fn a_pdu_repeated_lost_or_reflected_is_refused() {
    for (level, header_signing) in PROTECTIONS {
        let (mut initiator, mut acceptor) = established(level);
        let sent = send(&mut acceptor, header_signing);
        receive(&mut initiator, &sent).unwrap();
        assert_eq!(receive(&mut initiator, &sent), Err(SecurityError::BadSignature));

        let (mut initiator, mut acceptor) = established(level);
        let _lost = send(&mut acceptor, header_signing);
        let out_of_order = send(&mut acceptor, header_signing);
        assert_eq!(receive(&mut initiator, &out_of_order), Err(SecurityError::BadSignature));

        let (mut initiator, _) = established(level);
        let reflected = send(&mut initiator, header_signing);
        assert_eq!(receive(&mut initiator, &reflected), Err(SecurityError::BadSignature));
    }
}

#[test]
fn an_initiator_speaks_first() {
    let initiator: Initiator = Box::new(initiator(jane()));
    let refused = initiator.step(b"NTLMSSP\0", AuthLevel::Privacy);
    assert!(matches!(refused, Err(SecurityError::InvalidToken { .. })));
}

#[test]
fn a_malformed_token_is_refused() {
    let (_, initiator, acceptor) = challenge(initiator(jane()), acceptor(), AuthLevel::Privacy);
    let refused = initiator.step(b"NTLMSSP\0", AuthLevel::Privacy);
    assert!(matches!(refused, Err(SecurityError::InvalidToken { .. })));
    let refused = acceptor.step(b"NTLMSSP\0", AuthLevel::Privacy);
    assert!(matches!(refused, Err(SecurityError::InvalidToken { .. })));
}

#[test]
fn a_mic_takes_a_sequence_number_and_the_key_streams_start_anew() {
    let (mut initiator, mut acceptor) = established(AuthLevel::Privacy);
    let mic = initiator.sign(b"mechanisms");
    acceptor.verify(b"mechanisms", &mic).unwrap();
    let mic = acceptor.sign(b"mechanisms");
    initiator.verify(b"mechanisms", &mic).unwrap();
    initiator.restart_ciphers();
    acceptor.restart_ciphers();
    let sent = send(&mut initiator, true);
    assert_eq!(sent.signature[12..], [1, 0, 0, 0]);
    receive(&mut acceptor, &sent).unwrap();
    converse(&mut initiator, &mut acceptor, AuthLevel::Privacy);
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
    for (user, target, workstation) in
        [(long.as_str(), "", ""), ("jane", long.as_str(), ""), ("jane", "", long.as_str())]
    {
        let credentials = NtlmCredentials::from_password(user, "WORK", "secret");
        let mut initiator = NtlmInitiator::new(credentials, &[7; 24], now());
        initiator = initiator.for_service(target).from_workstation(workstation);
        let (challenge, initiator, _) = challenge(initiator, acceptor(), AuthLevel::Privacy);
        assert!(initiator.step(&challenge, AuthLevel::Privacy).is_err());
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
        let (_, initiator, _) = challenge(initiator(jane()), acceptor(), AuthLevel::Privacy);
        let _ = initiator.step(&bytes, AuthLevel::Privacy);
    }

    #[test]
    fn no_damaged_challenge_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let (mut challenge, initiator, _) = challenge(initiator(jane()), acceptor(), AuthLevel::Privacy);
        for (offset, byte) in damage {
            let offset = offset.index(challenge.len());
            challenge[offset] = byte;
        }
        let _ = initiator.step(&challenge, AuthLevel::Privacy);
    }

    #[test]
    fn no_negotiate_or_authenticate_panics(first in hostile(1), bytes in hostile(3)) {
        let fresh: Acceptor = Box::new(acceptor());
        let _ = fresh.step(&first, AuthLevel::Privacy);
        let (_, _, acceptor) = challenge(initiator(jane()), acceptor(), AuthLevel::Privacy);
        prop_assert!(acceptor.step(&bytes, AuthLevel::Privacy).is_err());
    }

    #[test]
    fn no_pdu_or_signature_panics(mut pdu in proptest::collection::vec(any::<u8>(), 0..100), stub in (0..110_usize, 0..110_usize), signature in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (mut initiator, _) = established(AuthLevel::Privacy);
        let message = Protected { pdu: &mut pdu, stub: stub.0..stub.1, header_signing: true };
        prop_assert!(initiator.unprotect(message, &signature).is_err());
    }
}

#[test]
fn a_challenge_without_the_timestamp_that_the_server_sent_is_found_out() {
    let level = AuthLevel::Privacy;
    let (challenge, client, server) = challenge(initiator(jane()), acceptor(), level);
    // The pair's name becomes one that nothing knows.
    let mut altered = challenge.clone();
    let stamp = [7, 0, 8, 0];
    let at = altered.windows(4).position(|pair| pair == stamp).unwrap();
    altered[at] = 0x77;
    let (token, _) = is_done(client.step(&altered, level).unwrap());
    assert!(matches!(server.step(&token, level), Err(SecurityError::BadSignature)));
}

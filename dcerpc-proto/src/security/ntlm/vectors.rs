//! The examples of [MS-NLMP] 4.2.4, NTLMv2.

use super::av_pair::{self, AvPairs, id};
use super::flags::Flags;
use super::keys::{self, ResponseInput, Sender};
use super::messages::{Authenticate, Challenge};
use super::session::{Agreed, NtlmSession};
use super::uppercase::Uppercase;
use super::wire::utf16le;
use crate::pdu::AuthLevel;
use crate::security::{Protected, Protection, SecurityError};

/// Bytes from their hexadecimal digits; blanks are skipped.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex16(digits: &str) -> [u8; 16] {
    hex(digits).try_into().unwrap()
}

const SERVER_CHALLENGE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const CLIENT_CHALLENGE: [u8; 8] = [0xaa; 8];
const RANDOM_SESSION_KEY: [u8; 16] = [0x55; 16];

const AGREED: Agreed = Agreed { flags: Flags::OFFERED, level: AuthLevel::Privacy, has_mic: false };

/// [MS-NLMP] 4.2.4.3, CHALLENGE_MESSAGE.
const CHALLENGE: &str = "
    4e 54 4c 4d 53 53 50 00 02 00 00 00 0c 00 0c 00
    38 00 00 00 33 82 8a e2 01 23 45 67 89 ab cd ef
    00 00 00 00 00 00 00 00 24 00 24 00 44 00 00 00
    06 00 70 17 00 00 00 0f 53 00 65 00 72 00 76 00
    65 00 72 00 02 00 0c 00 44 00 6f 00 6d 00 61 00
    69 00 6e 00 01 00 0c 00 53 00 65 00 72 00 76 00
    65 00 72 00 00 00 00 00";

/// [MS-NLMP] 4.2.4.3, AUTHENTICATE_MESSAGE. It has no MIC.
const AUTHENTICATE: &str = "
    4e 54 4c 4d 53 53 50 00 03 00 00 00 18 00 18 00
    6c 00 00 00 54 00 54 00 84 00 00 00 0c 00 0c 00
    48 00 00 00 08 00 08 00 54 00 00 00 10 00 10 00
    5c 00 00 00 10 00 10 00 d8 00 00 00 35 82 88 e2
    05 01 28 0a 00 00 00 0f 44 00 6f 00 6d 00 61 00
    69 00 6e 00 55 00 73 00 65 00 72 00 43 00 4f 00
    4d 00 50 00 55 00 54 00 45 00 52 00 86 c3 50 97
    ac 9c ec 10 25 54 76 4a 57 cc cc 19 aa aa aa aa
    aa aa aa aa 68 cd 0a b8 51 e5 1c 96 aa bc 92 7b
    eb ef 6a 1c 01 01 00 00 00 00 00 00 00 00 00 00
    00 00 00 00 aa aa aa aa aa aa aa aa 00 00 00 00
    02 00 0c 00 44 00 6f 00 6d 00 61 00 69 00 6e 00
    01 00 0c 00 53 00 65 00 72 00 76 00 65 00 72 00
    00 00 00 00 00 00 00 00 c5 da d2 54 4f c9 79 90
    94 ce 1c e9 0b c9 d0 3e";

fn response_key() -> keys::Key {
    keys::ntowf_v2(&keys::nt_hash(&utf16le("Password")), "User", "Domain", Uppercase::default())
}

#[test]
fn nt_hash_and_ntowf_v2_match_4_2_4_1_1() {
    assert_eq!(*keys::nt_hash(&utf16le("Password")), hex16("a4f49c406510bdcab6824ee7c30fd852"));
    assert_eq!(*response_key(), hex16("0c868a403bfd7a93a3001ef22ef02e3f"));
}

#[test]
fn responses_and_session_keys_match_4_2_4_2() {
    let bytes = hex(CHALLENGE);
    let challenge = Challenge::decode(&bytes).unwrap();
    assert_eq!(challenge.server_challenge, SERVER_CHALLENGE);
    assert_eq!(challenge.target_name, utf16le("Server"));

    let response = keys::respond(
        &response_key(),
        &ResponseInput {
            server_challenge: challenge.server_challenge,
            client_challenge: CLIENT_CHALLENGE,
            time: 0,
            target_info: challenge.target_info,
        },
    );
    assert_eq!(*response.key_exchange_key, hex16("8de40ccadbc14a82f15cb0ad0de95ca3"));
    assert_eq!(response.nt_response[..16], hex16("68cd0ab851e51c96aabc927bebef6a1c"));
    assert_eq!(
        keys::exchange_key(&response.key_exchange_key, &RANDOM_SESSION_KEY),
        hex16("c5dad2544fc9799094ce1ce90bc9d03e")
    );

    let bytes = hex(AUTHENTICATE);
    let authenticate = Authenticate::decode(&bytes).unwrap();
    assert_eq!(authenticate.domain, utf16le("Domain"));
    assert_eq!(authenticate.user, utf16le("User"));
    assert_eq!(authenticate.workstation, utf16le("COMPUTER"));
    assert_eq!(authenticate.nt_response, response.nt_response);
    assert_eq!(authenticate.encrypted_session_key, hex16("c5dad2544fc9799094ce1ce90bc9d03e"));
}

#[test]
fn target_info_of_4_2_4_3_reads_as_pairs() {
    let bytes = hex(CHALLENGE);
    let challenge = Challenge::decode(&bytes).unwrap();
    let pairs = AvPairs::parse(challenge.target_info).unwrap();
    let (domain, server) = (utf16le("Domain"), utf16le("Server"));
    assert_eq!(
        pairs.iter().collect::<Vec<_>>(),
        [(id::NB_DOMAIN_NAME, domain.as_slice()), (id::NB_COMPUTER_NAME, server.as_slice())]
    );
    assert_eq!(pairs.timestamp(), None);
    let ours = av_pair::client_pairs(pairs, None).unwrap();
    assert_eq!(AvPairs::parse(&ours).unwrap().flags(), 2, "a MIC is promised");
}

#[test]
fn signing_and_sealing_keys_match_4_2_4_4() {
    assert_eq!(
        *keys::seal_key(&RANDOM_SESSION_KEY, Sender::Initiator),
        hex16("59f600973cc4960a25480a7c196e4c58")
    );
    assert_eq!(
        *keys::sign_key(&RANDOM_SESSION_KEY, Sender::Initiator),
        hex16("4788dc861b4782f35d43fd98fe1a2d39")
    );
}

#[test]
fn a_sealed_message_matches_4_2_4_4() {
    let mut client = NtlmSession::new(&RANDOM_SESSION_KEY, &AGREED, Sender::Initiator);
    let plain = utf16le("Plaintext");
    let mut message = plain.clone();
    let mut signature = Vec::new();
    client.protect(whole(&mut message), &mut signature).unwrap();
    assert_eq!(message, hex("54e50165bf1936dc996020c1811b0f06fb5f"));
    assert_eq!(signature, hex("010000007fb38ec5c55d497600000000"));

    let mut server = NtlmSession::new(&RANDOM_SESSION_KEY, &AGREED, Sender::Acceptor);
    server.unprotect(whole(&mut message), &signature).unwrap();
    assert_eq!(message, plain);
}

#[test]
fn a_stub_outside_of_the_pdu_is_refused() {
    let mut session = NtlmSession::new(&RANDOM_SESSION_KEY, &AGREED, Sender::Initiator);
    let message = Protected { pdu: &mut [0; 8], stub: 4..9, header_signing: true };
    let result = session.protect(message, &mut Vec::new());
    assert!(matches!(result, Err(SecurityError::Misuse(_))));
}

/// All of `bytes` is a stub.
fn whole(bytes: &mut [u8]) -> Protected<'_> {
    Protected { stub: 0..bytes.len(), pdu: bytes, header_signing: true }
}

//! Hashes, responses and keys ([MS-NLMP] 3.3 and 3.4.5).

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

use super::uppercase::Uppercase;
use super::wire::utf16le;

/// A key that is wiped when it is dropped.
pub(super) type Key = Zeroizing<[u8; 16]>;

/// Computes HMAC_MD5 over the parts in a row.
pub(super) fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Returns HMAC_MD5 with its key worked in, which is half of the work for a short
/// message. Wiped when dropped.
pub(super) fn keyed(key: &[u8; 16]) -> Hmac<Md5> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Returns RC4 with a key of 128 bits.
pub(super) fn rc4(key: &[u8; 16]) -> Rc4 {
    Rc4::new_from_slice(key).expect("RC4 takes keys of 1 to 256 bytes")
}

/// Computes NTOWFv1: the NT hash of a password in UTF-16LE ([MS-NLMP] 3.3.1).
pub(super) fn nt_hash(password_utf16: &[u8]) -> Key {
    Zeroizing::new(Md4::digest(password_utf16).into())
}

/// Computes NTOWFv2, which is LMOWFv2 too ([MS-NLMP] 3.3.2).
pub(super) fn ntowf_v2(nt_hash: &[u8; 16], user: &str, domain: &str, uppercase: Uppercase) -> Key {
    let user: String = user.chars().map(|letter| uppercase.of(letter)).collect();
    Zeroizing::new(hmac_md5(nt_hash, &[&utf16le(&user), &utf16le(domain)]))
}

/// An NTLMv2 response and the key that follows from it.
pub(super) struct Response {
    /// NtChallengeResponse: NTLMv2_RESPONSE ([MS-NLMP] 2.2.2.8).
    pub(super) nt_response: Vec<u8>,
    /// SessionBaseKey, which is the KeyExchangeKey of NTLMv2 ([MS-NLMP] 3.4.5.1).
    pub(super) key_exchange_key: Key,
}

/// What a response is computed from, besides the user's key.
pub(super) struct ResponseInput<'a> {
    pub(super) server_challenge: [u8; 8],
    pub(super) client_challenge: [u8; 8],
    /// FILETIME: units of 100 ns since 1601.
    pub(super) time: u64,
    /// The client's AV pairs.
    pub(super) target_info: &'a [u8],
}

/// Answers a challenge: ComputeResponse of NTLMv2 ([MS-NLMP] 3.3.2).
pub(super) fn respond(response_key: &[u8; 16], input: &ResponseInput<'_>) -> Response {
    // NTLMv2_CLIENT_CHALLENGE ([MS-NLMP] 2.2.2.7): versions 1 and 1, reserved,
    // time, challenge, reserved, AV pairs, and the four zeros of 3.3.2.
    let mut client = vec![1, 1, 0, 0, 0, 0, 0, 0];
    client.extend_from_slice(&input.time.to_le_bytes());
    client.extend_from_slice(&input.client_challenge);
    client.extend_from_slice(&[0; 4]);
    client.extend_from_slice(input.target_info);
    client.extend_from_slice(&[0; 4]);

    let (proof, key_exchange_key) = prove(response_key, input.server_challenge, &client);
    let mut nt_response = proof.to_vec();
    nt_response.append(&mut client);

    Response { nt_response, key_exchange_key }
}

/// Computes NTProofStr and SessionBaseKey for an NTLMv2_CLIENT_CHALLENGE.
pub(super) fn prove(
    response_key: &[u8; 16],
    server_challenge: [u8; 8],
    client_challenge: &[u8],
) -> ([u8; 16], Key) {
    let proof = hmac_md5(response_key, &[&server_challenge, client_challenge]);
    let key = Zeroizing::new(hmac_md5(response_key, &[&proof]));
    (proof, key)
}

/// Computes RC4K of a session key: encrypts and decrypts alike ([MS-NLMP] 3.1.5.1.2).
pub(super) fn exchange_key(key_exchange_key: &[u8; 16], session_key: &[u8; 16]) -> [u8; 16] {
    let mut key = *session_key;
    rc4(key_exchange_key).apply_keystream(&mut key);
    key
}

/// Computes the MIC of AUTHENTICATE: over all three messages, with zeros in the MIC's
/// place ([MS-NLMP] 3.1.5.1.2).
pub(super) fn mic(
    exported_session_key: &[u8; 16],
    negotiate: &[u8],
    challenge: &[u8],
    authenticate: &[u8],
) -> [u8; 16] {
    hmac_md5(exported_session_key, &[negotiate, challenge, authenticate])
}

/// Who a signature or a sealed message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Initiator,
    Acceptor,
}

/// Derives SIGNKEY with extended session security ([MS-NLMP] 3.4.5.2).
pub(super) fn sign_key(exported_session_key: &[u8; 16], sender: Sender) -> Key {
    let purpose: &[u8] = match sender {
        Sender::Initiator => b"session key to client-to-server signing key magic constant\0",
        Sender::Acceptor => b"session key to server-to-client signing key magic constant\0",
    };
    derive(exported_session_key, purpose)
}

/// Derives SEALKEY with extended session security and 128 bits ([MS-NLMP] 3.4.5.3).
pub(super) fn seal_key(exported_session_key: &[u8; 16], sender: Sender) -> Key {
    let purpose: &[u8] = match sender {
        Sender::Initiator => b"session key to client-to-server sealing key magic constant\0",
        Sender::Acceptor => b"session key to server-to-client sealing key magic constant\0",
    };
    derive(exported_session_key, purpose)
}

fn derive(exported_session_key: &[u8; 16], purpose: &[u8]) -> Key {
    let hash = Md5::new().chain_update(exported_session_key).chain_update(purpose);
    Zeroizing::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_capitals_of_the_table_that_is_asked_for() {
        let key = |user: &str, table| ntowf_v2(&[7; 16], user, "WORK", table);
        // Samba's table has a capital of the letter, the kernel's has none.
        let user = "an\u{201}";
        assert_eq!(key(user, Uppercase::Samba), key("AN\u{200}", Uppercase::Samba));
        assert_eq!(key(user, Uppercase::Linux), key("AN\u{201}", Uppercase::Linux));
        assert_ne!(key(user, Uppercase::Samba), key(user, Uppercase::Linux));
    }
}

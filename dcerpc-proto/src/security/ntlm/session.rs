//! An established session: signing, sealing and their sequence numbers
//! ([MS-NLMP] 3.4), the same for both sides.

use std::ops::Range;

use ctutils::CtEq;
use hmac::{Hmac, Mac};
use md5::Md5;
use rc4::{Rc4, StreamCipher};

use super::flags::Flags;
use super::keys::{self, Key, Sender};
use crate::pdu::AuthLevel;
use crate::security::spnego::MechanismSession;
use crate::security::{Protected, Protection, SecurityError};

/// NTLMSSP_MESSAGE_SIGNATURE ([MS-NLMP] 2.2.2.9.2): version, checksum, number.
pub(super) const SIGNATURE_LEN: usize = 16;
/// The version stands in the first four bytes.
const SIGNATURE_VERSION: u128 = 1;

type Signature = [u8; SIGNATURE_LEN];

/// One direction of a session. Wiped when dropped.
struct Direction {
    /// Keyed with the signing key; each message continues a copy.
    mac: Hmac<Md5>,
    seal_key: Key,
    /// The handle of [MS-NLMP] 3.4: one key stream for all messages.
    cipher: Rc4,
    sequence: u32,
}

impl Direction {
    fn new(exported_session_key: &[u8; 16], sender: Sender) -> Self {
        let seal_key = keys::seal_key(exported_session_key, sender);
        Self {
            mac: keys::keyed(&keys::sign_key(exported_session_key, sender)),
            cipher: keys::rc4(&seal_key),
            seal_key,
            sequence: 0,
        }
    }

    /// Computes the next message's checksum, not yet encrypted ([MS-NLMP] 3.4.4.2).
    fn checksum(&mut self, message: &[u8]) -> Checksum {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut mac = self.mac.clone();
        mac.update(&sequence.to_le_bytes());
        mac.update(message);
        let [c0, c1, c2, c3, c4, c5, c6, c7, ..] = <[u8; 16]>::from(mac.finalize().into_bytes());
        Checksum { checksum: [c0, c1, c2, c3, c4, c5, c6, c7], sequence }
    }

    /// Makes the signature. With key exchange the checksum is encrypted, and comes
    /// after the message it belongs to in the key stream.
    fn signature(&mut self, mut checksum: Checksum, key_exchange: bool) -> Signature {
        if key_exchange {
            self.cipher.apply_keystream(&mut checksum.checksum);
        }
        let sequence = u128::from(checksum.sequence) << 96;
        let checksum = u128::from(u64::from_le_bytes(checksum.checksum)) << 32;
        (SIGNATURE_VERSION | checksum | sequence).to_le_bytes()
    }
}

struct Checksum {
    checksum: [u8; 8],
    sequence: u32,
}

/// An established session: both directions, and what was agreed.
pub struct NtlmSession {
    send: Direction,
    receive: Direction,
    key_exchange: bool,
    level: AuthLevel,
    /// Whether AUTHENTICATE had a MIC that the server checks.
    has_mic: bool,
}

/// What an [`NtlmSession`] is made from.
pub(super) struct Agreed {
    /// The features that both sides have.
    pub(super) flags: Flags,
    pub(super) level: AuthLevel,
    pub(super) has_mic: bool,
}

impl NtlmSession {
    /// Makes the session as its `side` sees it.
    pub(super) fn new(exported_session_key: &[u8; 16], agreed: &Agreed, side: Sender) -> Self {
        let peer = match side {
            Sender::Initiator => Sender::Acceptor,
            Sender::Acceptor => Sender::Initiator,
        };
        Self {
            send: Direction::new(exported_session_key, side),
            receive: Direction::new(exported_session_key, peer),
            key_exchange: agreed.flags.contains(Flags::KEY_EXCHANGE),
            level: agreed.level,
            has_mic: agreed.has_mic,
        }
    }

    /// Signs the next outgoing message: GSS_GetMICEx ([MS-NLMP] 3.4.8).
    pub(in crate::security) fn sign(&mut self, message: &[u8]) -> Signature {
        let checksum = self.send.checksum(message);
        self.send.signature(checksum, self.key_exchange)
    }

    /// Verifies the next incoming message: GSS_VerifyMICEx ([MS-NLMP] 3.4.9).
    pub(in crate::security) fn verify(
        &mut self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        let checksum = self.receive.checksum(message);
        let expected = self.receive.signature(checksum, self.key_exchange);
        if expected.as_slice().ct_eq(signature).to_bool() {
            Ok(())
        } else {
            Err(SecurityError::BadSignature)
        }
    }

    /// Restarts both key streams; sequence numbers go on. Both sides do so after
    /// the mechListMIC of SPNEGO ([MS-SPNG] 3.3.5.1), which is signed as if it
    /// came from a handle of its own.
    pub(in crate::security) fn restart_ciphers(&mut self) {
        for direction in [&mut self.send, &mut self.receive] {
            direction.cipher = keys::rc4(&direction.seal_key);
        }
    }
}

/// The signature covers all of a PDU, whether or not header signing was agreed
/// ([MS-NLMP] 3.4.6.1, 3.4.9.1: buffers not to be signed included).
impl Protection for NtlmSession {
    fn signature_len(&self) -> usize {
        SIGNATURE_LEN
    }

    fn protect(
        &mut self,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        let checksum = self.send.checksum(message.pdu);
        if self.level == AuthLevel::Privacy {
            let stub = stub(message.pdu, message.stub)?;
            self.send.cipher.apply_keystream(stub);
        }
        let signed = self.send.signature(checksum, self.key_exchange);
        signature.extend_from_slice(&signed);
        Ok(())
    }

    fn unprotect(&mut self, message: Protected<'_>, signature: &[u8]) -> Result<(), SecurityError> {
        if self.level == AuthLevel::Privacy {
            let stub = stub(message.pdu, message.stub)?;
            self.receive.cipher.apply_keystream(stub);
        }
        self.verify(message.pdu, signature)
    }
}

impl MechanismSession for NtlmSession {
    /// Servers that see a MIC in AUTHENTICATE expect one of the list as well.
    fn wants_mic(&self) -> bool {
        self.has_mic
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        Ok(self.sign(mech_types).to_vec())
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        self.verify(mech_types, mic)
    }

    fn into_protection(mut self: Box<Self>) -> Box<dyn Protection> {
        self.restart_ciphers();
        self
    }
}

impl From<NtlmSession> for Box<dyn Protection> {
    fn from(session: NtlmSession) -> Self {
        Box::new(session)
    }
}

impl From<NtlmSession> for Box<dyn MechanismSession> {
    fn from(session: NtlmSession) -> Self {
        Box::new(session)
    }
}

impl std::fmt::Debug for NtlmSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtlmSession").field("level", &self.level).finish_non_exhaustive()
    }
}

/// Returns what privacy encrypts.
fn stub(pdu: &mut [u8], range: Range<usize>) -> Result<&mut [u8], SecurityError> {
    pdu.get_mut(range).ok_or(SecurityError::Misuse("the stub lies outside of the PDU"))
}

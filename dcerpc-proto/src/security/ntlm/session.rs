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
use crate::security::{Protected, SecurityError};

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

    /// The next message's checksum, not yet encrypted ([MS-NLMP] 3.4.4.2).
    fn checksum(&mut self, message: &[u8]) -> Checksum {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut mac = self.mac.clone();
        mac.update(&sequence.to_le_bytes());
        mac.update(message);
        let [c0, c1, c2, c3, c4, c5, c6, c7, ..] = <[u8; 16]>::from(mac.finalize().into_bytes());
        Checksum { checksum: [c0, c1, c2, c3, c4, c5, c6, c7], sequence }
    }

    /// The signature. With key exchange the checksum is encrypted, and comes
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

/// Both directions, and what was agreed.
pub(super) struct Session {
    send: Direction,
    receive: Direction,
    key_exchange: bool,
    seal: bool,
}

impl Session {
    /// The session as its `side` sees it. `flags` are the agreed ones.
    pub(super) fn new(exported_session_key: &[u8; 16], flags: Flags, side: Sender) -> Self {
        let peer = match side {
            Sender::Initiator => Sender::Acceptor,
            Sender::Acceptor => Sender::Initiator,
        };
        Self {
            send: Direction::new(exported_session_key, side),
            receive: Direction::new(exported_session_key, peer),
            key_exchange: flags.contains(Flags::KEY_EXCHANGE),
            seal: flags.contains(Flags::SEAL),
        }
    }

    /// GSS_GetMICEx ([MS-NLMP] 3.4.8): the next outgoing message's signature.
    pub(super) fn sign(&mut self, message: &[u8]) -> Signature {
        let checksum = self.send.checksum(message);
        self.send.signature(checksum, self.key_exchange)
    }

    /// GSS_VerifyMICEx ([MS-NLMP] 3.4.9): the next incoming message's signature.
    pub(super) fn verify(&mut self, message: &[u8], signature: &[u8]) -> Result<(), SecurityError> {
        let checksum = self.receive.checksum(message);
        let expected = self.receive.signature(checksum, self.key_exchange);
        if expected.as_slice().ct_eq(signature).to_bool() {
            Ok(())
        } else {
            Err(SecurityError::BadSignature)
        }
    }

    /// Starts both key streams anew; sequence numbers go on. Both sides do so
    /// after the mechListMIC of SPNEGO ([MS-SPNG] 3.3.5.1), which is signed as if
    /// it came from a handle of its own.
    pub(super) fn restart_ciphers(&mut self) {
        for direction in [&mut self.send, &mut self.receive] {
            direction.cipher = keys::rc4(&direction.seal_key);
        }
    }

    /// Signs, and for privacy seals, an outgoing PDU
    /// ([`SecurityContext::protect`](crate::security::SecurityContext::protect)).
    ///
    /// The signature covers all of the PDU, whether or not header signing was
    /// agreed ([MS-NLMP] 3.4.6.1, 3.4.9.1: buffers not to be signed included).
    pub(super) fn protect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        self.check_level(level)?;
        let checksum = self.send.checksum(message.pdu);
        if level == AuthLevel::Privacy {
            let stub = stub(message.pdu, message.stub)?;
            self.send.cipher.apply_keystream(stub);
        }
        let signed = self.send.signature(checksum, self.key_exchange);
        signature.extend_from_slice(&signed);
        Ok(())
    }

    /// Unseals and verifies an incoming PDU
    /// ([`SecurityContext::unprotect`](crate::security::SecurityContext::unprotect)).
    pub(super) fn unprotect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        self.check_level(level)?;
        if level == AuthLevel::Privacy {
            let stub = stub(message.pdu, message.stub)?;
            self.receive.cipher.apply_keystream(stub);
        }
        self.verify(message.pdu, signature)
    }

    fn check_level(&self, level: AuthLevel) -> Result<(), SecurityError> {
        if level == AuthLevel::Privacy && !self.seal {
            return Err(SecurityError::Downgrade { missing: "sealing" });
        }
        Ok(())
    }
}

/// What privacy encrypts.
fn stub(pdu: &mut [u8], range: Range<usize>) -> Result<&mut [u8], SecurityError> {
    pdu.get_mut(range).ok_or(SecurityError::Misuse("the stub lies outside of the PDU"))
}

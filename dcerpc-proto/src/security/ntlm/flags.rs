//! The NTLM feature flags ([MS-NLMP] 2.2.2.5).

use crate::pdu::AuthLevel;
use crate::security::SecurityError;

bitflags::bitflags! {
    /// NEGOTIATE ([MS-NLMP] 2.2.2.5). Only the bits used here have names; the
    /// others are kept as they came.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Flags: u32 {
        /// A: strings are UTF-16LE.
        const UNICODE = 0x0000_0001;
        /// C: the server is to name itself in CHALLENGE.
        const REQUEST_TARGET = 0x0000_0004;
        /// D: messages can be signed.
        const SIGN = 0x0000_0010;
        /// E: messages can be sealed.
        const SEAL = 0x0000_0020;
        /// H: NTLM, in either version.
        const NTLM = 0x0000_0200;
        /// M: session keys are made even where nothing is signed.
        const ALWAYS_SIGN = 0x0000_8000;
        /// O: the server's name in CHALLENGE is that of a server.
        const TARGET_TYPE_SERVER = 0x0002_0000;
        /// P: separate keys and HMAC for each direction.
        const EXTENDED_SESSION_SECURITY = 0x0008_0000;
        /// S: CHALLENGE has AV pairs.
        const TARGET_INFO = 0x0080_0000;
        /// T: the messages have a VERSION.
        const VERSION = 0x0200_0000;
        /// U: session keys have 128 bits.
        const KEY_128 = 0x2000_0000;
        /// V: the client picks the session key and sends it encrypted.
        const KEY_EXCHANGE = 0x4000_0000;

        const _ = !0;
    }
}

impl Flags {
    /// What this client asks for in NEGOTIATE. Weaker keys, OEM strings,
    /// LAN Manager keys and anonymous logon are never offered.
    pub(super) const OFFERED: Self = Self::UNICODE
        .union(Self::REQUEST_TARGET)
        .union(Self::SIGN)
        .union(Self::SEAL)
        .union(Self::NTLM)
        .union(Self::ALWAYS_SIGN)
        .union(Self::EXTENDED_SESSION_SECURITY)
        .union(Self::TARGET_INFO)
        .union(Self::VERSION)
        .union(Self::KEY_128)
        .union(Self::KEY_EXCHANGE);

    /// Returns the features both sides have, given those the peer named.
    ///
    /// # Errors
    /// [`SecurityError::Downgrade`] where one is missing without which a
    /// message can't be protected at `level` under a strong key.
    pub(super) fn agree(peer: Self, level: AuthLevel) -> Result<Self, SecurityError> {
        let sealing = match level {
            AuthLevel::Integrity => Self::empty(),
            AuthLevel::Privacy => Self::SEAL,
        };
        let required = [
            (Self::UNICODE, "Unicode strings"),
            (Self::SIGN, "signing"),
            (sealing, "sealing"),
            (Self::EXTENDED_SESSION_SECURITY, "extended session security"),
            (Self::KEY_128, "128-bit session keys"),
        ];
        for (flag, missing) in required {
            if !peer.contains(flag) {
                return Err(SecurityError::Downgrade { missing });
            }
        }
        Ok(peer & Self::OFFERED)
    }
}

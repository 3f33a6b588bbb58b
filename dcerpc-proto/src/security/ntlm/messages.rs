//! NEGOTIATE, CHALLENGE and AUTHENTICATE ([MS-NLMP] 2.2.1).

use super::flags::Flags;
use super::wire::{MessageWriter, array, field, u32_at};

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// VERSION ([MS-NLMP] 2.2.2.10): informational, apart from the revision, which
/// must be 15. What it names, Windows 7, is what other clients say too.
const VERSION: [u8; 8] = [6, 1, 0, 0, 0, 0, 0, 15];

/// Where AUTHENTICATE has its MIC ([MS-NLMP] 2.2.1.3).
pub(super) const MIC_OFFSET: usize = 72;
/// How long the MIC is, in bytes.
pub(super) const MIC_LEN: usize = 16;

/// Returns the message's type, where it is an NTLM message at all.
fn message_type(bytes: &[u8]) -> Option<u32> {
    bytes.strip_prefix(SIGNATURE)?;
    u32_at(bytes, 8)
}

/// NEGOTIATE_MESSAGE ([MS-NLMP] 2.2.1.1), without the optional names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Negotiate {
    pub(super) flags: Flags,
}

impl Negotiate {
    const TYPE: u32 = 1;
    const FIXED_LEN: usize = 40;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = MessageWriter::new(Self::FIXED_LEN);
        writer.bytes(SIGNATURE);
        writer.u32(Self::TYPE);
        writer.u32(self.flags.bits());
        // Domain and workstation: empty.
        writer.bytes(&[0; 16]);
        writer.bytes(&VERSION);
        writer.finish()
    }

    #[cfg(any(test, feature = "acceptor"))]
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if message_type(bytes)? != Self::TYPE {
            return None;
        }
        let flags = Flags::from_bits_retain(u32_at(bytes, 12)?);
        Some(Self { flags })
    }
}

/// CHALLENGE_MESSAGE ([MS-NLMP] 2.2.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge<'a> {
    pub(super) flags: Flags,
    pub(super) server_challenge: [u8; 8],
    /// UTF-16LE.
    pub(super) target_name: &'a [u8],
    /// AV pairs.
    pub(super) target_info: &'a [u8],
}

impl<'a> Challenge<'a> {
    const TYPE: u32 = 2;
    #[cfg(any(test, feature = "acceptor"))]
    const FIXED_LEN: usize = 56;

    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        if message_type(bytes)? != Self::TYPE {
            return None;
        }
        let flags = Flags::from_bits_retain(u32_at(bytes, 20)?);
        Some(Self {
            flags,
            server_challenge: array(bytes, 24)?,
            target_name: field(bytes, 12)?,
            // Without the flag the field means nothing and may be absent.
            target_info: if flags.contains(Flags::TARGET_INFO) { field(bytes, 40)? } else { &[] },
        })
    }

    #[cfg(any(test, feature = "acceptor"))]
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut writer = MessageWriter::new(Self::FIXED_LEN);
        writer.bytes(SIGNATURE);
        writer.u32(Self::TYPE);
        writer.field(self.target_name)?;
        writer.u32(self.flags.bits());
        writer.bytes(&self.server_challenge);
        writer.bytes(&[0; 8]);
        writer.field(self.target_info)?;
        writer.bytes(&VERSION);
        Some(writer.finish())
    }
}

/// AUTHENTICATE_MESSAGE ([MS-NLMP] 2.2.1.3), apart from its MIC, which is
/// computed over the encoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authenticate<'a> {
    pub(super) flags: Flags,
    pub(super) lm_response: &'a [u8],
    pub(super) nt_response: &'a [u8],
    /// UTF-16LE, as are the next two.
    pub(super) domain: &'a [u8],
    pub(super) user: &'a [u8],
    pub(super) workstation: &'a [u8],
    pub(super) encrypted_session_key: &'a [u8],
}

impl<'a> Authenticate<'a> {
    const TYPE: u32 = 3;
    const FIXED_LEN: usize = MIC_OFFSET + MIC_LEN;

    /// Encodes the message with a MIC of zeros; `None` where a field is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut writer = MessageWriter::new(Self::FIXED_LEN);
        writer.bytes(SIGNATURE);
        writer.u32(Self::TYPE);
        writer.field(self.lm_response)?;
        writer.field(self.nt_response)?;
        writer.field(self.domain)?;
        writer.field(self.user)?;
        writer.field(self.workstation)?;
        writer.field(self.encrypted_session_key)?;
        writer.u32(self.flags.bits());
        writer.bytes(&VERSION);
        writer.bytes(&[0; MIC_LEN]);
        Some(writer.finish())
    }

    #[cfg(any(test, feature = "acceptor"))]
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        if message_type(bytes)? != Self::TYPE {
            return None;
        }
        Some(Self {
            flags: Flags::from_bits_retain(u32_at(bytes, 60)?),
            lm_response: field(bytes, 12)?,
            nt_response: field(bytes, 20)?,
            domain: field(bytes, 28)?,
            user: field(bytes, 36)?,
            workstation: field(bytes, 44)?,
            encrypted_session_key: field(bytes, 52)?,
        })
    }
}

/// Returns the MIC of an encoded AUTHENTICATE; `None` where it is too short for one.
pub(super) fn mic_mut(authenticate: &mut [u8]) -> Option<&mut [u8; MIC_LEN]> {
    authenticate.get_mut(MIC_OFFSET..)?.first_chunk_mut()
}

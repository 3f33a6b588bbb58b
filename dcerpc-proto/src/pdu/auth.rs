//! Authentication services and levels, and the security trailer that names them.

use super::PduError;
use crate::ndr::{Reader, Writer};

/// The authentication service of the security trailer ([MS-RPCE] 2.2.1.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AuthService {
    /// SPNEGO ([MS-SPNG]), RPC_C_AUTHN_GSS_NEGOTIATE.
    Spnego = 9,
    /// NTLM ([MS-NLMP]), RPC_C_AUTHN_WINNT.
    Ntlm = 10,
    /// Kerberos ([MS-KILE]), RPC_C_AUTHN_GSS_KERBEROS.
    Kerberos = 16,
}

impl AuthService {
    fn from_wire(value: u8) -> Option<Self> {
        [Self::Spnego, Self::Ntlm, Self::Kerberos].into_iter().find(|it| *it as u8 == value)
    }
}

/// The authentication level of the security trailer ([MS-RPCE] 2.2.1.1.8).
/// Only the two levels that protect every PDU are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AuthLevel {
    /// RPC_C_AUTHN_LEVEL_PKT_INTEGRITY: every PDU is signed.
    Integrity = 5,
    /// RPC_C_AUTHN_LEVEL_PKT_PRIVACY: every PDU is signed and its stub sealed.
    Privacy = 6,
}

impl AuthLevel {
    fn from_wire(value: u8) -> Option<Self> {
        [Self::Integrity, Self::Privacy].into_iter().find(|it| *it as u8 == value)
    }
}

/// The length of the security trailer without the authentication value
/// ([MS-RPCE] 2.2.2.11), in bytes.
pub const TRAILER_LEN: usize = 8;

/// The security trailer ([MS-RPCE] 2.2.2.11) without the authentication value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityTrailer {
    /// auth_type.
    pub service: AuthService,
    /// auth_level.
    pub level: AuthLevel,
    /// auth_pad_length: the padding between stub and trailer, in bytes.
    pub pad_length: u8,
    /// auth_context_id.
    pub context_id: u32,
}

impl SecurityTrailer {
    /// Returns whether `other` belongs to the same security context: only the padding
    /// may differ from PDU to PDU.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let Self { service, level, pad_length: _, context_id } = *other;
        self.service == service && self.level == level && self.context_id == context_id
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        let (service, level, pad_length) = (r.u8()?, r.u8()?, r.u8()?);
        r.u8()?;
        let known = (AuthService::from_wire(service), AuthLevel::from_wire(level));
        let (Some(service), Some(level)) = known else {
            return Err(PduError::Security { service, level });
        };
        Ok(Self { service, level, pad_length, context_id: r.u32()? })
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.bytes(&[self.service as u8, self.level as u8, self.pad_length, 0]);
        w.bytes(&self.context_id.to_le_bytes());
    }
}

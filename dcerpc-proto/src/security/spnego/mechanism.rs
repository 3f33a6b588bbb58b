//! What SPNEGO needs of a mechanism, besides what DCE/RPC needs of it.

use crate::security::ntlm::NtlmInitiator;
use crate::security::{Handshake, Protection, SecurityError};

/// The contents of an OBJECT IDENTIFIER in DER, without tag and length.
pub type Oid = &'static [u8];

/// NTLMSSP, 1.3.6.1.4.1.311.2.2.10 ([MS-SPNG] 1.9).
pub const NTLM_OID: Oid = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];

/// A handshake that SPNEGO can negotiate. The mechanism's own tokens go through
/// [`Handshake::step`].
pub trait Mechanism: Handshake<Box<dyn MechanismSession>> {
    /// Returns the names of the mechanism, preferred first. Kerberos has two, the
    /// second of them right ([MS-SPNG] 1.9).
    fn oids(&self) -> &'static [Oid];
}

/// What a [`Mechanism`] ends in: it signs SPNEGO's list of mechanisms before it
/// protects PDUs.
pub trait MechanismSession: Protection {
    /// Returns whether the list of mechanisms must be signed even where RFC 4178 5
    /// leaves it open.
    fn wants_mic(&self) -> bool;

    /// Signs the list of mechanisms: GSS_GetMIC.
    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError>;

    /// Verifies the server's signature of the list of mechanisms: GSS_VerifyMIC.
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`].
    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError>;

    /// Ends the negotiation: from now on the session protects PDUs.
    fn into_protection(self: Box<Self>) -> Box<dyn Protection>;
}

impl Mechanism for NtlmInitiator {
    fn oids(&self) -> &'static [Oid] {
        &[NTLM_OID]
    }
}

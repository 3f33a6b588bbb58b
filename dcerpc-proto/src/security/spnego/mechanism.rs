//! What SPNEGO needs of a mechanism, besides what DCE/RPC needs of it.

use crate::security::ntlm::NtlmContext;
use crate::security::{SecurityContext, SecurityError};

/// The contents of an OBJECT IDENTIFIER in DER, without tag and length.
pub type Oid = &'static [u8];

/// NTLMSSP, 1.3.6.1.4.1.311.2.2.10 ([MS-SPNG] 1.9).
pub const NTLM_OID: Oid = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];

/// A security context that SPNEGO can negotiate.
///
/// The mechanism's own tokens go through [`SecurityContext::step`]: it is
/// complete once a step expects no reply.
pub trait Mechanism: SecurityContext {
    /// The names of the mechanism, preferred first. Kerberos has two, the
    /// second of them right ([MS-SPNG] 1.9).
    fn oids(&self) -> &'static [Oid];

    /// Whether the list of mechanisms is to be signed even where RFC 4178 5
    /// leaves it open. Asked once the mechanism is complete.
    fn wants_mic(&self) -> bool;

    /// GSS_GetMIC of the list of mechanisms.
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the mechanism is complete.
    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError>;

    /// GSS_VerifyMIC of the list of mechanisms.
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`]; [`SecurityError::Misuse`] before the
    /// mechanism is complete.
    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError>;

    /// Called once the negotiation is complete, before the first PDU.
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the mechanism is complete.
    fn negotiated(&mut self) -> Result<(), SecurityError> {
        Ok(())
    }
}

impl Mechanism for NtlmContext {
    fn oids(&self) -> &'static [Oid] {
        &[NTLM_OID]
    }

    /// Servers that see a MIC in AUTHENTICATE expect one of the list as well.
    fn wants_mic(&self) -> bool {
        self.has_mic()
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        self.get_mic(mech_types).map(Vec::from)
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        self.verify_mic(mech_types, mic)
    }

    fn negotiated(&mut self) -> Result<(), SecurityError> {
        self.restart_ciphers()
    }
}

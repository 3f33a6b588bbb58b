//! The security trailer of outgoing and incoming PDUs ([MS-RPCE] 2.2.2.11 to
//! 2.2.2.13) and the steps of the security provider.

use super::AssociationError;
use crate::pdu::{AuthLevel, AuthService, Frame, SecurityTrailer, TRAILER_LEN};
use crate::security::{Handshake, Protected, Protection, SecurityError, Step};

/// The authentication context's number: one per association.
const AUTH_CONTEXT_ID: u32 = 1;

/// A step of a handshake that may wait for something outside.
#[derive(Debug)]
pub struct AuthJob {
    handshake: Box<dyn Handshake>,
    token: Vec<u8>,
    level: AuthLevel,
}

/// The result of an [`AuthJob`]; for
/// [`Association::authenticated`](super::Association::authenticated).
#[derive(Debug)]
pub struct AuthOutcome(pub(super) Result<Step, SecurityError>);

impl AuthJob {
    pub(super) fn new(handshake: Box<dyn Handshake>, token: &[u8], level: AuthLevel) -> Self {
        Self { handshake, token: token.to_vec(), level }
    }

    /// Runs the step. May block.
    pub fn run(self) -> AuthOutcome {
        AuthOutcome(self.handshake.step(&self.token, self.level))
    }
}

/// What was agreed about an authenticated association.
#[derive(Debug)]
pub(super) struct Security {
    trailer: SecurityTrailer,
    pub(super) header_signing: bool,
    /// `None` until the handshake is done.
    protection: Option<Box<dyn Protection>>,
    verified: bool,
}

impl Security {
    pub(super) fn new(service: AuthService, level: AuthLevel) -> Self {
        let trailer =
            SecurityTrailer { service, level, pad_length: 0, context_id: AUTH_CONTEXT_ID };
        Self { trailer, header_signing: false, protection: None, verified: false }
    }

    /// Protects from now on what is sent, and insists on protection.
    pub(super) fn establish(&mut self, protection: Box<dyn Protection>) {
        self.protection = Some(protection);
    }

    fn protection(&mut self) -> Result<&mut Box<dyn Protection>, AssociationError> {
        self.protection.as_mut().ok_or(AssociationError::Unprotected)
    }

    /// Returns the trailer of what this side sends.
    pub(super) fn trailer(&self) -> SecurityTrailer {
        self.trailer
    }

    pub(super) fn signature_len(&mut self) -> Result<usize, AssociationError> {
        Ok(self.protection()?.signature_len())
    }

    /// Protects a PDU that ends with its trailer, the stub starting at `stub`.
    pub(super) fn protect(
        &mut self,
        pdu: &mut Vec<u8>,
        stub: usize,
    ) -> Result<(), AssociationError> {
        let header_signing = self.header_signing;
        let stub = stub..pdu.len() - TRAILER_LEN;
        let protection = self.protection()?;
        let mut signature = Vec::with_capacity(protection.signature_len());
        protection.protect(Protected { pdu, stub, header_signing }, &mut signature)?;
        pdu.extend_from_slice(&signature);
        Ok(())
    }

    /// Returns whether the server has sent something whose signature was right.
    pub(super) fn has_verified(&self) -> bool {
        self.verified
    }

    /// Returns whether the frame's trailer is the agreed one.
    pub(super) fn check_trailer(&self, frame: &Frame<'_>) -> Result<(), AssociationError> {
        match frame.trailer {
            Some(trailer) if trailer.agrees_with(&self.trailer) => Ok(()),
            _ => Err(AssociationError::Unprotected),
        }
    }

    /// Verifies, and for privacy unseals, a PDU whose stub starts behind
    /// `fixed` bytes of body.
    pub(super) fn unprotect(
        &mut self,
        frame: &mut Frame<'_>,
        fixed: usize,
    ) -> Result<(), AssociationError> {
        self.check_trailer(frame)?;
        let stub = frame.sealed_range(fixed)?;
        let message = Protected { pdu: frame.pdu, stub, header_signing: self.header_signing };
        self.protection()?.unprotect(message, frame.auth_value)?;
        self.verified = true;
        Ok(())
    }
}

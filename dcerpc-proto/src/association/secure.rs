//! The security trailer of outgoing and incoming PDUs ([MS-RPCE] 2.2.2.11 to
//! 2.2.2.13) and the steps of the security provider.

use super::AssociationError;
use crate::pdu::AuthLevel;
use crate::pdu::{Frame, SecurityTrailer};
use crate::security::{Protected, SecurityContext, SecurityError, Step};

/// The authentication context's number: one per association.
const AUTH_CONTEXT_ID: u32 = 1;

/// A step of a security provider that may wait for something outside.
#[derive(Debug)]
pub struct AuthJob {
    context: Box<dyn SecurityContext>,
    token: Vec<u8>,
}

/// What an [`AuthJob`] came to; for
/// [`Association::authenticated`](super::Association::authenticated).
#[derive(Debug)]
pub struct AuthOutcome {
    pub(super) context: Box<dyn SecurityContext>,
    pub(super) step: Result<Step, SecurityError>,
}

impl AuthJob {
    /// Runs the step. May block.
    pub fn run(mut self) -> AuthOutcome {
        let step = self.context.step(&self.token);
        AuthOutcome { context: self.context, step }
    }
}

/// The security context with what was agreed about it.
#[derive(Debug)]
pub(super) struct Security {
    /// Away while an [`AuthJob`] has it.
    context: Option<Box<dyn SecurityContext>>,
    trailer: SecurityTrailer,
    pub(super) header_signing: bool,
}

impl Security {
    pub(super) fn new(context: Box<dyn SecurityContext>, level: AuthLevel) -> Self {
        let trailer = SecurityTrailer {
            service: context.service(),
            level,
            pad_length: 0,
            context_id: AUTH_CONTEXT_ID,
        };
        Self { context: Some(context), trailer, header_signing: false }
    }

    fn context(&mut self) -> Result<&mut Box<dyn SecurityContext>, AssociationError> {
        self.context.as_mut().ok_or(AssociationError::Closed)
    }

    /// The trailer of what this side sends.
    pub(super) fn trailer(&self) -> SecurityTrailer {
        self.trailer
    }

    /// Takes the provider's next step, or packs it as a job where it may block.
    pub(super) fn step(&mut self, token: &[u8]) -> Result<Result<Step, AuthJob>, AssociationError> {
        let context = self.context()?;
        if !context.may_block() {
            return Ok(Ok(context.step(token)?));
        }
        let context = self.context.take().ok_or(AssociationError::Closed)?;
        Ok(Err(AuthJob { context, token: token.to_vec() }))
    }

    /// Takes the context back from a job.
    pub(super) fn restore(&mut self, context: Box<dyn SecurityContext>) {
        self.context = Some(context);
    }

    pub(super) fn signature_len(&mut self) -> Result<usize, AssociationError> {
        let level = self.trailer.level;
        Ok(self.context()?.signature_len(level))
    }

    /// Protects a PDU that ends with its trailer, the stub starting at `stub`.
    pub(super) fn protect(
        &mut self,
        pdu: &mut Vec<u8>,
        stub: usize,
    ) -> Result<(), AssociationError> {
        let (level, header_signing) = (self.trailer.level, self.header_signing);
        let stub = stub..pdu.len() - crate::pdu::TRAILER_LEN;
        let context = self.context()?;
        let mut signature = Vec::with_capacity(context.signature_len(level));
        context.protect(level, Protected { pdu, stub, header_signing }, &mut signature)?;
        pdu.extend_from_slice(&signature);
        Ok(())
    }

    /// Whether the frame's trailer is the agreed one.
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
        let (level, header_signing) = (self.trailer.level, self.header_signing);
        let message = Protected { pdu: frame.pdu, stub, header_signing };
        Ok(self.context()?.unprotect(level, message, frame.auth_value)?)
    }
}

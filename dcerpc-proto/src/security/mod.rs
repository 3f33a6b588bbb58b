//! Security providers ([MS-RPCE] 2.2.1.1.7): what authenticates an association
//! and signs or seals its PDUs.
//!
//! A provider is sans-IO: tokens go in and out as bytes, and it never waits for
//! the network, save where [`SecurityContext::may_block`] says so.

#[cfg(any(test, feature = "acceptor"))]
mod acceptor;
pub mod kerberos;
pub mod ntlm;
mod secret;
pub mod spnego;
#[cfg(test)]
mod testing;

#[cfg(any(test, feature = "acceptor"))]
pub use acceptor::AcceptorContext;
pub use secret::Secret;

use crate::pdu::{AuthLevel, AuthService};
use std::ops::Range;

/// What a provider answers to a token.
#[derive(Debug)]
pub struct Step {
    /// The token for the server; may be empty only when `expects_reply` is false.
    pub token: Vec<u8>,
    /// Whether the server answers this token with another one. Where not, the
    /// context is complete as soon as the token has been sent.
    pub expects_reply: bool,
}

/// The bytes of a PDU that a signature covers, in place.
#[derive(Debug)]
pub struct Protected<'a> {
    /// The whole PDU from its first header byte to the end of the security
    /// trailer (`auth_context_id`), without the signature itself.
    pub pdu: &'a mut [u8],
    /// Where the stub and its authentication padding are within `pdu`: what
    /// privacy encrypts.
    pub stub: Range<usize>,
    /// Whether header signing was agreed ([MS-RPCE] 2.2.2.3,
    /// PFC_SUPPORT_HEADER_SIGN): the signature then covers all of `pdu`,
    /// otherwise `stub` alone. NTLM covers all of it either way.
    pub header_signing: bool,
}

/// Why a provider refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// The server's token breaks its format or the protocol.
    #[error("the server's {mechanism} token is invalid: {reason}")]
    InvalidToken {
        /// "NTLM", "SPNEGO", "Kerberos".
        mechanism: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server offers less protection than was asked for.
    #[error(
        "the server does not offer {missing}; it is too old or someone tampers with the connection"
    )]
    Downgrade {
        /// What it does not offer, for example "128-bit session keys".
        missing: &'static str,
    },
    /// A signature does not verify: the PDU was altered, replayed or lost.
    #[error("the server's signature does not verify")]
    BadSignature,
    /// The operating system has no randomness to give.
    #[error("the system's random number generator failed")]
    NoRandom,
    /// Credentials cannot be used, or the server rejects them.
    #[error("{0}")]
    Credentials(String),
    /// Kerberos gives no ticket, or refuses the server's answer.
    #[error(transparent)]
    Kerberos(#[from] kerberos::KerberosError),
    /// The caller broke the order of calls, for example protected a PDU before
    /// the context was complete.
    #[error("the security context cannot do this now: {0}")]
    Misuse(&'static str),
}

/// An initiator's security context: one per association.
pub trait SecurityContext: Send + std::fmt::Debug {
    /// The authentication service that the security trailer names.
    fn service(&self) -> AuthService;

    /// Takes the server's token (empty at first) and gives the next one.
    fn step(&mut self, token: &[u8]) -> Result<Step, SecurityError>;

    /// Whether [`SecurityContext::step`] may wait for something outside this
    /// process, such as a KDC. The owner then runs it off its event loop.
    fn may_block(&self) -> bool {
        false
    }

    /// The length of the signature for a PDU at `level`, in bytes.
    fn signature_len(&self, level: AuthLevel) -> usize;

    /// Signs, and for privacy seals, an outgoing PDU in place; appends the
    /// signature to `signature`.
    fn protect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError>;

    /// Unseals and verifies an incoming PDU in place.
    fn unprotect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError>;
}

//! Security providers ([MS-RPCE] 2.2.1.1.7): what authenticates an association
//! and signs or seals its PDUs.
//!
//! A [`Handshake`] exchanges tokens with the peer until it is done, and ends in a
//! [`Protection`], which signs and seals. Both are sans-IO: tokens and PDUs go in
//! and out as bytes, the clock's reading and random numbers are parameters, and
//! nothing waits for the network, save where [`Handshake::may_block`] says so.

#[cfg(any(test, feature = "acceptor"))]
mod acceptor;
pub mod kerberos;
pub mod ntlm;
mod secret;
pub mod spnego;
#[cfg(test)]
mod testing;

#[cfg(any(test, feature = "acceptor"))]
pub use acceptor::Accepted;
pub use secret::Secret;

use crate::pdu::{AuthLevel, AuthService};
use std::fmt::Debug;
use std::ops::Range;

/// One side of an authentication, before its next step: an initiator's, which
/// ends in a [`Protection`], or an acceptor's, which ends in an `Accepted`
/// (feature `acceptor`).
pub trait Handshake<S = Box<dyn Protection>>: Send + Debug {
    /// Returns the authentication service that the security trailer names.
    fn service(&self) -> AuthService;

    /// Returns whether the next step may wait for something outside this
    /// process, such as a KDC. It then belongs off the event loop.
    fn may_block(&self) -> bool {
        false
    }

    /// Takes the peer's token (empty for an initiator's first step) and gives the
    /// next one. `level` is that of the PDUs to come, the same at each step.
    ///
    /// # Errors
    /// The authentication has failed, and the handshake is gone.
    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step<S>, SecurityError>;
}

/// How far a step has brought a [`Handshake`].
#[derive(Debug)]
pub enum Step<S = Box<dyn Protection>> {
    /// The peer answers this token with another one, for the next step.
    Continue {
        /// The token for the peer.
        token: Vec<u8>,
        /// The handshake from here on.
        handshake: Box<dyn Handshake<S>>,
    },
    /// This side is done as soon as the token has been sent.
    Done {
        /// The token for the peer; empty where it expects none.
        token: Vec<u8>,
        /// What the handshake was for.
        session: S,
    },
}

/// What protects the PDUs of an authenticated association: the same for an
/// initiator and an acceptor.
pub trait Protection: Send + Debug {
    /// Returns the length of each PDU's signature, in bytes.
    fn signature_len(&self) -> usize;

    /// Signs, and for privacy seals, an outgoing PDU in place; appends the
    /// signature to `signature`.
    fn protect(
        &mut self,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError>;

    /// Unseals and verifies an incoming PDU in place.
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`].
    fn unprotect(&mut self, message: Protected<'_>, signature: &[u8]) -> Result<(), SecurityError>;
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

/// Why a provider refused. The texts are written for an initiator; an acceptor's
/// peer is the client.
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
    /// Credentials cannot be used, or the server rejects them.
    #[error("{0}")]
    Credentials(String),
    /// Kerberos gives no ticket, or refuses the server's answer.
    #[error(transparent)]
    Kerberos(#[from] kerberos::KerberosError),
    /// The caller has asked for what can't be, for example to protect a stub that
    /// lies outside of its PDU.
    #[error("the security provider cannot do this: {0}")]
    Misuse(&'static str),
}

impl SecurityError {
    /// Returns whether trying again with the same credentials may lock the account.
    pub fn may_lock_account(&self) -> bool {
        matches!(self, Self::Kerberos(error) if error.may_lock_account())
    }
}

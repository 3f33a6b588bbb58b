//! The server side of a security context, for tests and simulators.

use super::{AuthLevel, AuthService, Protected, SecurityError};

/// An acceptor's security context: the peer of
/// [`SecurityContext`](super::SecurityContext). The texts of the errors are
/// written for the other side; read "the client's" for "the server's".
pub trait AcceptorContext: Send + std::fmt::Debug {
    /// The authentication service that the security trailer names.
    fn service(&self) -> AuthService;

    /// Takes the client's token and gives the reply, which is empty where the
    /// client expects none.
    ///
    /// # Errors
    /// [`SecurityError::Credentials`] where the user or the password is wrong.
    fn step(&mut self, token: &[u8]) -> Result<Vec<u8>, SecurityError>;

    /// Whether the client is authenticated and PDUs can be protected.
    fn is_established(&self) -> bool;

    /// The length of the signature for a PDU at `level`, in bytes.
    fn signature_len(&self, level: AuthLevel) -> usize;

    /// Signs, and for privacy seals, an outgoing PDU in place; appends the
    /// signature to `signature`.
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the context is established.
    fn protect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError>;

    /// Unseals and verifies an incoming PDU in place.
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`]; [`SecurityError::Misuse`] before the
    /// context is established.
    fn unprotect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError>;
}

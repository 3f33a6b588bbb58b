//! SPNEGO (RFC 4178, [MS-SPNG]): which mechanism both sides have.

#[cfg(any(test, feature = "acceptor"))]
mod acceptor;
pub(super) mod der;
mod initiator;
mod mechanism;
#[cfg(test)]
mod tests;
mod token;

#[cfg(any(test, feature = "acceptor"))]
pub use acceptor::SpnegoAcceptor;
pub use initiator::SpnegoInitiator;
pub use mechanism::{Mechanism, MechanismSession, NTLM_OID, Oid};

use crate::security::SecurityError;

fn invalid(reason: &'static str) -> SecurityError {
    SecurityError::InvalidToken { mechanism: "SPNEGO", reason }
}

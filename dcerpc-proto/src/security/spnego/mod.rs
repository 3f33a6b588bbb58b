//! SPNEGO (RFC 4178, [MS-SPNG]): which mechanism both sides have.

#[cfg(any(test, feature = "acceptor"))]
mod acceptor;
mod context;
pub(super) mod der;
mod mechanism;
#[cfg(test)]
mod tests;
mod token;

#[cfg(any(test, feature = "acceptor"))]
pub use acceptor::SpnegoAcceptor;
pub use context::SpnegoContext;
pub use mechanism::{Mechanism, NTLM_OID, Oid};

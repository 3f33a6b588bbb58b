//! NTLMv2 ([MS-NLMP]): logon, signing and sealing.
//!
//! Older responses, LAN Manager keys, keys below 128 bits and sessions without
//! extended session security are not spoken.

#[cfg(any(test, feature = "acceptor"))]
mod acceptor;
mod av_pair;
mod credentials;
mod flags;
mod initiator;
mod keys;
mod messages;
mod session;
#[cfg(test)]
mod tests;
mod uppercase;
#[cfg(test)]
mod vectors;
mod wire;

#[cfg(any(test, feature = "acceptor"))]
pub use acceptor::{Logon, NtlmAcceptor, NtlmLogon, ServerNames};
pub use credentials::NtlmCredentials;
pub use initiator::NtlmInitiator;
pub use session::NtlmSession;
pub use uppercase::Uppercase;

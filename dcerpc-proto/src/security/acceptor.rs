//! The server side of an authentication, for tests and simulators.

use super::Protection;
use super::ntlm::Logon;

/// What an acceptor's [`Handshake`](super::Handshake) ends in.
#[derive(Debug)]
pub struct Accepted {
    /// Protects the PDUs from now on.
    pub protection: Box<dyn Protection>,
    /// Who has logged on.
    pub logon: Logon,
}

//! What an association is for.

use crate::pdu::{AuthLevel, SyntaxId};

/// What an association is for and what it accepts.
#[derive(Debug, Clone)]
pub struct AssociationConfig {
    /// The interface to bind to.
    pub interface: SyntaxId,
    /// The authentication level, where there is a handshake. A server that
    /// answers with another one is refused.
    pub level: AuthLevel,
    /// Whether a server that does not agree to header signing
    /// ([MS-RPCE] 2.2.2.3) is refused.
    pub require_header_signing: bool,
    /// How much may be put together from fragments, in bytes: the longest
    /// response, and the sum of all that are incomplete at a time.
    pub max_response: usize,
}

impl AssociationConfig {
    /// Returns the defaults for `interface`: privacy, header signing required,
    /// responses of up to 1 MiB.
    pub fn new(interface: SyntaxId) -> Self {
        Self {
            interface,
            level: AuthLevel::Privacy,
            require_header_signing: true,
            max_response: 1 << 20,
        }
    }
}

//! Addresses that are good on one link only.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// An address and, where it is an IPv6 address of a link, which link that is ([RFC 4007]):
/// the same one on two links is two hosts.
///
/// [RFC 4007]: https://www.rfc-editor.org/rfc/rfc4007
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedAddr {
    address: IpAddr,
    scope_id: u32,
}

impl ScopedAddr {
    /// An address on the link `scope_id`, the index of an interface. With an address that is
    /// good everywhere it means nothing, and is left out.
    pub fn new(address: IpAddr, scope_id: u32) -> Self {
        Self { address, scope_id: if Self::is_of_link(address) { scope_id } else { 0 } }
    }

    /// Whether an address is good on one link only.
    pub fn is_of_link(address: IpAddr) -> bool {
        matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
    }

    /// The address by itself.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The link that the address is good on; 0 where it is good everywhere, or the link is
    /// not known.
    pub fn scope_id(self) -> u32 {
        self.scope_id
    }

    /// An address that the server at this one names: on the same link, where it is good on one
    /// only.
    #[must_use]
    pub fn beside(self, named: IpAddr) -> Self {
        Self::new(named, self.scope_id)
    }

    /// The address with a port, as a connection takes it.
    pub fn with_port(self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(_) => SocketAddr::new(self.address, port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, self.scope_id).into(),
        }
    }
}

impl fmt::Display for ScopedAddr {
    /// Writes the link as a number behind `%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope_id {
            0 => self.address.fmt(f),
            link => write!(f, "{}%{link}", self.address),
        }
    }
}

impl From<IpAddr> for ScopedAddr {
    fn from(address: IpAddr) -> Self {
        Self::new(address, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_a_link_has_a_scope() {
        for (address, scope_id, connects_to) in [
            ("fe80::1", 3, "[fe80::1%3]:445"),
            ("febf::1", 3, "[febf::1%3]:445"),
            ("fec0::1", 0, "[fec0::1]:445"),
            ("2001:db8::1", 0, "[2001:db8::1]:445"),
            ("169.254.0.1", 0, "169.254.0.1:445"),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            let scoped = ScopedAddr::new(address, 3);
            assert_eq!((scoped.address(), scoped.scope_id()), (address, scope_id));
            assert_eq!(scoped.with_port(445).to_string(), connects_to);
            let bare = connects_to.trim_end_matches(":445").trim_matches(['[', ']']);
            assert_eq!(scoped.to_string(), bare);
        }
        let [one, other] =
            [2, 3].map(|link| ScopedAddr::new("fe80::1".parse().expect("one"), link));
        assert_ne!(one, other);
        let named = |address: &str| other.beside(address.parse().expect("an address")).to_string();
        assert_eq!([named("fe80::2"), named("10.0.0.1")], ["fe80::2%3", "10.0.0.1"]);
    }
}

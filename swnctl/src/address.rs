//! Addresses of nodes: as they are given, and as names resolve to them. One that is good on
//! one link only (`fe80::/10`) keeps its link.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use swnclient::ScopedAddr;

/// Reads an address. Behind one that is good on one link only, the link may follow: the name
/// of an interface, or its number.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<ScopedAddr, String> {
    let Some((address, link)) = text.split_once('%') else {
        return Ok(text.parse::<IpAddr>().map_err(|error| error.to_string())?.into());
    };
    let address: IpAddr = address.parse().map_err(|_| "invalid IP address syntax")?;
    if !ScopedAddr::is_of_link(address) {
        return Err(format!("{address} is good everywhere, and has no %{link}"));
    }
    // Of an address the system's resolver knows the interface, and asks no server.
    let found = (text, 0).to_socket_addrs().ok().and_then(|mut found| found.next());
    let scoped = found.map(of_socket).filter(|it| it.address() == address && it.scope_id() != 0);
    scoped.ok_or_else(|| format!("there is no interface {link}"))
}

/// Returns the addresses of a name, each once, in the order of the system's resolver.
pub(crate) fn resolve(name: &str) -> Result<Vec<ScopedAddr>, String> {
    let found = (name, 445).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<ScopedAddr> = Vec::new();
    for address in found.map(of_socket) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn of_socket(socket: SocketAddr) -> ScopedAddr {
    match socket {
        SocketAddr::V4(_) => socket.ip().into(),
        SocketAddr::V6(socket) => ScopedAddr::new((*socket.ip()).into(), socket.scope_id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_link_keeps_its_interface() {
        let address = |text: &str, link| Ok(ScopedAddr::new(text.parse().unwrap(), link));
        // The loopback interface is the first one of each network namespace.
        assert_eq!(parse("fe80::1%lo"), address("fe80::1", 1));
        assert_eq!(parse("fe80::1%7"), address("fe80::1", 7));
        assert_eq!(parse("fe80::1"), address("fe80::1", 0));
        assert_eq!(parse("2001:db8::1"), address("2001:db8::1", 0));
        assert_eq!(parse("10.0.0.1"), address("10.0.0.1", 0));
        assert_eq!(resolve("fe80::1%lo"), address("fe80::1", 1).map(|it| vec![it]));
    }

    #[test]
    fn what_is_no_address_or_has_no_such_interface_is_an_error() {
        for text in [
            "",
            "node",
            "node%lo",
            "%lo",
            "fe80::1%",
            "fe80::1%none",
            "fe80::1%lo%lo",
            "fe80::1%0",
            "2001:db8::1%lo",
            "10.0.0.1%lo",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! The cifs mounts of this machine.

use std::net::IpAddr;
use swnclient::ScopedAddr;
use swnd::control::interface::Registration;
pub use swnd::mountinfo::CifsMount;

/// Whether a registration is for a mount.
pub fn is_of(mount: &CifsMount, registration: &Registration) -> bool {
    let share = registration.share_name.as_deref().unwrap_or_default();
    mount.is_share(&registration.net_name, share)
}

/// Returns an address that serves mounts of a cluster, on the link on which it serves one.
pub(crate) fn scoped(mounts: &[CifsMount], net_name: &str, address: IpAddr) -> ScopedAddr {
    let of_cluster = mounts.iter().filter(|it| it.net_name.eq_ignore_ascii_case(net_name));
    let mut addresses = of_cluster.filter_map(CifsMount::address);
    let link = addresses.find(|it| it.address() == address).map_or(0, ScopedAddr::scope_id);
    ScopedAddr::new(address, link)
}

/// Returns the mounts of the running system; none where they can't be read.
pub fn read() -> Vec<CifsMount> {
    swnd::mountinfo::read().unwrap_or_default()
}

/// Reads the text of a `mountinfo`.
#[cfg(test)]
pub(crate) fn parse(text: &str) -> Vec<CifsMount> {
    swnd::mountinfo::parse(text.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_link_is_on_that_of_the_mount_which_is_by_it() {
        let line = |name: &str, address: &str| {
            format!("70 25 0:44 / /mnt rw - cifs //{name}/data rw,addr={address}\n")
        };
        let text = [line("one", "fe80::1%3"), line("two", "fe80::1%4"), line("two", "10.0.0.1")];
        let mounts = parse(&text.concat());
        let scope_id =
            |name: &str, address: &str| scoped(&mounts, name, address.parse().unwrap()).scope_id();
        assert_eq!([scope_id("one", "fe80::1"), scope_id("TWO", "fe80::1")], [3, 4]);
        assert_eq!([scope_id("two", "fe80::2"), scope_id("two", "10.0.0.1")], [0, 0]);
    }
}

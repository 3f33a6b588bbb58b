//! Which witness to register at, and which address of a list to move to.

use crate::ResourceState;
use crate::wire::{AddressInfo, Interface};
use std::net::IpAddr;

/// How many witnesses of a list are tried in a row: a list may name hundreds of
/// addresses that belong to others.
const TRIED_MAX: usize = 32;

/// The addresses of the witnesses to try, the first one last, for a client of
/// the node at `served_by` ([MS-SWN] 3.2.4.1). `interfaces` is that very node's
/// list: its own interfaces lack the witness flag there. Addresses of the
/// node whose `lost` address has just failed come at the end of the line,
/// those of another family than `served_by` before them.
pub(super) fn witnesses(
    interfaces: &[Interface],
    served_by: IpAddr,
    lost: Option<IpAddr>,
    rng: &mut fastrand::Rng,
) -> Vec<IpAddr> {
    // Windows names its nodes; Samba gives every interface the cluster's name.
    let lost_node = lost.and_then(|lost| name_of(interfaces, lost));
    let one_name = interfaces.iter().all(|i| Some(i.group_name.as_str()) == lost_node);
    let mut candidates: Vec<(bool, bool, IpAddr)> = interfaces
        .iter()
        .filter(|i| i.witness && i.state == ResourceState::Available)
        .flat_map(|i| {
            let same_node = !one_name && Some(i.group_name.as_str()) == lost_node;
            i.addresses().map(move |address| {
                let failed = same_node || Some(address) == lost;
                (failed, address.is_ipv4() != served_by.is_ipv4(), address)
            })
        })
        .filter(|(_, _, address)| *address != served_by)
        .collect();
    rng.shuffle(&mut candidates);
    candidates.sort_by_key(|(failed, other_family, _)| (!failed, !other_family));
    // The first one is the last.
    candidates.drain(..candidates.len().saturating_sub(TRIED_MAX));
    candidates.into_iter().map(|(_, _, address)| address).collect()
}

/// The name of the node that has `address`, as the list has it.
pub(super) fn name_of(interfaces: &[Interface], address: IpAddr) -> Option<&str> {
    interfaces.iter().find(|i| i.addresses().any(|a| a == address)).map(|i| i.group_name.as_str())
}

/// Whether `address` belongs to the node whose list it is.
pub(super) fn is_own(interfaces: &[Interface], address: IpAddr) -> bool {
    interfaces.iter().any(|i| !i.witness && i.addresses().any(|a| a == address))
}

/// The state of `address` as a list has it.
pub(super) fn state_of(interfaces: &[Interface], address: IpAddr) -> Option<ResourceState> {
    interfaces.iter().find(|i| i.addresses().any(|a| a == address)).map(|i| i.state)
}

/// Whether a list says that `address` is out of service.
pub(super) fn is_offline(list: &[AddressInfo], address: IpAddr) -> bool {
    list.iter().any(|info| info.is_offline() && info.addresses().any(|a| a == address))
}

/// The best address of a list to move to: online, and of the same family as
/// the connection now where there is one. `None`: nothing usable.
pub(super) fn best_address(list: &[AddressInfo], current: Option<IpAddr>) -> Option<IpAddr> {
    let same_family =
        |address: &IpAddr| current.is_none_or(|now| now.is_ipv4() == address.is_ipv4());
    let usable = || {
        list.iter()
            .filter(|info| info.is_online())
            .flat_map(AddressInfo::addresses)
            .filter(|address| !address.is_unspecified() && !address.is_multicast())
    };
    usable().find(same_family).or_else(|| usable().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: &str, state: ResourceState, witness: bool) -> Interface {
        let address: IpAddr = address.parse().unwrap();
        Interface {
            group_name: name.into(),
            version: 0xffff_ffff,
            state,
            ipv4: match address {
                IpAddr::V4(v4) => Some(v4),
                IpAddr::V6(_) => None,
            },
            ipv6: match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(v6) => Some(v6),
            },
            witness,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_witness_is_available_and_flagged() {
        use ResourceState::{Available, Unavailable, Unknown};
        let list = [
            interface("NODE0", "10.0.0.1", Available, false),
            interface("NODE1", "10.0.0.2", Available, true),
            interface("NODE2", "10.0.0.3", Unavailable, true),
            interface("NODE3", "10.0.0.4", Unknown, true),
        ];
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(witnesses(&list, ip("10.0.0.1"), None, &mut rng), [ip("10.0.0.2")]);
    }

    #[test]
    fn a_list_of_hundreds_of_addresses_makes_32_attempts_and_others_each_time() {
        use ResourceState::Available;
        let list: Vec<Interface> = (0..500)
            .map(|n| {
                let (high, low) = (n / 250, n % 250 + 1);
                let address = format!("10.0.{high}.{low}");
                interface(&format!("NODE{n}"), &address, Available, true)
            })
            .collect();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut choose = || witnesses(&list, ip("10.0.9.1"), None, &mut rng);
        let (first, second) = (choose(), choose());
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first, second);
    }

    #[test]
    fn the_node_of_the_lost_witness_is_tried_last() {
        use ResourceState::Available;
        let list = [
            interface("NODE1", "10.0.0.2", Available, true),
            interface("NODE1", "10.0.1.2", Available, true),
            interface("NODE2", "10.0.0.3", Available, true),
        ];
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let order = witnesses(&list, ip("10.0.0.1"), Some(ip("10.0.0.2")), &mut rng);
            assert_eq!(order.last(), Some(&ip("10.0.0.3")));
        }
    }

    #[test]
    fn where_all_nodes_share_one_name_only_the_lost_address_is_tried_last() {
        use ResourceState::Available;
        let list = [
            interface("witclu", "10.0.0.2", Available, true),
            interface("witclu", "10.0.0.3", Available, true),
            interface("witclu", "10.0.0.1", Available, false),
        ];
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let order = witnesses(&list, ip("10.0.0.1"), Some(ip("10.0.0.2")), &mut rng);
            assert_eq!(order, [ip("10.0.0.2"), ip("10.0.0.3")]);
        }
    }

    #[test]
    fn the_family_of_the_connection_comes_first_among_witnesses() {
        use ResourceState::Available;
        let list = [
            interface("NODE1", "2001:db8::2", Available, true),
            interface("NODE2", "10.0.0.3", Available, true),
        ];
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let order = witnesses(&list, ip("10.0.0.1"), None, &mut rng);
            assert_eq!(order.last(), Some(&ip("10.0.0.3")));
        }
    }

    #[test]
    fn a_move_goes_to_an_online_address_of_the_same_family_first() {
        let info = |address, online| AddressInfo::new(ip(address), online);
        let list = [info("10.0.0.2", false), info("2001:db8::3", true), info("10.0.0.4", true)];
        assert_eq!(best_address(&list, Some(ip("10.0.0.1"))), Some(ip("10.0.0.4")));
        assert_eq!(best_address(&list, Some(ip("2001:db8::1"))), Some(ip("2001:db8::3")));
        assert_eq!(best_address(&list, None), Some(ip("2001:db8::3")));
        assert_eq!(best_address(&list[..2], Some(ip("10.0.0.1"))), Some(ip("2001:db8::3")));
    }

    #[test]
    fn an_empty_or_offline_list_moves_nowhere() {
        let offline = AddressInfo::new(ip("10.0.0.2"), false);
        assert_eq!(best_address(&[], None), None);
        assert_eq!(best_address(&[offline], None), None);
    }
}

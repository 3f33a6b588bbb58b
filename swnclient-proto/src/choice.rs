//! Which witness to register at, and which address of a list to move to.

use crate::silent::Silent;
use crate::wire::{AddressInfo, Interface, Version};
use crate::{ResourceState, ScopedAddr};
use std::net::IpAddr;
use std::time::Instant;

/// How many witnesses of a list are tried in a row: a list may name hundreds of
/// addresses that belong to others.
const TRIED_MAX: usize = 32;
/// How many entries of a move are looked at.
const MOVE_MAX: usize = 128;

/// What is known of addresses, whatever a list says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Which are this machine's.
    pub(crate) is_own: fn(ScopedAddr) -> bool,
    /// Which have not answered lately.
    pub(crate) silent: &'a Silent,
    /// The link of those that are good on one link only.
    pub(crate) scope_id: u32,
    pub(crate) now: Instant,
}

impl Known<'_> {
    fn is_silent(&self, address: IpAddr) -> bool {
        self.silent.contains(ScopedAddr::new(address, self.scope_id), self.now)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        (self.is_own)(ScopedAddr::new(address, self.scope_id))
    }
}

/// The addresses of the witnesses to try, the first one last, for a client of
/// the node at `served_by` ([MS-SWN] 3.2.4.1). `interfaces` is that very node's
/// list: its own interfaces lack the witness flag there. Those in a network near
/// to `served_by` come first, then those of another family, those of a link, the addresses
/// of the node whose `lost` address has just failed, and at the end of the line those that
/// have not answered lately.
pub(crate) fn witnesses(
    interfaces: &[Interface],
    served_by: IpAddr,
    lost: Option<IpAddr>,
    known: Known<'_>,
    rng: &mut fastrand::Rng,
) -> Vec<IpAddr> {
    // Windows names its nodes; Samba gives every interface the cluster's name.
    let lost_node = lost.and_then(|lost| name_of(interfaces, lost));
    let one_name = interfaces.iter().all(|i| Some(i.group_name.as_str()) == lost_node);
    let mut candidates: Vec<(Rank, IpAddr)> = interfaces
        .iter()
        .filter(|i| i.witness && i.state == ResourceState::Available)
        .flat_map(|i| {
            let same_node = !one_name && Some(i.group_name.as_str()) == lost_node;
            i.addresses().map(move |address| {
                let address = address.to_canonical();
                let failed = same_node || Some(address) == lost;
                (Rank::of(address, served_by, failed, known.is_silent(address)), address)
            })
        })
        .filter(|(_, address)| {
            *address != served_by.to_canonical() && may_be_a_server(*address, Some(served_by))
        })
        .collect();
    rng.shuffle(&mut candidates);
    // The first one is the last.
    candidates.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    candidates.drain(..candidates.len().saturating_sub(TRIED_MAX));
    let may_be = |address: &IpAddr| !known.is_own(*address) || known.is_own(served_by);
    candidates.into_iter().map(|(_, address)| address).filter(may_be).collect()
}

/// How late an address is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// It has not answered lately.
    silent: bool,
    /// Its node has just failed.
    failed: bool,
    /// It is good on one link only, and the address that serves is not.
    link_local: bool,
    other_family: bool,
    distance: u8,
}

impl Rank {
    fn of(address: IpAddr, from: IpAddr, failed: bool, silent: bool) -> Self {
        let is_of_link = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        let link_local = is_of_link(address) && !is_of_link(from);
        let other_family = address.is_ipv4() != from.is_ipv4();
        Self { silent, failed, link_local, other_family, distance: distance(address, from) }
    }
}

/// How far apart two addresses are, in parts of a network's prefix that they don't share:
/// of 8 bits up to a prefix of 24, with IPv6 of 16 up to 64. What is below is near.
fn distance(one: IpAddr, other: IpAddr) -> u8 {
    let parts = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => 3 - shared(one.octets(), other.octets()).min(3),
        (IpAddr::V6(one), IpAddr::V6(other)) => 4 - shared(one.segments(), other.segments()).min(4),
        _ => return u8::MAX,
    };
    u8::try_from(parts).unwrap_or(u8::MAX)
}

/// How many parts at the beginning are the same.
fn shared<T: PartialEq, const N: usize>(one: [T; N], other: [T; N]) -> usize {
    one.iter().zip(&other).take_while(|(one, other)| one == other).count()
}

/// Whether a list may send the client of `served_by` to an address: never to itself, but
/// where the whole cluster is on one machine, and never to all.
fn may_be_a_server(address: IpAddr, served_by: Option<IpAddr>) -> bool {
    let is_here = |address: IpAddr| address.to_canonical().is_loopback();
    let address = address.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    let is_own = is_here(address) && !served_by.is_some_and(is_here);
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast && !is_own
}

/// The name of the node that has `address`, as the list has it.
pub(crate) fn name_of(interfaces: &[Interface], address: IpAddr) -> Option<&str> {
    interfaces.iter().find(|i| i.addresses().any(|a| a == address)).map(|i| i.group_name.as_str())
}

/// Whether `address` belongs to the node whose list it is.
pub(crate) fn is_own(interfaces: &[Interface], address: IpAddr) -> bool {
    interfaces.iter().any(|i| !i.witness && i.addresses().any(|a| a == address))
}

/// The state of `address` as a list has it.
pub(crate) fn state_of(interfaces: &[Interface], address: IpAddr) -> Option<ResourceState> {
    interfaces.iter().find(|i| i.addresses().any(|a| a == address)).map(|i| i.state)
}

/// Whether a list says that `address` is out of service.
pub(crate) fn is_offline(list: &[AddressInfo], address: IpAddr) -> bool {
    list.iter().any(|info| info.is_offline() && info.addresses().any(|a| a == address))
}

/// The best address of a list to move to: not offline, and of the same family as the
/// connection now, near to it and not silent lately, where there is one. `None`: nothing usable. Only in
/// version 2 the flags say what is offline ([MS-SWN] 2.2.2.1), and a server may leave
/// them out.
pub(crate) fn best_address(
    list: &[AddressInfo],
    version: Version,
    current: Option<IpAddr>,
    known: Known<'_>,
) -> Option<IpAddr> {
    let is_usable = |address: IpAddr| {
        may_be_a_server(address, current)
            && (!known.is_own(address) || current.is_some_and(|it| known.is_own(it)))
    };
    let rank = |address: IpAddr| {
        current.map(|now| Rank::of(address, now, false, known.is_silent(address)))
    };
    let mut best = None;
    for info in list.iter().take(MOVE_MAX) {
        if version == Version::V2 && info.is_offline() {
            continue;
        }
        for address in info.addresses().map(|address| address.to_canonical()) {
            // Most lists have one.
            let is_better = best.is_none_or(|best| rank(address) < rank(best));
            if is_better && is_usable(address) {
                best = Some(address);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AddressFlags;

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

    static NO_SILENCE: Silent = Silent::new();

    /// Nothing is known.
    fn none() -> Known<'static> {
        Known { is_own: |_| false, silent: &NO_SILENCE, scope_id: 0, now: Instant::now() }
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
        assert_eq!(witnesses(&list, ip("10.0.0.1"), None, none(), &mut rng), [ip("10.0.0.2")]);
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
        let mut choose = || witnesses(&list, ip("10.0.9.1"), None, none(), &mut rng);
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
            let order = witnesses(&list, ip("10.0.0.1"), Some(ip("10.0.0.2")), none(), &mut rng);
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
            let order = witnesses(&list, ip("10.0.0.1"), Some(ip("10.0.0.2")), none(), &mut rng);
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
            let order = witnesses(&list, ip("10.0.0.1"), None, none(), &mut rng);
            assert_eq!(order.last(), Some(&ip("10.0.0.3")));
        }
    }

    #[test]
    fn a_move_goes_to_an_online_address_of_the_same_family_first() {
        let info = |address, online| AddressInfo::new(ip(address), online);
        let list = [info("10.0.0.2", false), info("2001:db8::3", true), info("10.0.0.4", true)];
        let best = |list, current: &str| best_address(list, Version::V2, Some(ip(current)), none());
        assert_eq!(best(&list, "10.0.0.1"), Some(ip("10.0.0.4")));
        assert_eq!(best(&list, "2001:db8::1"), Some(ip("2001:db8::3")));
        assert_eq!(best_address(&list, Version::V2, None, none()), Some(ip("2001:db8::3")));
        assert_eq!(best(&list[..2], "10.0.0.1"), Some(ip("2001:db8::3")));
    }

    #[test]
    fn a_move_whose_address_has_no_state_is_followed_in_both_versions() {
        let mut info = AddressInfo::new(ip("10.0.0.2"), true);
        info.flags = AddressFlags::IPV4;
        for version in [Version::V1, Version::V2] {
            assert_eq!(
                best_address(&[info], version, Some(ip("10.0.0.1")), none()),
                Some(ip("10.0.0.2"))
            );
        }
    }

    #[test]
    fn in_version_1_no_flag_makes_an_address_unusable() {
        let mut info = AddressInfo::new(ip("10.0.0.2"), false);
        info.flags |= AddressFlags::from_bits_retain(0xffff_ff00);
        assert_eq!(best_address(&[info], Version::V1, None, none()), Some(ip("10.0.0.2")));
        assert_eq!(best_address(&[info], Version::V2, None, none()), None);
    }

    #[test]
    fn neither_a_move_nor_a_witness_is_this_machine_or_all_of_them() {
        use ResourceState::Available;
        let strange = [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:224.0.0.1",
        ];
        let from = ip("10.0.0.1");
        for address in strange {
            let info = AddressInfo::new(ip(address), true);
            assert_eq!(best_address(&[info], Version::V2, Some(from), none()), None, "{address}");
            assert_eq!(best_address(&[info], Version::V2, None, none()), None, "{address}");
            let list = [interface("NODE1", address, Available, true)];
            let mut rng = fastrand::Rng::with_seed(1);
            assert!(witnesses(&list, from, None, none(), &mut rng).is_empty(), "{address}");
        }
        // The serving node in another form.
        let list = [interface("NODE1", "::ffff:10.0.0.1", Available, true)];
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(witnesses(&list, from, None, none(), &mut rng).is_empty());
        // A cluster on one machine.
        let list = [interface("NODE1", "127.0.0.2", Available, true)];
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(witnesses(&list, ip("127.0.0.1"), None, none(), &mut rng), [ip("127.0.0.2")]);
    }

    #[test]
    fn an_address_of_this_machine_is_neither_a_witness_nor_moved_to_unless_it_serves() {
        use ResourceState::Available;
        fn is_own(address: ScopedAddr) -> bool {
            ["10.0.0.7", "2001:db8::7"].map(ip).contains(&address.address())
        }
        let own = Known { is_own, ..none() };
        let mut rng = fastrand::Rng::with_seed(1);
        for mine in ["10.0.0.7", "::ffff:10.0.0.7", "2001:db8::7"] {
            let list = [
                interface("NODE1", mine, Available, true),
                interface("NODE2", "10.0.1.2", Available, true),
            ];
            let mut choose = |from| witnesses(&list, ip(from), None, own, &mut rng);
            assert_eq!(choose("10.0.0.1"), [ip("10.0.1.2")], "{mine}");
            let list = [mine, "10.0.1.2"].map(|address| AddressInfo::new(ip(address), true));
            let best = |current| best_address(&list, Version::V2, current, own);
            assert_eq!(best(Some(ip("10.0.0.1"))), Some(ip("10.0.1.2")), "{mine}");
            assert_eq!(best(None), Some(ip("10.0.1.2")), "{mine}");
        }
        let list = [interface("NODE1", "2001:db8::7", Available, true)];
        assert_eq!(
            witnesses(&list, ip("10.0.0.7"), None, own, &mut rng),
            [ip("2001:db8::7")],
            "a cluster on one machine"
        );
    }

    #[test]
    fn witnesses_in_the_network_of_the_serving_address_come_first_and_of_a_link_late() {
        use ResourceState::Available;
        let list = [
            interface("NODE1", "169.254.1.2", Available, true),
            interface("NODE1", "192.168.0.2", Available, true),
            interface("NODE1", "10.0.9.2", Available, true),
            interface("NODE1", "10.0.0.2", Available, true),
            interface("NODE1", "fe80::2", Available, true),
            interface("NODE1", "2001:db8::2", Available, true),
        ];
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut order = witnesses(&list, ip("10.0.0.1"), None, none(), &mut rng);
            order.reverse();
            let expected =
                ["10.0.0.2", "10.0.9.2", "192.168.0.2", "2001:db8::2", "169.254.1.2", "fe80::2"];
            assert_eq!(order, expected.map(ip));
        }
    }

    #[test]
    fn what_has_not_answered_lately_is_tried_last_and_moved_to_where_there_is_no_other() {
        use ResourceState::Available;
        let near = ["10.0.0.2", "10.0.0.3", "10.0.1.4"];
        let list = near.map(|address| interface("NODE", address, Available, true));
        let now = Instant::now();
        let mut silent = Silent::new();
        ["10.0.0.2", "10.0.0.3"].iter().for_each(|address| silent.add(ip(address).into(), now));
        let known = Known { silent: &silent, now, ..none() };
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let order = witnesses(&list, ip("10.0.0.1"), None, known, &mut rng);
            assert_eq!(order.last(), Some(&ip("10.0.1.4")));
            assert_eq!(order.len(), 3);
        }
        let list = near.map(|address| AddressInfo::new(ip(address), true));
        let best = |list| best_address(list, Version::V2, Some(ip("10.0.0.1")), known);
        assert_eq!((best(&list), best(&list[..2])), (Some(ip("10.0.1.4")), Some(ip("10.0.0.2"))));
    }

    #[test]
    fn a_client_that_is_served_on_a_link_looks_for_its_witness_on_that_link() {
        use ResourceState::Available;
        fn is_own(address: ScopedAddr) -> bool {
            address == ScopedAddr::new(ip("fe80::7"), 3)
        }
        let list = ["2001:db8::2", "fe80::2", "fe80::3", "fe80::7", "fe80::8"];
        let list = list.map(|address| interface("NODE", address, Available, true));
        let now = Instant::now();
        let mut silent = Silent::new();
        silent.add(ScopedAddr::new(ip("fe80::2"), 3), now);
        // On another link.
        silent.add(ScopedAddr::new(ip("fe80::3"), 4), now);
        let known = Known { is_own, silent: &silent, scope_id: 3, now };
        for seed in 0..8 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut order = witnesses(&list, ip("fe80::1"), None, known, &mut rng);
            let mut first = order.split_off(2);
            first.sort_unstable();
            assert_eq!(first, ["fe80::3", "fe80::8"].map(ip));
            assert_eq!(order, ["fe80::2", "2001:db8::2"].map(ip));
        }
        let moves = ["fe80::7", "fe80::2"].map(|address| AddressInfo::new(ip(address), true));
        let best = best_address(&moves, Version::V2, Some(ip("fe80::1")), known);
        assert_eq!(best, Some(ip("fe80::2")));
    }

    #[test]
    fn an_empty_or_offline_list_moves_nowhere() {
        let offline = AddressInfo::new(ip("10.0.0.2"), false);
        assert_eq!(best_address(&[], Version::V2, None, none()), None);
        assert_eq!(best_address(&[offline], Version::V2, None, none()), None);
    }
}

//! A share that is mounted by two addresses.

use super::world::{World, ip};
use super::{MS, S, settle};
use std::net::IpAddr;
use swnclient::ResourceState;

/// A share that is mounted by two addresses, with one of the kernel's numbers, which it
/// asks for by the second.
fn shared() -> World {
    let mut world = World::new();
    let second = world.connect(ip(2));
    world.mount(1, "data", second);
    world.run(S(1));
    world
}

#[test]
fn a_share_that_is_mounted_by_two_addresses_is_helped_at_either() {
    for (server, address) in [(0, ip(1)), (1, ip(2))] {
        let mut world = shared();
        assert_eq!(world.forgotten, [] as [IpAddr; 0]);
        let said = world.lines.iter().filter(|line| line.contains("asks for as one"));
        assert_eq!(said.count(), 1, "{:#?}", world.lines);
        world.resets = false;
        world.named = vec![address];
        world.kill(address);
        world.run(S(2));
        world.failover.state_changed_at(1, Some(address), ResourceState::Unavailable, world.now);
        world.run(S(4));
        assert_eq!(world.ends, [0_u64; 0]);
        world.take_over(address, false);
        let took = world.run_until_served(server, S(3));
        assert!(took <= MS(200), "{took:?}");
        settle(&mut world);
        assert_eq!(world.ends.len(), 1);
        assert!(world.notified.is_empty(), "{:#?}", world.notified);
        assert_eq!(world.forgotten, [] as [IpAddr; 0]);
    }
}

#[test]
fn the_kernel_is_not_told_to_move_another_mount_than_the_one_that_is_meant() {
    let mut world = shared();
    world.failover.move_ordered_at(1, Some(ip(1)), ip(3), world.now);
    settle(&mut world);
    assert!(world.notified.is_empty());
    assert!(world.lines.iter().any(|line| line.starts_with("not moved: ")), "{:#?}", world.lines);
    world.failover.move_ordered_at(1, Some(ip(2)), ip(3), world.now);
    world.run(S(1));
    assert_eq!(world.notified.len(), 1);
}

#[test]
fn an_address_that_the_kernel_has_left_is_forgotten() {
    // It has moved without a word.
    let mut world = World::new();
    let second = world.connect(ip(2));
    world.servers.remove(0);
    world.mount(1, "data", second - 1);
    world.run(S(1));
    assert_eq!(world.forgotten, [ip(1)]);
    // The mount has ended, and the other one has the number still.
    let mut world = shared();
    world.servers.remove(0);
    world.registrations.get_mut(&1).unwrap().1 = 0;
    world.failover.state_changed_at(1, Some(ip(1)), ResourceState::Unavailable, world.now);
    world.run(S(30));
    assert_eq!(world.forgotten, [ip(1)], "{:#?}", world.lines);
    settle(&mut world);
}

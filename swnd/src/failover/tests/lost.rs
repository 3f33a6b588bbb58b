//! The connection to the server that is kept beside the kernel's has ended.

use super::world::{State, World, ip};
use super::*;

#[test]
fn a_death_that_no_witness_tells_is_seen_by_the_connection_beside_the_kernels() {
    for is_busy in [true, false] {
        let mut world = World::new();
        world.resets = false;
        world.servers[0].is_busy = is_busy;
        world.kill(ip(1));
        world.run(S(3));
        world.take_over(ip(1), false);
        world.run(S(3));
        assert_eq!((world.served_by(0), world.ends.len()), (None, 0));
        world.server_lost(1, ip(1));
        let took = world.run_until_served(0, S(3));
        assert!(took <= MS(400), "busy: {is_busy}: {took:?}");
        assert!(world.lines[0].contains("10.77.0.1 may be dead"), "{:#?}", world.lines);
        settle(&mut world);
        assert_eq!((world.ends.len(), world.ended_alive, world.notified.len()), (1, 0, 0));
    }
}

#[test]
fn a_mount_is_moved_where_the_address_stays_silent() {
    let mut world = World::new();
    world.resets = false;
    world.named = vec![ip(1), ip(2)];
    world.kill(ip(1));
    world.run(S(10));
    world.server_lost(1, ip(1));
    let took = world.run_until_served(0, S(10));
    assert!(took <= S(3), "{took:?}");
    assert!(matches!(world.servers[0].state, State::Connected { .. }));
    assert_eq!(world.servers[0].address, ip(2));
}

#[test]
fn a_connection_that_lives_is_left_alone() {
    for (sees, is_busy) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::that_sees(sees, true);
        world.servers[0].is_busy = is_busy;
        for _ in 0..3 {
            world.server_lost(1, ip(1));
            world.run(S(20));
        }
        settle(&mut world);
        let done = (world.ends.len(), world.notified.len(), world.servers[0].instance);
        assert_eq!(done, (0, 0, 1), "sees: {sees}, busy: {is_busy}");
    }
}

#[test]
fn what_a_witness_has_said_counts_for_more() {
    let mut world = World::that_sees(false, true);
    world.resets = false;
    world.kill(ip(1));
    world.unavailable(1);
    world.server_lost(1, ip(1));
    world.run(S(2));
    world.take_over(ip(1), false);
    world.run_until_served(0, S(15));
    assert_eq!(world.notified.len(), 1, "{:#?}", world.lines);
}

#[test]
fn another_mounts_server_is_no_concern_and_each_is_named_once() {
    let mut world = World::new();
    world.server_lost(1, ip(2));
    world.server_lost(2, ip(1));
    assert_eq!(world.failover.incidents(), 0);
    world.mount(2, "other", 0);
    world.server_lost(1, ip(1));
    world.server_lost(2, ip(1));
    let named = world.lines.iter().filter(|line| line.contains("may be dead")).count();
    assert_eq!((named, world.failover.incidents()), (1, 1));
}

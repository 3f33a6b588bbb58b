//! The failover in virtual time.

mod adopted;
mod looks;
mod lost;
mod questions;
mod random;
mod shared;
mod world;

use super::*;
use std::time::Duration;
use swnclient::ResourceState;
use world::{NAME, State, World, ip};

const MS: fn(u64) -> Duration = Duration::from_millis;
const S: fn(u64) -> Duration = Duration::from_secs;

/// Lets everything end, and checks that nothing is left to do.
fn settle(world: &mut World) {
    world.run(S(150));
    assert_eq!(world.failover.incidents(), 0, "{:#?}", world.lines);
    assert_eq!(world.failover.next_deadline(), None);
}

#[test]
fn nothing_is_done_where_the_kernel_has_reconnected_before_the_word_comes() {
    let mut world = World::new();
    world.kill(ip(1));
    world.run(S(3));
    world.take_over(ip(1), true);
    world.run_until_served(0, S(10));
    world.unavailable(1);
    world.run(MS(12));
    world.available(1);
    settle(&mut world);
    assert_eq!((world.ends.len(), world.notified.len()), (0, 0));
}

#[test]
fn nothing_is_done_while_the_kernel_reconnects_by_itself() {
    let mut world = World::new();
    world.kill(ip(1));
    world.run(S(3));
    world.take_over(ip(1), true);
    world.unavailable(1);
    world.run_until_served(0, S(10));
    settle(&mut world);
    assert_eq!((world.ends.len(), world.notified.len()), (0, 0));
    assert_eq!(world.servers[0].instance, 2);
}

#[test]
fn a_healthy_connection_outlives_a_false_word() {
    for is_busy in [true, false] {
        let mut world = World::new();
        world.servers[0].is_busy = is_busy;
        world.unavailable(1);
        settle(&mut world);
        assert_eq!((world.ends.len(), world.notified.len()), (0, 0), "busy: {is_busy}");
    }
}

#[test]
fn a_dead_connection_is_ended_once_its_address_answers_and_not_before() {
    let mut world = World::new();
    world.resets = false;
    world.kill(ip(1));
    world.run(S(2));
    world.unavailable(1);
    world.run(S(4));
    assert_eq!(world.ends, [0_u64; 0]);
    world.take_over(ip(1), false);
    let took = world.run_until_served(0, S(3));
    assert!(took <= MS(200), "{took:?}");
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
    assert!(world.notified.is_empty());
}

#[test]
fn an_idle_connection_is_ended_before_it_is_used() {
    let mut world = World::new();
    world.resets = false;
    world.servers[0].is_busy = false;
    world.kill(ip(1));
    world.run(S(3));
    world.unavailable(1);
    world.run(S(2));
    world.take_over(ip(1), false);
    let took = world.run_until_served(0, S(3));
    assert!(took <= MS(200), "{took:?}");
    settle(&mut world);
    assert_eq!((world.ends.len(), world.ended_alive, world.asked), (1, 0, 1));
}

#[test]
fn an_idle_connection_that_lives_is_left_alone_and_watched_no_longer_than_a_busy_one() {
    let mut world = World::new();
    world.servers[0].is_busy = false;
    world.run(S(3));
    for _ in 0..3 {
        world.unavailable(1);
        world.run(S(12));
        assert_eq!((world.ends.len(), world.failover.incidents()), (0, 0), "{:#?}", world.lines);
    }
    assert_eq!(world.asked, 3);
}

#[test]
fn an_idle_connection_is_ended_when_it_proves_dead_on_its_first_use() {
    let mut world = World::new();
    world.resets = false;
    world.has_path = false;
    world.servers[0].is_busy = false;
    world.kill(ip(1));
    world.run(S(3));
    world.take_over(ip(1), false);
    world.unavailable(1);
    world.run(S(5));
    assert_eq!(world.ends, [0_u64; 0]);
    world.servers[0].is_busy = true;
    let took = world.run_until_served(0, S(3));
    assert!(took <= MS(1000), "{took:?}");
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
}

#[test]
fn a_mount_is_steered_to_another_address_of_its_name_where_its_own_stays_silent() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(2), ip(3)];
    world.kill(ip(1));
    world.run(S(1));
    world.unavailable(1);
    let took = world.run_until_served(0, S(5));
    assert!(took <= MS(1500), "{took:?}");
    assert_ne!(world.served_by(0), Some(ip(1)));
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
}

#[test]
fn a_mount_is_not_steered_where_its_address_answers_in_time() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(2)];
    world.kill(ip(1));
    world.run(S(3));
    world.unavailable(1);
    world.run(MS(500));
    world.take_over(ip(1), true);
    world.run_until_served(0, S(10));
    settle(&mut world);
    assert_eq!((world.ends.len(), world.notified.len()), (0, 0));
}

#[test]
fn only_a_scale_out_share_is_steered_to_what_the_witness_lists() {
    for scale_out in [true, false] {
        let mut world = World::new();
        world.listed = vec![ip(2)];
        world.registrations.get_mut(&1).unwrap().2 = scale_out;
        world.mount(1, "data", 0);
        if scale_out {
            let (mount, ..) = world.registrations[&1].clone();
            world.failover.mounted(1, &mount, ip(1), true, world.now);
        }
        world.kill(ip(1));
        world.run(S(1));
        world.unavailable(1);
        world.run(S(10));
        assert_eq!(world.served_by(0), scale_out.then(|| ip(2)));
        assert_eq!(world.notified.is_empty(), !scale_out);
    }
}

#[test]
fn the_nearest_address_of_the_same_family_is_tried_first() {
    let mut world = World::new();
    let far: IpAddr = "192.0.2.1".parse().unwrap();
    let other: IpAddr = "2001:db8::1".parse().unwrap();
    world.named = vec![other, far, ip(3)];
    world.alive.extend([(other, 7), (far, 8)]);
    world.kill(ip(1));
    world.run(S(1));
    world.unavailable(1);
    world.run(S(2));
    assert_eq!(world.served_by(0), Some(ip(3)), "{:#?}", world.lines);
}

#[test]
fn no_mount_is_steered_to_this_machine_itself_unless_it_is_by_it() {
    for (own, expected) in [(None, ip(2)), (Some(2), ip(3)), (Some(1), ip(2))] {
        fn second(address: IpAddr) -> bool {
            address == ip(2)
        }
        fn both(address: IpAddr) -> bool {
            [ip(1), ip(2)].contains(&address)
        }
        let mut world = World::new();
        world.failover.is_own = match own {
            None => None,
            Some(2) => Some(second),
            Some(_) => Some(both),
        };
        world.named = vec![ip(2), ip(3)];
        world.kill(ip(1));
        world.run(S(1));
        world.unavailable(1);
        world.run(S(10));
        assert_eq!(world.served_by(0), Some(expected), "{own:?}: {:#?}", world.lines);
    }
}

#[test]
fn an_ordered_move_is_made_when_the_target_answers_and_ends_the_old_connection_after_it() {
    let mut world = World::new();
    world.kill(ip(2));
    world.order(1, ip(2));
    world.run(S(2));
    assert!(world.notified.is_empty() && world.ends.is_empty());
    world.alive.insert(ip(2), 9);
    world.run(MS(300));
    assert_eq!(world.served_by(0), Some(ip(2)), "{:#?}", world.lines);
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
    assert_eq!(world.notified.len(), 1);
}

#[test]
fn a_move_to_where_the_mount_is_does_nothing() {
    let mut world = World::new();
    world.order(1, ip(1));
    settle(&mut world);
    assert_eq!((world.ends.len(), world.notified.len()), (0, 0));
}

#[test]
fn a_kernel_that_drops_its_first_connection_is_moved_again() {
    let mut world = World::new();
    world.named = vec![ip(1)];
    world.kill(ip(1));
    // It has tried in vain for longer than three echo intervals.
    world.run(S(40));
    world.order(1, ip(2));
    world.run(S(12));
    assert_eq!(world.served_by(0), Some(ip(2)), "{:#?}", world.lines);
    assert_eq!(world.notified.len(), 2);
    settle(&mut world);
}

#[test]
fn a_kernel_that_drops_its_connection_only_after_a_while_is_moved_again_too() {
    let mut world = World::new();
    world.named = vec![ip(1)];
    world.drops_after = MS(400);
    world.kill(ip(1));
    world.run(S(40));
    world.order(1, ip(2));
    world.run(S(12));
    assert_eq!(world.served_by(0), Some(ip(2)), "{:#?}", world.lines);
    assert_eq!(world.notified.len(), 2);
    settle(&mut world);
}

#[test]
fn a_kernel_that_stays_nowhere_is_moved_a_few_times_and_then_left_in_peace_for_a_while() {
    let mut world = World::new();
    world.named = vec![ip(1)];
    world.kill(ip(1));
    world.run(S(2));
    (world.drops_after, world.drops_all) = (MS(400), true);
    world.order(1, ip(2));
    world.run(S(15));
    let moves = world.notified.len();
    assert!((2..=4).contains(&moves), "{moves} {:#?}", world.lines);
}

#[test]
fn a_kernel_that_tries_a_dead_address_of_the_name_is_moved_to_the_one_that_answers() {
    let mut world = World::new();
    // The name's first address is dead; the mount's own is taken over.
    world.named = vec![ip(3), ip(1)];
    world.kill(ip(3));
    world.kill(ip(1));
    world.run(S(2));
    world.take_over(ip(1), true);
    world.unavailable(1);
    let took = world.run_until_served(0, S(15));
    assert_eq!(world.served_by(0), Some(ip(1)), "{took:?} {:#?}", world.lines);
    assert!(took <= S(6), "{took:?}");
    settle(&mut world);
}

#[test]
fn a_notification_that_the_kernel_holds_is_freed_by_ending_the_dead_connection() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(2)];
    world.kill(ip(1));
    // The kernel has begun to connect to the dead address.
    world.reconnect(0);
    world.run(MS(100));
    assert!(matches!(world.servers[0].state, State::Connecting { .. }));
    world.unavailable(1);
    let took = world.run_until_served(0, S(10));
    // It sleeps three seconds after the attempt that was ended.
    assert!(took <= MS(4500), "{took:?}");
    assert_eq!(world.served_by(0), Some(ip(2)));
    settle(&mut world);
}

#[test]
fn mounts_that_share_a_connection_lose_it_once() {
    let mut world = World::new();
    for id in 2..=10 {
        world.mount(id, &format!("share{id}"), 0);
    }
    world.named = vec![ip(1), ip(2)];
    world.kill(ip(1));
    world.run(S(1));
    for id in 1..=10 {
        world.unavailable(id);
        world.run(MS(20));
    }
    world.run_until_served(0, S(5));
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
}

#[test]
fn an_order_for_a_second_share_of_a_moved_connection_is_no_second_loss() {
    let mut world = World::new();
    world.mount(2, "other", 0);
    world.order(1, ip(2));
    world.run(S(3));
    world.order(2, ip(2));
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
}

#[test]
fn an_order_that_comes_during_a_move_is_followed_after_it() {
    let mut world = World::new();
    world.order(1, ip(2));
    world.run(MS(300));
    world.order(1, ip(3));
    world.run(S(10));
    assert_eq!(world.served_by(0), Some(ip(3)), "{:#?}", world.lines);
    assert_eq!(world.notified.len(), 2);
    settle(&mut world);
}

#[test]
fn a_target_that_dies_while_the_mount_arrives_there_is_left_for_another() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(3)];
    world.kill(ip(1));
    world.order(1, ip(2));
    world.run(MS(300));
    assert_eq!(world.served_by(0), Some(ip(2)));
    world.kill(ip(2));
    world.unavailable(1);
    let took = world.run_until_served(0, S(15));
    assert_eq!(world.served_by(0), Some(ip(3)), "{:#?}", world.lines);
    assert!(took < S(3), "{took:?}");
    assert!(world.notified.len() <= 3, "{:?}", world.notified);
    settle(&mut world);
}

#[test]
fn each_of_two_connections_of_a_share_is_judged_by_itself() {
    let mut world = World::new();
    let second = world.connect(ip(1));
    world.resets = false;
    world.servers[second].is_busy = false;
    world.kill(ip(1));
    world.run(S(2));
    world.take_over(ip(1), false);
    world.unavailable(1);
    world.run(S(2));
    assert_eq!(world.ends.len(), 1);
    world.servers[second].is_busy = true;
    world.run(S(2));
    assert_eq!(world.ends.len(), 2);
    assert!(world.served_by(0).is_some() && world.served_by(second).is_some());
    settle(&mut world);
}

#[test]
fn a_mount_without_a_witness_is_watched_by_its_connection() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(2)];
    world.failover.watched(1, false, world.now);
    world.run(S(5));
    assert!(world.ends.is_empty());
    world.kill(ip(1));
    let took = world.run_until_served(0, S(8));
    assert!(took <= S(5), "{took:?}");
    assert_eq!(world.served_by(0), Some(ip(2)));
    world.failover.watched(1, true, world.now);
    settle(&mut world);
}

#[test]
fn a_death_and_a_takeover_between_two_witnesses_are_seen() {
    let mut world = World::new();
    world.resets = false;
    let now = world.now;
    world.failover.watched(1, false, now);
    world.act();
    world.kill(ip(1));
    world.run(MS(300));
    world.take_over(ip(1), false);
    // Too soon for its own watch; and the address is available for the new witness.
    let now = world.now;
    world.failover.watched(1, true, now);
    world.act();
    let took = world.run_until_served(0, S(3));
    assert!(took <= MS(1000), "{took:?}");
    settle(&mut world);
    assert_eq!(world.ends.len(), 1);
}

#[test]
fn a_mount_with_a_witness_is_not_watched() {
    let mut world = World::new();
    assert_eq!(world.failover.next_deadline(), None);
    world.failover.watched(1, false, world.now);
    assert!(world.failover.next_deadline().is_some());
    world.failover.unmounted(1);
    assert_eq!(world.failover.next_deadline(), None);
}

#[test]
fn without_the_means_to_end_a_connection_the_kernel_is_told_once_its_address_answers() {
    let mut world = World::new();
    (world.can_end, world.resets) = (false, false);
    world.kill(ip(1));
    world.run(S(2));
    world.unavailable(1);
    world.run(S(2));
    assert!(world.notified.is_empty());
    world.take_over(ip(1), false);
    world.run(S(1));
    assert_eq!(world.notified.len(), 1);
    assert_eq!(world.served_by(0), Some(ip(1)));
}

#[test]
fn without_sight_the_kernel_is_told_unless_it_has_reconnected() {
    for has_debug_data in [true, false] {
        for tickles in [true, false] {
            let mut world = World::that_sees(false, has_debug_data);
            world.resets = false;
            world.kill(ip(1));
            world.run(S(3));
            if tickles {
                world.take_over(ip(1), true);
            }
            world.unavailable(1);
            world.run(MS(100));
            assert!(tickles || world.notified.is_empty(), "before the address answers");
            world.take_over(ip(1), tickles);
            world.run(S(2));
            let needs_word = !tickles || !has_debug_data;
            assert_eq!(world.notified.len(), usize::from(needs_word), "{has_debug_data} {tickles}");
            assert_eq!(world.served_by(0), Some(ip(1)));
            world.run(S(70));
            assert_eq!(world.failover.incidents(), 0);
        }
    }
}

#[test]
fn a_mount_is_steered_past_an_address_that_does_not_answer_either() {
    let mut world = World::new();
    world.named = vec![ip(1), ip(2), ip(3)];
    world.kill(ip(2));
    world.kill(ip(1));
    world.run(S(1));
    world.unavailable(1);
    world.run_until_served(0, S(5));
    assert_eq!(world.served_by(0), Some(ip(3)));
    assert_eq!(world.notified.len(), 1);
    settle(&mut world);
}

#[test]
fn no_address_that_a_server_cannot_have_is_a_target() {
    for target in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "ff02::1"] {
        let mut world = World::new();
        world.order(1, target.parse().unwrap());
        assert_eq!(world.failover.incidents(), 0, "{target}");
    }
}

#[test]
fn ten_thousand_mounts_of_one_failover_stay_within_bounds() {
    let mut world = World::new();
    for id in 2..=10_000 {
        world.mount(id, &format!("share{id}"), 0);
    }
    world.named = vec![ip(1), ip(2), ip(3)];
    world.kill(ip(1));
    world.run(S(1));
    for id in 1..=10_000 {
        world.failover.state_changed(id, ResourceState::Unavailable, world.now);
    }
    world.run_until_served(0, S(5));
    assert!(world.probes_max <= 3 * 10, "{}", world.probes_max);
    assert_eq!(world.ends.len(), 1);
    assert_eq!(world.servers[0].instance, 2);
}

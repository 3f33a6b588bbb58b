//! Servers that owe the kernel an answer, where swnd watches the connection itself.

use super::world::{Owed, World, ip};
use super::*;

const ID: u32 = FIRST_ADOPTED;

#[test]
fn a_server_that_dies_over_a_request_it_has_received_is_found_out_at_once() {
    for owed in [Owed::Whole, Owed::Part] {
        // At any moment of swnd's clock.
        for (moment, down) in (0..10).flat_map(|it| [(it * 90, 0), (it * 90, 3_000)]) {
            let mut world = World::watched_by_connection();
            world.run(MS(moment));
            world.owe(owed);
            world.kill(ip(1));
            world.run(MS(down));
            world.take_over(ip(1), false);
            let took = world.run_until_served(0, S(5));
            assert!(took <= S(2), "{owed:?}, {took:?} after {down} ms, at {moment}");
            world.run(S(12));
            assert_eq!((world.ends.len(), world.ended_alive), (1, 0), "{:#?}", world.lines);
            assert_eq!(world.failover.incidents(), 0);
        }
    }
}

#[test]
fn the_same_goes_for_a_mount_that_has_lost_its_witness() {
    let mut world = World::new();
    world.resets = false;
    world.failover.watched(1, false, world.now);
    world.run(S(2));
    world.owe(Owed::Whole);
    world.kill(ip(1));
    world.run(S(1));
    world.take_over(ip(1), false);
    let took = world.run_until_served(0, S(5));
    assert!(took <= S(2), "{took:?}");
}

#[test]
fn without_debug_data_an_answer_that_has_not_begun_is_still_missed() {
    for (owed, is_found) in [(Owed::Whole, true), (Owed::Part, false)] {
        let mut world = World::watched_by_connection();
        world.has_debug_data = false;
        world.owe(owed);
        world.kill(ip(1));
        world.take_over(ip(1), false);
        world.run(S(3));
        assert_eq!(world.served_by(0).is_some(), is_found, "{owed:?}");
    }
}

#[test]
fn a_server_that_is_slow_is_left_alone() {
    let mut world = World::watched_by_connection();
    for _ in 0..20 {
        world.owe(Owed::Whole);
        world.run(S(1));
        world.answer();
        world.run(MS(50));
    }
    assert_eq!((world.ends.len(), world.lines.len()), (0, 0), "{:#?}", world.lines);
    // For each of them twice: half a second after the first time again.
    assert_eq!(world.asked, 40);
}

#[test]
fn a_server_that_is_stuck_is_asked_a_few_times_and_its_death_seen_all_the_same() {
    let mut world = World::watched_by_connection();
    world.is_stuck = true;
    world.owe(Owed::Whole);
    world.run(S(2));
    assert_eq!(world.ends, [0_u64; 0]);
    world.kill(ip(1));
    world.take_over(ip(1), false);
    world.is_stuck = false;
    let took = world.run_until_served(0, S(10));
    assert!(took <= S(4), "{took:?}");
    assert!(world.asked <= 4, "{}", world.asked);
}

#[test]
fn no_more_requests_wait_in_the_kernel_than_there_is_room_for() {
    let mut world = World::watched_by_connection();
    world.is_stuck = true;
    world.owe(Owed::Whole);
    world.run(S(200));
    assert_eq!(world.asked as usize, pace::QUESTIONS_AT_ADDRESS);
    assert_eq!((world.ends.len(), world.lines.len()), (0, 0), "{:#?}", world.lines);
}

#[test]
fn what_waits_for_long_by_its_nature_is_asked_about_ever_less() {
    let mut world = World::watched_by_connection();
    world.servers[0].is_busy = false;
    world.owe(Owed::Part);
    world.run(S(60));
    let asked = world.asked;
    assert!((4..=7).contains(&asked), "{asked}");
    world.run(S(200));
    assert_eq!(world.asked, asked);
}

#[test]
fn nothing_is_asked_where_nothing_waits() {
    let mut world = World::watched_by_connection();
    for _ in 0..10 {
        world.servers[0].is_busy = !world.servers[0].is_busy;
        world.run(S(3));
    }
    assert_eq!(world.asked, 0);
}

#[test]
fn a_server_that_cannot_be_asked_is_told_once() {
    let mut world = World::watched_by_connection();
    world.has_path = false;
    for _ in 0..30 {
        world.owe(Owed::Whole);
        world.run(S(5));
        world.answer();
        world.run(S(5));
    }
    let [line] = &world.lines[..] else { panic!("{:#?}", world.lines) };
    assert!(
        line.contains("can't be asked whether it lives (/mnt/data: Permission denied)"),
        "{line}"
    );
    assert!(world.asked <= 6, "{}", world.asked);
    assert!(world.failover.next_deadline().is_some());
    world.failover.unmounted(ID);
    world.run(S(1));
    assert_eq!(world.failover.next_deadline(), None);
}

#[test]
fn a_server_that_dies_over_a_request_it_has_received_is_found_out_by_a_witness_s_word() {
    for owed in [Owed::Whole, Owed::Part] {
        let mut world = World::new();
        world.resets = false;
        world.run(S(2));
        world.owe(owed);
        world.kill(ip(1));
        world.run(S(3));
        world.unavailable(1);
        world.available(1);
        world.run(MS(500));
        world.take_over(ip(1), false);
        let took = world.run_until_served(0, S(3));
        assert!(took <= MS(500), "{owed:?}, {took:?}");
        world.run(S(12));
        assert_eq!((world.ends.len(), world.ended_alive, world.asked), (1, 0, 1), "{owed:?}");
        assert_eq!(world.failover.incidents(), 0);
    }
}

#[test]
fn a_connection_that_has_answered_is_asked_about_again_by_the_next_word() {
    let mut world = World::new();
    world.resets = false;
    world.servers[0].is_busy = false;
    world.unavailable(1);
    world.run(S(2));
    assert_eq!(world.asked, 1);
    world.kill(ip(1));
    world.run(S(1));
    world.take_over(ip(1), false);
    world.unavailable(1);
    world.run_until_served(0, S(2));
    assert_eq!((world.asked, world.ended_alive), (2, 0));
}

#[test]
fn a_server_that_is_stuck_is_asked_once_for_each_word() {
    let mut world = World::new();
    world.servers[0].is_busy = false;
    world.is_stuck = true;
    for words in 1..4 {
        world.unavailable(1);
        world.run(S(10));
        assert_eq!((world.asked, world.ends.len()), (words, 0), "{:#?}", world.lines);
    }
}

#[test]
fn a_death_that_the_witness_does_not_tell_is_found_out_when_it_says_that_there_is_no_news() {
    let mut world = World::new();
    world.resets = false;
    world.kill(ip(1));
    world.run(S(1));
    world.take_over(ip(1), false);
    world.run(S(6));
    assert_eq!((world.served_by(0), world.ends.len()), (None, 0));
    world.failover.check(world.now);
    let took = world.run_until_served(0, S(3));
    assert!(took <= MS(500), "{took:?}");
    assert!(world.lines[0].contains("its witness has not said so"), "{:#?}", world.lines);
    world.run(S(12));
    assert_eq!((world.ends.len(), world.ended_alive), (1, 0));
    assert_eq!(world.failover.next_deadline(), None);
}

#[test]
fn it_is_found_out_too_where_the_server_dies_just_then() {
    let mut world = World::new();
    world.resets = false;
    world.kill(ip(1));
    world.take_over(ip(1), false);
    world.run(MS(500));
    world.failover.check(world.now);
    world.run_until_served(0, S(3));
}

#[test]
fn no_news_of_a_server_that_lives_costs_one_look_now_and_then() {
    let mut world = World::new();
    for _ in 0..100 {
        world.failover.check(world.now);
        world.run(S(1));
    }
    assert_eq!((world.looks, world.failover.next_deadline()), (20, None));
    assert_eq!((world.ends.len(), world.asked, world.lines.len()), (0, 0, 0));
}

#[test]
fn it_is_found_out_too_by_the_echo_after_which_the_kernel_asks_again() {
    let mut world = World::new();
    world.resets = false;
    world.owe(Owed::Whole);
    world.kill(ip(1));
    world.run(S(1));
    world.take_over(ip(1), false);
    world.run(S(6));
    assert_eq!((world.served_by(0), world.ends.len()), (None, 0));
    world.echo();
    world.register(1);
    let took = world.run_until_served(0, S(5));
    assert!(took <= S(2), "{took:?}");
    world.run(S(12));
    assert_eq!((world.ends.len(), world.ended_alive), (1, 0));
}

//! Mounts that the kernel can be told nothing about.

use super::*;

const ID: u32 = FIRST_ADOPTED;

/// What the failover has done, and said last.
fn done(world: &World) -> (usize, usize, &str) {
    let line = world.lines.last().map_or("", String::as_str);
    (world.ends.len(), world.notified.len(), line)
}

#[test]
fn a_dead_connection_is_ended_once_when_its_address_answers_again() {
    for tickles in [false, true] {
        let mut world = World::adopted();
        world.resets = false;
        world.kill(ip(1));
        world.unavailable(ID);
        world.run(S(5));
        assert_eq!(world.ends.len(), 0);
        world.take_over(ip(1), tickles);
        world.available(ID);
        let took = world.run_until_served(0, S(10));
        assert!(took < MS(300), "{took:?}");
        settle(&mut world);
        let (ends, notified, line) = done(&world);
        assert_eq!((ends, notified), (usize::from(!tickles), 0), "{line}");
        assert_eq!((world.servers[0].instance, world.ended_alive), (2, 0));
    }
}

#[test]
fn a_healthy_connection_outlives_a_false_word() {
    let mut world = World::adopted();
    world.unavailable(ID);
    settle(&mut world);
    assert_eq!(done(&world), (0, 0, "the kernel's connection goes on; nothing was sent"));
}

#[test]
fn it_is_not_moved_where_its_name_does_not_lead() {
    let mut world = World::adopted();
    world.named = vec![ip(1), ip(2)];
    world.order(ID, ip(2));
    settle(&mut world);
    let (ends, notified, line) = done(&world);
    assert_eq!((ends, notified, world.served_by(0)), (0, 0, Some(ip(1))));
    assert!(line.starts_with("not moved to 10.77.0.2"), "{line}");
}

#[test]
fn it_is_moved_where_its_name_leads_by_ending_its_connection_once() {
    let mut world = World::adopted();
    world.named = vec![ip(2), ip(1)];
    world.kill(ip(2));
    world.order(ID, ip(2));
    world.run(S(2));
    // Not before the target answers.
    assert_eq!(world.ends.len(), 0);
    world.take_over(ip(2), false);
    world.run(S(2));
    assert_eq!(world.served_by(0), Some(ip(2)));
    settle(&mut world);
    let (ends, notified, line) = done(&world);
    assert_eq!((ends, notified, world.servers[0].instance), (1, 0, 2));
    assert!(line.starts_with("served by 10.77.0.2 after"), "{line}");
    assert_eq!(world.failover.mounts[&ID].address, ip(2));
}

#[test]
fn a_move_that_leads_elsewhere_is_not_repeated() {
    let mut world = World::adopted();
    world.named = vec![ip(2)];
    // The kernel is told another address than swnd.
    world.kernels_first = Some(ip(3));
    world.order(ID, ip(2));
    settle(&mut world);
    assert_eq!(
        (world.served_by(0), world.ends.len(), world.servers[0].instance),
        (Some(ip(3)), 1, 2)
    );
    assert!(world.lines.iter().any(|line| line.contains("does not stay")), "{:#?}", world.lines);
    assert_eq!(world.failover.mounts[&ID].address, ip(3));
}

#[test]
fn where_its_address_stays_dead_it_is_steered_to_where_its_name_leads_and_else_left() {
    for (named, expected) in [([2, 1], Some(ip(2))), ([1, 2], None)] {
        let mut world = World::adopted();
        world.named = named.map(ip).to_vec();
        world.kill(ip(1));
        world.unavailable(ID);
        world.run(S(4));
        assert_eq!(world.served_by(0), expected);
        assert_eq!(world.ends.len(), usize::from(expected.is_some()), "{:#?}", world.lines);
        world.take_over(ip(1), false);
        world.run(S(10));
        assert_eq!(world.served_by(0), expected.or(Some(ip(1))));
        settle(&mut world);
        assert_eq!((world.ends.len(), world.notified.len()), (1, 0), "{:#?}", world.lines);
    }
}

#[test]
fn where_the_kernel_goes_by_itself_is_followed() {
    let mut world = World::adopted();
    world.named = vec![ip(3)];
    world.reconnect(0);
    world.kill(ip(1));
    world.unavailable(ID);
    settle(&mut world);
    assert_eq!((world.ends.len(), world.notified.len()), (0, 0), "{:#?}", world.lines);
    assert_eq!(world.failover.mounts[&ID].address, ip(3));
}

#[test]
fn where_its_connection_cannot_be_ended_the_log_says_so() {
    let mut world = World::adopted();
    world.can_end = false;
    world.resets = false;
    world.kill(ip(1));
    world.unavailable(ID);
    world.run(S(2));
    world.take_over(ip(1), false);
    world.run(S(1));
    let (_, notified, _) = done(&world);
    assert_eq!(notified, 0);
    assert!(
        world.lines.iter().any(|line| line.contains("nothing can be done")),
        "{:#?}",
        world.lines
    );
}

#[test]
fn the_end_of_the_kernels_module_leaves_what_is_adopted() {
    let mut world = World::adopted();
    world.connect(ip(2));
    world.mount(1, "home", 1);
    world.failover.clear();
    assert_eq!(world.failover.mounts.keys().collect::<Vec<_>>(), [&ID]);
    world.failover.unmounted(ID);
    world.failover.clear();
    assert_eq!(world.failover.next_deadline(), None);
}

/// Mounts for which the kernel asks where to connect to; its name stands for a node that
/// may be dead, first.
fn asking() -> World {
    let mut world = World::adopted();
    world.asks = true;
    world.named = vec![ip(1), ip(2), ip(3)];
    world
}

#[test]
fn where_the_kernel_asks_an_order_is_followed_and_stays_in_force() {
    let mut world = asking();
    world.order(ID, ip(2));
    world.run(S(2));
    assert_eq!(world.served_by(0), Some(ip(2)), "{:#?}", world.lines);
    settle(&mut world);
    let (ends, notified, line) = done(&world);
    assert_eq!((ends, notified, world.servers[0].instance), (1, 0, 2));
    assert!(line.starts_with("served by 10.77.0.2 after"), "{line}");
    // The node ends the connection, and is well.
    world.reconnect(0);
    world.run(S(1));
    assert_eq!(world.served_by(0), Some(ip(2)));
    assert_eq!(world.failover.incidents(), 0);
}

#[test]
fn where_the_kernel_asks_it_is_steered_off_a_dead_address() {
    let mut world = asking();
    world.kill(ip(1));
    world.unavailable(ID);
    let took = world.run_until_served(0, S(5));
    assert!(took < MS(1500), "{took:?}");
    settle(&mut world);
    assert_ne!(world.served_by(0), Some(ip(1)));
    assert_eq!((world.ends.len(), world.notified.len()), (1, 0), "{:#?}", world.lines);
}

#[test]
fn where_the_kernel_asks_in_vain_it_is_led_elsewhere_without_a_word() {
    let mut world = asking();
    world.kill(ip(1));
    world.reconnect(0);
    world.run_until_served(0, S(10));
    assert_ne!(world.served_by(0), Some(ip(1)), "{:#?}", world.lines);
    settle(&mut world);
    let served = world.served_by(0).expect("it is served");
    assert_eq!(world.failover.mounts[&ID].address, served);
    assert_eq!((world.notified.len(), world.failover.incidents()), (0, 0));
}

#[test]
fn a_first_connection_that_the_kernel_drops_leads_to_the_target_again() {
    let mut world = asking();
    world.kill(ip(1));
    world.run(S(20));
    world.drops_after = MS(50);
    world.order(ID, ip(3));
    world.run_until_served(0, S(20));
    world.run(S(5));
    assert_eq!(world.served_by(0), Some(ip(3)), "{:#?}", world.lines);
}

#[test]
fn the_kernel_is_told_nothing_for_names_of_other_mounts() {
    let mut world = World::new();
    assert_eq!(world.failover.lead(NAME, world.now), None);
    let mut world = World::adopted();
    assert_eq!(world.failover.lead("other", world.now), None);
    assert_eq!(world.failover.lead("WITCLU", world.now), Some(Lead::IfAlive(ip(1))));
    // Which of the two it is about can't be told.
    let server = world.connect(ip(2));
    world.mount(ID + 1, "home", server);
    assert_eq!(world.failover.lead(NAME, world.now), Some(Lead::System));
}

#[test]
fn without_a_witness_a_dead_connection_is_ended_when_its_address_answers_again() {
    for down in [0, 300, 1_000, 3_000, 8_000] {
        let mut world = World::watched_by_connection();
        world.kill(ip(1));
        world.run(MS(down));
        world.take_over(ip(1), false);
        let took = world.run_until_served(0, S(5));
        assert!(took <= S(2), "{took:?} after {down} ms");
        world.run(S(30));
        assert_eq!((world.ends.len(), world.notified.len()), (1, 0), "{:#?}", world.lines);
        assert_eq!((world.ended_alive, world.failover.incidents()), (0, 0));
    }
}

#[test]
fn without_a_witness_a_connection_that_lives_is_left_alone() {
    let mut world = World::watched_by_connection();
    world.run(S(60));
    assert_eq!((world.ends.len(), world.lines.len()), (0, 0), "{:#?}", world.lines);
    // Also by another address, until it ends.
    world.failover.relocated(ID, ip(2), world.now);
    assert!(world.failover.next_deadline().is_some());
    world.failover.unmounted(ID);
    world.run(S(1));
    assert_eq!(world.failover.next_deadline(), None);
}

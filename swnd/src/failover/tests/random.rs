//! The rules that hold whatever happens.

use super::world::{State, World, ip};
use super::*;

/// What may happen, in any order.
fn happen(world: &mut World, rng: &mut fastrand::Rng) {
    let address = ip(rng.u8(1..=3));
    match rng.u8(0..10) {
        0 | 1 if world.alive.len() > 1 => world.kill(address),
        2 if !world.alive.contains_key(&address) => world.take_over(address, rng.bool()),
        3 => world.unavailable(1),
        4 => world.available(1),
        5 => {
            world.unavailable(1);
            world.run(MS(rng.u64(0..100)));
            world.available(1);
        }
        6 if world.alive.contains_key(&address) => world.order(1, address),
        7 => world.servers[0].is_busy = rng.bool(),
        8 => world.failover.watched(1, rng.bool(), world.now),
        _ => {}
    }
}

#[test]
fn a_healthy_connection_is_ended_only_for_a_move_and_in_the_end_all_is_quiet() {
    // Each takes minutes of virtual time, thousands of steps.
    let schedules = std::env::var("SCHEDULES").ok().and_then(|it| it.parse::<u64>().ok());
    for seed in 0..schedules.map_or(200, |it| it / 50) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        world.resets = rng.bool();
        world.named = vec![ip(1), ip(2), ip(3)];
        let orders = rng.bool();
        for _ in 0..rng.u8(1..12) {
            happen(&mut world, &mut rng);
            world.run(MS(rng.u64(0..4_000)));
            if world.notified.is_empty() || !orders {
                let moves = world.notified.len();
                assert!(
                    world.ended_alive as usize <= moves,
                    "seed {seed}: {} ended, {moves} moves\n{:#?}",
                    world.ended_alive,
                    world.lines
                );
            }
        }
        let mut ends = world.ends.clone();
        ends.dedup();
        assert_eq!(ends.len(), world.ends.len(), "seed {seed}: one ended twice");
        // Everything is well again.
        for last in 1..=3 {
            if !world.alive.contains_key(&ip(last)) {
                world.take_over(ip(last), false);
            }
        }
        world.servers[0].is_busy = true;
        world.failover.watched(1, true, world.now);
        world.run(S(240));
        let is_served = matches!(world.servers[0].state, State::Connected { .. });
        assert!(is_served, "seed {seed}: {:#?}\n{:#?}", world.servers, world.lines);
        assert_eq!(world.failover.incidents(), 0, "seed {seed}: {:#?}", world.lines);
        assert_eq!(world.failover.next_deadline(), None, "seed {seed}");
    }
}

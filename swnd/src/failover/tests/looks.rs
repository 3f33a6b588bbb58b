//! What follows from single looks at a connection.

use super::world::{self, ip};
use super::*;

/// A look at the mount's connection.
fn look(received: u64, unacknowledged: u32, backoff: u8, since_ack: Duration) -> Look {
    let connection = Connection {
        cookie: 7,
        interface: 0,
        local: (ip(99), 40_000).into(),
        remote: (ip(1), 445).into(),
        state: TcpState::Established,
        unacknowledged,
        backoff,
        since_ack,
        received,
        since_sent: since_ack,
        since_received: since_ack,
    };
    Look { connections: vec![connection], ..Look::default() }
}

/// A failover with one mount that is served by `ip(1)`, and a word on it.
fn told(first: Look) -> (Failover, Instant) {
    let (mut failover, now) = (Failover::default(), Instant::now());
    failover.mounted(1, &world::mount("data"), ip(1), false, now);
    failover.observed(first.clone(), now);
    failover.state_changed(1, ResourceState::Unavailable, now);
    failover.observed(first, now);
    actions(&mut failover);
    (failover, now)
}

fn actions(failover: &mut Failover) -> Vec<Action> {
    std::iter::from_fn(|| failover.poll_action()).collect()
}

fn ends(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::End { .. })).count()
}

#[test]
fn a_connection_that_is_ended_as_dead_is_looked_at_once_more_before() {
    let (mut failover, mut now) = told(look(100, 3, 2, S(1)));
    now += MS(50);
    failover.probed(ip(1), true, now);
    let actions = actions(&mut failover);
    assert_eq!(ends(&actions), 1);
    let looks_again = |it: &Action| matches!(it, Action::End { if_dead: Some(_), .. });
    assert!(actions.iter().any(looks_again), "{actions:?}");
}

#[test]
fn a_connection_that_waits_is_not_yet_taken_for_well_however_long_it_was() {
    let (mut failover, mut now) = told(look(100, 0, 0, MS(5)));
    for second in 1..=11 {
        now += S(1);
        failover.observed(look(100 + second, 0, 0, MS(5)), now);
        // The last answer that came counts no more when nothing follows.
        if second == 9 {
            break;
        }
    }
    now += S(2);
    failover.observed(look(109, 2, 0, S(2)), now);
    assert_eq!(failover.incidents(), 1);
    now += MS(100);
    failover.probed(ip(1), true, now);
    failover.observed(look(109, 2, 1, S(2)), now);
    assert_eq!(ends(&actions(&mut failover)), 1);
}

#[test]
fn a_mount_whose_connection_works_is_not_steered_though_its_address_takes_no_other() {
    let (mut failover, mut now) = told(look(100, 0, 0, MS(5)));
    for turn in 1..60 {
        now += MS(50);
        for action in actions(&mut failover) {
            match action {
                Action::Probe(address) => failover.probed(address, address != ip(1), now),
                Action::LookUp(name) => failover.looked_up(&name, &[ip(1), ip(2)], now),
                Action::Observe { .. } => {
                    failover.observed(look(100 + turn, 0, 0, MS(5)), now);
                }
                Action::Notify { .. } | Action::End { .. } => panic!("{action:?}"),
                _ => {}
            }
        }
        failover.handle_timeout(now);
    }
}

#[test]
fn failovers_of_too_many_addresses_wait_for_their_turn() {
    let (mut failover, mut now) = (Failover::default(), Instant::now());
    let most = u32::try_from(pace::INCIDENTS_MAX).unwrap();
    let address = |id: u32| IpAddr::from((0x0a00_0000 + id).to_be_bytes());
    for id in 1..=most + 40 {
        failover.mounted(id, &world::mount(&format!("data{id}")), address(id), false, now);
        failover.state_changed(id, ResourceState::Unavailable, now);
    }
    assert_eq!((failover.incidents.len(), failover.postponed.len()), (pace::INCIDENTS_MAX, 40));
    (1..=most).for_each(|id| failover.unmounted(id));
    now += S(1);
    failover.handle_timeout(now);
    assert_eq!((failover.incidents.len(), failover.postponed.len()), (40, 0));
}

#[test]
fn of_a_name_with_many_silent_addresses_few_are_asked_and_each_a_few_times_at_once() {
    let mut world = World::new();
    world.named = (1..=100).map(ip).collect();
    world.alive.clear();
    world.probe_takes = S(30);
    world.unavailable(1);
    world.run(S(20));
    assert_eq!(world.probes_max, pace::CANDIDATES_MAX * usize::from(pace::PROBES_MAX));
}

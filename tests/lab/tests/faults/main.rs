//! What a cluster goes through, in real time: after each fault every registration stands again, once, at a witness that
//! lives, within a stated bound, and hears of the next thing that happens.
//!
//! A binary of its own, because it waits most of the time: it runs well beside others.

#![allow(clippy::indexing_slicing, reason = "tests fail by panics")]

mod clients;
mod watched;

use std::thread::sleep;
use std::time::Duration;

use lab::{Cluster, Guest, Select};
use swnclient::Config;
use watched::{MOUNT, Watched};

/// How long after a fault a registration may be without a living witness, with the defaults of [`Config`]: a connection
/// that nothing comes from is dead after 10 s (`dead_after`), its clients come back over 15 s (`loss_spread`), and both
/// the node that they ask for its list and the first witness that they try may be gone too (`connect_timeout`: 5 s for
/// its endpoint mapper, 5 s for itself).
///
/// The same is enough where only an address moves: that takes the cluster some five seconds, its witness drops those who
/// are served by it after another five, and they come back over 15 s.
fn recovery() -> Duration {
    let Config { dead_after, loss_spread, connect_timeout, .. } = Config::default();
    dead_after + loss_spread + 4 * connect_timeout
}

/// The same where a cluster comes back that has been away for long: the pause between two attempts has grown to up to
/// 60 s (`backoff_max`), and a witness that was found early may be lost again while the cluster gives out its addresses.
fn recovery_from_backoff() -> Duration {
    Config::default().backoff_max + recovery()
}

#[test]
fn the_death_of_a_node_that_is_the_witness_of_some_and_serves_others() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let (watched, before) = Watched::start(&cluster, &guest, 0);
    let node = before.witness_of(MOUNT);
    let lost = before.depending_on(cluster.address_of(node));
    cluster.kill(node);
    let after = watched.settle("the death of a node", &lost, recovery());
    watched.assert_told_of_loss(node);
    watched.assert_moves_arrive(&after);
}

#[test]
fn a_node_that_is_cut_off_without_a_word_and_comes_back() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    // The leader holds the cluster's lock, which a cut doesn't take from it. It is another one that is cut off: the
    // mount's witness is on another node than the mount.
    let (watched, before) = Watched::start(&cluster, &guest, cluster.leader());
    let node = before.witness_of(MOUNT);
    let address = cluster.address_of(node);
    let lost = before.depending_on(address);
    cluster.cut(node);
    let without = watched.settle("a node was cut off", &lost, recovery());
    watched.assert_told_of_loss(node);
    cluster.heal(node);
    cluster.wait_healthy();
    // The node brings back what it knew. Its own witness drops that 30 s after the keep-alive; what another node's has
    // dropped meanwhile stays in the cluster's list.
    let lost_again = without.depending_on(address);
    let after = watched.settle_among_ghosts("it came back", &lost_again, &lost, recovery());
    watched.assert_moves_arrive(&after);
}

#[test]
fn rpc_services_that_come_back_on_other_ports() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let (watched, before) = Watched::start(&cluster, &guest, 0);
    // Of all nodes: a witness that wasn't restarted would be found on its old port.
    for node in 0..Cluster::NODES {
        cluster.restart_dcerpcd(node);
    }
    // A witness that is ended doesn't always take its registrations out of the cluster's list.
    let lost = before.all();
    let restarted = "all RPC services were restarted";
    let after = watched.settle_among_ghosts(restarted, &lost, &lost, recovery());
    watched.assert_moves_arrive(&after);
}

#[test]
fn a_node_that_is_disabled_and_enabled() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let (watched, before) = Watched::start(&cluster, &guest, 0);
    let node = before.witness_of(MOUNT);
    let address = cluster.address_of(node);
    cluster.disable(node);
    let without = watched.settle("a node was disabled", &before.depending_on(address), recovery());
    watched.assert_told_of_loss(node);
    cluster.enable(node);
    cluster.wait_healthy();
    let after = watched.settle("it was enabled", &without.depending_on(address), recovery());
    watched.assert_moves_arrive(&after);
}

#[test]
fn registrations_that_the_administrator_has_ended() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let (watched, before) = Watched::start(&cluster, &guest, 0);
    cluster.force_unregister(Select::All);
    let after = watched.settle("all were unregistered by force", &before.all(), recovery());
    watched.assert_moves_arrive(&after);
}

#[test]
fn a_minute_without_any_node() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let (watched, before) = Watched::start(&cluster, &guest, 0);
    for node in 0..Cluster::NODES {
        cluster.kill(node);
    }
    sleep(Duration::from_secs(60));
    for node in 0..Cluster::NODES {
        cluster.start(node);
    }
    cluster.wait_healthy();
    let after =
        watched.settle("the cluster was away for a minute", &before.all(), recovery_from_backoff());
    watched.assert_moves_arrive(&after);
}

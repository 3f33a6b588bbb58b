//! How often a wrong password is presented: a few refused logons lock an account, which a
//! hundred mounts may share.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use dcerpc_proto::association::FaultStatus;
use faults::{Bench, MountId};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Config, Error, Event};
use witness_sim::world::NetworkConfig;
use witness_sim::{ClusterConfig, Happening, NodeId, Profile, Step};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const NODES: u8 = 8;

/// A cluster and a hundred mounts of one client, from each of its nodes.
fn hundred(profile: Profile, password: &str) -> Bench {
    mounted(100, profile, password)
}

fn mounted(mounts: u8, profile: Profile, password: &str) -> Bench {
    with(mounts, ClusterConfig::new(profile, NODES, [10, 0, 0]), password)
}

fn with(mounts: u8, cluster: ClusterConfig, password: &str) -> Bench {
    let mut bench = Bench::new(cluster, NetworkConfig::default(), 1);
    let client = bench.add_client(Config::default(), 1);
    bench.set_password(password);
    for mount in 0..mounts {
        bench.mount(client, IpAddr::from([10, 0, 0, 11 + mount % NODES]));
    }
    bench
}

/// How many logons were refused: each by a fault in answer to the first call.
fn refusals(bench: &Bench) -> usize {
    let is_refusal = |it: &&Happening| {
        matches!(it, Happening::CallRefused { status: FaultStatus::ACCESS_DENIED, .. })
    };
    bench.happened.iter().filter(is_refusal).count()
}

/// Whether a mount is registered, by what the client has said.
fn is_registered(bench: &Bench, mount: MountId) -> bool {
    let id = bench.get(mount).id;
    let last = bench
        .told
        .iter()
        .rev()
        .find(|(_, told, event)| *told == id && !matches!(event, Event::Notification(_)));
    matches!(last, Some((_, _, Event::Registered { .. })))
}

/// Lets time pass until all are registered; `false` where that takes too long.
fn settle(bench: &mut Bench, limit: Duration) -> bool {
    let end = bench.world.now() + limit;
    bench.pass_until(end, |bench| bench.mounts().all(|(mount, _)| is_registered(bench, mount)))
}

fn change_password(bench: &mut Bench, password: &str) {
    bench.run(Step::Password { user: "alice".into(), password: password.into() });
}

#[test]
fn a_wrong_password_is_presented_three_times_a_day_whatever_the_number_of_mounts() {
    for profile in Profile::ALL {
        let mut bench = hundred(profile, "wrong");
        let mut counts = Vec::new();
        for _ in 0..3 {
            let before = refusals(&bench);
            bench.pass(DAY);
            counts.push(refusals(&bench) - before);
        }
        assert!(counts.iter().all(|count| (1..=3).contains(count)), "{profile}: {counts:?}");
        let refused = |(_, _, event): &&(_, _, Event)| {
            matches!(event, Event::Failed { error: Error::AccessDenied { .. }, retry_in: None })
        };
        let told: std::collections::BTreeSet<_> =
            bench.told.iter().filter(refused).map(|(_, mount, _)| *mount).collect();
        assert_eq!(told.len(), 100, "{profile}: each mount is told");
    }
}

#[test]
fn an_endpoint_mapper_that_wants_a_logon_is_presented_a_wrong_password_as_seldom() {
    for profile in Profile::ALL {
        let mut cluster = ClusterConfig::new(profile, NODES, [10, 0, 0]);
        cluster.traits.mapper_wants_logon = true;
        let mut bench = with(100, cluster, "wrong");
        let logons = |bench: &Bench| {
            // Who has not logged on at all is refused too, and not hung up on.
            let is_refused =
                |it: &&Happening| matches!(it, Happening::Closed { why, .. } if why == "refused");
            bench.happened.iter().filter(is_refused).count()
        };
        bench.pass(DAY);
        assert!((1..=3).contains(&logons(&bench)), "{profile}: {}", logons(&bench));
        let refused = |(_, _, event): &&(_, _, Event)| {
            let is_denied = |error: &Error| matches!(error, Error::MapperAccessDenied { .. });
            matches!(event, Event::Failed { error, retry_in: None } if is_denied(error))
        };
        assert!(bench.told.iter().any(|it| refused(&it)), "{profile}: {:?}", bench.told);
        bench.set_password("secret");
        bench.echo();
        assert!(settle(&mut bench, SECOND), "{profile}");
    }
}

#[test]
fn a_corrected_password_registers_within_a_second_of_the_kernel_s_asking() {
    for profile in Profile::ALL {
        let mut bench = hundred(profile, "wrong");
        bench.pass(HOUR);
        bench.set_password("secret");
        bench.echo();
        assert!(settle(&mut bench, SECOND), "{profile}: {:#?}", bench.told);
    }
}

#[test]
fn a_password_that_changes_while_registered_costs_three_refused_logons() {
    for profile in Profile::ALL {
        let mut bench = hundred(profile, "secret");
        assert!(settle(&mut bench, 10 * SECOND), "{profile}");
        change_password(&mut bench, "other");
        // All links are lost at once.
        for node in 1..=NODES {
            bench.run(Step::NodeDown { node: NodeId(node), silent: false });
            bench.run(Step::NodeUp { node: NodeId(node) });
        }
        let before = refusals(&bench);
        bench.pass(12 * HOUR);
        let refused = refusals(&bench) - before;
        assert!((1..=3).contains(&refused), "{profile}: {refused}");
        bench.set_password("other");
        bench.echo();
        assert!(settle(&mut bench, 10 * SECOND), "{profile}");
    }
}

#[test]
fn a_person_can_have_refused_credentials_presented_at_once() {
    let mut bench = hundred(Profile::Samba, "wrong");
    bench.pass(HOUR);
    change_password(&mut bench, "wrong");
    let before = refusals(&bench);
    bench.pass(HOUR);
    assert_eq!(refusals(&bench), before);
    let mount = bench.get(MountId(0)).clone();
    bench.world.with_client(mount.client, |client, now| client.try_now(mount.id, now));
    let end = bench.world.now() + SECOND;
    assert!(bench.pass_until(end, |bench| is_registered(bench, MountId(0))));
}

#[test]
fn one_node_whose_security_package_fails_costs_none_its_witness() {
    for profile in Profile::ALL {
        let mut bench = mounted(NODES, profile, "secret");
        assert!(settle(&mut bench, 10 * SECOND), "{profile}");
        bench.run("fault auth node 1 always fault 0x721".parse().unwrap());
        bench.run("force-unregister all".parse().unwrap());
        bench.pass(HOUR);
        assert!(settle(&mut bench, Duration::ZERO), "{profile}");
    }
}

//! A node that has been used is asked without its endpoint mapper, until its witness service
//! is elsewhere. And an endpoint mapper that wants to know who asks is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use dcerpc_proto::association::FaultStatus;
use faults::{Bench, MountId};
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Config, Error, Event};
use witness_sim::world::NetworkConfig;
use witness_sim::{ClusterConfig, Fault, Happening, NodeId, Profile, Service, Stage, Step, What};

const SECOND: Duration = Duration::from_secs(1);
/// How long a segment takes, one way.
const LATENCY: Duration = Duration::from_millis(10);

/// What it took to register: connections to endpoint mappers and to witness services, and
/// round trips one after the other.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    mapper: usize,
    witness: usize,
    round_trips: u128,
}

/// Two nodes and a mount of the first one's.
fn bench(profile: Profile) -> (Bench, MountId) {
    with(ClusterConfig::new(profile, 2, [10, 0, 0]))
}

fn with(cluster: ClusterConfig) -> (Bench, MountId) {
    let network = NetworkConfig { latency: LATENCY..=LATENCY, ..NetworkConfig::default() };
    let mut bench = Bench::new(cluster, network, 1);
    let config = Config { loss_spread: Duration::ZERO, ..Config::default() };
    let client = bench.add_client(config, 1);
    let mount = bench.mount(client, IpAddr::from([10, 0, 0, 11]));
    (bench, mount)
}

/// Lets it register, and looks at what that takes.
fn cost(bench: &mut Bench) -> Cost {
    let start = bench.world.now();
    let end = start + 300 * SECOND;
    // What was sent is under way for a moment.
    assert!(bench.pass_until(end, |bench| bench.all_in_order()), "{:#?}", bench.told);
    let took = bench.world.now() - start;
    let count = |wanted| {
        let is_one = |it: &&Happening| matches!(it, Happening::Connected { service, .. } if *service == wanted);
        bench.happened.iter().filter(is_one).count()
    };
    let (mapper, witness) = (count(Service::Mapper), count(Service::Witness));
    bench.happened.clear();
    Cost { mapper, witness, round_trips: took.as_nanos() / (2 * LATENCY).as_nanos() }
}

/// The witness's node restarts, at once.
fn restart(bench: &mut Bench) {
    bench.pass(10 * SECOND);
    bench.happened.clear();
    bench.run(Step::NodeDown { node: NodeId(2), silent: false });
    bench.run(Step::NodeUp { node: NodeId(2) });
}

fn fault(stage: Stage, what: What) -> Step {
    Step::Fault(Fault::once(stage, what).at(NodeId(2)))
}

#[test]
fn a_registration_at_a_node_that_was_used_before_takes_one_connection_and_no_endpoint_mapper() {
    for profile in Profile::ALL {
        let (mut bench, _) = bench(profile);
        let first = cost(&mut bench);
        restart(&mut bench);
        let again = cost(&mut bench);
        println!("{profile}: {first:?}, then {again:?}");
        assert_eq!((first.mapper, first.witness), (2, 2), "{profile}");
        assert_eq!((again.mapper, again.witness), (0, 1), "{profile}");
        // With version 1 it is asked for version 2 first.
        assert!(again.round_trips <= 5, "{profile}: {again:?}");
    }
}

#[test]
fn the_endpoint_mapper_is_asked_again_where_the_port_refuses() {
    for profile in Profile::ALL {
        let (mut bench, _) = bench(profile);
        cost(&mut bench);
        for port in [50_001, 50_002] {
            bench.pass(10 * SECOND);
            bench.happened.clear();
            bench.run(Step::Service { node: NodeId(2), port: Some(port) });
            let moved = cost(&mut bench);
            assert_eq!((moved.mapper, moved.witness), (1, 1), "{profile}");
            assert!(moved.round_trips <= 9, "{profile}: {moved:?}");
        }
    }
}

#[test]
fn the_endpoint_mapper_is_asked_again_where_something_else_has_the_port() {
    for profile in Profile::ALL {
        // No such interface (of bind_nak: reason not specified), no RPC, nothing.
        for what in [What::BindNak(0), What::Garble(2), What::Cut(0), What::HugeLength] {
            let (mut bench, _) = bench(profile);
            cost(&mut bench);
            restart(&mut bench);
            bench.run(fault(Stage::Bind, what));
            let moved = cost(&mut bench);
            assert_eq!((moved.mapper, moved.witness), (1, 2), "{profile}, {what}");
            assert!(moved.round_trips <= 10, "{profile}, {what}: {moved:?}");
        }
    }
}

#[test]
fn a_port_that_is_silent_is_not_asked_twice() {
    for profile in Profile::ALL {
        let (mut bench, _) = bench(profile);
        cost(&mut bench);
        restart(&mut bench);
        bench.run(Step::Fault(Fault::always(Stage::Connect, What::NoReply).at(NodeId(2))));
        bench.pass(6 * SECOND);
        bench.run(Step::NoFaults);
        let moved = cost(&mut bench);
        // The serving node is asked for another list meanwhile, which has been used, too.
        assert_eq!((moved.mapper, moved.witness), (1, 2), "{profile}");
    }
}

/// A cluster whose endpoint mappers answer those only who log on.
fn wary(profile: Profile) -> ClusterConfig {
    let mut cluster = ClusterConfig::new(profile, 2, [10, 0, 0]);
    cluster.traits.mapper_wants_logon = true;
    cluster
}

fn failures(bench: &Bench) -> Vec<&Error> {
    let told = bench.told.iter();
    told.filter_map(|(_, _, event)| match event {
        Event::Failed { error, .. } => Some(error),
        _ => None,
    })
    .collect()
}

#[test]
fn an_endpoint_mapper_that_wants_to_know_who_asks_is_told_when_it_has_refused() {
    for profile in Profile::ALL {
        let (mut bench, _) = with(wary(profile));
        let first = cost(&mut bench);
        // Each one refuses once.
        assert_eq!((first.mapper, first.witness), (4, 2), "{profile}");
        assert!(failures(&bench).is_empty(), "{profile}: {:?}", bench.told);
        // The next time they are known as such.
        bench.pass(10 * SECOND);
        bench.happened.clear();
        bench.run(Step::Service { node: NodeId(2), port: Some(50_001) });
        let again = cost(&mut bench);
        assert_eq!((again.mapper, again.witness), (1, 1), "{profile}");
    }
}

#[test]
fn an_endpoint_mapper_that_refuses_the_credentials_too_is_an_error_of_its_own() {
    for profile in Profile::ALL {
        let (mut bench, mount) = with(ClusterConfig::new(profile, 2, [10, 0, 0]));
        cost(&mut bench);
        bench.run(Step::Fault(Fault::always(
            Stage::EptMap,
            What::Fault(FaultStatus::ACCESS_DENIED),
        )));
        bench.unregister(mount);
        for node in [1, 2] {
            // Elsewhere, so that the endpoint mapper is asked.
            bench.run(Step::Service { node: NodeId(node), port: Some(50_000 + u16::from(node)) });
        }
        bench.pass(10 * SECOND);
        bench.told.clear();
        bench.register(mount);
        bench.pass(10 * SECOND);
        let denied = |error: &&Error| matches!(error, Error::MapperAccessDenied { .. });
        let failures = failures(&bench);
        assert!(!failures.is_empty() && failures.iter().all(denied), "{profile}: {failures:?}");
    }
}

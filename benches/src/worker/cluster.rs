//! The cluster in a box, for sizes that no real one is there for.
//!
//! `cluster SUBNET NODES MULTIPLEXING`

use super::{Orders, answer};
use std::time::Duration;
use witness_sim::net::RunningCluster;
use witness_sim::{Cluster, ClusterConfig, Destination, NodeId, Profile, Step, Who};

/// How long the clients may take.
const LIMIT: Duration = Duration::from_secs(60);

fn all_wait(cluster: &Cluster) -> bool {
    cluster.registrations().all(|registration| !registration.waiting.is_empty())
}

pub(super) async fn run(args: &[&str]) {
    let [subnet, nodes, multiplexing] = args else {
        panic!("cluster: {args:?}");
    };
    let subnet: Vec<u8> = subnet.split('.').map(|part| part.parse().expect("a subnet")).collect();
    let subnet = subnet.try_into().expect("three numbers");
    let mut config = ClusterConfig::new(Profile::Samba, nodes.parse().expect("a number"), subnet);
    config.traits.multiplexing = multiplexing.parse().expect("true or false");
    // None takes them.
    config.events = false;
    let here = Destination::Node(NodeId(1));
    let cluster = RunningCluster::start(config).await.expect("a cluster in a box");
    let mut orders = Orders::new();
    while let Some((order, number)) = orders.next().await {
        match order.as_str() {
            "registrations" => {
                let count = cluster.with(|cluster: &mut Cluster, _| cluster.registrations().len());
                answer(&count.await);
            }
            // Tells every client so many times to go where it is.
            "move" => {
                for _ in 0..number {
                    let who = Who::All;
                    cluster.run(Step::ClientMove { who, to: here.clone() }).await;
                    // A later move would take the place of an earlier one.
                    cluster.wait_until(LIMIT, all_wait).await.expect("each client asks again");
                }
                answer(&());
            }
            _ => panic!("cluster: no order {order}"),
        }
    }
}

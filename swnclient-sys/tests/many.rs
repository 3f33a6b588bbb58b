//! A thousand registrations through the C interface, from one loop.

#![allow(clippy::unwrap_used)]

mod common;

use common::{PATIENCE, all_wait, cluster, share_move, start};
use std::collections::HashMap;
use witness_sim::NodeId;
use witness_sim::net::RunningCluster;

const COUNT: usize = 1000;

#[tokio::test]
async fn each_of_a_thousand_registrations_gets_each_notification_once_and_in_order() {
    let config = cluster();
    let cluster = RunningCluster::start(config.clone()).await.unwrap();
    let mut consumer = start("many", &[], &config);
    let test = async {
        consumer.expect("registered").await;
        let mut told: HashMap<usize, Vec<String>> = HashMap::new();
        let moves: Vec<_> = [2, 3, 1].map(|node| config.address(NodeId(node)).unwrap()).into();
        for to in &moves {
            all_wait(&cluster).await;
            cluster.run(share_move(*to)).await;
            for _ in 0..COUNT {
                let line = consumer.line().await;
                let (share, address) = line.split_once(' ').unwrap();
                told.entry(share.parse().unwrap()).or_default().push(address.into());
            }
        }
        let expected: Vec<String> = moves.iter().map(ToString::to_string).collect();
        for share in 0..COUNT {
            assert_eq!(told.get(&share), Some(&expected), "share{share}");
        }
        consumer.say("stop").await;
        println!("{}\n{}", consumer.line().await, consumer.line().await);
        consumer.pass().await;
    };
    tokio::time::timeout(PATIENCE, test).await.expect("the consumer hangs");
}

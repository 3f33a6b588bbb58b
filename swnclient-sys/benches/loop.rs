//! How long the library keeps a caller's tevent loop busy: a thousand
//! registrations and three notifications each, from one loop.
//!
//! `cargo bench -p swnclient-sys`. What it prints is for a machine with nothing
//! else to do; the CPU time is the library's and the callback's own.

#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{all_wait, cluster, share_move, start};
use std::time::Instant;
use witness_sim::NodeId;
use witness_sim::net::RunningCluster;

const COUNT: u32 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = cluster();
    let cluster = RunningCluster::start(config.clone()).await.unwrap();
    common::consumer();
    let begin = Instant::now();
    let mut consumer = start("many", &[], &config);
    consumer.expect("registered").await;
    println!("{COUNT} registrations: {:?}", begin.elapsed());
    for node in [2, 3, 1] {
        all_wait(&cluster).await;
        let begin = Instant::now();
        cluster.run(share_move(config.address(NodeId(node)).unwrap())).await;
        for _ in 0..COUNT {
            consumer.line().await;
        }
        println!("{COUNT} notifications, from the cluster to the callbacks: {:?}", begin.elapsed());
    }
    consumer.say("stop").await;
    println!("{}\n{}", consumer.line().await, consumer.line().await);
    consumer.pass().await;
}

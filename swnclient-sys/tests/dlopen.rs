//! A program that loads the library and unloads it again.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Consumer, PATIENCE, cluster, compile, library};
use std::process::Command;
use witness_sim::NodeId;
use witness_sim::net::RunningCluster;

#[tokio::test]
async fn unloading_the_library_while_it_is_at_work_does_not_crash() {
    let config = cluster();
    let _cluster = RunningCluster::start(config.clone()).await.unwrap();
    let mut command = Command::new(compile("dlopen", &["dlopen.c"]));
    command
        .arg(library())
        .args([config.dns_name().as_str(), &config.address(NodeId(1)).unwrap().to_string()])
        .args(["alice", "secret"]);
    let consumer = Consumer::start(command);
    tokio::time::timeout(PATIENCE, consumer.pass()).await.expect("it hangs");
}

//! The cluster by itself, and the project's crates against its witness service.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use lab::{Cluster, in_client_namespace};

const ENDPOINT_MAPPER: u16 = 135;

fn connect(address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((address, port));
    in_client_namespace(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)))
}

#[test]
fn each_node_of_a_healthy_cluster_holds_one_address() {
    let cluster = Cluster::fresh();
    let holders: BTreeSet<_> = cluster.holders().into_values().collect();
    assert_eq!(holders, (0..Cluster::NODES).map(Some).collect());
}

#[test]
fn the_address_of_a_killed_node_moves_and_comes_back() {
    let cluster = Cluster::fresh();
    let address = cluster.address_of(1);
    cluster.kill(1);
    cluster.wait_moved(address, 1);
    connect(address, ENDPOINT_MAPPER).expect("the node that took the address over answers there");
    cluster.start(1);
    cluster.wait_healthy();
    assert_eq!(cluster.holder(address), 1);
}

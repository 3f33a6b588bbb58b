//! The look at the kernel's connection after a witness's word: from the word to what
//! follows from it, a wake-up of the task and the look by `sock_diag` included.

use super::witness::nanoseconds;
use super::{Orders, answer, monotonic, request};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use swnclient::ResourceState;
use swnd::failover::driver::{Network, System};
use swnd::failover::{Action, Connection, Failover, Look, TcpState};
use swnd::report::Mount;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// `look ADDRESS`: looks at a connection to that address.
pub(super) async fn run(args: &[&str]) {
    let address: SocketAddr = args[0].parse().expect("an address");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let connection = Connection {
        cookie: rustix::net::sockopt::socket_cookie(&stream).expect("a cookie"),
        interface: 0,
        local: stream.local_addr().expect("a socket"),
        remote: address,
        state: TcpState::Established,
        unacknowledged: 0,
        backoff: 0,
        since_ack: Duration::ZERO,
        received: 0,
        since_sent: Duration::ZERO,
        since_received: Duration::ZERO,
    };
    let system = System::open();
    let (words, mut heard) = mpsc::unbounded_channel::<Failover>();
    let (done, mut looked) = mpsc::unbounded_channel();
    let task = async {
        while let Some(mut failover) = heard.recv().await {
            while let Some(action) = failover.poll_action() {
                if let Action::Look(before) = action {
                    let after = system.look(&before);
                    assert_eq!(after.len(), 1, "the connection is there");
                    failover.looked(&before, &after, Instant::now());
                }
            }
            done.send(nanoseconds(monotonic())).expect("somebody waits");
        }
    };
    let orders = async {
        let mut orders = Orders::new();
        while let Some((order, number)) = orders.next().await {
            assert_eq!(order, "look");
            let mut times = Vec::new();
            for _ in 0..number {
                let mut failover = knowing(&connection);
                let from = nanoseconds(monotonic());
                failover.state_changed(1, ResourceState::Unavailable, Instant::now());
                words.send(failover).expect("the task runs");
                let to = looked.recv().await.expect("the task runs");
                times.push(to - from);
            }
            answer(&times);
        }
    };
    tokio::select! {
        () = task => {}
        () = orders => {}
    }
}

/// A failover that has seen the connection of a mount.
fn knowing(connection: &Connection) -> Failover {
    let mut failover = Failover::default();
    let mount = Mount::from(&request("cluster.example.test", "data".into(), connection.address()));
    let now = Instant::now();
    failover.mounted(1, &mount, connection.address(), false, now);
    while failover.poll_action().is_some() {}
    let connections = vec![connection.clone()];
    failover.observed(Look { connections, ..Look::default() }, now);
    while failover.poll_action().is_some() {}
    failover
}

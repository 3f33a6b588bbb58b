//! A witness that knows to the microsecond when its notification can be read:
//! the cluster in a box on blocking sockets, by one thread. It runs on the same
//! CPU as who is measured, with precedence, so that nothing is read before the
//! clock has been.

use super::{answer, monotonic, split};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use witness_sim::net::unused_subnet;
use witness_sim::{
    Cluster, ClusterConfig, ConnId, Connect, Destination, NodeId, Output, Profile, Step, Who,
};

/// The pause between two notifications.
const PAUSE: Duration = Duration::from_millis(1);

struct Witness {
    cluster: Cluster,
    started: Instant,
    listeners: Vec<(SocketAddr, TcpListener)>,
    streams: BTreeMap<ConnId, TcpStream>,
}

pub(super) fn run() {
    let config = ClusterConfig::new(Profile::Samba, 2, unused_subnet());
    let serves = config.address(NodeId(1)).expect("two nodes");
    let plain = TcpListener::bind((serves, 0)).expect("a port");
    let mut witness = Witness::start(config);
    answer(&"ready");
    answer(&(serves, plain.local_addr().expect("an address").port()));
    let mut bare = None;
    // Only there, for one that looks at it.
    let mut watched = Vec::new();
    let mut notification = Vec::new();
    for line in std::io::stdin().lines() {
        let (order, number) = split(&line.expect("stdin can be read"));
        match order.as_str() {
            "registered" => {
                while witness.cluster.registrations().all(|r| r.waiting.is_empty()) {
                    witness.step();
                }
                answer(&());
            }
            "notify" => answer(&witness.notify(number, &mut notification)),
            "accept" => {
                let (stream, _) = plain.accept().expect("the bare program connects");
                stream.set_nodelay(true).expect("a socket");
                bare = Some(stream);
                answer(&());
            }
            "watched" => {
                let (stream, _) = plain.accept().expect("the one that looks connects");
                watched.push(stream);
                answer(&true);
            }
            "bare" => {
                let stream = bare.as_mut().expect("it has connected");
                answer(&bare_notify(stream, number, &notification));
            }
            _ => panic!("witness: no order {order}"),
        }
    }
}

impl Witness {
    fn start(config: ClusterConfig) -> Self {
        let cluster = Cluster::new(ClusterConfig { events: false, ..config });
        let bind = |address: SocketAddr| {
            let listener = TcpListener::bind(address).expect("the address is free");
            (address, listener)
        };
        let listeners = cluster.topology().listeners().into_keys().map(bind).collect();
        Self { cluster, started: Instant::now(), listeners, streams: BTreeMap::new() }
    }

    /// Waits for something to come, and takes it.
    fn step(&mut self) {
        let listeners = self.listeners.iter().map(|(_, l)| PollFd::new(l, PollFlags::IN));
        let streams = self.streams.values().map(|s| PollFd::new(s, PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = listeners.chain(streams).collect();
        poll(&mut fds, None).expect("poll");
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let (listening, reading) = ready.split_at(self.listeners.len());
        let readable: Vec<ConnId> =
            self.streams.keys().zip(reading).filter(|(_, r)| **r).map(|(conn, _)| *conn).collect();
        for (index, _) in listening.iter().enumerate().filter(|(_, ready)| **ready) {
            let (address, listener) = &self.listeners[index];
            let (stream, _) = listener.accept().expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            match self.cluster.connect(self.started.elapsed(), *address) {
                Connect::Accepted(conn) => drop(self.streams.insert(conn, stream)),
                refused => panic!("{refused:?}"),
            }
        }
        for conn in readable {
            self.read(conn);
        }
        self.flush();
    }

    fn read(&mut self, conn: ConnId) {
        let mut buffer = [0; 8192];
        let Some(stream) = self.streams.get_mut(&conn) else {
            return;
        };
        match stream.read(&mut buffer) {
            Ok(len) if len > 0 => {
                self.cluster.receive(self.started.elapsed(), conn, &buffer[..len]);
            }
            Ok(_) => self.closed(conn),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.closed(conn),
        }
    }

    fn closed(&mut self, conn: ConnId) {
        self.streams.remove(&conn);
        self.cluster.closed(self.started.elapsed(), conn);
    }

    fn flush(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Transmit { conn, bytes } => {
                    if let Some(stream) = self.streams.get_mut(&conn) {
                        // Who has gone away is noticed when reading.
                        let _ = stream.write_all(&bytes);
                    }
                }
                Output::Close { conn, .. } => drop(self.streams.remove(&conn)),
                Output::Silence { .. } | Output::Resume { .. } => {}
            }
        }
    }

    /// Tells the client so many times to go where it is; when each could be read.
    fn notify(&mut self, count: usize, last: &mut Vec<u8>) -> Vec<u64> {
        let mut times = Vec::new();
        for _ in 0..count {
            let to = Destination::Node(NodeId(1));
            self.cluster.run(self.started.elapsed(), Step::ClientMove { who: Who::All, to });
            let Some(Output::Transmit { conn, bytes }) = self.cluster.poll_output() else {
                panic!("a notification is due");
            };
            let stream = self.streams.get_mut(&conn).expect("the client is connected");
            times.push(send_and_wait(stream, &bytes));
            *last = bytes;
            // It asks again.
            while self.cluster.registrations().all(|r| r.waiting.is_empty()) {
                self.step();
            }
        }
        times
    }
}

/// The same for who does not look at the bytes, and answers with one.
fn bare_notify(stream: &mut TcpStream, count: usize, bytes: &[u8]) -> Vec<u64> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(send_and_wait(stream, bytes));
        stream.read_exact(&mut [0]).expect("it answers");
    }
    times
}

/// Sends, and waits until something comes back; when it could be read. All that
/// happens on this side while somebody is measured, and so the same for both.
fn send_and_wait(stream: &mut TcpStream, bytes: &[u8]) -> u64 {
    std::thread::sleep(PAUSE);
    stream.write_all(bytes).expect("it takes it");
    let readable = nanoseconds(monotonic());
    stream.peek(&mut [0]).expect("it answers");
    readable
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

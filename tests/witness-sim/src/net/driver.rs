//! Moves bytes between the sockets and the cluster, and tells it the time.

use super::listeners::Listeners;
use super::{StartError, Way};
use crate::{Cluster, ConnId, Connect, Event, Output, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// What is done once a job's effects are on the sockets.
type Afterwards = Box<dyn FnOnce() + Send>;
/// Something to do with the cluster.
pub(super) type Job = Box<dyn FnOnce(&mut Cluster, Time) -> Afterwards + Send>;

/// What the handle asks for.
pub(super) enum Command {
    Job(Job),
    Subscribe(Subscription),
    Wait(Wish),
    Forge(Vec<u8>),
}

/// Somebody who watches.
pub(super) struct Subscription(pub(super) mpsc::UnboundedSender<Event>);

/// Somebody who waits for a state.
pub(super) struct Wish {
    pub(super) condition: Box<dyn FnMut(&Cluster) -> bool + Send>,
    pub(super) done: oneshot::Sender<()>,
}

/// What a connection's task tells the driver.
enum FromSocket {
    Received(ConnId, Vec<u8>),
    Closed(ConnId),
}

/// What the driver tells a connection's task.
enum ToSocket {
    Write(Vec<u8>),
    Close,
    Reset,
}

/// Owns the cluster.
pub(super) struct Driver {
    cluster: Cluster,
    started: Instant,
    commands: mpsc::UnboundedReceiver<Command>,
    listeners: Listeners,
    generation: u64,
    sockets: BTreeMap<ConnId, mpsc::UnboundedSender<ToSocket>>,
    to_driver: mpsc::UnboundedSender<FromSocket>,
    from_sockets: mpsc::UnboundedReceiver<FromSocket>,
    subscriptions: Vec<Subscription>,
    wishes: Vec<Wish>,
    way: Way,
}

impl Driver {
    pub(super) fn start(
        cluster: Cluster,
        started: Instant,
        commands: mpsc::UnboundedReceiver<Command>,
        way: Way,
    ) -> Result<Self, StartError> {
        let mut listeners = Listeners::default();
        listeners.reconcile(&cluster.topology().listeners())?;
        let (to_driver, from_sockets) = mpsc::unbounded_channel();
        Ok(Self {
            generation: cluster.topology().generation(),
            cluster,
            started,
            commands,
            listeners,
            sockets: BTreeMap::new(),
            to_driver,
            from_sockets,
            subscriptions: Vec::new(),
            wishes: Vec::new(),
            way,
        })
    }

    pub(super) async fn run(mut self) {
        loop {
            let deadline = self.cluster.next_deadline();
            // Far away where there is none.
            let deadline = deadline.unwrap_or(Duration::from_secs(1 << 30));
            let listeners = &self.listeners;
            let accept = std::future::poll_fn(|cx| listeners.poll_accept(cx));
            let mut afterwards = None;
            tokio::select! {
                command = self.commands.recv() => match command {
                    None => return,
                    Some(Command::Job(job)) => {
                        let now = self.started.elapsed();
                        afterwards = Some(job(&mut self.cluster, now));
                    }
                    Some(Command::Subscribe(subscription)) => {
                        self.subscriptions.push(subscription);
                    }
                    Some(Command::Wait(wish)) => self.wishes.push(wish),
                    Some(Command::Forge(bytes)) => {
                        for socket in self.sockets.values() {
                            // As in `flush`.
                            drop(socket.send(ToSocket::Write(bytes.clone())));
                        }
                    }
                },
                (address, stream) = accept => self.accepted(address, stream),
                Some(message) = self.from_sockets.recv() => {
                    let now = self.started.elapsed();
                    match message {
                        FromSocket::Received(conn, bytes) => {
                            self.cluster.receive(now, conn, &bytes);
                        }
                        FromSocket::Closed(conn) => {
                            self.sockets.remove(&conn);
                            self.cluster.closed(now, conn);
                        }
                    }
                }
                () = tokio::time::sleep_until(self.started + deadline) => {}
            }
            self.cluster.handle_timeout(self.started.elapsed());
            self.flush();
            if let Some(afterwards) = afterwards {
                afterwards();
            }
        }
    }

    fn accepted(&mut self, address: SocketAddr, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            log::warn!("TCP_NODELAY: {error}");
        }
        match self.cluster.connect(self.started.elapsed(), address) {
            Connect::Accepted(conn) => {
                let (sender, commands) = mpsc::unbounded_channel();
                self.sockets.insert(conn, sender);
                tokio::spawn(serve(conn, stream, self.way, commands, self.to_driver.clone()));
            }
            // The kernel has accepted it already: the nearest thing.
            Connect::Refused => reset(stream),
            Connect::NoAnswer => drop(tokio::spawn(swallow(stream))),
        }
    }

    fn flush(&mut self) {
        let generation = self.cluster.topology().generation();
        if self.generation != generation {
            self.generation = generation;
            let wanted = self.cluster.topology().listeners();
            if let Err(error) = self.listeners.reconcile(&wanted) {
                log::error!("{error}");
            }
        }
        while let Some(output) = self.cluster.poll_output() {
            let (conn, message) = match output {
                Output::Transmit { conn, bytes } => (conn, ToSocket::Write(bytes)),
                Output::Close { conn, reset: true } => (conn, ToSocket::Reset),
                Output::Close { conn, reset: false } => (conn, ToSocket::Close),
                // The cluster keeps quiet by itself.
                Output::Silence { .. } | Output::Resume { .. } => continue,
            };
            let ended = !matches!(message, ToSocket::Write(_));
            if let Some(socket) = self.sockets.get(&conn) {
                // A task that has ended has said so, or is about to.
                drop(socket.send(message));
            }
            if ended {
                self.sockets.remove(&conn);
            }
        }
        while let Some(event) = self.cluster.poll_event() {
            self.subscriptions.retain(|Subscription(sender)| sender.send(event.clone()).is_ok());
        }
        let cluster = &self.cluster;
        let wishes = std::mem::take(&mut self.wishes);
        for mut wish in wishes {
            if (wish.condition)(cluster) {
                // Who gave up waiting has not given up on the state.
                let _ = wish.done.send(());
            } else if !wish.done.is_closed() {
                self.wishes.push(wish);
            }
        }
    }
}

/// A connection's task.
async fn serve(
    conn: ConnId,
    mut stream: TcpStream,
    way: Way,
    mut commands: mpsc::UnboundedReceiver<ToSocket>,
    to_driver: mpsc::UnboundedSender<FromSocket>,
) {
    let mut buffer = vec![0; 8192];
    let mut left = match way {
        Way::Unread { after } => after,
        Way::Plain | Way::ByteByByte => usize::MAX,
    };
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(ToSocket::Write(bytes)) => {
                    let step = if way == Way::ByteByByte { 1 } else { bytes.len().max(1) };
                    for part in bytes.chunks(step) {
                        if stream.write_all(part).await.is_err() {
                            drop(to_driver.send(FromSocket::Closed(conn)));
                            return;
                        }
                    }
                }
                Some(ToSocket::Reset) => return reset(stream),
                Some(ToSocket::Close) | None => return,
            },
            read = stream.read(&mut buffer), if left > 0 => match read {
                Ok(len) if len > 0 => {
                    left = left.saturating_sub(len);
                    let bytes = buffer.get(..len).unwrap_or_default().to_vec();
                    drop(to_driver.send(FromSocket::Received(conn, bytes)));
                }
                _ => break,
            },
        }
    }
    drop(to_driver.send(FromSocket::Closed(conn)));
}

/// Takes what comes until the client gives up.
async fn swallow(mut stream: TcpStream) {
    let mut buffer = vec![0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
}

/// Closes by RST.
fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
        log::warn!("SO_LINGER: {error}");
    }
}

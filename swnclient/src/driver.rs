//! What moves the bytes: tokio sockets and timers around [`proto::Client`].
//!
//! Each connection has a task that reads; whatever it reads is processed on
//! the spot, events included, so that a notification leaves without waiting
//! for another task. Idle connections hold no buffers.

use crate::auth_threads::AuthThreads;
use crate::commands::Command;
use crate::host::{FullNames, is_own_address};
use crate::sink::EventSink;
use crate::{Config, Event, RegistrationId};
use dcerpc_proto::association::{AuthJob, AuthOutcome};
use smol_str::{SmolStr, ToSmolStr};
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use swnclient_proto::{self as proto, Action, ConnectionId};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;

/// How much is read at a time, in bytes: some fragments of the longest kind.
const READ_BUFFER: usize = 16 * 1024;

/// How much may wait for a server that does not read, in bytes: more than all
/// registrations of a connection ask for at a time.
const UNSENT_MAX: usize = 256 * 1024;

/// One connection.
struct Connection {
    /// Reads, or still connects.
    task: AbortHandle,
    stream: Option<Arc<TcpStream>>,
    /// What the socket did not take at once.
    unsent: Vec<u8>,
}

/// Everything that the tasks share. Only one of them runs at a time on the
/// current-thread runtime, so the lock is never contended there.
struct Shared {
    proto: proto::Client,
    sink: Box<dyn EventSink>,
    /// The registrations whose events don't go to the sink.
    handles: HashMap<RegistrationId, broadcast::Sender<Event>>,
    connections: HashMap<ConnectionId, Connection>,
    read_buffer: Box<[u8]>,
    /// When the timer task wakes up, as it knows it.
    armed: Option<Instant>,
    /// Who waits for the end of all registrations.
    shutdown: Option<oneshot::Sender<()>>,
    dead_after: Duration,
}

impl Shared {
    fn deliver(&mut self, id: RegistrationId, event: Event) {
        if self.handles.is_empty() {
            return self.sink.event(id, event);
        }
        let ended = event == Event::Unregistered;
        match self.handles.get(&id) {
            // A handle that is gone has asked for the end of its registration.
            Some(handle) => drop(handle.send(event)),
            None => self.sink.event(id, event),
        }
        if ended {
            self.handles.remove(&id);
        }
    }
}

/// The shared state with its wake-ups. See the module's description.
#[derive(Clone)]
pub(crate) struct Driver {
    shared: Arc<Mutex<Shared>>,
    rearm: Arc<Notify>,
    auth_threads: Arc<AuthThreads>,
    full_names: FullNames,
    /// By which the event loop is ended. It does not keep the client running.
    stop: mpsc::WeakUnboundedSender<Command>,
}

/// Ends what a driver has started, however its event loop ends: the sink, too, and the
/// handles, so that their owners can see it.
struct Ending {
    driver: Driver,
    timer: AbortHandle,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.timer.abort();
        let mut shared = self.driver.lock();
        for (_, connection) in shared.connections.drain() {
            connection.task.abort();
        }
        shared.handles.clear();
        shared.shutdown = None;
        let sink = std::mem::replace(&mut shared.sink, Box::new(|_, _| ()));
        drop(shared);
        drop(sink);
    }
}

/// Tells the event loop where the turn in which it lives panics.
struct Turn<'a>(&'a mpsc::WeakUnboundedSender<Command>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where the last handle is gone, the event loop ends by itself.
            if let Some(commands) = self.0.upgrade() {
                let _ = commands.send(Command::Stop);
            }
        }
    }
}

impl Driver {
    /// Runs a client until its last handle is dropped, or something in it panics.
    pub(crate) async fn run(
        config: Config,
        sink: Box<dyn EventSink>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        stop: mpsc::WeakUnboundedSender<Command>,
    ) {
        let (dead_after, kdc_timeout) = (config.dead_after, config.kdc_timeout);
        let config = Config { is_own_address, ..config };
        let driver = Self {
            shared: Arc::new(Mutex::new(Shared {
                proto: proto::Client::new(config, fastrand::u64(..)),
                sink,
                handles: HashMap::new(),
                connections: HashMap::new(),
                read_buffer: vec![0; READ_BUFFER].into(),
                armed: None,
                shutdown: None,
                dead_after,
            })),
            rearm: Arc::default(),
            auth_threads: Arc::new(AuthThreads::new(kdc_timeout)),
            full_names: FullNames::default(),
            stop,
        };
        let timer = tokio::spawn(driver.clone().run_timer()).abort_handle();
        let _ending = Ending { driver: driver.clone(), timer };
        while let Some(command) = commands.recv().await {
            // What was asked for before it was stopped.
            if driver.shared.is_poisoned() {
                return;
            }
            driver.turn(|shared, now| match command {
                Command::Register(id, request, credentials, events) => {
                    if let Some(events) = events {
                        shared.handles.insert(id, events);
                    }
                    shared.proto.register(id, request, credentials, now);
                }
                Command::RequestAgain(id, credentials) => {
                    shared.proto.request_again(id, credentials, now)
                }
                Command::TryNow(id) => shared.proto.try_now(id, now),
                Command::Unregister(id) => shared.proto.unregister(id, now),
                Command::Interfaces(id, answer) => {
                    let list = shared.proto.interfaces(id).iter().map(Into::into).collect();
                    // The asker may have gone.
                    let _ = answer.send(list);
                }
                Command::WitnessConnections(answer) => {
                    let _ = answer.send(shared.proto.witness_connections());
                }
                // What panicked has poisoned the state: see above.
                Command::Stop => {}
                Command::Shutdown(done) => {
                    shared.proto.unregister_all(now);
                    shared.shutdown = Some(done);
                }
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic while it was held ends the client: see `Turn`.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn: something happens, then everything that follows from it.
    fn turn<T>(&self, happens: impl FnOnce(&mut Shared, Instant) -> T) -> T {
        let _turn = Turn(&self.stop);
        let mut shared = self.lock();
        let now = Instant::now();
        let result = happens(&mut shared, now);
        // Events first: a notification waits for nothing.
        while let Some((id, event)) = shared.proto.poll_event() {
            shared.deliver(id, event);
        }
        while let Some(action) = shared.proto.poll_action() {
            self.act(&mut shared, action);
        }
        if shared.proto.is_empty() {
            if let Some(done) = shared.shutdown.take() {
                let _ = done.send(());
            }
        }
        let next = shared.proto.next_deadline();
        // Also where it is later than before: there is no wake-up for nothing.
        if next != shared.armed {
            self.rearm.notify_one();
        }
        result
    }

    fn act(&self, shared: &mut Shared, action: Action) {
        match action {
            Action::Resolve { host } => {
                tokio::spawn(self.clone().resolve(host));
            }
            Action::FindFullName { host } => {
                tokio::spawn(self.clone().find_full_name(host));
            }
            Action::Connect { connection, address } => {
                let connect = self.clone().run_connection(connection, address, shared.dead_after);
                let task = tokio::spawn(connect).abort_handle();
                let new = Connection { task, stream: None, unsent: Vec::new() };
                shared.connections.insert(connection, new);
            }
            Action::Transmit { connection, bytes } => {
                match shared.connections.get_mut(&connection).map(|known| known.send(bytes)) {
                    Some(Sent::Rest(stream)) => {
                        tokio::spawn(self.clone().send_unsent(connection, stream));
                    }
                    Some(Sent::TooMuch) => {
                        tokio::spawn(self.clone().end_unread(connection));
                    }
                    Some(Sent::Done) | None => {}
                }
            }
            Action::Close { connection } => {
                if let Some(closed) = shared.connections.remove(&connection) {
                    // After what was started before, down to the first bytes on a
                    // connection that opens at once: this one is not waited for.
                    tokio::spawn(async move {
                        tokio::task::yield_now().await;
                        closed.task.abort();
                    });
                }
            }
            Action::Authenticate { connection, job } => {
                tokio::spawn(self.clone().authenticate(connection, job));
            }
        }
    }

    async fn run_timer(self) {
        loop {
            let next = {
                let mut shared = self.lock();
                shared.armed = shared.proto.next_deadline();
                shared.armed
            };
            let rearmed = self.rearm.notified();
            match next {
                None => rearmed.await,
                Some(at) => {
                    if tokio::time::timeout_at(at.into(), rearmed).await.is_err() {
                        self.turn(|shared, now| shared.proto.handle_timeout(now));
                    }
                }
            }
        }
    }

    async fn resolve(self, host: SmolStr) {
        // The port is not part of the question.
        let result = match tokio::net::lookup_host((host.as_str(), 0)).await {
            Ok(addresses) => {
                let mut unique: Vec<IpAddr> = Vec::new();
                for address in addresses.map(|address| address.ip()) {
                    if !unique.contains(&address) {
                        unique.push(address);
                    }
                }
                Ok(unique)
            }
            Err(error) => Err(error.to_smolstr()),
        };
        self.turn(|shared, now| shared.proto.handle_resolved(&host, result, now));
    }

    async fn find_full_name(self, host: SmolStr) {
        let outcome = self.full_names.find(host.clone()).await;
        self.turn(|shared, now| shared.proto.handle_full_name(&host, outcome, now));
    }

    /// Jobs wait for their turn first in, first out: many servers of a realm whose KDC is gone
    /// delay others, but not for ever.
    async fn authenticate(self, connection: ConnectionId, job: AuthJob) {
        let threads = Arc::clone(&self.auth_threads);
        let permit = threads.wait().await;
        if !self.lock().connections.contains_key(&connection) {
            return; // Given up meanwhile.
        }
        let outcome: Result<AuthOutcome, _> = permit.run(|| job.run()).await;
        self.turn(|shared, now| match outcome {
            Ok(outcome) => shared.proto.handle_authenticated(connection, outcome, now),
            Err(_) => shared.proto.handle_closed(connection, ErrorKind::Other, now),
        });
    }

    async fn run_connection(
        self,
        connection: ConnectionId,
        address: SocketAddr,
        dead_after: Duration,
    ) {
        let kind = match TcpStream::connect(address).await {
            Ok(stream) => self.read(connection, stream, dead_after).await,
            Err(error) if has_no_descriptor(&error) => {
                return self.turn(|shared, now| shared.proto.handle_no_descriptor(connection, now));
            }
            Err(error) => error.kind(),
        };
        self.turn(|shared, now| shared.proto.handle_closed(connection, kind, now));
    }

    /// Reads until the connection ends; why it has ended.
    async fn read(
        &self,
        connection: ConnectionId,
        stream: TcpStream,
        dead_after: Duration,
    ) -> ErrorKind {
        let stream = Arc::new(stream);
        self.turn(|shared, now| {
            if let Some(known) = shared.connections.get_mut(&connection) {
                known.stream = Some(Arc::clone(&stream));
            }
            shared.proto.handle_connected(connection, now);
        });
        // While the server works on what that has sent, which had nothing before
        // it to wait for.
        if let Err(error) = set_options(&stream, dead_after) {
            return error.kind();
        }
        loop {
            if let Err(error) = stream.readable().await {
                return error.kind();
            }
            let ended = self.turn(|shared, now| match read(&stream, &mut shared.read_buffer) {
                Ok(0) => Some(ErrorKind::UnexpectedEof),
                Ok(len) => {
                    let data = shared.read_buffer.get_mut(..len).unwrap_or_default();
                    shared.proto.handle_received(connection, data, now);
                    None
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                Err(error) => Some(error.kind()),
            });
            if let Some(kind) = ended {
                return kind;
            }
        }
    }

    /// Ends a connection whose server answers and does not read, as one that is
    /// silent ends.
    async fn end_unread(self, connection: ConnectionId) {
        self.turn(|shared, now| {
            shared.proto.handle_closed(connection, ErrorKind::TimedOut, now);
        });
    }

    /// Writes what the socket did not take at once. An error shows when reading.
    async fn send_unsent(self, connection: ConnectionId, stream: Arc<TcpStream>) {
        while stream.writable().await.is_ok() {
            let mut shared = self.lock();
            let Some(known) = shared.connections.get_mut(&connection) else {
                return;
            };
            match stream.try_write(&known.unsent) {
                Ok(len) => drop(known.unsent.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if known.unsent.is_empty() {
                known.unsent = Vec::new();
                return;
            }
        }
    }
}

/// What has become of bytes that were to be sent.
#[derive(Debug)]
enum Sent {
    /// They are sent, or wait behind others.
    Done,
    /// A rest waits, which no task writes yet.
    Rest(Arc<TcpStream>),
    /// More than [`UNSENT_MAX`] would wait; they are dropped.
    TooMuch,
}

impl Connection {
    /// Sends at once what the socket takes.
    fn send(&mut self, bytes: Vec<u8>) -> Sent {
        let Some(stream) = self.stream.as_ref() else {
            return Sent::Done;
        };
        let idle = self.unsent.is_empty();
        // An error shows when reading.
        let sent = if idle { stream.try_write(&bytes).unwrap_or(0) } else { 0 };
        let rest = bytes.get(sent..).unwrap_or_default();
        if self.unsent.len() + rest.len() > UNSENT_MAX {
            return Sent::TooMuch;
        }
        self.unsent.extend_from_slice(rest);
        match idle && !rest.is_empty() {
            true => Sent::Rest(Arc::clone(stream)),
            false => Sent::Done,
        }
    }
}

/// Reads what there is. A buffer that has room left has got all of it: no second
/// read is made in vain, as tokio's own readers don't either.
fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut all = None;
    let read = stream.try_io(Interest::READABLE, || {
        let len = (&*SockRef::from(stream)).read(buffer)?;
        if (1..buffer.len()).contains(&len) {
            all = Some(len);
            // Ends the readiness, but for what has come since.
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(len)
    });
    all.map_or(read, Ok)
}

/// Whether the process or the system has too many open files.
fn has_no_descriptor(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// What is sent leaves at once. A peer that vanishes without a word is noticed
/// after `dead_after`, whether something is on its way or not.
fn set_options(stream: &TcpStream, dead_after: Duration) -> io::Result<()> {
    /// Probes that go unanswered before the connection counts as dead.
    const PROBES: u32 = 3;
    let probe = (dead_after / (PROBES + 2)).max(Duration::from_secs(1));
    let keepalive =
        TcpKeepalive::new().with_time(2 * probe).with_interval(probe).with_retries(PROBES);
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(dead_after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;

    /// Whether a message of that length can be sent to a server that does not read.
    fn is_accepted(connection: &mut Connection, length: usize) -> bool {
        !matches!(connection.send(vec![0; length]), Sent::TooMuch)
    }

    #[tokio::test]
    async fn what_waits_for_a_server_that_does_not_read_is_bounded() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_unread, _) = listener.accept().await.unwrap();
        let task = tokio::spawn(async {}).abort_handle();
        let stream = Some(Arc::new(stream));
        let mut connection = Connection { task, stream, unsent: Vec::new() };
        // More than the system's buffers and this one's have room for.
        let accepted = (0..100_000).take_while(|_| is_accepted(&mut connection, 1000)).count();
        assert!(accepted < 100_000);
        assert!(connection.unsent.len() > UNSENT_MAX - 1000, "{}", connection.unsent.len());
        assert!(connection.unsent.len() <= UNSENT_MAX, "{}", connection.unsent.len());
        // It stays full until it is closed.
        assert!(!is_accepted(&mut connection, 1000));
    }
}

//! Who hands notifications to the kernel: the daemon, and a bare tokio program
//! that reads the same bytes and sends the same message without looking at them.
//!
//! Both send by a real netlink socket, to a family that there isn't: the kernel
//! takes the message, looks for the family, and answers with an error.

use super::witness::nanoseconds;
use super::{Orders, answer, monotonic, request};
use kernel_sim::{StandInKernel, known_account};
use smol_str::format_smolstr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use swnclient::{Client, Config};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer, Status};
use swnd::kernel::Link;
use swnd::kernel::link::{Datagram, Transport};
use swnd::kernel::message::encode_notify;
use swnd::kernel::socket::NetlinkSocket;
use swnd::report::Report;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// When each message had been sent.
type Sent = Arc<Mutex<Vec<u64>>>;

fn take(sent: &Sent) -> Vec<u64> {
    std::mem::take(&mut *sent.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The stand-in for the kernel, with a real netlink socket for the way there.
struct Tap {
    stand_in: StandInKernel,
    /// The stand-in's, which does not change here.
    family: Option<u16>,
    socket: NetlinkSocket,
    sent: Sent,
}

impl Transport for Tap {
    async fn readable(&self) -> io::Result<()> {
        tokio::select! {
            ready = self.stand_in.readable() => ready,
            ready = self.socket.readable() => ready,
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        // The kernel's own answers are about a family that there isn't.
        while self.socket.receive(buffer).is_ok() {}
        self.stand_in.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        let kind = message.get(4..6).and_then(|kind| kind.try_into().ok());
        if kind.map(u16::from_le_bytes) == self.family {
            self.socket.send(message)?;
            let now = nanoseconds(monotonic());
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        }
        self.stand_in.send(message)
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.stand_in.join(group)
    }
}

/// Knows how many mounts are registered.
struct Counter(Arc<(Mutex<usize>, Notify)>);

impl Observer for Counter {
    fn report(&self, _report: &Report) {}

    fn status(&self, status: Status) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = status.registered;
        self.0.1.notify_one();
    }
}

/// `daemon SERVES MAPPER_PORT`
pub(super) async fn daemon(args: &[&str]) {
    let serves: IpAddr = args[0].parse().expect("an address");
    let mapper_port = args[1].parse().expect("a port");
    let stand_in = StandInKernel::with_module();
    let sent = Sent::default();
    let socket = NetlinkSocket::open().expect("a netlink socket");
    let family = stand_in.family_id();
    let tap = Tap { stand_in: stand_in.clone(), family, socket, sent: Arc::clone(&sent) };
    let counted = Arc::new((Mutex::new(0), Notify::new()));
    let config = Config { client_name: "bench".into(), mapper_port, ..Config::default() };
    let daemon = Daemon::new(
        Link::open(tap).expect("the stand-in answers"),
        Counter(Arc::clone(&counted)),
        Policy::default(),
        Mode::Forward,
        |sink| Client::start(config, sink),
    );
    tokio::spawn(async move { panic!("{}", daemon.run().await) });
    let auth = known_account();
    let mut orders = Orders::new();
    let mut mounts = 0;
    while let Some((order, number)) = orders.next().await {
        match order.as_str() {
            "mount" => {
                for _ in 0..number {
                    let share = format_smolstr!("data{mounts}");
                    stand_in.mount(&request("cluster.example.test", share, serves), &auth);
                    mounts += 1;
                }
                while *counted.0.lock().unwrap_or_else(PoisonError::into_inner) < mounts {
                    counted.1.notified().await;
                }
                answer(&());
            }
            "sent" => {
                stand_in.take_notifications();
                answer(&take(&sent));
            }
            _ => panic!("daemon: no order {order}"),
        }
    }
}

/// `bare ADDRESS`
pub(super) async fn bare(args: &[&str]) {
    let address: SocketAddr = args[0].parse().expect("an address");
    let socket = NetlinkSocket::open().expect("a netlink socket");
    let to = swnclient::Notification::ClientMove { address: address.ip() };
    let mut message = Vec::new();
    encode_notify(&mut message, 0x21, 1, 1, &to, 0).expect("a message");
    let sent = Sent::default();
    let times = Arc::clone(&sent);
    let mut stream = TcpStream::connect(address).await.expect("the witness listens");
    stream.set_nodelay(true).expect("a socket");
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            stream.readable().await.expect("the witness stays");
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => socket.send(&message).expect("the kernel takes it"),
                Err(_) => continue,
            }
            let now = nanoseconds(monotonic());
            times.lock().unwrap_or_else(PoisonError::into_inner).push(now);
            while socket.receive(&mut buffer).is_ok() {}
            stream.write_all(&[0]).await.expect("the witness stays");
        }
    });
    let mut orders = Orders::new();
    while let Some((order, _)) = orders.next().await {
        assert_eq!(order, "sent", "bare");
        answer(&take(&sent));
    }
}

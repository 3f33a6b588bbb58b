//! The netlink socket itself.

use super::link::{Datagram, Transport};
use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, recvfrom, sockopt};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What the socket may hold unread, in bytes: some 20,000 register messages, as
/// an echo of that many mounts sends at once.
const RECEIVE_BUFFER: usize = 16 << 20;

/// A generic netlink socket on tokio.
///
/// When epoll has not reported the socket readable, `receive` returns `WouldBlock`
/// without a system call: one `epoll_wait` reports all sockets, so the message had not
/// arrived when the witness's notification, which is about to be sent, was reported.
/// After our own `send` it always reads, since the kernel may have answered already.
#[derive(Debug)]
pub struct NetlinkSocket {
    socket: AsyncFd<Socket>,
    /// Whether something was sent since the socket was last seen empty.
    asked: AtomicBool,
    privileged: bool,
}

impl NetlinkSocket {
    /// Opens the socket on the current tokio runtime.
    pub fn open() -> io::Result<Self> {
        let socket = Socket(NlSocket::connect(NlFamily::Generic, None, Groups::empty())?);
        socket.0.nonblock()?;
        // Beyond net.core.rmem_max only with CAP_NET_ADMIN, which newer kernels
        // also want for the group and for notifications.
        let privileged = match sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER) {
            Ok(()) => true,
            Err(error) => {
                sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
                error != rustix::io::Errno::PERM
            }
        };
        #[allow(
            deprecated,
            reason = "its successor is unsafe and unknown to older releases; what it asks for, \
                      Socket grants: it owns its descriptor and keeps it"
        )]
        let socket = AsyncFd::new(socket)?;
        Ok(Self { socket, asked: AtomicBool::new(false), privileged })
    }

    /// Whether this process has `CAP_NET_ADMIN`.
    pub fn is_privileged(&self) -> bool {
        self.privileged
    }
}

impl Transport for NetlinkSocket {
    async fn readable(&self) -> io::Result<()> {
        // The caller receives until nothing is left, which ends the readiness.
        self.socket.readable().await?.retain_ready();
        Ok(())
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let looked = Cell::new(false);
        let mut result = self.socket.try_io(Interest::READABLE, |socket| {
            looked.set(true);
            socket.receive(buffer)
        });
        if is_empty(&result) && !looked.get() && self.asked.load(Ordering::Relaxed) {
            result = self.socket.get_ref().receive(buffer);
        }
        if is_empty(&result) {
            self.asked.store(false, Ordering::Relaxed);
        }
        result
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.asked.store(true, Ordering::Relaxed);
        self.socket.get_ref().0.send(message, Msg::empty())?;
        Ok(())
    }

    fn join(&self, group: u32) -> io::Result<()> {
        let groups = Groups::new_groups(&[group]);
        self.socket.get_ref().0.add_mcast_membership(groups)
    }
}

fn is_empty(received: &io::Result<Datagram>) -> bool {
    received.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// neli's socket, which knows its descriptor by number only.
struct Socket(NlSocket);

impl Socket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        // MSG_TRUNC gives the datagram's own length, so that a cut one shows.
        let (_, length, sender) = recvfrom(self, buffer, RecvFlags::TRUNC)?;
        let sender = sender
            .and_then(|address| SocketAddrNetlink::try_from(address).ok())
            .map(|address| address.pid());
        Ok(Datagram { length, sender })
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Socket").field(&self.as_raw_fd()).finish()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    #[expect(unsafe_code, reason = "neli's socket does not implement AsFd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket closes its descriptor only when it is dropped, and
        // the borrow ends before that.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Link, LinkEvent, ctrl};
    use std::time::Duration;

    async fn first_event(family: &str) -> LinkEvent<()> {
        let mut link = Link::open_for(NetlinkSocket::open().unwrap(), family).unwrap();
        let event = async {
            loop {
                link.receive();
                match link.poll_event() {
                    Some(event) => return event.unwrap(),
                    None => link.transport().readable().await.unwrap(),
                }
            }
        };
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, event).await.expect("the kernel answers at once")
    }

    #[tokio::test]
    async fn the_running_kernel_tells_that_a_family_is_missing() {
        assert_eq!(first_event("no-such-family").await, LinkEvent::Down);
    }

    #[tokio::test]
    async fn the_running_kernel_describes_a_family_that_exists() {
        let socket = NetlinkSocket::open().unwrap();
        socket.send(&ctrl::lookup(ctrl::NAME, 3).unwrap()).unwrap();
        let mut buffer = [0; 4096];
        let datagram = loop {
            match socket.receive(&mut buffer) {
                Ok(datagram) => break datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.readable().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(datagram.sender, Some(0));
        let message =
            crate::kernel::wire::Messages::new(&buffer[..datagram.length]).next().unwrap().unwrap();
        assert_eq!(message.sequence, 3);
        let ctrl::ControllerMessage::Exists(family) = ctrl::decode(message.payload).unwrap() else {
            panic!("{message:?}");
        };
        assert_eq!((family.name.as_str(), family.id), (ctrl::NAME, ctrl::id()));
        assert!(family.group(ctrl::NOTIFY_GROUP).is_some());
    }

    fn is_family(received: io::Result<Datagram>) -> bool {
        received.is_ok_and(|datagram| datagram.sender == Some(0))
    }

    #[tokio::test]
    async fn what_the_kernel_answers_is_there_as_soon_as_it_was_asked() {
        let socket = NetlinkSocket::open().unwrap();
        let mut buffer = [0; 4096];
        assert!(is_empty(&socket.receive(&mut buffer)));
        socket.send(&ctrl::lookup(ctrl::NAME, 3).unwrap()).unwrap();
        assert!(is_family(socket.receive(&mut buffer)));
        while !is_empty(&socket.receive(&mut buffer)) {}
        socket.send(&ctrl::lookup(ctrl::NAME, 4).unwrap()).unwrap();
        assert!(is_family(socket.receive(&mut buffer)));
    }

    #[tokio::test]
    async fn what_comes_unasked_is_there_once_the_loop_has_waited() {
        let socket = NetlinkSocket::open().unwrap();
        let mut buffer = [0; 4096];
        for sequence in 1..3 {
            socket.send(&ctrl::lookup(ctrl::NAME, sequence).unwrap()).unwrap();
            // As if the kernel had sent it by itself.
            socket.asked.store(false, Ordering::Relaxed);
            assert!(is_empty(&socket.receive(&mut buffer)), "looked without a reason");
            let told = tokio::time::timeout(Duration::from_secs(5), socket.readable()).await;
            told.expect("it is told of").unwrap();
            assert!(is_family(socket.receive(&mut buffer)));
            while !is_empty(&socket.receive(&mut buffer)) {}
        }
    }
}

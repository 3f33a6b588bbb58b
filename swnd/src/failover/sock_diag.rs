//! The kernel's TCP connections by `sock_diag` (`linux/inet_diag.h`): list them,
//! look one up by its cookie, end one by its cookie.

use super::connection::{Connection, SMB_PORT, TcpState};
use crate::kernel::wire::{self, Attributes, Messages};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
    sockopt,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`.
const DESTROY: u16 = 21;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST`, with `NLM_F_ACK` or `NLM_F_DUMP`.
const REQUEST: u16 = 1;
const REQUEST_ACK: u16 = 1 | 4;
const REQUEST_DUMP: u16 = 1 | 0x300;
/// `INET_DIAG_INFO`: the extension with `struct tcp_info`.
const INFO: u16 = 2;
/// `INET_DIAG_REQ_BYTECODE`, `INET_DIAG_BC_D_GE`, `INET_DIAG_BC_D_LE`.
const BYTECODE: u16 = 1;
const REMOTE_PORT_GE: u8 = 4;
const REMOTE_PORT_LE: u8 = 5;
/// All states but TIME_WAIT and LISTEN, which have no peer that matters.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// `INET_DIAG_NOCOOKIE`, twice.
const NO_COOKIE: [u8; 8] = [0xff; 8];
const TCP: u8 = 6;
/// The kernel answers while it is asked; this only bounds a kernel that doesn't.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// The kernel dumps up to 32 KiB at a time.
const DATAGRAM: usize = 32 << 10;

/// A socket to `sock_diag`. Its calls return what the kernel answers at once. One that
/// is used by several threads makes them wait for each other: who asks takes the next
/// answers off the socket.
#[derive(Debug)]
pub struct SockDiag {
    socket: Mutex<OwnedFd>,
    sequence: AtomicU32,
}

impl SockDiag {
    /// Opens the socket.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(SOCK_DIAG))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_LIMIT))?;
        Ok(Self { socket: Mutex::new(socket), sequence: AtomicU32::new(0) })
    }

    /// Lists the connections that root's sockets have to port 445 of any server:
    /// the kernel's own, and those of root's programs.
    pub fn list(&self) -> io::Result<Vec<(Connection, Inode)>> {
        let mut found = Vec::new();
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            let any = [0; 48];
            let request = request(BY_FAMILY, REQUEST_DUMP, family, STATES, &any, Some(SMB_PORT));
            self.ask(request, &mut |payload| found.extend(decode(payload)))?;
        }
        Ok(found)
    }

    /// Looks at one connection: `None` once it is gone.
    pub fn look(&self, connection: &Connection) -> io::Result<Option<Connection>> {
        let family = family(connection);
        let request = request(BY_FAMILY, REQUEST, family, u32::MAX, &identity(connection), None);
        let mut found = None;
        match self.ask(request, &mut |payload| found = decode(payload).map(|(it, _)| it)) {
            Ok(()) => Ok(found),
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::STALE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends one connection, as the death of its peer would. It is none of the
    /// errors where the connection is gone already: `Ok(false)`.
    pub fn end(&self, connection: &Connection) -> io::Result<bool> {
        let family = family(connection);
        let request = request(DESTROY, REQUEST_ACK, family, u32::MAX, &identity(connection), None);
        match self.ask(request, &mut |_| {}) {
            Ok(()) => Ok(true),
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::STALE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and hands on each answer until the last.
    fn ask(&self, mut request: Vec<u8>, found: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        // What is left of a request that ended early has another number.
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        if let Some(field) = request.get_mut(8..12) {
            field.copy_from_slice(&sequence.to_ne_bytes());
        }
        let kernel = SocketAddrNetlink::new(0, 0);
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        sendto(&*socket, &request, SendFlags::empty(), &kernel)?;
        let is_dump = request.get(6..8) == Some(&REQUEST_DUMP.to_ne_bytes());
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let (_, length) = match recv(&*socket, &mut buffer[..], RecvFlags::TRUNC) {
                Err(Errno::INTR) => continue,
                received => received?,
            };
            let datagram = buffer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
            for message in Messages::new(datagram) {
                let message = message.map_err(|_| io::ErrorKind::InvalidData)?;
                match message.kind {
                    _ if message.sequence != sequence => {}
                    ERROR => {
                        let answer = wire::answer(message.payload);
                        return answer.ok_or(io::ErrorKind::InvalidData)?.map_err(Into::into);
                    }
                    // A dump that fails says so at its end.
                    DONE => {
                        let answer = wire::answer(message.payload);
                        return answer.unwrap_or(Ok(())).map_err(Into::into);
                    }
                    BY_FAMILY => {
                        found(message.payload);
                        if !is_dump {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The number of a socket's inode, by which a program that has it can be found.
pub type Inode = u32;

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn family(connection: &Connection) -> AddressFamily {
    if connection.remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// `struct inet_diag_sockid`.
fn identity(connection: &Connection) -> [u8; 48] {
    let mut id = Vec::with_capacity(48);
    id.extend(connection.local.port().to_be_bytes());
    id.extend(connection.remote.port().to_be_bytes());
    for address in [connection.local.ip(), connection.remote.ip()] {
        match address {
            IpAddr::V4(address) => {
                id.extend(address.octets());
                id.extend([0; 12]);
            }
            IpAddr::V6(address) => id.extend(address.octets()),
        }
    }
    id.extend(connection.interface.to_ne_bytes());
    id.extend(connection.cookie.to_ne_bytes());
    id.try_into().unwrap_or([0; 48])
}

/// A request of `struct inet_diag_req_v2`. With `remote_port`, the kernel gives only
/// connections to that port.
fn request(
    kind: u16,
    flags: u16,
    family: AddressFamily,
    states: u32,
    id: &[u8; 48],
    remote_port: Option<u16>,
) -> Vec<u8> {
    let filter = remote_port.map(bytecode).unwrap_or_default();
    let length = 16 + 56 + filter.len();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // The sequence number, which `ask` sets, and the sender, which the kernel knows.
    message.extend([0; 8]);
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    message.extend([family, TCP, 1 << (INFO - 1), 0]);
    message.extend(states.to_ne_bytes());
    message.extend(id);
    message.extend(filter);
    message
}

/// The attribute that lets the kernel compare the remote port: a program of two
/// conditions, each an operation and its operand. Where one does not hold, it leads
/// four bytes behind the end.
fn bytecode(port: u16) -> Vec<u8> {
    let mut attribute = Vec::with_capacity(20);
    attribute.extend(20u16.to_ne_bytes());
    attribute.extend(BYTECODE.to_ne_bytes());
    for (code, otherwise) in [(REMOTE_PORT_GE, 20u16), (REMOTE_PORT_LE, 12)] {
        attribute.extend([code, 8]);
        attribute.extend(otherwise.to_ne_bytes());
        attribute.extend([0, 0]);
        attribute.extend(port.to_ne_bytes());
    }
    attribute
}

/// Reads `struct inet_diag_msg` and its `INET_DIAG_INFO`. `None` where it is not one
/// of root's sockets, or not such a message.
fn decode(payload: &[u8]) -> Option<(Connection, Inode)> {
    let (header, attributes) = payload.split_first_chunk::<72>()?;
    let family = header.first()?;
    let state = match header.get(1)? {
        1 => TcpState::Established,
        2 => TcpState::Connecting,
        _ => TcpState::Closing,
    };
    let end = |port: usize, address: usize| -> Option<SocketAddr> {
        let port = u16::from_be_bytes(array(header, port)?);
        let address = match i32::from(*family) {
            2 => IpAddr::V4(Ipv4Addr::from(array::<4>(header, address)?)),
            10 => IpAddr::V6(Ipv6Addr::from(array::<16>(header, address)?)),
            _ => return None,
        };
        Some(SocketAddr::new(address, port))
    };
    let cookie: [u8; 8] = array(header, 44)?;
    let owner = u32::from_ne_bytes(array(header, 64)?);
    if owner != 0 || cookie == NO_COOKIE {
        return None;
    }
    let inode = u32::from_ne_bytes(array(header, 68)?);
    let info = Attributes::new(attributes).flatten().find(|attribute| attribute.kind == INFO);
    let info = info.map(|attribute| attribute.payload).unwrap_or_default();
    // `struct tcp_info`, which grows at its end.
    let number = |at| array(info, at).map(u32::from_ne_bytes).unwrap_or_default();
    let connection = Connection {
        cookie: u64::from_ne_bytes(cookie),
        interface: u32::from_ne_bytes(array(header, 40)?),
        local: end(4, 8)?,
        remote: end(6, 24)?,
        state,
        unacknowledged: number(24),
        backoff: info.get(4).copied().unwrap_or_default(),
        since_ack: Duration::from_millis(number(56).into()),
        received: array(info, 128).map(u64::from_ne_bytes).unwrap_or_default(),
        since_sent: Duration::from_millis(number(44).into()),
        since_received: Duration::from_millis(number(52).into()),
    };
    Some((connection, inode))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::SockDiag;

    #[test]
    fn threads_that_ask_at_a_time_get_their_own_answers() {
        let sock_diag = SockDiag::open().expect("the kernel has sock_diag");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        sock_diag.list().expect("an answer");
                    }
                });
            }
        });
    }
}

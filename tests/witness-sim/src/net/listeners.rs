//! The sockets that listen, kept as the topology wants them.

use super::StartError;
use crate::Reach;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens.
#[derive(Debug)]
enum Listener {
    Accepting(TcpListener),
    /// Its queue is full, so the kernel drops what else comes.
    Silent {
        _listener: Socket,
        _fillers: Vec<Socket>,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    bound: BTreeMap<SocketAddr, (Reach, Listener)>,
}

impl Listeners {
    /// Opens and closes sockets until what is there is what is wanted. All
    /// that can be done is done, whatever fails.
    pub(super) fn reconcile(
        &mut self,
        wanted: &BTreeMap<SocketAddr, Reach>,
    ) -> Result<(), StartError> {
        self.bound.retain(|address, (reach, _)| wanted.get(address) == Some(reach));
        let mut result = Ok(());
        for (address, reach) in wanted {
            if self.bound.contains_key(address) {
                continue;
            }
            let listener = match reach {
                Reach::Accepts => accepting(*address),
                Reach::Silent => silent(*address),
                Reach::Refuses => continue,
            };
            match listener {
                Ok(listener) => {
                    self.bound.insert(*address, (*reach, listener));
                }
                Err(error)
                    if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable =>
                {
                    log::debug!("{address} is not one of this machine's: not bound");
                }
                Err(error) => result = Err(StartError::new(*address, error)),
            }
        }
        result
    }

    /// The next connection on any of them, and where it came in.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<(SocketAddr, TcpStream)> {
        for (address, (_, listener)) in &self.bound {
            let Listener::Accepting(listener) = listener else {
                continue;
            };
            loop {
                match listener.poll_accept(cx) {
                    Poll::Ready(Ok((stream, _))) => return Poll::Ready((*address, stream)),
                    // The client went away before it was accepted.
                    Poll::Ready(Err(error)) => log::warn!("accept on {address}: {error}"),
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

fn listen(address: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of before may linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn accepting(address: SocketAddr) -> io::Result<Listener> {
    let listener = TcpListener::from_std(listen(address, BACKLOG)?.into())?;
    Ok(Listener::Accepting(listener))
}

/// Linux drops a SYN when the queue of connections to accept is full. One
/// fills it; another makes sure.
fn silent(address: SocketAddr) -> io::Result<Listener> {
    let listener = listen(address, 0)?;
    let mut fillers = Vec::new();
    for _ in 0..2 {
        let filler = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        filler.set_nonblocking(true)?;
        // Under way, or complete; either will do.
        drop(filler.connect(&SockAddr::from(address)));
        fillers.push(filler);
    }
    Ok(Listener::Silent { _listener: listener, _fillers: fillers })
}

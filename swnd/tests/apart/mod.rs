//! A daemon in a process of its own, which hears of mounts by its standard input, from the
//! stand-in kernel of its parent.

use kernel_sim::StandInKernel;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnd::kernel::link::Datagram;
use swnd::kernel::{Link, Transport};
use tokio::net::UnixDatagram;

const LIMIT: Duration = Duration::from_secs(20);

/// The daemon's socket in the child. The first byte of what it sends says
/// whether a message for the kernel follows or the number of a group to join.
pub(crate) struct Remote {
    receiver: UnixDatagram,
    sender: StdDatagram,
}

const MESSAGE: u8 = 0;
const JOIN: u8 = 1;

impl Transport for Remote {
    async fn readable(&self) -> io::Result<()> {
        self.receiver.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let length = self.receiver.try_recv(buffer)?;
        Ok(Datagram { length, sender: Some(0) })
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.sender.send(&[&[MESSAGE], message].concat()).map(drop)
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.sender.send(&[&[JOIN][..], &group.to_le_bytes()].concat()).map(drop)
    }
}

/// The link to the parent's stand-in kernel, on this process's standard input.
pub(crate) fn link<F>() -> Link<Remote, F> {
    let socket: OwnedFd = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let socket = StdDatagram::from(socket);
    socket.set_nonblocking(true).unwrap();
    let sender = socket.try_clone().unwrap();
    let receiver = UnixDatagram::from_std(socket).unwrap();
    Link::open(Remote { receiver, sender }).unwrap()
}

/// Carries datagrams between the stand-in kernel and the child's socket.
pub(crate) async fn pump(kernel: StandInKernel, socket: UnixDatagram) {
    let mut buffer = vec![0; 65536];
    loop {
        tokio::select! {
            ready = kernel.readable() => {
                ready.unwrap();
                while let Ok(datagram) = kernel.receive(&mut buffer) {
                    socket.send(&buffer[..datagram.length]).await.unwrap();
                }
            }
            length = socket.recv(&mut buffer) => {
                let length = length.unwrap();
                match (buffer[0], &buffer[1..length]) {
                    (MESSAGE, message) => kernel.send(message).unwrap(),
                    (_, group) => {
                        kernel.join(u32::from_le_bytes(group.try_into().unwrap())).unwrap();
                    }
                }
            }
        }
    }
}

/// The daemon, ended with this.
pub(crate) struct Running {
    pub(crate) process: Child,
    log: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    /// Starts this program again, with the argument `child` and these.
    pub(crate) fn start(socket: StdDatagram, arguments: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("child")
            .args(arguments)
            // No realm: Kerberos fails at once, and NTLM takes over.
            .env("KRB5_CONFIG", "/dev/null")
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let mut stderr = process.stderr.take().unwrap();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { process, log }
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    pub(crate) async fn wait_log(&self, text: &str) {
        let found = tokio::time::timeout(LIMIT, async {
            while !self.log().contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(found.await.is_ok(), "no line with {text:?}\n{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

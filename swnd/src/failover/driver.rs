//! Does what the failover decides: the tokio side.

use super::connection::{Connection, SMB_PORT};
use super::debug_data::DebugData;
use super::sock_diag::{Inode, SockDiag};
use super::view::Look;
use super::{End, pace};
use crate::mount::Mount;
use crate::mountinfo::{self, CifsMount};
use crate::report::Kind;
use crate::request_key;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use swnclient::ScopedAddr;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// `CIFS_SUPER_MAGIC` and `SMB2_SUPER_MAGIC` (`linux/magic.h`).
const CIFS_MAGIC: [i64; 2] = [0xff53_4d42, 0xfe53_4d42];
/// How many mounts of a share are tried by their paths.
const PATHS_MAX: usize = 8;

/// A future of [`Network`].
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the failover sees of the world, and does to it.
pub trait Network: Send + Sync + 'static {
    /// Looks at some connections and returns those that are still there. Takes
    /// microseconds.
    fn look(&self, connections: &[Connection]) -> Vec<Connection>;

    /// Looks at all connections, and where it is asked to at `DebugData` and the mounts.
    /// May take milliseconds. The connections are `None` where they can't be seen.
    fn observe(&self, debug_data: bool, mounts: bool) -> Observed;

    /// Ends a connection; with `if_dead`, only where it is as dead as that.
    fn end(&self, connection: &Connection, if_dead: Option<(u8, Duration)>) -> End;

    /// Connects to port 445; whether that was possible.
    fn probe(&self, address: ScopedAddr) -> Answer<bool>;

    /// Looks up the addresses of a name, in the order of the system's resolver.
    fn look_up(&self, name: SmolStr) -> Answer<Vec<IpAddr>>;

    /// Has the kernel send something to the server of a mount by an address, and waits until
    /// that is answered: as long as it takes. The error says why it can't.
    fn ask(&self, _mount: &Mount, _address: IpAddr) -> Result<(), String> {
        Ok(())
    }

    /// Whether the kernel asks swnd for addresses: see [`crate::request_key`]. May block.
    fn has_resolver(&self) -> bool {
        false
    }
}

/// The result of [`Network::observe`].
#[derive(Debug)]
pub enum Observed {
    /// All that was asked for.
    Look(Look),
    /// `sock_diag` can't be used.
    Blind(Option<DebugData>),
}

/// This system.
#[derive(Debug)]
pub struct System {
    sock_diag: Option<Sockets>,
    /// Whether each connection is a program's, by its cookie.
    programs: Mutex<BTreeMap<u64, bool>>,
}

/// The sockets to `sock_diag`: a look at one connection does not wait for a list of all
/// of them, which another thread reads.
#[derive(Debug)]
struct Sockets {
    one: SockDiag,
    all: SockDiag,
}

impl Sockets {
    fn open() -> io::Result<Self> {
        let sockets = Self { one: SockDiag::open()?, all: SockDiag::open()? };
        sockets.all.list()?;
        Ok(sockets)
    }
}

impl System {
    /// Opens what it takes.
    pub fn open() -> Self {
        let sock_diag = Sockets::open();
        if let Err(error) = &sock_diag {
            log::warn!(
                message_id = Kind::NoSight.message_id();
                "the kernel's connections can't be seen ({error}): failovers take longer; \
                 the module tcp_diag, or CONFIG_INET_DIAG, is missing"
            );
        }
        Self { sock_diag: sock_diag.ok(), programs: Mutex::default() }
    }

    /// Leaves out connections that a program has open.
    fn kernels(&self, found: Vec<(Connection, Inode)>) -> Vec<Connection> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |cookie: &u64| !programs.contains_key(cookie);
        if found.iter().any(|(it, _)| is_new(&it.cookie)) {
            let open = sockets_of_programs();
            for (connection, inode) in &found {
                programs.entry(connection.cookie).or_insert_with(|| open.contains(inode));
            }
        }
        programs.retain(|cookie, _| found.iter().any(|(it, _)| it.cookie == *cookie));
        let is_kernels = |it: &Connection| programs.get(&it.cookie) != Some(&true);
        found.into_iter().map(|(it, _)| it).filter(is_kernels).collect()
    }
}

/// Asks the server of the file system at a path, which the kernel does for each statfs(2): it
/// keeps no answer.
fn ask_file_system(path: &str) -> io::Result<()> {
    // The server is not asked for the path itself.
    let there = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // An error is an answer, or the end of the connection.
    let Ok(found) = rustix::fs::fstatfs(&there) else { return Ok(()) };
    #[allow(clippy::useless_conversion, reason = "it has 32 bits on other architectures")]
    let kind = i64::from(found.f_type) & 0xffff_ffff;
    match CIFS_MAGIC.contains(&kind) {
        true => Ok(()),
        false => Err(io::Error::other("something else is mounted over it")),
    }
}

/// The sockets that programs have open, as far as this process may see.
fn sockets_of_programs() -> BTreeSet<Inode> {
    let mut found = BTreeSet::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        found.extend(files.flatten().filter_map(|file| {
            let target = std::fs::read_link(file.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<Inode>().ok()
        }));
    }
    found
}

impl Network for System {
    fn look(&self, connections: &[Connection]) -> Vec<Connection> {
        let Some(Sockets { one: sock_diag, .. }) = &self.sock_diag else { return Vec::new() };
        connections.iter().filter_map(|it| sock_diag.look(it).ok().flatten()).collect()
    }

    fn observe(&self, debug_data: bool, mounts: bool) -> Observed {
        let found = self.sock_diag.as_ref().map(|sockets| sockets.all.list());
        match found {
            Some(Ok(found)) => Observed::Look(Look {
                connections: self.kernels(found),
                debug_data: debug_data.then(DebugData::read),
                mounts: mounts.then(mountinfo::read).and_then(Result::ok),
            }),
            Some(Err(error)) => {
                log::debug!("sock_diag: {error}");
                Observed::Blind(DebugData::read())
            }
            None => Observed::Blind(DebugData::read()),
        }
    }

    fn end(&self, connection: &Connection, if_dead: Option<(u8, Duration)>) -> End {
        let Some(Sockets { one: sock_diag, .. }) = &self.sock_diag else { return End::Impossible };
        if let Some((retransmissions, silence)) = if_dead {
            match sock_diag.look(connection) {
                Ok(Some(now)) if !now.is_dead(retransmissions, silence) => return End::Alive,
                Ok(None) => return End::Gone,
                _ => {}
            }
        }
        match sock_diag.end(connection) {
            Ok(true) => End::Ended,
            Ok(false) => End::Gone,
            Err(error) => {
                let expected = error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error());
                if !expected {
                    log::warn!("cannot end the connection to {}: {error}", connection.remote);
                }
                End::Impossible
            }
        }
    }

    fn probe(&self, address: ScopedAddr) -> Answer<bool> {
        Box::pin(async move {
            let connect = TcpStream::connect(address.with_port(SMB_PORT));
            match timeout(pace::PROBE_LIMIT, connect).await {
                Ok(Ok(stream)) => {
                    // With a reset: nothing is left of it, here or there.
                    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    true
                }
                Ok(Err(_)) | Err(_) => false,
            }
        })
    }

    fn look_up(&self, name: SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(async move {
            let found: io::Result<Vec<IpAddr>> = lookup_host((name.as_str(), SMB_PORT))
                .await
                .map(|addresses| addresses.map(|it| it.ip().to_canonical()).collect());
            found.unwrap_or_else(|error| {
                log::debug!("looking up {name}: {error}");
                Vec::new()
            })
        })
    }

    fn ask(&self, mount: &Mount, address: IpAddr) -> Result<(), String> {
        let mounts = mountinfo::read().map_err(|error| error.to_string())?;
        let share = mount.share_name().map_or("", |name| name.as_str());
        let is_meant = |it: &&CifsMount| {
            it.is_share(mount.net_name(), share)
                && it.address().is_some_and(|it| it.address() == address)
        };
        let mut error = "it is not mounted here".to_owned();
        for mount in mounts.iter().filter(is_meant).take(PATHS_MAX) {
            match ask_file_system(&mount.path) {
                Ok(()) => return Ok(()),
                Err(reason) => error = format!("{}: {reason}", mount.path),
            }
        }
        Err(error)
    }

    fn has_resolver(&self) -> bool {
        request_key::asks_swnd()
    }
}

//! What the rows look at.

use super::{clock, family, resolver};
use crate::address;
use crate::mounts::{self, CifsMount};
use crate::witness::answer::{Answer, Interface};
use crate::witness::call;
use crate::witness::interfaces;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use swnclient::{Credentials, ScopedAddr};
use swnd::control::interface::{MountKind, Registration, State, Status};
use swnd::settings::{Settings, Sources};

/// How long a port may take to answer.
const PORT_LIMIT: Duration = Duration::from_secs(2);
/// `CIFS_GENL_CMD_SWN_NOTIFY`.
pub(super) const NOTIFY: u32 = 3;
/// Where a node serves files.
const SMB_PORT: u16 = 445;
/// How many of the name's addresses are asked.
const ADDRESSES_MAX: usize = 16;

/// A port of a node, and whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The node's address.
    pub address: ScopedAddr,
    /// The port.
    pub port: u16,
    /// `Err`: why it can't be connected to.
    pub answers: Result<(), String>,
}

/// A node's witness service, as its endpoint mapper knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The node's address.
    pub address: ScopedAddr,
    /// Its port; `Err`: why the mapper names none.
    pub port: Result<u16, String>,
    /// `Err`: why the port can't be connected to.
    pub answers: Result<(), String>,
}

/// A node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The node's address.
    pub address: ScopedAddr,
    /// By how many seconds it is ahead of this machine's.
    pub ahead: i64,
}

/// Where the tickets of a mount with Kerberos are from, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tickets {
    /// The keytab or the cache.
    pub source: String,
    /// `Err`: why it is of no use.
    pub usable: Result<(), String>,
}

/// What the rows look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server's name.
    pub net_name: String,
    /// The share's name.
    pub share_name: String,
    /// The mount, where it is mounted.
    pub mount: Option<CifsMount>,
    /// What the daemon says; `Err`: why it says nothing.
    pub status: Result<Status, String>,
    /// `/proc/fs/cifs/DebugData`, where the module is loaded.
    pub debug_data: Option<String>,
    /// The kernel's configuration.
    pub kernel_config: Option<String>,
    /// What the server's name resolves to.
    pub addresses: Result<Vec<ScopedAddr>, String>,
    /// Whether the family's messages need a privilege; `None` where there is no family.
    pub guarded: Option<bool>,
    /// Whether the daemon is in the network namespace that the kernel speaks to; `None`:
    /// not known, for example to another user than root.
    pub same_namespace: Option<bool>,
    /// The witness daemons that run.
    pub daemons: Vec<u32>,
    /// Whether systemd starts the daemon; `None` where there is no systemd.
    pub enabled: Option<bool>,
    /// The file by which the kernel asks swnd where to connect to, where there is one; `Err`:
    /// why it can't.
    pub resolver: Option<Result<String, String>>,
    /// Whether the daemon would start with its configuration, by the files; `Err`: what
    /// is wrong.
    pub configuration: Result<(), String>,
    /// The sources of tickets in these files, in the order in which they are tried.
    pub tickets: Vec<Tickets>,
    /// The witness services of these addresses.
    pub services: Vec<Service>,
    /// What each node lists, where credentials were given.
    pub lists: Option<Vec<Answer>>,
    /// How the first node that can be a witness took a registration of this machine, where
    /// credentials were given.
    pub registered: Option<Result<(), String>>,
    /// What the clocks of these addresses say.
    pub clocks: Vec<Clock>,
    /// How the kernel took a harmless notification for the mount; `None` where it was not
    /// tried.
    pub kernel: Option<Result<Duration, String>>,
    /// The ports of these addresses.
    pub ports: Vec<Port>,
    /// What the cluster's administrator sees this machine as.
    pub host_name: String,
}

impl Facts {
    /// Whether swnd watches the share without being asked by the kernel.
    pub fn is_adopted(&self) -> bool {
        let mut registrations = self.status.iter().flat_map(|status| &status.registrations);
        registrations.any(|it| {
            let share = it.share_name.as_deref().unwrap_or_default();
            it.kind == MountKind::Adopted
                && it.net_name.eq_ignore_ascii_case(&self.net_name)
                && share.eq_ignore_ascii_case(&self.share_name)
        })
    }

    /// Collects the facts about a directory or `//CLUSTER/SHARE`; `None` where the
    /// directory is no cifs mount.
    pub fn collect(
        target: &str,
        status: Result<Status, String>,
        credentials: Option<Credentials>,
        mapper: u16,
    ) -> Option<Self> {
        let unc = target.replace('\\', "/");
        let unc = unc.strip_prefix("//").and_then(|unc| unc.split_once('/'));
        let directory = target.trim_end_matches('/');
        let mount = mounts::read().into_iter().rev().find(|mount| match unc {
            Some((net_name, share)) => mount.is_share(net_name, share.trim_end_matches('/')),
            None => mount.path == directory,
        });
        let (net_name, share_name) = match (&mount, unc) {
            (Some(mount), _) => (mount.net_name.clone(), mount.share_name.clone()),
            (None, Some((net_name, share))) => (net_name.into(), share.into()),
            (None, None) => return None,
        };
        let text = |path: &str| {
            let bytes = fs::read(path).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let kernel = |file| text(&format!("/proc/sys/kernel/{file}")).unwrap_or_default();
        let release = kernel("osrelease");
        let release = release.trim();
        let kernel_config = text(&format!("/boot/config-{release}"))
            .or_else(|| text(&format!("/lib/modules/{release}/config")));
        let mut addresses = address::resolve(&net_name);
        addresses.iter_mut().for_each(|addresses| addresses.sort());
        let pid = status.as_ref().ok().map(|status| status.daemon.pid);
        let settings = Sources { arguments: vec!["swnd".into()], environment: Vec::new() };
        let settings = settings.load();
        let ports = addresses.iter().flatten().take(ADDRESSES_MAX).flat_map(|address| {
            [SMB_PORT, mapper].map(|port| Port {
                address: *address,
                port,
                answers: ask(*address, port),
            })
        });
        let ports: Vec<_> = ports.collect();
        let services = ports.iter().filter(|it| it.port == mapper && it.answers.is_ok());
        let ask = |credentials: &Credentials| {
            let asked = addresses.iter().flatten().take(ADDRESSES_MAX).copied().collect();
            interfaces::ask(&net_name, asked, true, credentials, mapper)
        };
        let clock = |port: &Port| {
            let ahead = clock::ahead(port.address, SMB_PORT).ok()?;
            Some(Clock { address: port.address, ahead })
        };
        let answering = ports.iter().filter(|it| it.port == SMB_PORT && it.answers.is_ok());
        let clocks = answering.filter_map(clock).collect();
        let lists = credentials.as_ref().map(ask);
        let registered =
            credentials.as_ref().zip(lists.as_ref()).and_then(|(credentials, lists)| {
                register(lists, credentials, &net_name, &share_name, mapper)
            });
        // What was refused once is not presented again.
        let is_refused = lists.iter().flatten().any(|it| it.refused);
        let login = credentials.as_ref().filter(|_| !is_refused);
        let login = login.map(|credentials| call::Login { credentials, net_name: &net_name });
        let services = services.map(|it| Service::of(it.address, mapper, login)).collect();
        Some(Self {
            lists,
            registered,
            clocks,
            kernel: None,
            services,
            ports,
            guarded: family::needs_privilege("cifs", NOTIFY),
            same_namespace: pid.and_then(same_namespace),
            daemons: daemons(),
            enabled: is_enabled(),
            resolver: resolver::find(),
            tickets: settings.as_ref().map(tickets).unwrap_or_default(),
            configuration: settings.map(drop).map_err(|error| error.to_string()),
            mount,
            status,
            debug_data: text("/proc/fs/cifs/DebugData"),
            kernel_config,
            addresses,
            host_name: kernel("hostname").trim().into(),
            net_name,
            share_name,
        })
    }
}

impl Facts {
    /// Has the daemon give the kernel a harmless notification for the mount, by `test`;
    /// `None`: it may not.
    pub fn test_kernel(&mut self, test: impl FnOnce(u32) -> Option<Result<Duration, String>>) {
        let registrations = self.status.iter().flat_map(|status| &status.registrations);
        let is_of_mount =
            |it: &&Registration| self.mount.as_ref().is_some_and(|of| mounts::is_of(of, it));
        let is_the_kernels = |it: &&Registration| it.kind == MountKind::Kernel && is_of_mount(it);
        let id = registrations.filter(is_the_kernels).map(|it| it.id).next();
        self.kernel = id.and_then(test);
    }

    /// Names why the mount's registration is not there, where the daemon knows.
    pub(super) fn reason(&self) -> Option<&str> {
        let registrations = self.status.iter().flat_map(|status| &status.registrations);
        let is_meant = |it: &&Registration| {
            let share = it.share_name.as_deref().unwrap_or_default();
            it.net_name.eq_ignore_ascii_case(&self.net_name)
                && share.eq_ignore_ascii_case(&self.share_name)
        };
        registrations.filter(is_meant).find_map(|it| it.reason.as_deref())
    }

    /// Whether the daemon has a registration for the share.
    pub(super) fn is_registered(&self) -> bool {
        let registrations = self.status.iter().flat_map(|status| &status.registrations);
        registrations.into_iter().any(|it| {
            let share = it.share_name.as_deref().unwrap_or_default();
            it.state == State::Registered
                && it.net_name.eq_ignore_ascii_case(&self.net_name)
                && share.eq_ignore_ascii_case(&self.share_name)
        })
    }
}

/// Registers this machine at the first node that can be the witness of the first that has
/// told its list, and takes that back; `None` where there is none.
fn register(
    lists: &[Answer],
    credentials: &Credentials,
    net_name: &str,
    share_name: &str,
    mapper: u16,
) -> Option<Result<(), String>> {
    let list = lists.iter().find(|list| list.error.is_none())?;
    let is_candidate = |it: &&Interface| it.may_be_witness && it.state == "available";
    let candidate = list.interfaces.iter().find(is_candidate)?;
    let node = list.asked.beside(*candidate.addresses.first()?);
    let share = Some(share_name).filter(|share| !share.is_empty());
    let served_by = list.asked.address();
    let register = call::Registering { net_name, share, served_by, version: candidate.version() };
    let registered = call::register(node, mapper, credentials, &register);
    Some(registered.map(drop).map_err(|error| error.to_string()))
}

impl Service {
    /// Asks the endpoint mapper of a node, and connects to the port that it names.
    pub(super) fn of(address: ScopedAddr, mapper: u16, login: Option<call::Login<'_>>) -> Self {
        let port = call::service_port(address, mapper, login).map_err(|error| error.to_string());
        let answers = match &port {
            Ok(port) => call::connect_service(address, *port),
            Err(_) => return Self { address, port, answers: Ok(()) },
        };
        Self { address, port, answers: answers.map(drop).map_err(|error| error.to_string()) }
    }
}

/// The kernel offers the cifs module's messages in the first namespace only.
fn same_namespace(pid: u32) -> Option<bool> {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    Some(of("1")? == of(&pid.to_string())?)
}

fn daemons() -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        matches!(name.trim_end(), "swnd" | "cifs-swnd")
    };
    numbers.filter(is_one).collect()
}

fn is_enabled() -> Option<bool> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let places = ["/etc", "/run", "/usr/lib", "/usr/local/lib", "/lib"];
    let is_linked = |place: &&str| {
        let directory = fs::read_dir(format!("{place}/systemd/system")).into_iter().flatten();
        directory.flatten().any(|it| {
            let is_target = it.file_name().to_string_lossy().ends_with(".wants");
            is_target && it.path().join("swnd.service").symlink_metadata().is_ok()
        })
    };
    Some(places.iter().any(is_linked))
}

/// Looks at the sources that are named, and no others.
pub(super) fn tickets(settings: &Settings) -> Vec<Tickets> {
    let options = &settings.options;
    let cache = options.ccache.as_ref().map(|cache| Tickets {
        source: format!("the credential cache {cache}"),
        usable: match cache.strip_prefix("FILE:").or(cache.starts_with('/').then_some(cache)) {
            Some(file) => is_readable(Path::new(file)),
            None => Ok(()),
        },
    });
    let keytab = options.keytab.as_ref().map(|keytab| Tickets {
        source: format!("the keytab {keytab}"),
        usable: is_readable(Path::new(keytab.strip_prefix("FILE:").unwrap_or(keytab))),
    });
    cache.into_iter().chain(keytab).collect()
}

/// Whether the daemon, as root, can read a file. This program may be run by another user.
fn is_readable(file: &Path) -> Result<(), String> {
    let found = fs::metadata(file).map_err(|error| error.to_string())?;
    let is_for_all = found.mode() & 0o004 != 0;
    match (found.is_file(), found.uid()) {
        (false, _) => Err("this is not a file".into()),
        (true, 0) => Ok(()),
        (true, _) if is_for_all => Ok(()),
        (true, uid) => Err(format!("it belongs to the user {uid}, and swnd may read only root's")),
    }
}

fn ask(address: ScopedAddr, port: u16) -> Result<(), String> {
    let connected = TcpStream::connect_timeout(&address.with_port(port), PORT_LIMIT);
    connected.map(drop).map_err(|error| error.to_string())
}

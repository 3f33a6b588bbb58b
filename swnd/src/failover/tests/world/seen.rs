//! What can be seen of the kernel.

use super::*;
use crate::mount::MountKind;
use crate::mountinfo::{self, CifsMount};

impl World {
    /// `swnctl resolve-key`.
    pub(super) fn ask(&mut self) -> Option<IpAddr> {
        match self.failover.lead(NAME, self.now)? {
            Lead::To(address) => Some(address),
            Lead::IfAlive(address) if self.alive.contains_key(&address) => Some(address),
            Lead::IfAlive(address) => {
                self.failover.lead_is_silent(address, self.now);
                None
            }
            Lead::System => None,
        }
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        let show = |server: &Server| {
            let (cookie, state, unanswered, received) = match server.state {
                State::Connected { cookie, unanswered, received, .. } => {
                    (cookie, TcpState::Established, unanswered, received)
                }
                State::Connecting { cookie, .. } => (cookie, TcpState::Connecting, None, 0),
                State::Sleeping { .. } => return None,
            };
            let quiet = self.now - server.quiet_since;
            let (since_sent, since_received) = match server.owed {
                Some(Owed::Whole) => (quiet, quiet + STEP),
                _ if unanswered.is_some() => (quiet.min(STEP), quiet + STEP),
                _ => (quiet, quiet),
            };
            Some(Connection {
                cookie,
                interface: 0,
                local: SocketAddr::from(([10, 77, 0, 200], 40_000)),
                remote: SocketAddr::new(server.address, connection::SMB_PORT),
                state,
                unacknowledged: u32::from(unanswered.is_some()),
                backoff: backoff(unanswered, self.now),
                since_ack: self.now - server.acked,
                received,
                since_sent,
                since_received,
            })
        };
        self.servers.iter().filter_map(show).collect()
    }

    /// `/proc/self/mountinfo`.
    pub(super) fn mounts(&self) -> Vec<CifsMount> {
        let lines: String = self
            .registrations
            .values()
            .map(|(mount, server, _)| {
                let (share, address) = (mount.share_name().unwrap(), self.servers[*server].address);
                format!("1 1 0:1 / /mnt rw - cifs //{NAME}/{share} rw,addr={address}\n")
            })
            .collect();
        mountinfo::parse(lines.as_bytes()).unwrap()
    }

    pub(super) fn debug_data(&self) -> DebugData {
        let kernels = |id: &&u32| MountKind::of(**id) == MountKind::Kernel;
        let registrations = self.registrations.iter().filter(|(id, _)| kernels(id));
        DebugData {
            shares: Vec::new(),
            registrations: registrations
                .map(|(id, (_, server, _))| (*id, self.servers[*server].address))
                .collect(),
            servers: self
                .servers
                .iter()
                .map(|server| debug_data::Server {
                    addresses: vec![server.address],
                    is_good: matches!(server.state, State::Connected { .. }),
                    instance: server.instance,
                    network_namespace: None,
                    waiting: server
                        .owed
                        .map(|_| (1, u64::from(self.request)))
                        .into_iter()
                        .collect(),
                })
                .collect(),
        }
    }
}

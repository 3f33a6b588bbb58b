//! A cluster and clients of it, made of plain associations, stepped by hand.

#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use dcerpc_proto::association::{
    Association, AssociationConfig, AssociationError, CallId, Event, FaultStatus, Reply,
};
use dcerpc_proto::ndr::ContextHandle;
use dcerpc_proto::pdu::{AuthLevel, SyntaxId};
use dcerpc_proto::security::Handshake;
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use dcerpc_proto::security::spnego::SpnegoInitiator;
use dcerpc_proto::{Operation, ResponseError};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;
use swnclient_proto::wire::{
    self, AsyncNotify, GetInterfaceList, Interface, NotifyMessages, Register, RegisterEx, Status,
    UnRegister, Version,
};
use witness_sim::{
    Cluster, ClusterConfig, ConnId, Connect, NodeId, Output, Profile, Registration, Step, Time,
};

pub const SUBNET: [u8; 3] = [10, 0, 0];
pub const SECOND: Time = Time::from_secs(1);

/// What an AsyncNotify came to.
pub type Told = Result<Option<NotifyMessages>, Status>;

/// How a client logs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logon {
    Anonymous,
    Ntlm(AuthLevel),
    Spnego(AuthLevel),
}

impl Logon {
    pub const PRIVACY: Self = Self::Ntlm(AuthLevel::Privacy);

    fn handshake(self, password: &str) -> Option<Box<dyn Handshake>> {
        let credentials = NtlmCredentials::from_password("alice", "EXAMPLE", password);
        let ntlm = NtlmInitiator::new(credentials, &[0x5a; 24], SystemTime::now())
            .for_service("cifs/cluster.example.test")
            .from_workstation("WS1");
        match self {
            Self::Anonymous => None,
            Self::Ntlm(_) => Some(Box::new(ntlm)),
            Self::Spnego(_) => Some(Box::new(SpnegoInitiator::new(vec![Box::new(ntlm)]))),
        }
    }

    fn level(self) -> AuthLevel {
        match self {
            Self::Anonymous => AuthLevel::Privacy,
            Self::Ntlm(level) | Self::Spnego(level) => level,
        }
    }
}

/// A connection's client side.
pub struct Link {
    pub association: Association,
    pub replies: BTreeMap<CallId, Result<Reply, FaultStatus>>,
    /// What ended the association.
    pub error: Option<AssociationError>,
    /// Whether the server closed it, and whether by RST.
    pub closed: Option<bool>,
    pub silent: bool,
    /// How many segments came in.
    pub segments: usize,
}

/// The cluster, its clients, and the time.
pub struct Bench {
    pub cluster: Cluster,
    pub now: Time,
    pub links: BTreeMap<ConnId, Link>,
}

impl Bench {
    pub fn new(profile: Profile) -> Self {
        Self::with(ClusterConfig::new(profile, 3, SUBNET))
    }

    pub fn with(config: ClusterConfig) -> Self {
        Self { cluster: Cluster::new(config), now: Time::ZERO, links: BTreeMap::new() }
    }

    pub fn address(&self, node: u8) -> IpAddr {
        self.cluster.config().address(NodeId(node)).unwrap()
    }

    pub fn endpoint(&self, node: u8) -> SocketAddr {
        let port = self.cluster.topology().node(NodeId(node)).unwrap();
        SocketAddr::new(self.address(node), port.witness_port.unwrap())
    }

    pub fn mapper(&self, node: u8) -> SocketAddr {
        SocketAddr::new(self.address(node), 135)
    }

    /// Connects to a node's witness service and binds.
    pub fn open(&mut self, node: u8, logon: Logon) -> ConnId {
        self.open_as(self.endpoint(node), wire::INTERFACE, logon, "secret")
    }

    pub fn open_as(
        &mut self,
        to: SocketAddr,
        interface: SyntaxId,
        logon: Logon,
        password: &str,
    ) -> ConnId {
        let Connect::Accepted(conn) = self.cluster.connect(self.now, to) else {
            panic!("{to} does not accept connections");
        };
        let mut config = AssociationConfig::new(interface);
        config.level = logon.level();
        let link = Link {
            association: Association::new(config, logon.handshake(password)).unwrap(),
            replies: BTreeMap::new(),
            error: None,
            closed: None,
            silent: false,
            segments: 0,
        };
        self.links.insert(conn, link);
        self.settle();
        conn
    }

    pub fn link(&mut self, conn: ConnId) -> &mut Link {
        self.links.get_mut(&conn).unwrap()
    }

    /// Moves bytes until there are none to move.
    pub fn settle(&mut self) {
        loop {
            let mut idle = true;
            for (conn, link) in &mut self.links {
                let bytes = link.association.take_transmit();
                if !bytes.is_empty() && link.closed.is_none() {
                    idle = false;
                    self.cluster.receive(self.now, *conn, &bytes);
                }
            }
            while let Some(output) = self.cluster.poll_output() {
                idle = false;
                self.deliver(output);
            }
            if idle {
                return;
            }
        }
    }

    fn deliver(&mut self, output: Output) {
        match output {
            Output::Transmit { conn, mut bytes } => {
                let link = self.link(conn);
                link.segments += 1;
                if link.error.is_some() {
                    return;
                }
                link.error = link.association.receive(&mut bytes).err();
                while let Some(event) = link.association.poll_event() {
                    if let Event::Reply { call, reply, .. } = event {
                        assert!(link.replies.insert(call, reply).is_none());
                    }
                }
            }
            Output::Close { conn, reset } => self.link(conn).closed = Some(reset),
            Output::Silence { conn } => self.link(conn).silent = true,
            Output::Resume { conn } => self.link(conn).silent = false,
        }
    }

    /// Lets time pass, stopping wherever the cluster wants to.
    pub fn pass(&mut self, time: Time) {
        let end = self.now + time;
        while let Some(deadline) = self.cluster.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            self.cluster.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// A step in its text form.
    pub fn step(&mut self, text: &str) {
        let step: Step = text.parse().unwrap();
        self.cluster.run(self.now, step);
        self.settle();
    }

    pub fn call<O: Operation>(&mut self, conn: ConnId, operation: &O) -> CallId {
        let call = self.link(conn).association.invoke(operation).unwrap();
        self.settle();
        call
    }

    pub fn reply(&mut self, conn: ConnId, call: CallId) -> Option<Result<Reply, FaultStatus>> {
        self.link(conn).replies.remove(&call)
    }

    pub fn list(&mut self, conn: ConnId) -> Vec<Interface> {
        let call = self.call(conn, &GetInterfaceList);
        let reply = self.reply(conn, call).unwrap().unwrap();
        reply.decode::<GetInterfaceList>().unwrap()
    }

    pub fn try_register(
        &mut self,
        conn: ConnId,
        version: Version,
        register: &Register,
    ) -> Result<Result<ContextHandle, Status>, FaultStatus> {
        let call = match version {
            Version::V1 => self.call(conn, register),
            Version::V2 => self.call(conn, &RegisterEx(register.clone())),
        };
        let reply = self.reply(conn, call).unwrap()?;
        Ok(reply.decode::<Register>().map_err(status))
    }

    /// Registers the client `ws1` with share `data`, for the address of a node.
    pub fn register(&mut self, conn: ConnId, version: Version, served_by: u8) -> ContextHandle {
        let ip = self.address(served_by).to_string();
        self.try_register(conn, version, &request(version, &ip)).unwrap().unwrap()
    }

    pub fn notify(&mut self, conn: ConnId, handle: &ContextHandle) -> CallId {
        self.call(conn, &AsyncNotify(*handle))
    }

    /// What an AsyncNotify came to; `None` while it waits.
    pub fn told(&mut self, conn: ConnId, call: CallId) -> Option<Told> {
        let reply = self.reply(conn, call)?.unwrap();
        Some(reply.decode::<AsyncNotify>().map_err(status))
    }

    /// Asks once more and gives what is there already.
    pub fn ask(&mut self, conn: ConnId, handle: &ContextHandle) -> Told {
        let call = self.notify(conn, handle);
        self.told(conn, call).unwrap()
    }

    pub fn unregister(&mut self, conn: ConnId, handle: &ContextHandle) -> Status {
        let call = self.call(conn, &UnRegister(*handle));
        let reply = self.reply(conn, call).unwrap().unwrap();
        reply.decode::<UnRegister>().map_or_else(status, |()| Status::SUCCESS)
    }

    pub fn registrations(&self) -> Vec<&Registration> {
        self.cluster.registrations().collect()
    }
}

/// What a call returned instead of success.
fn status(error: ResponseError<Status>) -> Status {
    match error {
        ResponseError::Status(status) => status,
        ResponseError::Ndr(error) => panic!("{error}"),
    }
}

/// The arguments of [`Bench::register`].
pub fn request(version: Version, ip: &str) -> Register {
    Register {
        version: version.to_wire(),
        net_name: Some("CLUSTER".into()),
        share_name: (version == Version::V2).then(|| "data".into()),
        ip_address: Some(ip.into()),
        client_name: Some("ws1".into()),
        ip_notify: version == Version::V2,
        keep_alive: if version == Version::V2 { 120 } else { 0 },
    }
}

//! One call to one node, step by step, waiting for each.

use dcerpc_proto::association::{
    Association, AssociationConfig, AssociationError, Event, FaultStatus,
};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::pdu::RejectReason;
use dcerpc_proto::security::kerberos::KerberosErrorKind;
use dcerpc_proto::security::{Handshake, SecurityError};
use dcerpc_proto::{Operation, ResponseError};
use std::fmt::{self, Display};
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};
use swnclient::{Config, Credentials, ScopedAddr};
use swnclient_proto::wire::{
    self, GetInterfaceList, Interface, Register, RegisterEx, UnRegister, Version,
};

/// How long a connection may take, and each answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Where a call to a node has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// The endpoint mapper's port does not answer.
    #[error("{address} does not answer on port {port}: {error}; is TCP {port} let through?")]
    Mapper {
        /// The node.
        address: ScopedAddr,
        /// The mapper's port.
        port: u16,
        /// Why.
        error: String,
    },
    /// The endpoint mapper knows no witness service.
    #[error("{address} has no witness service: {error}")]
    NoService {
        /// The node.
        address: ScopedAddr,
        /// What it says.
        error: String,
    },
    /// The endpoint mapper wants to know who asks.
    #[error(
        "the endpoint mapper of {address} wants to know who asks ({error}): its policy \
         RestrictRemoteClients (\"Restrict Unauthenticated RPC clients\") keeps others out; \
         give --credentials, --user, --ccache or --keytab"
    )]
    WaryMapper {
        /// The node.
        address: ScopedAddr,
        /// What it says.
        error: String,
    },
    /// The witness service's port does not answer.
    #[error(
        "{address} does not answer on port {port}, where its witness service is: {error}; \
         are TCP 49152 to 65535 let through?"
    )]
    Port {
        /// The node.
        address: ScopedAddr,
        /// The service's port.
        port: u16,
        /// Why.
        error: String,
    },
    /// The witness service takes the credentials not, or the call.
    #[error("{address}: {error}")]
    Service {
        /// The node.
        address: ScopedAddr,
        /// Why.
        error: Refusal,
    },
}

/// Why a call was not answered as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    text: String,
    kerberos: Option<KerberosErrorKind>,
    /// It says: access denied.
    is_denied: bool,
}

impl Refusal {
    fn new(error: &dyn Display) -> Self {
        Self { text: error.to_string(), kerberos: None, is_denied: false }
    }

    fn of_fault(status: FaultStatus) -> Self {
        Self { is_denied: status.is_access_denied(), ..Self::new(&status) }
    }

    /// The same of an endpoint mapper.
    fn of_mapper(self) -> Self {
        let text = format!(
            "the endpoint mapper refuses the credentials ({}); check them, and the policy \
             RestrictRemoteClients (\"Restrict Unauthenticated RPC clients\") of the server",
            self.text
        );
        Self { text, ..self }
    }

    /// Returns what Kerberos says, where it is that.
    pub(super) fn kerberos(&self) -> Option<KerberosErrorKind> {
        self.kerberos
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<AssociationError> for Refusal {
    fn from(error: AssociationError) -> Self {
        let kerberos = match &error {
            AssociationError::Security(SecurityError::Kerberos(error)) => Some(error.kind()),
            _ => None,
        };
        let is_denied = match &error {
            AssociationError::AccessDenied(status) => status.is_access_denied(),
            AssociationError::Rejected(reason) => *reason == RejectReason::InvalidChecksum,
            AssociationError::Security(SecurityError::Credentials(_)) => true,
            _ => false,
        };
        Self { kerberos, is_denied, ..Self::new(&error) }
    }
}

/// Asks a node's endpoint mapper for the port of its witness service: without saying who
/// asks, and where it wants to know that, with `login`.
///
/// # Errors
/// [`CallFailed::Mapper`], [`CallFailed::NoService`], [`CallFailed::WaryMapper`], and
/// [`CallFailed::Service`] where it refuses the login.
pub fn service_port(
    address: ScopedAddr,
    mapper: u16,
    login: Option<Login<'_>>,
) -> Result<u16, CallFailed> {
    let ask = |handshake: Option<Box<dyn Handshake>>| {
        let failed = |error: io::Error| CallFailed::Mapper {
            address,
            port: mapper,
            error: error.to_string(),
        };
        let stream = connect(address, mapper).map_err(failed)?;
        let config = AssociationConfig::new(epm::INTERFACE);
        Ok(invoke(stream, config, handshake, &EptMap::new(wire::INTERFACE)))
    };
    let error = match ask(None)? {
        Ok(port) => return Ok(port),
        Err(error) => error,
    };
    let refused = |error| CallFailed::Service { address, error };
    match login {
        _ if !error.is_denied => Err(CallFailed::NoService { address, error: error.text }),
        None => Err(CallFailed::WaryMapper { address, error: error.text }),
        Some(login) => {
            ask(Some(login.handshake().map_err(refused)?))?.map_err(|error| match error.is_denied {
                true => refused(error.of_mapper()),
                false => CallFailed::NoService { address, error: error.text },
            })
        }
    }
}

/// Whether a node's witness service takes a connection.
///
/// # Errors
/// [`CallFailed::Port`].
pub fn connect_service(address: ScopedAddr, port: u16) -> Result<TcpStream, CallFailed> {
    connect(address, port).map_err(|error| CallFailed::Port {
        address,
        port,
        error: error.to_string(),
    })
}

/// Gets a node's list of the cluster's interfaces.
///
/// # Errors
/// Where the call has failed, and why.
pub fn interfaces(
    address: ScopedAddr,
    mapper: u16,
    credentials: &Credentials,
    net_name: &str,
) -> Result<Vec<Interface>, CallFailed> {
    let login = Login { credentials, net_name };
    let stream = connect_service(address, service_port(address, mapper, Some(login))?)?;
    let failed = |error| CallFailed::Service { address, error };
    let handshake = login.handshake().map_err(failed)?;
    let config = AssociationConfig::new(wire::INTERFACE);
    invoke(stream, config, Some(handshake), &GetInterfaceList).map_err(failed)
}

fn connect(address: ScopedAddr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.with_port(port), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Who asks, and which cluster.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// What is authenticated with.
    pub credentials: &'a Credentials,
    /// The cluster's name.
    pub net_name: &'a str,
}

impl Login<'_> {
    fn handshake(&self) -> Result<Box<dyn Handshake>, Refusal> {
        swnclient_proto::handshake(self.credentials, self.net_name, &Config::default())
            .map_err(|error| Refusal::new(&error))
    }
}

/// What is registered.
#[derive(Debug, Clone, Copy)]
pub struct Registering<'a> {
    /// The cluster's name.
    pub net_name: &'a str,
    /// The share's.
    pub share: Option<&'a str>,
    /// The address that serves it, which the witness watches.
    pub served_by: IpAddr,
    /// The protocol's version.
    pub version: Version,
}

/// Registers at a node, as a client that `served_by` serves, and unregisters. Returns how
/// long the first took.
///
/// # Errors
/// Where the call has failed, and why.
pub fn register(
    address: ScopedAddr,
    mapper: u16,
    credentials: &Credentials,
    registering: &Registering<'_>,
) -> Result<Duration, CallFailed> {
    let login = Login { credentials, net_name: registering.net_name };
    let stream = connect_service(address, service_port(address, mapper, Some(login))?)?;
    let failed = |error| CallFailed::Service { address, error };
    let handshake = login.handshake().map_err(failed)?;
    let config = AssociationConfig::new(wire::INTERFACE);
    let mut calls = Calls::new(stream, config, Some(handshake)).map_err(failed)?;
    let started = Instant::now();
    let version = registering.version;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let register = Register {
        version: version.to_wire(),
        net_name: Some(registering.net_name.into()),
        share_name: registering.share.map(Into::into),
        ip_address: Some(registering.served_by.to_string().into()),
        client_name: Some(host.into()),
        ip_notify: true,
        keep_alive: 60,
    };
    let handle = match version {
        Version::V1 => calls.invoke(&register),
        Version::V2 => calls.invoke(&RegisterEx(register)),
    };
    let handle = handle.map_err(failed)?;
    let took = started.elapsed();
    calls.invoke(&UnRegister(handle)).map_err(failed)?;
    Ok(took)
}

/// Makes one call by an association of its own.
fn invoke<O: Operation>(
    stream: TcpStream,
    config: AssociationConfig,
    handshake: Option<Box<dyn Handshake>>,
    operation: &O,
) -> Result<O::Output, Refusal>
where
    ResponseError<O::Status>: Display,
{
    Calls::new(stream, config, handshake)?.invoke(operation)
}

/// An association on a connection, for one call after the other.
struct Calls {
    stream: TcpStream,
    association: Association,
}

impl Calls {
    fn new(
        stream: TcpStream,
        config: AssociationConfig,
        handshake: Option<Box<dyn Handshake>>,
    ) -> Result<Self, Refusal> {
        Ok(Self { stream, association: Association::new(config, handshake)? })
    }

    fn invoke<O: Operation>(&mut self, operation: &O) -> Result<O::Output, Refusal>
    where
        ResponseError<O::Status>: Display,
    {
        let Self { stream, association } = self;
        association.invoke(operation)?;
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) = association.poll_event() {
                match event {
                    Event::Bound => {}
                    Event::Authenticate(job) => association.authenticated(job.run())?,
                    Event::Reply { reply, .. } => {
                        let reply = reply.map_err(Refusal::of_fault)?;
                        return reply.decode::<O>().map_err(|error| Refusal::new(&error));
                    }
                }
            }
            let failed = |error: io::Error| match error.kind() {
                io::ErrorKind::WouldBlock => {
                    Refusal::new(&format_args!("no answer within {} s", LIMIT.as_secs()))
                }
                _ => Refusal::new(&error),
            };
            stream.write_all(&association.take_transmit()).map_err(failed)?;
            let length = match stream.read(&mut buffer).map_err(failed)? {
                0 => return Err(Refusal::new(&"the server has closed the connection")),
                length => length,
            };
            association.receive(buffer.get_mut(..length).unwrap_or_default())?;
        }
    }
}

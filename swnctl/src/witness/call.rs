//! One call to one node, step by step, waiting for each.

use dcerpc_proto::association::{Association, AssociationConfig, Event};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::security::Handshake;
use dcerpc_proto::security::kerberos::KerberosInitiator;
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use dcerpc_proto::security::spnego::SpnegoInitiator;
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};
use swnclient::Credentials;
use swnclient_proto::wire::{self, GetInterfaceList, Interface};
use zeroize::Zeroizing;

/// How long a connection may take, and each answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The service that a witness authenticates as.
const SERVICE: &str = "cifs";

/// Where a call to a node has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// The endpoint mapper's port does not answer.
    #[error("{address} does not answer on port {port}: {error}; is TCP {port} let through?")]
    Mapper {
        /// The node.
        address: IpAddr,
        /// The mapper's port.
        port: u16,
        /// Why.
        error: String,
    },
    /// The endpoint mapper knows no witness service.
    #[error("{address} has no witness service: {error}")]
    NoService {
        /// The node.
        address: IpAddr,
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
        address: IpAddr,
        /// The service's port.
        port: u16,
        /// Why.
        error: String,
    },
    /// The witness service takes the credentials not, or the call.
    #[error("{address}: {error}")]
    Service {
        /// The node.
        address: IpAddr,
        /// Why.
        error: String,
    },
}

/// Asks a node's endpoint mapper for the port of its witness service.
///
/// # Errors
/// [`CallFailed::Mapper`] and [`CallFailed::NoService`].
pub fn service_port(address: IpAddr, mapper: u16) -> Result<u16, CallFailed> {
    let failed =
        |error: io::Error| CallFailed::Mapper { address, port: mapper, error: error.to_string() };
    let stream = connect(address, mapper).map_err(failed)?;
    let config = AssociationConfig::new(epm::INTERFACE);
    invoke(stream, config, None, &EptMap::new(wire::INTERFACE))
        .map_err(|error| CallFailed::NoService { address, error })
}

/// Whether a node's witness service takes a connection.
///
/// # Errors
/// [`CallFailed::Port`].
pub fn connect_service(address: IpAddr, port: u16) -> Result<TcpStream, CallFailed> {
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
    address: IpAddr,
    mapper: u16,
    credentials: &Credentials,
    net_name: &str,
) -> Result<Vec<Interface>, CallFailed> {
    let stream = connect_service(address, service_port(address, mapper)?)?;
    let failed = |error| CallFailed::Service { address, error };
    let handshake = handshake(credentials, net_name).map_err(failed)?;
    let config = AssociationConfig::new(wire::INTERFACE);
    invoke(stream, config, Some(handshake), &GetInterfaceList).map_err(failed)
}

fn connect(address: IpAddr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn handshake(credentials: &Credentials, net_name: &str) -> Result<Box<dyn Handshake>, String> {
    let net_name = net_name.to_lowercase();
    let ntlm = |credentials: &NtlmCredentials| {
        let mut random = Zeroizing::new([0; NtlmInitiator::RANDOM_LEN]);
        getrandom::fill(random.as_mut_slice()).map_err(|error| error.to_string())?;
        let ntlm = NtlmInitiator::new(credentials.clone(), &random, SystemTime::now());
        Ok::<_, String>(Box::new(ntlm.for_service(&format!("{SERVICE}/{net_name}"))))
    };
    let hosts = || vec![SmolStr::from(&net_name)];
    Ok(match credentials {
        Credentials::Ntlm(credentials) => ntlm(credentials)?,
        Credentials::Kerberos(credentials) => {
            Box::new(KerberosInitiator::new(credentials.clone(), SERVICE, hosts()))
        }
        Credentials::Negotiate(first, second) => {
            let kerberos = KerberosInitiator::new(first.clone(), SERVICE, hosts());
            Box::new(SpnegoInitiator::new(vec![Box::new(kerberos), ntlm(second)?]))
        }
    })
}

/// Makes one call by an association of its own.
fn invoke<O: Operation>(
    mut stream: TcpStream,
    config: AssociationConfig,
    handshake: Option<Box<dyn Handshake>>,
    operation: &O,
) -> Result<O::Output, String>
where
    ResponseError<O::Status>: Display,
{
    let text = |error: &dyn Display| error.to_string();
    let mut association = Association::new(config, handshake).map_err(|error| text(&error))?;
    association.invoke(operation).map_err(|error| text(&error))?;
    let mut buffer = [0; 4096];
    loop {
        while let Some(event) = association.poll_event() {
            match event {
                Event::Bound => {}
                Event::Authenticate(job) => {
                    association.authenticated(job.run()).map_err(|error| text(&error))?;
                }
                Event::Reply { reply, .. } => {
                    let reply = reply.map_err(|error| text(&error))?;
                    return reply.decode::<O>().map_err(|error| text(&error));
                }
            }
        }
        stream.write_all(&association.take_transmit()).map_err(|error| text(&error))?;
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Err("the server has closed the connection".into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(format!("no answer within {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        };
        let received = buffer.get_mut(..length).unwrap_or_default();
        association.receive(received).map_err(|error| text(&error))?;
    }
}

//! WitnessrRegister, WitnessrRegisterEx and WitnessrUnRegister
//! ([MS-SWN] 3.1.4.2, 3.1.4.5, 3.1.4.3).

use super::{Status, Version};
use dcerpc_proto::ndr::{ContextHandle, Endian, NdrError, Reader, Writer};

/// WITNESS_REGISTER_IP_NOTIFICATION ([MS-SWN] 3.1.4.5).
const IP_NOTIFICATION: u32 = 1;

/// The arguments of WitnessrRegister and, with more of them, WitnessrRegisterEx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register<'a> {
    /// The version on the wire.
    pub version: u32,
    /// The cluster's name as it was mounted.
    pub net_name: Option<&'a str>,
    /// The share, for notifications about its moves; version 2 only.
    pub share_name: Option<&'a str>,
    /// The address of the node that serves the client.
    pub ip_address: Option<&'a str>,
    /// The client's name.
    pub client_name: Option<&'a str>,
    /// Whether to notify about changes of the address; version 2 only.
    pub ip_notify: bool,
    /// The keep-alive, in seconds; version 2 only. An AsyncNotify without news
    /// ends with ERROR_TIMEOUT after so long.
    pub keep_alive: u32,
}

/// Encodes the request for `version`.
pub fn encode_register(version: Version, register: &Register<'_>) -> Vec<u8> {
    let mut w = Writer::new();
    w.u32(register.version);
    w.unique_wide_string(register.net_name);
    if version == Version::V2 {
        w.unique_wide_string(register.share_name);
    }
    w.unique_wide_string(register.ip_address);
    w.unique_wide_string(register.client_name);
    if version == Version::V2 {
        w.u32(if register.ip_notify { IP_NOTIFICATION } else { 0 });
        w.u32(register.keep_alive);
    }
    w.finish()
}

/// A request as a server reads it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct ReceivedRegister {
    pub version: u32,
    pub net_name: Option<String>,
    pub share_name: Option<String>,
    pub ip_address: Option<String>,
    pub client_name: Option<String>,
    pub ip_notify: bool,
    pub keep_alive: u32,
}

/// Decodes the request of `version`.
pub fn decode_register(
    version: Version,
    stub: &[u8],
    endian: Endian,
) -> Result<ReceivedRegister, NdrError> {
    let mut r = Reader::new(stub, endian);
    let string = |r: &mut Reader<'_>| Ok(if r.pointer()? { Some(r.wide_string()?) } else { None });
    let mut register = ReceivedRegister { version: r.u32()?, ..Default::default() };
    register.net_name = string(&mut r)?;
    if version == Version::V2 {
        register.share_name = string(&mut r)?;
    }
    register.ip_address = string(&mut r)?;
    register.client_name = string(&mut r)?;
    if version == Version::V2 {
        register.ip_notify = r.u32()? & IP_NOTIFICATION != 0;
        register.keep_alive = r.u32()?;
    }
    Ok(register)
}

/// Decodes the response of both calls: the registration's context handle.
pub fn decode_register_response(
    stub: &[u8],
    endian: Endian,
) -> Result<Result<ContextHandle, Status>, NdrError> {
    let mut r = Reader::new(stub, endian);
    let handle = r.context_handle()?;
    let offset = r.offset();
    match Status(r.u32()?) {
        Status::SUCCESS if handle.is_null() => {
            Err(NdrError::Invalid { offset, what: "null context handle with success" })
        }
        Status::SUCCESS => Ok(Ok(handle)),
        status => Ok(Err(status)),
    }
}

/// Encodes the response of both calls.
pub fn encode_register_response(handle: Result<ContextHandle, Status>) -> Vec<u8> {
    let mut w = Writer::new();
    w.context_handle(&handle.unwrap_or(ContextHandle::new(0, uuid::Uuid::nil())));
    w.u32(handle.err().unwrap_or(Status::SUCCESS).0);
    w.finish()
}

/// Encodes the request of UnRegister and AsyncNotify.
pub fn encode_context_handle(handle: &ContextHandle) -> Vec<u8> {
    let mut w = Writer::with_capacity(ContextHandle::LEN);
    w.context_handle(handle);
    w.finish()
}

/// Decodes the request of UnRegister and AsyncNotify.
pub fn decode_context_handle(stub: &[u8], endian: Endian) -> Result<ContextHandle, NdrError> {
    Reader::new(stub, endian).context_handle()
}

/// Decodes the response of UnRegister.
pub fn decode_status(stub: &[u8], endian: Endian) -> Result<Status, NdrError> {
    Ok(Status(Reader::new(stub, endian).u32()?))
}

/// Encodes the response of UnRegister.
pub fn encode_status(status: Status) -> Vec<u8> {
    status.0.to_le_bytes().to_vec()
}

//! WitnessrRegister, WitnessrRegisterEx and WitnessrUnRegister
//! ([MS-SWN] 3.1.4.2, 3.1.4.5, 3.1.4.3).

use super::{Status, Version};
use dcerpc_proto::ndr::{ContextHandle, NdrError, Reader, Writer};
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;

/// WITNESS_REGISTER_IP_NOTIFICATION ([MS-SWN] 3.1.4.5).
const IP_NOTIFICATION: u32 = 1;

/// WitnessrRegister, and the arguments of [`RegisterEx`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    /// The version on the wire.
    pub version: u32,
    /// The cluster's name as it was mounted.
    pub net_name: Option<SmolStr>,
    /// The share, for notifications about its moves; version 2 only.
    pub share_name: Option<SmolStr>,
    /// The address of the node that serves the client.
    pub ip_address: Option<SmolStr>,
    /// The client's name.
    pub client_name: Option<SmolStr>,
    /// Whether to notify about changes of the address; version 2 only.
    pub ip_notify: bool,
    /// The keep-alive, in seconds; version 2 only. An AsyncNotify without news
    /// ends with ERROR_TIMEOUT after so long.
    pub keep_alive: u32,
}

/// WitnessrRegisterEx.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegisterEx(pub Register);

impl Register {
    fn encode_as(&self, version: Version, w: &mut Writer) {
        w.u32(self.version);
        w.unique_wide_string(self.net_name.as_deref());
        if version == Version::V2 {
            w.unique_wide_string(self.share_name.as_deref());
        }
        w.unique_wide_string(self.ip_address.as_deref());
        w.unique_wide_string(self.client_name.as_deref());
        if version == Version::V2 {
            w.u32(if self.ip_notify { IP_NOTIFICATION } else { 0 });
            w.u32(self.keep_alive);
        }
    }

    /// Decodes the stub of Register or, for version 2, RegisterEx, as a server does.
    pub fn decode(version: Version, r: &mut Reader<'_>) -> Result<Self, NdrError> {
        let string = |r: &mut Reader<'_>| {
            Ok(if r.pointer()? { Some(SmolStr::from(r.wide_string()?)) } else { None })
        };
        let mut register = Self { version: r.u32()?, ..Self::default() };
        register.net_name = string(r)?;
        if version == Version::V2 {
            register.share_name = string(r)?;
        }
        register.ip_address = string(r)?;
        register.client_name = string(r)?;
        if version == Version::V2 {
            register.ip_notify = r.u32()? & IP_NOTIFICATION != 0;
            register.keep_alive = r.u32()?;
        }
        Ok(register)
    }
}

impl Operation for Register {
    const OPNUM: u16 = 1;
    const NAME: &'static str = "Register";
    /// The registration's context handle.
    type Output = ContextHandle;
    type Status = Status;

    fn encode(&self, w: &mut Writer) {
        self.encode_as(Version::V1, w);
    }

    fn decode_response(r: &mut Reader<'_>) -> Result<ContextHandle, ResponseError<Status>> {
        let handle = r.context_handle()?;
        let offset = r.offset();
        Status(r.u32()?).into_result()?;
        if handle.is_null() {
            let what = "null context handle with success";
            return Err(NdrError::Invalid { offset, what }.into());
        }
        Ok(handle)
    }
}

impl Operation for RegisterEx {
    const OPNUM: u16 = 4;
    const NAME: &'static str = "RegisterEx";
    type Output = ContextHandle;
    type Status = Status;

    fn encode(&self, w: &mut Writer) {
        self.0.encode_as(Version::V2, w);
    }

    fn decode_response(r: &mut Reader<'_>) -> Result<ContextHandle, ResponseError<Status>> {
        Register::decode_response(r)
    }
}

/// Encodes the response of Register and RegisterEx.
pub fn encode_register_response(handle: Result<ContextHandle, Status>) -> Vec<u8> {
    let mut w = Writer::new();
    w.context_handle(&handle.unwrap_or(ContextHandle::new(0, uuid::Uuid::nil())));
    w.u32(handle.err().unwrap_or(Status::SUCCESS).0);
    w.finish()
}

/// WitnessrUnRegister: ends the registration with this handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnRegister(pub ContextHandle);

impl Operation for UnRegister {
    const OPNUM: u16 = 2;
    const NAME: &'static str = "UnRegister";
    type Output = ();
    type Status = Status;

    fn encode(&self, w: &mut Writer) {
        w.context_handle(&self.0);
    }

    fn decode_response(r: &mut Reader<'_>) -> Result<(), ResponseError<Status>> {
        Status(r.u32()?).into_result()
    }
}

/// Encodes the response of UnRegister.
pub fn encode_status(status: Status) -> Vec<u8> {
    status.0.to_le_bytes().to_vec()
}

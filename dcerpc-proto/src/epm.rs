//! The endpoint mapper (C706 appendix O, [MS-RPCE] 2.2.1.2): which TCP port
//! an interface listens on.

use crate::ndr::{ContextHandle, NdrError, Reader, Writer};
use crate::pdu::{NDR20, SyntaxId};
use crate::{Operation, ResponseError};
use std::net::Ipv4Addr;
use uuid::{Uuid, uuid};

/// The well-known port of the endpoint mapper ([MS-RPCE] 2.1.1.1).
pub const PORT: u16 = 135;
/// The endpoint mapper's interface (C706 appendix O).
pub const INTERFACE: SyntaxId =
    SyntaxId { uuid: uuid!("e1af8308-5d1f-11c9-91a4-08002b14a0fa"), major: 3, minor: 0 };
/// How many towers are asked for. One would do; a server may list an
/// unusable one first.
const MAX_TOWERS: u32 = 4;
/// Protocol identifiers of tower floors (C706 appendix I).
const FLOOR_UUID: u8 = 0x0d;
const FLOOR_RPC_CO: u8 = 0x0b;
const FLOOR_TCP: u8 = 0x07;
const FLOOR_IP: u8 = 0x09;
/// EPT_S_NOT_REGISTERED: no such interface here (C706 appendix O).
pub const EPT_S_NOT_REGISTERED: u32 = 0x16c9_a0d6;

/// Why the endpoint mapper names no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EpmError {
    /// The interface is not offered by this host.
    #[error("the endpoint mapper knows no such service on this host")]
    NotRegistered,
    /// Another status.
    #[error("the endpoint mapper answered {0:#010x}")]
    Status(u32),
}

/// The operation ept_map: asks for the TCP port of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EptMap {
    /// The interface.
    pub interface: SyntaxId,
    /// How many towers the client has room for. The response's array must be
    /// of that size, however many towers are in it.
    pub max_towers: u32,
}

impl EptMap {
    /// Returns the call that asks for the port of `interface`.
    pub fn new(interface: SyntaxId) -> Self {
        Self { interface, max_towers: MAX_TOWERS }
    }

    /// Decodes the stub of a request, as a server does.
    pub fn decode(stub: &mut Reader<'_>) -> Result<Self, NdrError> {
        if stub.pointer()? {
            stub.uuid()?;
        }
        let invalid = NdrError::Invalid { offset: stub.offset(), what: "tower" };
        if !stub.pointer()? {
            return Err(invalid);
        }
        let (interface, _) = decode_tower(read_twr(stub)?).ok_or(invalid)?;
        stub.align(4)?;
        stub.context_handle()?;
        Ok(Self { interface, max_towers: stub.u32()? })
    }

    /// Encodes the stub of the response to this call, as a server does: with one
    /// tower, or with none.
    pub fn encode_response(&self, port: Option<u16>, address: Ipv4Addr) -> Vec<u8> {
        let mut w = Writer::new();
        w.context_handle(&ContextHandle::new(0, Uuid::nil()));
        w.u32(port.is_some().into());
        w.u32(self.max_towers);
        w.u32(0);
        w.u32(port.is_some().into());
        if let Some(port) = port {
            w.pointer(true);
            write_twr(&mut w, &encode_tower(&self.interface, port, address));
        }
        w.u32(if port.is_some() { 0 } else { EPT_S_NOT_REGISTERED });
        w.finish()
    }
}

impl Operation for EptMap {
    const OPNUM: u16 = 3;
    const NAME: &'static str = "ept_map";
    /// The first TCP port of the response.
    type Output = u16;
    type Status = EpmError;

    fn encode(&self, w: &mut Writer) {
        w.pointer(true);
        w.uuid(&Uuid::nil());
        w.pointer(true);
        write_twr(w, &encode_tower(&self.interface, 0, Ipv4Addr::UNSPECIFIED));
        w.context_handle(&ContextHandle::new(0, Uuid::nil()));
        w.u32(self.max_towers);
    }

    fn decode_response(r: &mut Reader<'_>) -> Result<u16, ResponseError<EpmError>> {
        r.context_handle()?;
        let num_towers = r.u32()?;
        r.u32()?; // The array's maximum count.
        let first = r.u32()?;
        let count = r.count(4)?;
        let offset = r.offset();
        if first != 0 || usize::try_from(num_towers) != Ok(count) {
            return Err(NdrError::Invalid { offset, what: "tower array" }.into());
        }
        let mut present = 0;
        for _ in 0..count {
            present += usize::from(r.pointer()?);
        }
        let mut port = None;
        for _ in 0..present {
            let found = decode_tower(read_twr(r)?).map(|(_, port)| port);
            port = port.or(found.filter(|port| *port != 0));
        }
        match (r.u32()?, port) {
            (0, Some(port)) => Ok(port),
            (0 | EPT_S_NOT_REGISTERED, _) => Err(ResponseError::Status(EpmError::NotRegistered)),
            (status, _) => Err(ResponseError::Status(EpmError::Status(status))),
        }
    }
}

fn write_twr(w: &mut Writer, tower: &[u8]) {
    w.len(tower.len());
    w.len(tower.len());
    w.bytes(tower);
}

/// Reads a `twr_t`: a conformant structure of a length and as many octets.
fn read_twr<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], NdrError> {
    let max = r.count(1)?;
    let offset = r.offset();
    let len = r.count(1)?;
    if max != len {
        return Err(NdrError::Invalid { offset, what: "tower length" });
    }
    r.bytes(len)
}

/// A tower of five floors over TCP.
const TOWER_LEN: usize = 75;

/// Encodes a tower, which is unaligned and little-endian whatever the PDU's label says,
/// except for port and address (C706 appendix L).
fn encode_tower(interface: &SyntaxId, port: u16, address: Ipv4Addr) -> Vec<u8> {
    let mut tower = Vec::with_capacity(TOWER_LEN);
    tower.extend_from_slice(&[5, 0]);
    let mut floor = |lhs: &[&[u8]], rhs: &[u8]| {
        for side in [lhs, &[rhs]] {
            let len = side.iter().map(|part| part.len()).sum::<usize>();
            let len = u16::try_from(len).unwrap_or(u16::MAX);
            tower.extend_from_slice(&len.to_le_bytes());
            side.iter().for_each(|part| tower.extend_from_slice(part));
        }
    };
    for syntax in [interface, &NDR20] {
        floor(
            &[&[FLOOR_UUID], &syntax.uuid.to_bytes_le(), &syntax.major.to_le_bytes()],
            &syntax.minor.to_le_bytes(),
        );
    }
    floor(&[&[FLOOR_RPC_CO]], &[0, 0]);
    floor(&[&[FLOOR_TCP]], &port.to_be_bytes());
    floor(&[&[FLOOR_IP]], &address.octets());
    tower
}

/// Decodes the interface and the TCP port of a tower; `None` for other protocols.
fn decode_tower(tower: &[u8]) -> Option<(SyntaxId, u16)> {
    fn side<'a>(tower: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (len, rest) = tower.split_first_chunk()?;
        let (side, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        *tower = rest;
        Some(side)
    }
    let (floors, mut rest) = tower.split_first_chunk()?;
    let mut interface = None;
    let mut port = None;
    for index in 0..u16::from_le_bytes(*floors) {
        let (lhs, rhs) = (side(&mut rest)?, side(&mut rest)?);
        match (index, lhs.split_first()?) {
            (0, (&FLOOR_UUID, id)) => {
                let (uuid, major) = id.split_first_chunk()?;
                interface = Some(SyntaxId {
                    uuid: Uuid::from_bytes_le(*uuid),
                    major: u16::from_le_bytes(*major.first_chunk()?),
                    minor: u16::from_le_bytes(*rhs.first_chunk()?),
                });
            }
            (_, (&FLOOR_TCP, _)) => port = Some(u16::from_be_bytes(*rhs.first_chunk()?)),
            _ => {}
        }
    }
    interface.zip(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ndr::Endian;
    use proptest::prelude::*;

    const SERVICE: SyntaxId =
        SyntaxId { uuid: uuid!("ccd8c074-d0e5-4a40-92b4-d074faa6ba28"), major: 1, minor: 1 };

    fn decode(stub: &[u8], endian: Endian) -> Result<EptMap, NdrError> {
        EptMap::decode(&mut Reader::new(stub, endian))
    }

    fn decode_response(stub: &[u8], endian: Endian) -> Result<u16, ResponseError<EpmError>> {
        EptMap::decode_response(&mut Reader::new(stub, endian))
    }

    #[test]
    fn request_and_response_survive_the_wire() {
        let call = EptMap::new(SERVICE);
        assert_eq!(decode(&call.stub(), Endian::Little), Ok(call));
        let response = call.encode_response(Some(49_152), Ipv4Addr::LOCALHOST);
        assert_eq!(decode_response(&response, Endian::Little), Ok(49_152));
    }

    #[test]
    fn the_array_of_towers_is_as_large_as_the_client_asked_for() {
        // Samba's client asks for one, and refuses a response with another size.
        let call = EptMap { max_towers: 1, ..EptMap::new(SERVICE) };
        let response = call.encode_response(Some(49_152), Ipv4Addr::LOCALHOST);
        assert_eq!(response[24..28], 1u32.to_le_bytes());
        assert_eq!(decode_response(&response, Endian::Little), Ok(49_152));
    }

    #[test]
    fn a_service_that_is_not_there_is_an_error_of_its_own() {
        let response = EptMap::new(SERVICE).encode_response(None, Ipv4Addr::LOCALHOST);
        let error = decode_response(&response, Endian::Little);
        assert_eq!(error, Err(ResponseError::Status(EpmError::NotRegistered)));
    }

    #[test]
    fn more_towers_than_the_answer_holds_are_refused() {
        let mut response = EptMap::new(SERVICE).encode_response(Some(1), Ipv4Addr::LOCALHOST);
        for at in [20, 32] {
            response[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        }
        assert!(matches!(
            decode_response(&response, Endian::Little),
            Err(ResponseError::Ndr(NdrError::Count { .. }))
        ));
    }

    #[test]
    fn an_error_names_its_source() {
        use std::error::Error;
        let refused = ResponseError::Status(EpmError::NotRegistered);
        assert_eq!(refused.source().unwrap().to_string(), EpmError::NotRegistered.to_string());
        let malformed: ResponseError<EpmError> = NdrError::Count { offset: 0, count: 1 }.into();
        assert!(malformed.source().unwrap().is::<NdrError>());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(stub: Vec<u8>, big: bool) {
            let endian = if big { Endian::Big } else { Endian::Little };
            let _ = decode_response(&stub, endian);
            let _ = decode(&stub, endian);
        }

        #[test]
        fn an_answer_altered_anywhere_does_not_panic(at in 0usize..140, to: u8) {
            let call = EptMap::new(SERVICE);
            let mut response = call.encode_response(Some(49_152), Ipv4Addr::LOCALHOST);
            if let Some(byte) = response.get_mut(at) {
                *byte = to;
            }
            let _ = decode_response(&response, Endian::Little);
        }
    }
}

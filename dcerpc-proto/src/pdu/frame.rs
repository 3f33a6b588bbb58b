//! The common header, and the PDU between it and the security trailer.

use super::auth::{SecurityTrailer, TRAILER_LEN};
use crate::ndr::{Endian, NdrError, Reader, Writer};

/// The length of the common header (C706 12.6.3.1), in bytes.
pub const HEADER_LEN: usize = 16;
/// The same as `frag_length` counts it.
const MIN: u16 = 16;

/// The length that most PDUs stay below, in bytes: room to begin with.
const TYPICAL: usize = 256;

/// PTYPE (C706 12.6.4, [MS-RPCE] 2.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum PacketType {
    Request = 0,
    Response = 2,
    Fault = 3,
    Bind = 11,
    BindAck = 12,
    BindNak = 13,
    AlterContext = 14,
    AlterContextResponse = 15,
    Auth3 = 16,
    Shutdown = 17,
    Cancel = 18,
    Orphaned = 19,
}

impl PacketType {
    fn from_wire(value: u8) -> Option<Self> {
        use PacketType::{
            AlterContext, AlterContextResponse, Auth3, Bind, BindAck, BindNak, Cancel, Fault,
            Orphaned, Request, Response, Shutdown,
        };
        Some(match value {
            0 => Request,
            2 => Response,
            3 => Fault,
            11 => Bind,
            12 => BindAck,
            13 => BindNak,
            14 => AlterContext,
            15 => AlterContextResponse,
            16 => Auth3,
            17 => Shutdown,
            18 => Cancel,
            19 => Orphaned,
            _ => return None,
        })
    }
}

bitflags::bitflags! {
    /// pfc_flags (C706 12.6.3.1, [MS-RPCE] 2.2.2.3).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PfcFlags: u8 {
        /// First fragment.
        const FIRST_FRAG = 0x01;
        /// Last fragment.
        const LAST_FRAG = 0x02;
        /// In bind and alter_context PDUs: header signing. In others: cancel pending.
        const SUPPORT_HEADER_SIGN = 0x04;
        /// Concurrent multiplexing of calls on one connection.
        const CONC_MPX = 0x10;
        /// In a fault: the call did not execute.
        const DID_NOT_EXECUTE = 0x20;
        /// Maybe call semantics.
        const MAYBE = 0x40;
        /// An object UUID follows the request's header.
        const OBJECT_UUID = 0x80;
        const _ = !0;
    }
}

impl PfcFlags {
    /// A PDU that is a whole message.
    pub const WHOLE: Self = Self::FIRST_FRAG.union(Self::LAST_FRAG);
}

/// Why a PDU was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// Neither version 5.0 nor 5.1: not DCE/RPC, or a connectionless PDU.
    #[error("protocol version {0}.{1} instead of 5.0")]
    Version(u8, u8),
    /// A data representation label that C706 14.1 does not have.
    #[error("unknown integer representation {0:#04x}")]
    Representation(u8),
    /// A packet type that the connection-oriented protocol does not have.
    #[error("unknown packet type {0}")]
    PacketType(u8),
    /// frag_length is shorter than the header, or longer than was agreed.
    #[error("a fragment length of {length} where {min} to {max} are allowed")]
    FragmentLength {
        /// What the header says, in bytes.
        length: u16,
        /// The least that it can be.
        min: u16,
        /// The most that was agreed.
        max: u16,
    },
    /// auth_length or auth_pad_length reach beyond the PDU.
    #[error("an authentication length of {length} with {pad} bytes of padding exceeds the PDU")]
    AuthLength {
        /// auth_length, in bytes.
        length: u16,
        /// auth_pad_length, in bytes.
        pad: u8,
    },
    /// The security trailer names a service or a level that is unknown.
    #[error("unknown authentication service {service} or level {level}")]
    Security {
        /// auth_type.
        service: u8,
        /// auth_level.
        level: u8,
    },
    /// The body breaks its format.
    #[error("malformed body: {0}")]
    Body(#[from] NdrError),
}

/// The common header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// PTYPE.
    pub packet_type: PacketType,
    /// pfc_flags.
    pub flags: PfcFlags,
    /// The integer representation of everything behind the header's first
    /// eight bytes.
    pub endian: Endian,
    /// The whole PDU's length, in bytes.
    pub frag_length: u16,
    /// The authentication value's length, in bytes; 0 without security trailer.
    pub auth_length: u16,
    /// Which call the PDU belongs to.
    pub call_id: u32,
}

impl Header {
    /// Reads a header from the first bytes of a PDU; `None` until
    /// 16 bytes are there.
    pub fn read(data: &[u8], max_fragment: u16) -> Result<Option<Self>, PduError> {
        let Some(&[major, minor, packet_type, flags, label, ..]) = data.get(..HEADER_LEN) else {
            return Ok(None);
        };
        if major != 5 || minor > 1 {
            return Err(PduError::Version(major, minor));
        }
        let packet_type =
            PacketType::from_wire(packet_type).ok_or(PduError::PacketType(packet_type))?;
        let endian = match label & 0xf0 {
            0x10 => Endian::Little,
            0x00 => Endian::Big,
            _ => return Err(PduError::Representation(label)),
        };
        let mut r = Reader::new(data, endian);
        r.bytes(8)?;
        let (frag_length, auth_length, call_id) = (r.u16()?, r.u16()?, r.u32()?);
        if !(MIN..=max_fragment).contains(&frag_length) {
            return Err(PduError::FragmentLength {
                length: frag_length,
                min: MIN,
                max: max_fragment,
            });
        }
        Ok(Some(Self {
            packet_type,
            flags: PfcFlags::from_bits_retain(flags),
            endian,
            frag_length,
            auth_length,
            call_id,
        }))
    }
}

/// One whole PDU, split by its header's lengths.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The common header.
    pub header: Header,
    /// The security trailer, where the PDU has one.
    pub trailer: Option<SecurityTrailer>,
    /// From the first byte to the end of the security trailer.
    pub pdu: &'a mut [u8],
    /// The authentication value.
    pub auth_value: &'a mut [u8],
    /// Where the body ends within `pdu`: before padding and trailer.
    body_end: usize,
}

impl<'a> Frame<'a> {
    /// Splits `data`, which is exactly the PDU that `header` was read from.
    pub fn split(header: Header, data: &'a mut [u8]) -> Result<Self, PduError> {
        if header.auth_length == 0 {
            let body_end = data.len();
            return Ok(Self { header, trailer: None, pdu: data, auth_value: &mut [], body_end });
        }
        let too_long = |pad| PduError::AuthLength { length: header.auth_length, pad };
        let trailer_end =
            data.len().checked_sub(usize::from(header.auth_length)).ok_or(too_long(0))?;
        let trailer_start = trailer_end
            .checked_sub(TRAILER_LEN)
            .filter(|start| *start >= HEADER_LEN)
            .ok_or(too_long(0))?;
        let (pdu, auth_value) = data.split_at_mut(trailer_end);
        let mut r = Reader::new(pdu.get(trailer_start..).unwrap_or_default(), header.endian);
        let trailer = SecurityTrailer::read(&mut r)?;
        let body_end = trailer_start
            .checked_sub(usize::from(trailer.pad_length))
            .filter(|end| *end >= HEADER_LEN)
            .ok_or(too_long(trailer.pad_length))?;
        Ok(Self { header, trailer: Some(trailer), pdu, auth_value, body_end })
    }

    /// Returns the body behind the common header, without padding and trailer.
    /// Alignment counts from the header's first byte, hence the reader stands
    /// behind the header.
    pub fn body(&self) -> Result<Reader<'_>, PduError> {
        let whole = self.pdu.get(..self.body_end).unwrap_or_default();
        let mut r = Reader::new(whole, self.header.endian);
        r.bytes(HEADER_LEN)?;
        Ok(r)
    }

    /// Returns where the stub and its authentication padding lie within `pdu`, for a
    /// PDU type that has a stub behind `fixed` bytes of body.
    pub fn sealed_range(&self, fixed: usize) -> Result<std::ops::Range<usize>, PduError> {
        let start = HEADER_LEN + fixed;
        let end = match self.trailer {
            Some(_) => self.pdu.len() - TRAILER_LEN,
            None => self.pdu.len(),
        };
        if start > self.body_end {
            return Err(PduError::Body(NdrError::Truncated {
                offset: HEADER_LEN,
                needed: fixed,
                left: self.body_end.saturating_sub(HEADER_LEN),
            }));
        }
        Ok(start..end)
    }
}

/// Writes one little-endian PDU.
#[derive(Debug)]
pub struct PduWriter {
    writer: Writer,
}

impl PduWriter {
    /// Starts a PDU; the lengths in the header are filled in by [`PduWriter::finish`].
    pub fn new(packet_type: PacketType, flags: PfcFlags, call_id: u32) -> Self {
        let mut writer = Writer::with_capacity(TYPICAL);
        // Version 5.0; little-endian integers, ASCII, IEEE (C706 14.1).
        writer.bytes(&[5, 0, packet_type as u8, flags.bits(), 0x10, 0, 0, 0]);
        writer.bytes(&[0; 4]);
        writer.u32(call_id);
        Self { writer }
    }

    /// Returns the body behind the header, to write to.
    pub fn body(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Pads the body so that the trailer stands at a multiple of `align` bytes
    /// from `from`, and writes the trailer with the padding's length.
    pub fn trailer(&mut self, mut trailer: SecurityTrailer, from: usize, align: usize) {
        let unpadded = self.writer.offset();
        self.writer.pad(from, align);
        let pad = self.writer.offset() - unpadded;
        trailer.pad_length = u8::try_from(pad).unwrap_or(0);
        trailer.write(&mut self.writer);
    }

    /// Ends a PDU whose last `auth_length` bytes are the authentication value.
    /// Where that isn't written yet, because it signs these very bytes, the
    /// header already counts it.
    pub fn finish(self, auth_length: usize, auth_value: &[u8]) -> Vec<u8> {
        let mut data = self.writer.finish();
        data.extend_from_slice(auth_value);
        let missing = auth_length - auth_value.len();
        let frag_length = u16::try_from(data.len() + missing).unwrap_or(u16::MAX);
        let auth_length = u16::try_from(auth_length).unwrap_or(u16::MAX);
        let lengths = frag_length.to_le_bytes().into_iter().chain(auth_length.to_le_bytes());
        for (byte, value) in data.iter_mut().skip(8).zip(lengths) {
            *byte = value;
        }
        data
    }
}

//! request, response and fault: the PDUs of a call (C706 12.6.4.7 to 12.6.4.10).
//! The stub is what follows these bodies.

use super::PduError;
use crate::ndr::{Reader, Writer};

/// The body of a request before its stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// How much stub is still to come, in bytes; a hint.
    pub alloc_hint: u32,
    /// The presentation context.
    pub context_id: u16,
    /// The operation.
    pub opnum: u16,
}

impl Request {
    /// The body's length, in bytes.
    pub const LEN: usize = 8;

    /// Reads a body (one without object UUID).
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        Ok(Self { alloc_hint: r.u32()?, context_id: r.u16()?, opnum: r.u16()? })
    }

    /// Writes the body.
    pub fn write(&self, w: &mut Writer) {
        w.u32(self.alloc_hint);
        w.u16(self.context_id);
        w.u16(self.opnum);
    }
}

/// The body of a response before its stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// How much stub is still to come, in bytes; a hint.
    pub alloc_hint: u32,
    /// The presentation context.
    pub context_id: u16,
}

impl Response {
    /// The body's length, in bytes.
    pub const LEN: usize = 8;

    /// Reads a body.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        let this = Self { alloc_hint: r.u32()?, context_id: r.u16()? };
        r.bytes(2)?;
        Ok(this)
    }

    /// Writes the body.
    pub fn write(&self, w: &mut Writer) {
        w.u32(self.alloc_hint);
        w.u16(self.context_id);
        w.bytes(&[0, 0]);
    }
}

/// The body of a fault ([MS-RPCE] 2.2.2.8); what follows it is of no use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The presentation context.
    pub context_id: u16,
    /// The status code (C706 appendix E, [MS-RPCE] 2.2.2.9).
    pub status: u32,
}

impl Fault {
    /// The body's length, in bytes.
    pub const LEN: usize = 16;

    /// Reads a body.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        r.u32()?;
        let context_id = r.u16()?;
        r.bytes(2)?;
        let this = Self { context_id, status: r.u32()? };
        r.bytes(4)?;
        Ok(this)
    }

    /// Writes the body.
    pub fn write(&self, w: &mut Writer) {
        w.u32(0);
        w.u16(self.context_id);
        w.bytes(&[0, 0]);
        w.u32(self.status);
        w.bytes(&[0; 4]);
    }
}

//! Writes PDUs in either byte order, from nothing but the specification, so
//! that the codec isn't tested against itself.

use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::{
    Bind, BindAck, BindNak, Fault, PacketType, PfcFlags, Request, Response, SyntaxId,
};

/// A PDU under construction.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    endian: Endian,
    data: Vec<u8>,
}

impl Encoder {
    /// The common header ([C706] 12.6.3.1).
    pub(crate) fn new(
        endian: Endian,
        packet_type: PacketType,
        flags: PfcFlags,
        call_id: u32,
    ) -> Self {
        let label = if endian == Endian::Little { 0x10 } else { 0 };
        let data = vec![5, 0, packet_type as u8, flags.bits(), label, 0, 0, 0, 0, 0, 0, 0];
        let mut this = Self { endian, data };
        this.u32(call_id);
        this
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.data.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.align(2);
        match self.endian {
            Endian::Little => self.bytes(&value.to_le_bytes()),
            Endian::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.align(4);
        match self.endian {
            Endian::Little => self.bytes(&value.to_le_bytes()),
            Endian::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    pub(crate) fn align(&mut self, to: usize) {
        self.data.resize(self.data.len().next_multiple_of(to), 0);
    }

    pub(crate) fn body(mut self, body: &impl Encode) -> Self {
        body.encode(&mut self);
        self
    }

    /// The padding up to a multiple of 16 bytes counted from `stub`, and the
    /// security trailer ([MS-RPCE] 2.2.2.11).
    pub(crate) fn trailer(&mut self, stub: usize, service: u8, level: u8, context_id: u32) {
        let before = self.data.len();
        let len = (before - stub).next_multiple_of(16);
        self.data.resize(stub + len, 0);
        let pad = u8::try_from(self.data.len() - before).unwrap();
        self.bytes(&[service, level, pad, 0]);
        self.u32(context_id);
    }

    /// Fills in the lengths. The authentication value, whose length is counted
    /// already, may be appended later.
    pub(crate) fn finish(self, auth_length: usize) -> Vec<u8> {
        let frag_length = u16::try_from(self.data.len() + auth_length).unwrap();
        let auth_length = u16::try_from(auth_length).unwrap();
        let mut lengths = Self { endian: self.endian, data: Vec::new() };
        lengths.u16(frag_length);
        lengths.u16(auth_length);
        let mut data = self.data;
        data[8..12].copy_from_slice(&lengths.data);
        data
    }
}

/// The bodies of [C706] 12.6.4.
pub(crate) trait Encode {
    fn encode(&self, to: &mut Encoder);
}

impl Encode for SyntaxId {
    fn encode(&self, to: &mut Encoder) {
        let (a, b, c, d) = self.uuid.as_fields();
        to.u32(a);
        to.u16(b);
        to.u16(c);
        to.bytes(d);
        to.u16(self.major);
        to.u16(self.minor);
    }
}

impl Encode for Bind {
    fn encode(&self, to: &mut Encoder) {
        to.u16(self.max_xmit_frag);
        to.u16(self.max_recv_frag);
        to.u32(self.assoc_group_id);
        to.u8(u8::try_from(self.contexts.len()).unwrap());
        to.bytes(&[0; 3]);
        for context in &self.contexts {
            to.u16(context.id);
            to.u8(u8::try_from(context.transfer_syntaxes.len()).unwrap());
            to.u8(0);
            context.abstract_syntax.encode(to);
            for syntax in &context.transfer_syntaxes {
                syntax.encode(to);
            }
        }
    }
}

impl Encode for BindAck {
    fn encode(&self, to: &mut Encoder) {
        to.u16(self.max_xmit_frag);
        to.u16(self.max_recv_frag);
        to.u32(self.assoc_group_id);
        to.u16(u16::try_from(self.secondary_address.len()).unwrap());
        to.bytes(&self.secondary_address);
        to.align(4);
        to.u8(u8::try_from(self.results.len()).unwrap());
        to.bytes(&[0; 3]);
        for result in &self.results {
            to.u16(result.result);
            to.u16(result.reason);
            result.transfer_syntax.encode(to);
        }
    }
}

impl Encode for BindNak {
    fn encode(&self, to: &mut Encoder) {
        to.u16(self.reason);
        to.u8(0);
    }
}

impl Encode for Request {
    fn encode(&self, to: &mut Encoder) {
        to.u32(self.alloc_hint);
        to.u16(self.context_id);
        to.u16(self.opnum);
    }
}

impl Encode for Response {
    fn encode(&self, to: &mut Encoder) {
        to.u32(self.alloc_hint);
        to.u16(self.context_id);
        to.bytes(&[0; 2]);
    }
}

impl Encode for Fault {
    fn encode(&self, to: &mut Encoder) {
        to.u32(0);
        to.u16(self.context_id);
        to.bytes(&[0; 2]);
        to.u32(self.status);
        to.bytes(&[0; 4]);
    }
}

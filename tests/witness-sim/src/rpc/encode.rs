//! What the server sends.

use super::ServerAssociation;
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::pdu::{
    BindAck, BindNak, Fault, HEADER_LEN, PacketType, PduWriter, PfcFlags, Response, TRAILER_LEN,
};

/// The presentation context that every answer names: the client library uses
/// no other.
const CONTEXT_ID: u16 = 0;
/// A stub is padded to a multiple of this before the trailer
/// ([MS-RPCE] 2.2.2.11), in bytes.
const PAD_ALIGN: usize = 16;

/// An answer that has not been encoded.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) call: u32,
    pub(crate) body: Body,
}

/// What an answer says.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// bind_ack, or the answer to alter_context, with the server's token.
    Ack {
        packet_type: PacketType,
        flags: PfcFlags,
        ack: BindAck,
        token: Option<Vec<u8>>,
    },
    BindNak(u16),
    Response(Vec<u8>),
    Fault(FaultStatus),
}

/// How an answer deviates from what it should look like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    /// The most stub in a fragment, in bytes.
    pub(crate) fragment: Option<usize>,
    pub(crate) wrong_call_id: bool,
    pub(crate) unprotected: bool,
}

impl Answer {
    pub(crate) fn new(call: u32, body: Body) -> Self {
        Self { call, body }
    }

    pub(crate) fn response(call: u32, stub: Vec<u8>) -> Self {
        Self::new(call, Body::Response(stub))
    }

    pub(crate) fn fault(call: u32, status: FaultStatus) -> Self {
        Self::new(call, Body::Fault(status))
    }
}

pub(super) fn bind_answer(
    call: u32,
    flags: PfcFlags,
    ack: BindAck,
    token: Option<Vec<u8>>,
) -> Answer {
    let packet_type = PacketType::BindAck;
    let body = Body::Ack { packet_type, flags, ack, token };
    Answer::new(call, body)
}

/// The answer to alter_context: the next token, or a fault where the logon
/// failed.
pub(super) fn alter_context_answer(
    call: u32,
    ack: BindAck,
    token: Result<Vec<u8>, FaultStatus>,
) -> Answer {
    let body = match token {
        Err(status) => Body::Fault(status),
        Ok(token) => Body::Ack {
            packet_type: PacketType::AlterContextResponse,
            flags: PfcFlags::WHOLE,
            ack,
            token: Some(token),
        },
    };
    Answer::new(call, body)
}

impl ServerAssociation {
    /// The bytes of an answer. Answers must be sent in the order in which they
    /// are encoded: signatures are numbered.
    pub(crate) fn encode(&mut self, answer: &Answer, shape: Shape) -> Vec<u8> {
        self.under_way.remove(&answer.call);
        let call = if shape.wrong_call_id { answer.call.wrapping_add(0x1000) } else { answer.call };
        match &answer.body {
            Body::Ack { packet_type, flags, ack, token } => {
                let mut pdu = PduWriter::new(*packet_type, *flags, call);
                ack.write(pdu.body());
                match (token, self.security.trailer()) {
                    (Some(token), Some(trailer)) if !shape.unprotected => {
                        pdu.trailer(trailer, 0, 4);
                        pdu.finish(token.len(), token)
                    }
                    _ => pdu.finish(0, &[]),
                }
            }
            Body::BindNak(reason) => {
                let mut pdu = PduWriter::new(PacketType::BindNak, PfcFlags::WHOLE, call);
                BindNak { reason: *reason }.write(pdu.body());
                pdu.finish(0, &[])
            }
            // Without protection, as Samba sends it.
            Body::Fault(status) => {
                let mut pdu = PduWriter::new(PacketType::Fault, PfcFlags::WHOLE, call);
                let body = Fault { context_id: CONTEXT_ID, status: status.0 };
                body.write(pdu.body());
                pdu.finish(0, &[])
            }
            Body::Response(stub) => self.encode_response(call, stub, shape),
        }
    }

    fn encode_response(&mut self, call: u32, stub: &[u8], shape: Shape) -> Vec<u8> {
        let protected = !shape.unprotected && self.security.is_established();
        let signature_len = if protected { self.security.signature_len() } else { 0 };
        let overhead = HEADER_LEN + Response::LEN + TRAILER_LEN + signature_len;
        let room = usize::from(self.max_xmit_frag).saturating_sub(overhead) / PAD_ALIGN * PAD_ALIGN;
        let room = room.min(shape.fragment.unwrap_or(room)).max(1);
        let mut bytes = Vec::new();
        let mut rest = stub;
        let mut flags = PfcFlags::FIRST_FRAG;
        loop {
            let (part, more) = rest.split_at(rest.len().min(room));
            flags.set(PfcFlags::LAST_FRAG, more.is_empty());
            let mut pdu = PduWriter::new(PacketType::Response, flags, call);
            let body = Response {
                alloc_hint: u32::try_from(rest.len()).unwrap_or(u32::MAX),
                context_id: CONTEXT_ID,
            };
            body.write(pdu.body());
            pdu.body().bytes(part);
            match self.security.trailer().filter(|_| protected) {
                None => bytes.append(&mut pdu.finish(0, &[])),
                Some(trailer) => {
                    pdu.trailer(trailer, HEADER_LEN + Response::LEN, PAD_ALIGN);
                    let mut pdu = pdu.finish(signature_len, &[]);
                    self.security.protect(&mut pdu, HEADER_LEN + Response::LEN);
                    bytes.append(&mut pdu);
                }
            }
            if more.is_empty() {
                return bytes;
            }
            rest = more;
            flags = PfcFlags::empty();
        }
    }
}

//! The server's side of an association (C706 9.3, [MS-RPCE] 3.3), sans-IO:
//! the peer of [`dcerpc_proto::association::Association`].
//!
//! The owner feeds bytes and takes the results, one by one, with
//! [`ServerAssociation::next`]; it makes an [`Answer`] of each bind and call
//! and sends what [`ServerAssociation::encode`] makes of that.

mod encode;
mod secure;

pub(crate) use encode::{Answer, Body, Shape};
pub(crate) use secure::Logons;

use crate::GroupId;
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::ndr::{Endian, Reader};
use dcerpc_proto::pdu::{
    Bind, BindAck, ContextResult, Frame, Header, NDR20, PacketType, PduError, PfcFlags,
    RejectReason, Request, SyntaxId,
};
use secure::Security;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest stub of a request, in bytes.
const MAX_REQUEST: usize = 1 << 20;
/// Where the client's PDUs may end, whatever was agreed, in bytes.
const MAX_FRAGMENT: u16 = u16::MAX;

/// What a server grants and demands.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) interface: SyntaxId,
    /// What the client connected to, for bind_ack.
    pub(crate) port: u16,
    pub(crate) multiplexing: bool,
    pub(crate) header_signing: bool,
    pub(crate) max_fragment: u16,
    /// Who may call; `None`: anybody, without authentication.
    pub(crate) logons: Option<Arc<Logons>>,
    /// Whether others may, too.
    pub(crate) anonymous: bool,
}

/// What a client wants.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A bind; for [`ServerAssociation::accept_bind`].
    Bind(BindRequest),
    /// The next leg of the logon; the answer is ready.
    Leg(Answer),
    /// A call.
    Call(Call),
    /// The end of the call is wanted, by cancel or by orphaned.
    GiveUp {
        call: u32,
        /// Whether the client still takes the answer.
        orphaned: bool,
    },
}

/// A bind, read but not answered.
#[derive(Debug)]
pub(crate) struct BindRequest {
    call: u32,
    flags: PfcFlags,
    bind: Bind,
    token: Option<Result<Vec<u8>, RejectReason>>,
}

impl BindRequest {
    /// The association group that the client wants to join; `None` for a new
    /// one.
    pub(crate) fn group(&self) -> Option<GroupId> {
        Some(GroupId(self.bind.assoc_group_id)).filter(|group| group.0 != 0)
    }
}

/// A call with its whole stub.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) opnum: u16,
    pub(crate) stub: Vec<u8>,
    pub(crate) endian: Endian,
    /// Whether an auth3 came since the last call: its verdict shows here.
    pub(crate) after_auth3: bool,
    /// Why the call is refused, whatever it is.
    pub(crate) refused: Option<Refusal>,
}

impl Call {
    /// A reader of the whole stub.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.stub, self.endian)
    }
}

/// Why a call is refused by who makes it or how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) status: FaultStatus,
    /// Whether the server hangs up then.
    pub(crate) hang_up: bool,
}

impl Refusal {
    fn new(status: FaultStatus, hang_up: bool) -> Self {
        Self { status, hang_up }
    }
}

/// Why the server hangs up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Hangup {
    #[error("malformed PDU: {0}")]
    Malformed(#[from] PduError),
    #[error("{0:?} out of turn")]
    Unexpected(PacketType),
    #[error("fragments out of order, or of two calls at once")]
    FragmentOrder,
    #[error("a request of more than {MAX_REQUEST} bytes")]
    TooLong,
    #[error("security: {0}")]
    Security(#[from] dcerpc_proto::security::SecurityError),
    #[error("a request without the agreed protection")]
    Unprotected,
}

/// A request whose fragments arrive.
#[derive(Debug)]
struct Partial {
    call: u32,
    opnum: u16,
    stub: Vec<u8>,
    endian: Endian,
}

/// The server's side of one association.
#[derive(Debug)]
pub(crate) struct ServerAssociation {
    options: Options,
    input: Vec<u8>,
    bound: bool,
    security: Security,
    contexts: BTreeSet<u16>,
    partial: Option<Partial>,
    under_way: BTreeSet<u32>,
    after_auth3: bool,
    multiplexed: bool,
    /// The longest fragment the client takes, in bytes.
    max_xmit_frag: u16,
}

impl ServerAssociation {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            security: Security::new(options.logons.clone(), options.anonymous),
            max_xmit_frag: options.max_fragment,
            options,
            input: Vec::new(),
            bound: false,
            contexts: BTreeSet::new(),
            partial: None,
            under_way: BTreeSet::new(),
            after_auth3: false,
            multiplexed: false,
        }
    }

    /// Forgets a call that gets no answer.
    pub(crate) fn forget(&mut self, call: u32) {
        self.under_way.remove(&call);
    }

    /// Who has logged on.
    pub(crate) fn user(&self) -> Option<String> {
        self.security.user()
    }

    /// Takes what has arrived.
    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.input.extend_from_slice(data);
    }

    /// What the client wants next; `None` until more has arrived. After an
    /// error the connection is of no more use.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Hangup> {
        loop {
            let Some(header) = Header::read(&self.input, MAX_FRAGMENT)? else {
                return Ok(None);
            };
            let len = usize::from(header.frag_length);
            if self.input.len() < len {
                return Ok(None);
            }
            let mut pdu: Vec<u8> = self.input.drain(..len).collect();
            if let Some(incoming) = self.receive(header, &mut pdu)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn receive(&mut self, header: Header, pdu: &mut [u8]) -> Result<Option<Incoming>, Hangup> {
        let call = header.call_id;
        let frame = match Frame::split(header, pdu) {
            // A level below integrity, or an unknown service.
            Err(PduError::Security { .. }) if header.packet_type == PacketType::Bind => {
                let reason = RejectReason::AuthTypeNotRecognized;
                return self.receive_bind(header, pdu, Some(Err(reason))).map(Some);
            }
            frame => frame?,
        };
        match (self.bound, header.packet_type) {
            (false, PacketType::Bind) => {
                let token = self.security.begin(&frame)?;
                self.receive_bind(header, pdu, token).map(Some)
            }
            (true, PacketType::AlterContext) => {
                let bind = Bind::read(&mut frame.body()?)?;
                let token = self.security.step(&frame)?;
                let ack = self.acknowledge(&bind, 0);
                let answer = encode::alter_context_answer(call, ack, token);
                Ok(Some(Incoming::Leg(answer)))
            }
            (true, PacketType::Auth3) => {
                // No answer: a refusal shows at the first call.
                drop(self.security.step(&frame)?);
                self.after_auth3 = true;
                Ok(None)
            }
            (true, PacketType::Request) => self.receive_request(frame),
            (true, PacketType::Cancel | PacketType::Orphaned) => Ok(Some(Incoming::GiveUp {
                call,
                orphaned: header.packet_type == PacketType::Orphaned,
            })),
            (_, unexpected) => Err(Hangup::Unexpected(unexpected)),
        }
    }

    fn receive_bind(
        &mut self,
        header: Header,
        pdu: &mut [u8],
        token: Option<Result<Vec<u8>, RejectReason>>,
    ) -> Result<Incoming, Hangup> {
        // The body ends by its own counts; the trailer may be unreadable.
        let mut body = Reader::new(pdu, header.endian);
        body.bytes(dcerpc_proto::pdu::HEADER_LEN).map_err(PduError::from)?;
        Ok(Incoming::Bind(BindRequest {
            call: header.call_id,
            flags: header.flags,
            bind: Bind::read(&mut body)?,
            token,
        }))
    }

    /// Answers a bind. `None` for the group: the client's is not known here.
    pub(crate) fn accept_bind(&mut self, request: BindRequest, group: Option<GroupId>) -> Answer {
        let call = request.call;
        let token = match request.token {
            Some(Err(reason)) => return Answer::new(call, Body::BindNak(reason.to_wire())),
            Some(Ok(token)) => Some(token),
            None => None,
        };
        let Some(group) = group else {
            let reason = RejectReason::NotSpecified;
            return Answer::new(call, Body::BindNak(reason.to_wire()));
        };
        let asked = |flag| request.flags.contains(flag);
        let mut flags = PfcFlags::WHOLE;
        self.multiplexed = self.options.multiplexing && asked(PfcFlags::CONC_MPX);
        flags.set(PfcFlags::CONC_MPX, self.multiplexed);
        let header_signing = self.options.header_signing && asked(PfcFlags::SUPPORT_HEADER_SIGN);
        flags.set(PfcFlags::SUPPORT_HEADER_SIGN, header_signing);
        self.security.header_signing = header_signing;
        self.max_xmit_frag = request.bind.max_recv_frag.min(self.options.max_fragment);
        self.bound = true;
        let ack = self.acknowledge(&request.bind, group.0);
        encode::bind_answer(call, flags, ack, token)
    }

    fn acknowledge(&mut self, bind: &Bind, assoc_group_id: u32) -> BindAck {
        let results = bind.contexts.iter().map(|context| {
            let (result, reason) = if context.abstract_syntax != self.options.interface {
                (2, 1)
            } else if !context.transfer_syntaxes.contains(&NDR20) {
                (2, 2)
            } else {
                self.contexts.insert(context.id);
                (0, 0)
            };
            ContextResult {
                result,
                reason,
                transfer_syntax: if result == 0 {
                    NDR20
                } else {
                    SyntaxId { uuid: uuid::Uuid::nil(), major: 0, minor: 0 }
                },
            }
        });
        let results = results.collect();
        let mut secondary_address = self.options.port.to_string().into_bytes();
        secondary_address.push(0);
        BindAck {
            max_xmit_frag: self.max_xmit_frag,
            max_recv_frag: self.options.max_fragment,
            assoc_group_id,
            secondary_address,
            results,
        }
    }

    fn receive_request(&mut self, mut frame: Frame<'_>) -> Result<Option<Incoming>, Hangup> {
        let header = frame.header;
        let refused = self.security.unprotect(&mut frame, Request::LEN)?;
        let mut body = frame.body()?;
        let request = Request::read(&mut body)?;
        let first = header.flags.contains(PfcFlags::FIRST_FRAG);
        let mut partial = match self.partial.take() {
            None if first => Partial {
                call: header.call_id,
                opnum: request.opnum,
                stub: Vec::new(),
                endian: header.endian,
            },
            Some(partial) if !first && partial.call == header.call_id => partial,
            _ => return Err(Hangup::FragmentOrder),
        };
        partial.stub.extend_from_slice(body.rest());
        if partial.stub.len() > MAX_REQUEST {
            return Err(Hangup::TooLong);
        }
        if !header.flags.contains(PfcFlags::LAST_FRAG) {
            self.partial = Some(partial);
            return Ok(None);
        }
        let crowded = !self.multiplexed && !self.under_way.is_empty();
        let fresh = self.under_way.insert(partial.call);
        let refused = if crowded || !fresh {
            Some(Refusal::new(FaultStatus::PROTO_ERROR, true))
        } else if !self.contexts.contains(&request.context_id) {
            Some(Refusal::new(FaultStatus::UNK_IF, false))
        } else {
            refused
        };
        Ok(Some(Incoming::Call(Call {
            id: partial.call,
            opnum: partial.opnum,
            stub: partial.stub,
            endian: partial.endian,
            after_auth3: std::mem::take(&mut self.after_auth3),
            refused,
        })))
    }
}

//! bind, bind_ack, bind_nak, and alter_context with its response, which share
//! the first two's bodies (C706 12.6.4.1 to 12.6.4.5).

use super::PduError;
use crate::ndr::{Reader, Writer};
use uuid::{Uuid, uuid};

/// An abstract or transfer syntax: `p_syntax_id_t` (C706 12.6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SyntaxId {
    /// The interface's or transfer syntax's UUID.
    pub uuid: Uuid,
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

/// The NDR 2.0 transfer syntax (C706 appendix I).
pub const NDR20: SyntaxId =
    SyntaxId { uuid: uuid!("8a885d04-1ceb-11c9-9fe8-08002b104860"), major: 2, minor: 0 };

impl SyntaxId {
    fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        Ok(Self { uuid: r.uuid()?, major: r.u16()?, minor: r.u16()? })
    }

    fn write(&self, w: &mut Writer) {
        w.uuid(&self.uuid);
        w.u16(self.major);
        w.u16(self.minor);
    }
}

/// A presentation context that the client proposes: `p_cont_elem_t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationContext {
    /// p_cont_id.
    pub id: u16,
    /// The interface.
    pub abstract_syntax: SyntaxId,
    /// The encodings that the client offers.
    pub transfer_syntaxes: Vec<SyntaxId>,
}

/// The body of bind and alter_context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The longest fragment that the client sends, in bytes.
    pub max_xmit_frag: u16,
    /// The longest fragment that the client takes, in bytes.
    pub max_recv_frag: u16,
    /// The association group to join; 0 makes a new one.
    pub assoc_group_id: u32,
    /// What is proposed.
    pub contexts: Vec<PresentationContext>,
}

impl Bind {
    /// Reads a body.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        let (max_xmit_frag, max_recv_frag) = (r.u16()?, r.u16()?);
        let assoc_group_id = r.u32()?;
        let count = r.u8()?;
        r.bytes(3)?;
        let mut contexts = Vec::new();
        for _ in 0..count {
            r.align(4)?;
            let id = r.u16()?;
            let transfers = r.u8()?;
            r.u8()?;
            let abstract_syntax = SyntaxId::read(r)?;
            let mut transfer_syntaxes = Vec::new();
            for _ in 0..transfers {
                transfer_syntaxes.push(SyntaxId::read(r)?);
            }
            contexts.push(PresentationContext { id, abstract_syntax, transfer_syntaxes });
        }
        Ok(Self { max_xmit_frag, max_recv_frag, assoc_group_id, contexts })
    }

    /// Writes the body. More than 255 contexts or syntaxes cannot be proposed;
    /// what is beyond is left out.
    pub fn write(&self, w: &mut Writer) {
        w.u16(self.max_xmit_frag);
        w.u16(self.max_recv_frag);
        w.u32(self.assoc_group_id);
        let count = u8::try_from(self.contexts.len()).unwrap_or(u8::MAX);
        w.bytes(&[count, 0, 0, 0]);
        for context in self.contexts.iter().take(count.into()) {
            let transfers = u8::try_from(context.transfer_syntaxes.len()).unwrap_or(u8::MAX);
            w.u16(context.id);
            w.bytes(&[transfers, 0]);
            context.abstract_syntax.write(w);
            for syntax in context.transfer_syntaxes.iter().take(transfers.into()) {
                syntax.write(w);
            }
        }
    }
}

/// The server's answer to one proposed context: `p_result_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextResult {
    /// 0 acceptance, 1 user rejection, 2 provider rejection, 3 negotiate_ack
    /// ([MS-RPCE] 2.2.2.4).
    pub result: u16,
    /// With a rejection: 1 abstract syntax not supported, 2 proposed transfer
    /// syntaxes not supported, 3 local limit exceeded.
    pub reason: u16,
    /// The transfer syntax to use.
    pub transfer_syntax: SyntaxId,
}

/// The body of bind_ack and alter_context_resp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAck {
    /// The longest fragment that the server sends, in bytes.
    pub max_xmit_frag: u16,
    /// The longest fragment that the server takes, in bytes.
    pub max_recv_frag: u16,
    /// The association group that the connection belongs to now.
    pub assoc_group_id: u32,
    /// The secondary address: the port as text, or nothing.
    pub secondary_address: Vec<u8>,
    /// One answer for each proposed context, in order.
    pub results: Vec<ContextResult>,
}

impl BindAck {
    /// Reads a body.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        let (max_xmit_frag, max_recv_frag) = (r.u16()?, r.u16()?);
        let assoc_group_id = r.u32()?;
        let address_len = r.u16()?;
        let secondary_address = r.bytes(address_len.into())?.to_vec();
        r.align(4)?;
        let count = r.u8()?;
        r.bytes(3)?;
        let mut results = Vec::new();
        for _ in 0..count {
            let (result, reason) = (r.u16()?, r.u16()?);
            results.push(ContextResult { result, reason, transfer_syntax: SyntaxId::read(r)? });
        }
        Ok(Self { max_xmit_frag, max_recv_frag, assoc_group_id, secondary_address, results })
    }

    /// Writes the body.
    pub fn write(&self, w: &mut Writer) {
        w.u16(self.max_xmit_frag);
        w.u16(self.max_recv_frag);
        w.u32(self.assoc_group_id);
        w.u16(u16::try_from(self.secondary_address.len()).unwrap_or(u16::MAX));
        w.bytes(&self.secondary_address);
        w.align(4);
        let count = u8::try_from(self.results.len()).unwrap_or(u8::MAX);
        w.bytes(&[count, 0, 0, 0]);
        for result in self.results.iter().take(count.into()) {
            w.u16(result.result);
            w.u16(result.reason);
            result.transfer_syntax.write(w);
        }
    }
}

/// Why a server refuses a bind: `p_reject_reason_t` (C706 12.6.3.1,
/// [MS-RPCE] 2.2.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// REASON_NOT_SPECIFIED.
    NotSpecified,
    /// TEMPORARY_CONGESTION.
    TemporaryCongestion,
    /// LOCAL_LIMIT_EXCEEDED.
    LocalLimitExceeded,
    /// PROTOCOL_VERSION_NOT_SUPPORTED.
    ProtocolVersionNotSupported,
    /// Authentication type not recognized.
    AuthTypeNotRecognized,
    /// Invalid checksum: credentials refused.
    InvalidChecksum,
    /// Another code.
    Other(u16),
}

impl RejectReason {
    /// Returns the reason of a code in a bind_nak.
    pub fn from_wire(code: u16) -> Self {
        match code {
            0 => Self::NotSpecified,
            1 => Self::TemporaryCongestion,
            2 => Self::LocalLimitExceeded,
            4 => Self::ProtocolVersionNotSupported,
            8 => Self::AuthTypeNotRecognized,
            9 => Self::InvalidChecksum,
            other => Self::Other(other),
        }
    }

    /// Returns its code in a bind_nak.
    pub fn to_wire(self) -> u16 {
        match self {
            Self::NotSpecified => 0,
            Self::TemporaryCongestion => 1,
            Self::LocalLimitExceeded => 2,
            Self::ProtocolVersionNotSupported => 4,
            Self::AuthTypeNotRecognized => 8,
            Self::InvalidChecksum => 9,
            Self::Other(code) => code,
        }
    }
}

impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSpecified => write!(f, "no reason given"),
            Self::TemporaryCongestion => write!(f, "temporary congestion"),
            Self::LocalLimitExceeded => write!(f, "the server's limit of connections is reached"),
            Self::ProtocolVersionNotSupported => write!(f, "protocol version not supported"),
            Self::AuthTypeNotRecognized => write!(f, "authentication service not supported"),
            Self::InvalidChecksum => write!(f, "authentication refused"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}

/// The body of bind_nak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindNak {
    /// provider_reject_reason.
    pub reason: u16,
}

impl BindNak {
    /// Reads a body; the list of supported versions behind the reason says
    /// nothing that the reason does not.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, PduError> {
        Ok(Self { reason: r.u16()? })
    }

    /// Writes the body, with an empty list of versions.
    pub fn write(&self, w: &mut Writer) {
        w.u16(self.reason);
        w.u8(0);
    }
}

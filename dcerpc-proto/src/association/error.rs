//! What ends an association, and what ends a call.

use crate::pdu::{PacketType, PduError, RejectReason};
use crate::security::SecurityError;

/// Why an association has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssociationError {
    /// A PDU breaks its format.
    #[error("the server sent a malformed PDU: {0}")]
    Malformed(#[from] PduError),
    /// A PDU that has no place at this point.
    #[error("the server sent {0:?} out of turn")]
    Unexpected(PacketType),
    /// bind_nak.
    #[error("the server refused the bind: {0}")]
    Rejected(RejectReason),
    /// bind_ack with a refused presentation context: the interface is not
    /// offered on this port (any more), or not in NDR 2.0.
    #[error(
        "the server does not offer the interface on this port (result {result}, reason {reason})"
    )]
    ContextRejected {
        /// p_cont_def_result_t.
        result: u16,
        /// p_provider_reason_t.
        reason: u16,
    },
    /// The server refused the credentials during the bind.
    #[error("the server refused the credentials: {0}")]
    AccessDenied(#[source] FaultStatus),
    /// The server's RPC layer refused the bind for another reason.
    #[error("the server refused the bind: {0}")]
    BindFault(#[source] FaultStatus),
    /// The security provider refused the server.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The security provider's token does not fit into a PDU: a ticket with too
    /// many group memberships, for example.
    #[error("an authentication token of {0} bytes does not fit into a bind")]
    TokenTooLong(usize),
    /// A response without the agreed security trailer, or with another one.
    #[error(
        "the server sent a PDU without the agreed protection; someone may tamper with the connection"
    )]
    Unprotected,
    /// The server does not agree to header signing, which was required.
    #[error("the server does not support header signing, which is required")]
    NoHeaderSigning,
    /// The server offers fragments too short to be of use.
    #[error("the server takes fragments of {0} bytes only, 1432 are the least")]
    FragmentTooShort(u16),
    /// A response for a call that was never made, or that has its response.
    #[error("the server answered call {0}, which is not under way")]
    UnknownCall(u32),
    /// Fragments of a response out of order.
    #[error("the server sent the fragments of call {0} out of order")]
    FragmentOrder(u32),
    /// More than [`super::AssociationConfig::max_response`] to put together.
    #[error("the server's response is too long")]
    ResponseTooLong,
    /// The server asks the client to go (C706 12.6.4.12).
    #[error("the server shuts the connection down")]
    Shutdown,
    /// Used after it had ended.
    #[error("the association has ended already")]
    Closed,
}

/// The status code of a fault (C706 appendix E, [MS-RPCE] 2.2.2.9): the call
/// failed in the RPC layer; what the interface itself returns is in its stub.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultStatus(pub u32);

impl FaultStatus {
    /// ERROR_ACCESS_DENIED: not authenticated, or not authorized.
    pub const ACCESS_DENIED: Self = Self(0x0000_0005);
    /// nca_s_op_rng_error: the interface has no such operation.
    pub const OP_RNG_ERROR: Self = Self(0x1c01_0002);
    /// nca_s_unk_if: the interface is not offered.
    pub const UNK_IF: Self = Self(0x1c01_0003);
    /// nca_s_proto_error.
    pub const PROTO_ERROR: Self = Self(0x1c01_000b);
    /// nca_s_fault_context_mismatch: the context handle is not known.
    pub const CONTEXT_MISMATCH: Self = Self(0x1c00_001a);
    /// nca_s_fault_cancel: the call was cancelled.
    pub const CANCEL: Self = Self(0x1c00_000d);
    /// nca_s_fault_ndr: the server could not decode the request.
    pub const NDR: Self = Self(0x0000_06f7);
    /// RPC_S_SEC_PKG_ERROR: the security provider failed.
    pub const SEC_PKG_ERROR: Self = Self(0x0000_0721);
    /// SEC_E_LOGON_DENIED.
    pub const LOGON_DENIED: Self = Self(0x8009_030c);
    /// nca_s_server_too_busy.
    pub const SERVER_TOO_BUSY: Self = Self(0x1c01_0014);
    /// RPC_S_PROCNUM_OUT_OF_RANGE, the Win32 name of [`Self::OP_RNG_ERROR`].
    pub const PROCNUM_OUT_OF_RANGE: Self = Self(0x0000_06d1);

    /// Returns the field's name of the code, where it has one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ACCESS_DENIED => "access denied",
            Self::OP_RNG_ERROR => "nca_s_op_rng_error",
            Self::UNK_IF => "nca_s_unk_if",
            Self::PROTO_ERROR => "nca_s_proto_error",
            Self::CONTEXT_MISMATCH => "nca_s_fault_context_mismatch",
            Self::CANCEL => "nca_s_fault_cancel",
            Self::NDR => "nca_s_fault_ndr",
            Self::SEC_PKG_ERROR => "RPC_S_SEC_PKG_ERROR",
            Self::LOGON_DENIED => "SEC_E_LOGON_DENIED",
            Self::SERVER_TOO_BUSY => "nca_s_server_too_busy",
            Self::PROCNUM_OUT_OF_RANGE => "RPC_S_PROCNUM_OUT_OF_RANGE",
            _ => return None,
        })
    }

    /// Returns whether it comes from the security of the connection.
    pub fn is_of_security(self) -> bool {
        self.is_access_denied() || self == Self::SEC_PKG_ERROR
    }

    /// Returns whether the server refuses who is calling, rather than what is called. A
    /// security provider that fails says nothing of that.
    pub fn is_access_denied(self) -> bool {
        matches!(self, Self::ACCESS_DENIED | Self::LOGON_DENIED)
    }

    /// Returns whether the RPC layer itself has failed (`nca_s_*`, C706 appendix E),
    /// which says nothing about who is calling.
    pub fn is_rpc_layer(self) -> bool {
        self.0 >> 24 == 0x1c
    }

    /// Returns whether the server's interface lacks the operation.
    pub fn is_unknown_operation(self) -> bool {
        matches!(self, Self::OP_RNG_ERROR | Self::PROCNUM_OUT_OF_RANGE)
    }
}

impl std::fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({:#010x})", self.0),
            None => write!(f, "fault {:#010x}", self.0),
        }
    }
}

impl std::fmt::Debug for FaultStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for FaultStatus {}

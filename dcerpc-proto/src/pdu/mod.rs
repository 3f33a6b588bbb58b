//! The PDUs of the connection-oriented protocol (C706 12.6, [MS-RPCE] 2.2.2).
//!
//! [`Frame`] splits a PDU into header, body, stub and security trailer by the
//! lengths in its header, all checked; the body types read and write what is
//! in between. Both directions of every type are here, so that a server for
//! tests needs no codec of its own.

mod auth;
mod bind;
mod body;
mod frame;

pub use auth::{AuthLevel, AuthService, SecurityTrailer, TRAILER_LEN};
pub use bind::{
    Bind, BindAck, BindNak, ContextResult, NDR20, PresentationContext, RejectReason, SyntaxId,
};
pub use body::{Fault, Request, Response};
pub use frame::{Frame, HEADER_LEN, Header, PacketType, PduError, PduWriter, PfcFlags};

//! Operations: what a call sends, and what comes back.

use crate::ndr::{NdrError, Reader, Writer};

/// The length that most requests stay below, in bytes: room to begin with.
const TYPICAL: usize = 64;

/// An operation of an interface (C706 2.2.2), with the arguments of one call.
pub trait Operation {
    /// The operation number.
    const OPNUM: u16;
    /// The name that the interface's definition gives it.
    const NAME: &'static str;
    /// What a call gives where it succeeds.
    type Output;
    /// What a call returns where it doesn't.
    type Status;

    /// Encodes the arguments, as the stub of a request.
    fn encode(&self, stub: &mut Writer);

    /// Decodes the stub of a response.
    ///
    /// # Errors
    /// [`ResponseError::Status`] where the call has failed;
    /// [`ResponseError::Ndr`] where the response can't be read.
    fn decode_response(stub: &mut Reader<'_>) -> Result<Self::Output, ResponseError<Self::Status>>;

    /// Returns the stub of a request.
    fn stub(&self) -> Vec<u8> {
        let mut stub = Writer::with_capacity(TYPICAL);
        self.encode(&mut stub);
        stub.finish()
    }
}

/// Why a response does not give an operation's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError<S> {
    /// The response breaks its format.
    #[error("the response is malformed: {0}")]
    Ndr(#[from] NdrError),
    /// The call has failed, and the server says how.
    #[error("the call has failed: {0}")]
    Status(#[source] S),
}

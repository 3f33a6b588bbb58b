//! The witness interface's messages ([MS-SWN] 2.2 and 3.1.4).

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

mod hostile;
mod round_trip;
mod samba;

use dcerpc_proto::ndr::{Endian, Reader};
use dcerpc_proto::{Operation, ResponseError};

/// Decodes a response.
fn decode<O: Operation>(
    stub: &[u8],
    endian: Endian,
) -> Result<O::Output, ResponseError<O::Status>> {
    O::decode_response(&mut Reader::new(stub, endian))
}

//! From the stream's bytes to whole PDUs, and from fragments to whole stubs.

use super::{AssociationError, MAX_FRAGMENT, Reply};
use crate::ndr::Endian;
use crate::pdu::{Header, PduError, PfcFlags};

/// Cuts a stream into PDUs. Between PDUs it holds no memory; a PDU that
/// arrives whole is not copied.
#[derive(Debug, Default)]
pub(super) struct Frames {
    partial: Vec<u8>,
}

/// One whole PDU.
pub(super) enum PduBytes<'a> {
    InPlace(&'a mut [u8]),
    Assembled(Vec<u8>),
}

impl PduBytes<'_> {
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Self::InPlace(bytes) => bytes,
            Self::Assembled(bytes) => bytes,
        }
    }
}

impl Frames {
    /// Returns whether the rest of a PDU is still to come.
    pub(super) fn is_mid_pdu(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Returns the next PDU of what has arrived, `data` being what is new; what is
    /// taken from `data` is cut off its front. `None`: `data` is used up.
    pub(super) fn next<'a>(
        &mut self,
        data: &mut &'a mut [u8],
    ) -> Result<Option<(Header, PduBytes<'a>)>, PduError> {
        if data.is_empty() {
            return Ok(None);
        }
        if self.partial.is_empty() {
            if let Some(header) = Header::read(data, MAX_FRAGMENT)? {
                let len = usize::from(header.frag_length);
                if len <= data.len() {
                    let (pdu, rest) = std::mem::take(data).split_at_mut(len);
                    *data = rest;
                    return Ok(Some((header, PduBytes::InPlace(pdu))));
                }
            }
        }
        loop {
            let header = Header::read(&self.partial, MAX_FRAGMENT)?;
            let want = header.map_or(16, |header| usize::from(header.frag_length));
            if let (Some(header), true) = (header, self.partial.len() >= want) {
                return Ok(Some((header, PduBytes::Assembled(std::mem::take(&mut self.partial)))));
            }
            let taken = data.len().min(want - self.partial.len());
            if taken == 0 {
                return Ok(None);
            }
            let (now, rest) = std::mem::take(data).split_at_mut(taken);
            self.partial.extend_from_slice(now);
            *data = rest;
        }
    }
}

/// The stub of one response as its fragments arrive.
#[derive(Debug, Default)]
pub(super) struct Stub {
    data: Vec<u8>,
    endian: Option<Endian>,
}

impl Stub {
    /// Returns how much is there, in bytes.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Adds a fragment's stub, of at most `room` bytes; gives the whole once
    /// the last one is there.
    pub(super) fn add(
        &mut self,
        header: &Header,
        part: &[u8],
        room: usize,
    ) -> Result<Option<Reply>, AssociationError> {
        let first = header.flags.contains(PfcFlags::FIRST_FRAG);
        if first != self.endian.is_none() {
            return Err(AssociationError::FragmentOrder(header.call_id));
        }
        let endian = *self.endian.get_or_insert(header.endian);
        if part.len() > room {
            return Err(AssociationError::ResponseTooLong);
        }
        let last = header.flags.contains(PfcFlags::LAST_FRAG);
        if first && last {
            return Ok(Some(Reply { stub: part.to_vec(), endian }));
        }
        if part.len() > self.data.capacity() - self.data.len() {
            // It doubles, as a Vec does, but not beyond the bound.
            self.data.reserve_exact(self.data.len().clamp(part.len(), room));
        }
        self.data.extend_from_slice(part);
        if !last {
            return Ok(None);
        }
        Ok(Some(Reply { stub: std::mem::take(&mut self.data), endian }))
    }
}

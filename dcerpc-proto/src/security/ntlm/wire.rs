//! Little-endian fields, FILETIME, and the (length, maximum, offset) triples through
//! which NTLM messages point into their payload ([MS-NLMP] 2.2.1).

use std::time::{Duration, SystemTime};

/// Returns `time` as a FILETIME: units of 100 ns since 1601. Before 1970 it is 1970.
pub(super) fn filetime(time: SystemTime) -> u64 {
    const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let units = u64::try_from(since_1970.as_nanos() / 100).unwrap_or(u64::MAX);
    UNIX_EPOCH.saturating_add(units)
}

/// Returns the `N` bytes at `offset`.
pub(super) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// Returns what the triple at `offset` points at. The maximum length is ignored, and
/// so is the offset of an empty field, as [MS-NLMP] 2.2.1 has it.
pub(super) fn field(message: &[u8], offset: usize) -> Option<&[u8]> {
    let length = usize::from(u16_at(message, offset)?);
    let start = usize::try_from(u32_at(message, offset.checked_add(4)?)?).ok()?;
    if length == 0 {
        return Some(&[]);
    }
    message.get(start..start.checked_add(length)?)
}

/// Writes a message whose fixed part, `fixed_len` bytes long, holds triples
/// that point into the payload behind it.
pub(super) struct MessageWriter {
    fixed: Vec<u8>,
    payload: Vec<u8>,
    fixed_len: usize,
}

impl MessageWriter {
    pub(super) fn new(fixed_len: usize) -> Self {
        Self { fixed: Vec::with_capacity(fixed_len), payload: Vec::new(), fixed_len }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.fixed.extend_from_slice(bytes);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Appends `content` to the payload and its triple to the fixed part;
    /// `None` where it doesn't fit in 16 bits of length.
    pub(super) fn field(&mut self, content: &[u8]) -> Option<()> {
        let length = u16::try_from(content.len()).ok()?;
        let offset = u32::try_from(self.fixed_len.checked_add(self.payload.len())?).ok()?;
        self.bytes(&length.to_le_bytes());
        self.bytes(&length.to_le_bytes());
        self.u32(offset);
        self.payload.extend_from_slice(content);
        Some(())
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        debug_assert_eq!(self.fixed.len(), self.fixed_len);
        self.fixed.append(&mut self.payload);
        self.fixed
    }
}

/// Returns `text` in UTF-16LE, as NTLM sends strings and hashes passwords.
pub(super) fn utf16le(text: &str) -> Vec<u8> {
    // Never more than this, so a password isn't left behind by a reallocation.
    let mut bytes = Vec::with_capacity(text.len().saturating_mul(2));
    for unit in text.encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

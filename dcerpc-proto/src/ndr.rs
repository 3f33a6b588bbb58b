//! NDR 2.0 (C706 chapter 14): the reader takes what any server sends, in
//! either byte order; the writer writes little-endian.
//!
//! Every length and count is checked against the bytes that are there before
//! anything is allocated.

/// The integer representation of the data representation label (C706 14.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Why bytes could not be read as the type that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NdrError {
    /// The data ends within a value.
    #[error("{needed} bytes expected at offset {offset}, {left} left")]
    Truncated {
        /// Where the value starts.
        offset: usize,
        /// How long it is.
        needed: usize,
        /// How much there is.
        left: usize,
    },
    /// A count claims more elements than the data can hold.
    #[error("a count of {count} at offset {offset} exceeds the data")]
    Count {
        /// Where the count stands.
        offset: usize,
        /// What it says.
        count: u32,
    },
    /// A value is not one that the type allows.
    #[error("invalid {what} at offset {offset}")]
    Invalid {
        /// Where the value starts.
        offset: usize,
        /// What was expected there.
        what: &'static str,
    },
}

/// A context handle (C706 14.3.15, `ndr_context_handle`): the server's name
/// for state that it keeps for this client.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextHandle {
    attributes: u32,
    uuid: uuid::Uuid,
}

impl ContextHandle {
    /// Its length on the wire, in bytes.
    pub const LEN: usize = 20;

    /// Returns a handle from its two fields, as a server makes it.
    pub fn new(attributes: u32, uuid: uuid::Uuid) -> Self {
        Self { attributes, uuid }
    }

    /// Returns whether this is the null handle, which names nothing.
    pub fn is_null(&self) -> bool {
        self.attributes == 0 && self.uuid.is_nil()
    }
}

impl std::fmt::Debug for ContextHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.uuid)
    }
}

/// Reads NDR from a stub or a PDU body. Alignment counts from the first byte.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
    endian: Endian,
}

impl<'a> Reader<'a> {
    /// Reads `data` from its first byte.
    pub fn new(data: &'a [u8], endian: Endian) -> Self {
        Self { data, pos: 0, endian }
    }

    /// Returns where the next value is read, from the first byte.
    pub fn offset(&self) -> usize {
        self.pos
    }

    /// Returns how many bytes are left.
    pub fn remaining(&self) -> usize {
        self.data.len() - self.pos
    }

    /// Skips to a multiple of `to` bytes.
    pub fn align(&mut self, to: usize) -> Result<(), NdrError> {
        self.bytes(self.pos.next_multiple_of(to) - self.pos).map(drop)
    }

    /// Reads the next `len` bytes as they are.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], NdrError> {
        let truncated =
            NdrError::Truncated { offset: self.pos, needed: len, left: self.remaining() };
        let end = self.pos.checked_add(len).ok_or(truncated)?;
        let bytes = self.data.get(self.pos..end).ok_or(truncated)?;
        self.pos = end;
        Ok(bytes)
    }

    /// Reads the next `N` bytes as they are.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], NdrError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Reads all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.data.get(self.pos..).unwrap_or_default();
        self.pos = self.data.len();
        rest
    }

    /// Reads an octet.
    pub fn u8(&mut self) -> Result<u8, NdrError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads an aligned 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, NdrError> {
        self.align(2)?;
        let bytes = self.array()?;
        Ok(match self.endian {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        })
    }

    /// Reads an aligned 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, NdrError> {
        self.align(4)?;
        let bytes = self.array()?;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        })
    }

    /// Reads a UUID (C706 A.1): integers in the sender's order, then eight octets.
    pub fn uuid(&mut self) -> Result<uuid::Uuid, NdrError> {
        let (a, b, c) = (self.u32()?, self.u16()?, self.u16()?);
        Ok(uuid::Uuid::from_fields(a, b, c, &self.array()?))
    }

    /// Reads a context handle.
    pub fn context_handle(&mut self) -> Result<ContextHandle, NdrError> {
        Ok(ContextHandle { attributes: self.u32()?, uuid: self.uuid()? })
    }

    /// Reads the referent identifier of a unique or full pointer: whether there is a
    /// referent (C706 14.3.10).
    pub fn pointer(&mut self) -> Result<bool, NdrError> {
        Ok(self.u32()? != 0)
    }

    /// Reads the count of an array whose elements take at least `min_element_len`
    /// bytes each: what it returns fits the data that is left.
    pub fn count(&mut self, min_element_len: usize) -> Result<usize, NdrError> {
        self.align(4)?;
        let offset = self.pos;
        let count = self.u32()?;
        let too_many = NdrError::Count { offset, count };
        let n = usize::try_from(count).map_err(|_| too_many)?;
        match n.checked_mul(min_element_len) {
            Some(len) if len <= self.remaining() => Ok(n),
            _ => Err(too_many),
        }
    }

    /// Reads a conformant and varying string of 16-bit characters, its terminator
    /// taken off (C706 14.3.4.2).
    pub fn wide_string(&mut self) -> Result<String, NdrError> {
        let offset = self.pos;
        let invalid = NdrError::Invalid { offset, what: "string" };
        let max = self.u32()?;
        let first = self.u32()?;
        let actual = self.count(2)?;
        if first != 0 || usize::try_from(max).is_ok_and(|max| max < actual) {
            return Err(invalid);
        }
        let units = self.wide_chars(actual)?;
        let (last, text) = units.split_last().ok_or(invalid)?;
        if *last != 0 || text.contains(&0) {
            return Err(invalid);
        }
        String::from_utf16(text).map_err(|_| invalid)
    }

    /// Reads `count` 16-bit characters in the sender's byte order. The caller has
    /// bounded `count`, for example by [`Reader::count`].
    pub fn wide_chars(&mut self, count: usize) -> Result<Vec<u16>, NdrError> {
        let endian = self.endian;
        Ok(self
            .bytes(count.saturating_mul(2))?
            .chunks_exact(2)
            .map(|c| match (c, endian) {
                (&[a, b], Endian::Little) => u16::from_le_bytes([a, b]),
                (&[a, b], Endian::Big) => u16::from_be_bytes([a, b]),
                _ => 0,
            })
            .collect())
    }
}

/// Writes little-endian NDR.
#[derive(Debug, Default)]
pub struct Writer {
    data: Vec<u8>,
    pointers: u32,
}

impl Writer {
    /// Returns an empty stub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an empty stub with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { data: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Returns the stub's bytes.
    pub fn finish(self) -> Vec<u8> {
        self.data
    }

    /// Returns how much is written so far, in bytes.
    pub fn offset(&self) -> usize {
        self.data.len()
    }

    /// Pads with zeros to a multiple of `to` bytes.
    pub fn align(&mut self, to: usize) {
        self.pad(0, to);
    }

    /// Pads with zeros to a multiple of `to` bytes counted from `from`.
    pub fn pad(&mut self, from: usize, to: usize) {
        let len = self.data.len().saturating_sub(from).next_multiple_of(to);
        self.data.resize(from + len, 0);
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    /// Writes an octet.
    pub fn u8(&mut self, value: u8) {
        self.data.push(value);
    }

    /// Writes an aligned 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.align(2);
        self.bytes(&value.to_le_bytes());
    }

    /// Writes an aligned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes(&value.to_le_bytes());
    }

    /// Writes a length or a count; one beyond 32 bits as the most there is.
    pub fn len(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }

    /// Writes a UUID.
    pub fn uuid(&mut self, uuid: &uuid::Uuid) {
        self.align(4);
        self.bytes(&uuid.to_bytes_le());
    }

    /// Writes a context handle.
    pub fn context_handle(&mut self, handle: &ContextHandle) {
        self.u32(handle.attributes);
        self.uuid(&handle.uuid);
    }

    /// Writes a unique pointer: a fresh referent identifier, or null.
    pub fn pointer(&mut self, present: bool) {
        if present {
            // Any distinct non-zero values do; these are what other
            // implementations send.
            let id = 0x0002_0000 + 4 * self.pointers;
            self.pointers += 1;
            self.u32(id);
        } else {
            self.u32(0);
        }
    }

    /// Writes a conformant and varying string of 16-bit characters with terminator.
    pub fn wide_string(&mut self, text: &str) {
        let units = text.encode_utf16().count() + 1;
        self.len(units);
        self.u32(0);
        self.len(units);
        for unit in text.encode_utf16() {
            self.bytes(&unit.to_le_bytes());
        }
        self.bytes(&[0, 0]);
    }

    /// Writes a unique pointer to such a string, or null.
    pub fn unique_wide_string(&mut self, text: Option<&str>) {
        self.pointer(text.is_some());
        if let Some(text) = text {
            self.wide_string(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_follow_the_senders_byte_order_and_their_alignment() {
        let mut r = Reader::new(&[1, 0, 0, 2, 0, 0, 0, 3], Endian::Big);
        assert_eq!(r.u8(), Ok(1));
        assert_eq!(r.u16(), Ok(2));
        assert_eq!(r.u32(), Ok(3));
        assert_eq!(r.u8(), Err(NdrError::Truncated { offset: 8, needed: 1, left: 0 }));
    }

    #[test]
    fn a_count_beyond_the_data_is_refused_before_anything_is_allocated() {
        let data = [0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        assert!(matches!(Reader::new(&data, Endian::Little).count(1), Err(NdrError::Count { .. })));
        assert!(matches!(
            Reader::new(&data, Endian::Little).count(552),
            Err(NdrError::Count { .. })
        ));
    }

    #[test]
    fn a_string_without_terminator_or_with_an_offset_is_refused() {
        for stub in [
            [1u32, 0, 1, 0x0041].map(u32::to_le_bytes).concat(),
            [1u32, 1, 1, 0].map(u32::to_le_bytes).concat(),
            [0u32, 0, 1, 0].map(u32::to_le_bytes).concat(),
            [0u32, 0, 0].map(u32::to_le_bytes).concat(),
        ] {
            assert!(matches!(
                Reader::new(&stub, Endian::Little).wide_string(),
                Err(NdrError::Invalid { what: "string", .. })
            ));
        }
    }

    proptest! {
        #[test]
        fn strings_and_handles_survive_the_wire(text in "[^\0]{0,40}", a: u32, u: u128) {
            let handle = ContextHandle::new(a, uuid::Uuid::from_u128(u));
            let mut w = Writer::new();
            w.unique_wide_string(Some(&text));
            w.context_handle(&handle);
            let stub = w.finish();
            let mut r = Reader::new(&stub, Endian::Little);
            prop_assert!(r.pointer().unwrap());
            prop_assert_eq!(r.wide_string().unwrap(), text);
            prop_assert_eq!(r.context_handle().unwrap(), handle);
            prop_assert_eq!(r.remaining(), 0);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(data: Vec<u8>, big: bool, ops in prop::collection::vec(0..8u8, 0..20)) {
            let mut r = Reader::new(&data, if big { Endian::Big } else { Endian::Little });
            for op in ops {
                let _ = match op {
                    0 => r.u8().map(drop),
                    1 => r.u16().map(drop),
                    2 => r.u32().map(drop),
                    3 => r.uuid().map(drop),
                    4 => r.count(3).map(drop),
                    5 => r.wide_string().map(drop),
                    6 => r.align(8),
                    _ => r.bytes(data.len() / 2).map(drop),
                };
            }
        }
    }
}

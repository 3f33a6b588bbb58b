//! Netlink's framing: messages in a datagram, attributes in a message.
//!
//! Reading borrows from the receive buffer, so that the only copy of a password
//! is the one the decoder makes on purpose: neli's own parser copies each
//! attribute into memory it does not wipe, writes the bytes to the trace log,
//! and counts on the lengths being right.

use neli::consts::nl::NlmF;
use rustix::io::Errno;
use std::num::TryFromIntError;

/// `sizeof(struct nlmsghdr)`.
const NLMSG_HEADER: usize = 16;
/// `sizeof(struct genlmsghdr)`.
const GENL_HEADER: usize = 4;
/// `sizeof(struct nlattr)`.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_TYPE_MASK`: the two bits above are `NLA_F_NESTED` and
/// `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// A length that leads out of the message it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {part} of {length} bytes where {room} are left")]
pub struct BadLength {
    /// "message", "header" or "attribute".
    pub part: &'static str,
    /// The length as the message gives it.
    pub length: usize,
    /// The bytes that are there.
    pub room: usize,
}

/// A message could not be written: it is too long for a length field.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode a netlink message: {0}")]
pub struct EncodeError(#[from] TryFromIntError);

/// One netlink message, borrowed from its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`: a generic netlink family's id, or `NLMSG_ERROR` and the like.
    pub kind: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of a datagram. A length that cannot be followed ends it.
#[derive(Debug, Clone)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// The messages in `datagram`.
    pub fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, BadLength>;

    fn next(&mut self) -> Option<Self::Item> {
        let here = self.0;
        if here.is_empty() {
            return None;
        }
        self.0 = &[];
        let bad = |length| BadLength { part: "message", length, room: here.len() };
        let Some((header, _)) = here.split_first_chunk::<NLMSG_HEADER>() else {
            return Some(Err(bad(NLMSG_HEADER)));
        };
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let Some(payload) = here.get(NLMSG_HEADER..length) else {
            return Some(Err(bad(length)));
        };
        self.0 = here.get(align(length)..).unwrap_or_default();
        Some(Ok(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        }))
    }
}

/// A generic netlink message: what follows the netlink header.
#[derive(Debug, Clone)]
pub struct Generic<'a> {
    /// `cmd` of the family.
    pub command: u8,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

impl<'a> Generic<'a> {
    /// Reads the generic header.
    pub fn new(payload: &'a [u8]) -> Result<Self, BadLength> {
        let Some(([command, ..], rest)) = payload.split_first_chunk::<GENL_HEADER>() else {
            return Err(BadLength { part: "header", length: GENL_HEADER, room: payload.len() });
        };
        Ok(Self { command: *command, attributes: Attributes(rest) })
    }
}

/// One attribute, borrowed from its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// `nla_type`, without its flag bits.
    pub kind: u16,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The attributes of a message or of a nesting attribute. A length that cannot
/// be followed ends it.
#[derive(Debug, Clone)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, BadLength>;

    fn next(&mut self) -> Option<Self::Item> {
        let here = self.0;
        if here.is_empty() {
            return None;
        }
        self.0 = &[];
        let bad = |length| BadLength { part: "attribute", length, room: here.len() };
        let Some(([l0, l1, k0, k1], _)) = here.split_first_chunk::<ATTRIBUTE_HEADER>() else {
            return Some(Err(bad(ATTRIBUTE_HEADER)));
        };
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let Some(payload) = here.get(ATTRIBUTE_HEADER..length) else {
            return Some(Err(bad(length)));
        };
        self.0 = here.get(align(length)..).unwrap_or_default();
        Some(Ok(Attribute { kind: u16::from_ne_bytes([*k0, *k1]) & ATTRIBUTE_TYPE_MASK, payload }))
    }
}

/// `NLMSG_ALIGN` and `NLA_ALIGN`, which are the same.
fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// What an `NLMSG_ERROR` message says: nothing wrong, or an errno.
pub fn answer(payload: &[u8]) -> Option<Result<(), Errno>> {
    match i32::from_ne_bytes(*payload.first_chunk()?) {
        0 => Some(Ok(())),
        // `MAX_ERRNO`; rustix panics beyond it.
        code @ -4095..0 => Some(Err(Errno::from_raw_os_error(-code))),
        _ => None,
    }
}

/// A generic netlink message, written into memory that is there already: neli's
/// builders take some for each attribute and each header.
#[derive(Debug)]
pub struct MessageWriter<'a>(&'a mut Vec<u8>);

impl<'a> MessageWriter<'a> {
    /// Starts a message in place of what `bytes` holds; its length is filled in by
    /// [`MessageWriter::finish`].
    pub fn new(
        bytes: &'a mut Vec<u8>,
        family: u16,
        flags: NlmF,
        sequence: u32,
        command: impl Into<u8>,
    ) -> Self {
        let ([f0, f1], [b0, b1]) = (family.to_ne_bytes(), flags.bits().to_ne_bytes());
        let [s0, s1, s2, s3] = sequence.to_ne_bytes();
        #[rustfmt::skip]
        let headers = [
            0, 0, 0, 0, f0, f1, b0, b1, s0, s1, s2, s3,
            0, 0, 0, 0, // The sender's port, which the kernel knows.
            command.into(), 1, 0, 0,
        ];
        bytes.clear();
        bytes.extend_from_slice(&headers);
        Self(bytes)
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: impl Into<u16>, payload: &[u8]) -> Result<(), EncodeError> {
        self.parts(kind, &[payload])
    }

    /// Adds an attribute of text, which ends with a zero.
    pub fn text(&mut self, kind: impl Into<u16>, text: &str) -> Result<(), EncodeError> {
        self.parts(kind, &[text.as_bytes(), &[0]])
    }

    fn parts(&mut self, kind: impl Into<u16>, payload: &[&[u8]]) -> Result<(), EncodeError> {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let [l0, l1] = u16::try_from(ATTRIBUTE_HEADER + length)?.to_ne_bytes();
        let [k0, k1] = kind.into().to_ne_bytes();
        self.0.extend_from_slice(&[l0, l1, k0, k1]);
        payload.iter().for_each(|part| self.0.extend_from_slice(part));
        self.0.resize(align(self.0.len()), 0);
        Ok(())
    }

    /// Ends the message.
    pub fn finish(self) -> Result<(), EncodeError> {
        let length = u32::try_from(self.0.len())?;
        if let Some(first) = self.0.first_chunk_mut() {
            *first = length.to_ne_bytes();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neli::consts::genl::{CtrlAttr, CtrlCmd};
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        let mut bytes = b"what was sent before".to_vec();
        let flags = NlmF::REQUEST | NlmF::ACK;
        let mut writer = MessageWriter::new(&mut bytes, 0x10, flags, 7, CtrlCmd::Getfamily);
        writer.text(CtrlAttr::FamilyName, "cifs").unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_request_has_the_layout_of_the_kernels_headers() {
        #[rustfmt::skip]
        let expected = [
            32, 0, 0, 0, 0x10, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, // nlmsghdr
            3, 1, 0, 0, // genlmsghdr
            9, 0, 2, 0, b'c', b'i', b'f', b's', 0, 0, 0, 0, // nlattr
        ];
        if cfg!(target_endian = "little") {
            assert_eq!(sample(), expected);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut datagram = sample();
        datagram.extend(sample());
        let messages: Vec<_> = Messages::new(&datagram).map(Result::unwrap).collect();
        assert_eq!(messages.len(), 2);
        for message in messages {
            assert_eq!((message.kind, message.sequence), (0x10, 7));
            let generic = Generic::new(message.payload).unwrap();
            assert_eq!(generic.command, 3);
            let attributes: Vec<_> = generic.attributes.map(Result::unwrap).collect();
            assert_eq!(attributes.len(), 1);
            assert_eq!(attributes[0].payload, b"cifs\0");
        }
    }

    #[test]
    fn a_length_beyond_the_datagram_or_short_of_the_header_is_refused() {
        for length in [0u32, 15, 33, u32::MAX] {
            let mut datagram = sample();
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            let messages: Vec<_> = Messages::new(&datagram).collect();
            assert_eq!(messages.len(), 1);
            assert!(messages[0].is_err(), "{length}");
        }
        for length in [0u16, 3, 13, u16::MAX] {
            let mut datagram = sample();
            datagram[20..22].copy_from_slice(&length.to_ne_bytes());
            let message = Messages::new(&datagram).next().unwrap().unwrap();
            let attributes: Vec<_> = Generic::new(message.payload).unwrap().attributes.collect();
            assert_eq!(attributes.len(), 1);
            assert!(attributes[0].is_err(), "{length}");
        }
    }

    #[test]
    fn an_attribute_too_long_for_its_length_field_is_not_sent() {
        let mut bytes = Vec::new();
        let mut writer = MessageWriter::new(&mut bytes, 0x10, NlmF::REQUEST, 7, 3);
        assert!(writer.text(CtrlAttr::FamilyName, &"x".repeat(65_531)).is_err());
        assert!(writer.attribute(CtrlAttr::FamilyName, &[0; 65_532]).is_err());
        writer.attribute(CtrlAttr::FamilyName, &[0; 65_531]).unwrap();
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            for message in Messages::new(&bytes).flatten() {
                if let Ok(generic) = Generic::new(message.payload) {
                    prop_assert!(generic.attributes.count() <= 64);
                }
                let _ = answer(message.payload);
            }
            prop_assert!(Attributes::new(&bytes).count() <= 64);
        }
    }
}

//! The little DER that SPNEGO needs ([X.690]): one-byte tags, definite lengths.

/// Tags ([X.690] 8.1.2).
pub(in crate::security) mod tag {
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const SEQUENCE: u8 = 0x30;
    /// Application 0, constructed.
    pub(crate) const APPLICATION_0: u8 = 0x60;

    /// Context-specific `n`, constructed, for `n` below 31.
    pub(crate) const fn context(number: u8) -> u8 {
        0xa0 | number
    }
}

/// Reads the elements of a constructed value in order. All of its answers are
/// slices of what it was given.
#[derive(Debug, Clone, Copy)]
pub(in crate::security) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::security) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(in crate::security) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the content of the next element, which has to have this tag.
    pub(in crate::security) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        if found != tag {
            return None;
        }
        let (length, rest) = read_length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// As [`Reader::expect`], where the element may be absent.
    pub(in crate::security) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    /// Returns the content of the one element that `bytes` is.
    pub(in crate::security) fn sole(bytes: &'a [u8], tag: u8) -> Option<&'a [u8]> {
        let mut reader = Self(bytes);
        let content = reader.expect(tag)?;
        reader.is_empty().then_some(content)
    }
}

/// Reads a length ([X.690] 8.1.3, 10.1): in as few bytes as it takes, at most four
/// behind the first.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let mut length = 0_usize;
    for &digit in digits {
        length = length.checked_mul(256)?.checked_add(usize::from(digit))?;
    }
    let shortest = digits.first() != Some(&0) && length >= 0x80;
    shortest.then_some((length, rest))
}

/// Appends one element.
pub(super) fn push(to: &mut Vec<u8>, tag: u8, content: &[u8]) {
    to.push(tag);
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => to.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let digits = bytes.iter().skip_while(|&&digit| digit == 0);
            let count = u8::try_from(digits.clone().count()).unwrap_or(u8::MAX);
            to.push(0x80 | count);
            to.extend(digits);
        }
    }
    to.extend_from_slice(content);
}

/// Encodes one element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len().saturating_add(6));
    push(&mut bytes, tag, content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Reader, element, tag};
    use proptest::prelude::*;

    #[test]
    fn lengths_are_as_short_as_can_be() {
        for (length, start) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (256, &[4, 0x82, 1, 0]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let bytes = element(tag::OCTET_STRING, &vec![7; length]);
            assert_eq!(bytes[..start.len()], *start);
            let content = Reader::sole(&bytes, tag::OCTET_STRING).unwrap();
            assert_eq!(content.len(), length);
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81],
            &[4, 0x81, 1, 7],
            &[4, 0x82, 0, 0x80],
            &[4, 0x85, 0, 0, 0, 0, 1, 7],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4, 1, 7, 7],
            &[6, 1, 7],
        ] {
            assert_eq!(Reader::sole(bytes, tag::OCTET_STRING), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let first = bytes.first().copied().unwrap_or_default();
            let mut reader = Reader::new(&bytes);
            while reader.expect(first).is_some() {}
            let _ = reader.optional(first);
        }
    }
}

//! AV pairs: what the server says about itself, and what the client adds to it
//! in its response ([MS-NLMP] 2.2.2.1).

use super::wire::{array, u16_at};

/// The identifiers used here ([MS-NLMP] 2.2.2.1).
pub(super) mod id {
    pub(crate) const EOL: u16 = 0;
    #[cfg(any(test, feature = "acceptor"))]
    pub(crate) const NB_COMPUTER_NAME: u16 = 1;
    #[cfg(any(test, feature = "acceptor"))]
    pub(crate) const NB_DOMAIN_NAME: u16 = 2;
    #[cfg(any(test, feature = "acceptor"))]
    pub(crate) const DNS_COMPUTER_NAME: u16 = 3;
    #[cfg(any(test, feature = "acceptor"))]
    pub(crate) const DNS_DOMAIN_NAME: u16 = 4;
    pub(crate) const FLAGS: u16 = 6;
    pub(crate) const TIMESTAMP: u16 = 7;
    pub(crate) const SINGLE_HOST: u16 = 8;
    pub(crate) const TARGET_NAME: u16 = 9;
    pub(crate) const CHANNEL_BINDINGS: u16 = 10;
}

/// MsvAvFlags: AUTHENTICATE has a MIC.
pub(super) const FLAG_MIC: u32 = 0x2;

/// A list of AV pairs in its wire form, ended by MsvAvEOL.
#[derive(Debug, Clone, Copy)]
pub(super) struct AvPairs<'a>(&'a [u8]);

impl<'a> AvPairs<'a> {
    /// Checks that `bytes` is a list with an end; whatever follows the end is
    /// ignored. `None` where it isn't.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut length = 0_usize;
        loop {
            let (identifier, value) = pair(bytes.get(length..)?)?;
            length = length.checked_add(4)?.checked_add(value.len())?;
            if identifier == id::EOL {
                return Some(Self(bytes.get(..length)?));
            }
        }
    }

    /// Returns the pairs in order, without the end.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (identifier, value) = pair(rest)?;
            rest = rest.get(value.len().checked_add(4)?..)?;
            (identifier != id::EOL).then_some((identifier, value))
        })
    }

    /// Returns the first pair of this kind.
    pub(super) fn get(self, identifier: u16) -> Option<&'a [u8]> {
        self.iter().find_map(|(found, value)| (found == identifier).then_some(value))
    }

    /// Returns MsvAvTimestamp, a FILETIME; `None` where it is absent or isn't one.
    pub(super) fn timestamp(self) -> Option<u64> {
        match self.get(id::TIMESTAMP)? {
            value if value.len() == 8 => array(value, 0).map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// Returns MsvAvFlags; 0 where it is absent or isn't four bytes long.
    pub(super) fn flags(self) -> u32 {
        match self.get(id::FLAGS) {
            Some(value) if value.len() == 4 => array(value, 0).map_or(0, u32::from_le_bytes),
            _ => 0,
        }
    }
}

/// Returns the pair that `bytes` starts with.
fn pair(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let length = usize::from(u16_at(bytes, 2)?);
    let value = bytes.get(4..length.checked_add(4)?)?;
    Some((u16_at(bytes, 0)?, value))
}

/// Appends one pair; `None` where the value doesn't fit in 16 bits of length.
pub(super) fn push(list: &mut Vec<u8>, identifier: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(value.len()).ok()?;
    list.extend_from_slice(&identifier.to_le_bytes());
    list.extend_from_slice(&length.to_le_bytes());
    list.extend_from_slice(value);
    Some(())
}

/// Returns what the client sends back ([MS-NLMP] 3.1.5.1.2): the server's pairs, then
/// its own, namely the promise of a MIC, channel
/// bindings of zeros (there is no channel to bind to), and the name of the
/// service it means to talk to. A server that sends these itself is not
/// believed.
///
/// The promise does not hang on the server's MsvAvTimestamp, as it does with Windows: an
/// attacker who takes that out of the CHALLENGE could alter AUTHENTICATE, or relay it. A
/// server that does not know the promise passes over it.
///
/// `target` is the service principal name in UTF-16LE. `None` where a pair is
/// too long.
pub(super) fn client_pairs(server: AvPairs<'_>, target: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut list = Vec::with_capacity(server.0.len().saturating_add(64));
    for (identifier, value) in server.iter() {
        match identifier {
            id::FLAGS | id::SINGLE_HOST | id::TARGET_NAME | id::CHANNEL_BINDINGS => {}
            _ => push(&mut list, identifier, value)?,
        }
    }
    push(&mut list, id::FLAGS, &(server.flags() | FLAG_MIC).to_le_bytes())?;
    push(&mut list, id::CHANNEL_BINDINGS, &[0; 16])?;
    if let Some(target) = target {
        push(&mut list, id::TARGET_NAME, target)?;
    }
    push(&mut list, id::EOL, &[])?;
    Some(list)
}

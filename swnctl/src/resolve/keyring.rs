//! A key that the kernel wants to have instantiated (keyctl(2)).

#![allow(unsafe_code, reason = "the C library has no function for keyctl(2)")]

use libc::{c_long, c_ulong};
use std::io;
use swnclient::ScopedAddr;

const DESCRIBE: c_ulong = 6;
const INSTANTIATE: c_ulong = 12;
const SET_TIMEOUT: c_ulong = 15;
const ASSUME_AUTHORITY: c_ulong = 16;
/// How long a key's description may be, with type, owner and permissions before it.
const DESCRIPTION_MAX: usize = 4096;

/// A key that this process may instantiate.
#[derive(Debug)]
pub(super) struct KeyInHand(c_ulong);

impl KeyInHand {
    /// Takes the right to instantiate a key, which the kernel has given to this process.
    pub(super) fn take(key: i32) -> io::Result<Self> {
        // Others name keyrings; zero is for giving a right up.
        let key = c_ulong::try_from(key).ok().filter(|key| *key > 0);
        let key = key.ok_or(io::ErrorKind::InvalidInput)?;
        keyctl(ASSUME_AUTHORITY, [key, 0, 0, 0])?;
        Ok(Self(key))
    }

    /// Returns what the key is for, without type, owner and permissions.
    pub(super) fn description(&self) -> io::Result<String> {
        let mut buffer = vec![0u8; DESCRIPTION_MAX];
        let at = buffer.as_mut_ptr().expose_provenance();
        let length = keyctl(DESCRIBE, [self.0, word(at), word(buffer.len()), 0])?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let text = buffer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
        let text = String::from_utf8_lossy(text);
        let description = text.trim_end_matches('\0').splitn(5, ';').nth(4);
        Ok(description.ok_or(io::ErrorKind::InvalidData)?.to_owned())
    }

    /// Gives the key an address, which the kernel keeps for so many seconds.
    pub(super) fn instantiate(&self, address: ScopedAddr, seconds: u32) -> io::Result<()> {
        keyctl(SET_TIMEOUT, [self.0, c_ulong::from(seconds), 0, 0])?;
        // The kernel wants the NUL.
        let payload = format!("{address}\0");
        let at = payload.as_ptr().expose_provenance();
        // Into no keyring but the kernel's own.
        keyctl(INSTANTIATE, [self.0, word(at), word(payload.len()), 0]).map(drop)
    }
}

fn word(value: usize) -> c_ulong {
    // As wide on Linux.
    c_ulong::try_from(value).unwrap_or_default()
}

/// Makes the system call. An address among `arguments` must be of memory that the operation
/// may use, for as long as the call.
fn keyctl(operation: c_ulong, arguments: [c_ulong; 4]) -> io::Result<c_long> {
    let [a, b, c, d] = arguments;
    // SAFETY: each caller gives the operation a buffer that is alive, with its length.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, operation, a, b, c, d) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::KeyInHand;

    #[test]
    fn a_key_that_is_not_to_be_instantiated_is_refused() {
        for key in [0, -1, i32::MAX] {
            assert!(KeyInHand::take(key).is_err(), "{key}");
        }
    }
}

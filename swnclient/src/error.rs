//! Errors that say what to do.

/// Why an attempt to register or to stay registered failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [MS-SWN] 3.2.4.1: a net name that is an address.
    #[error("mounted by the address {0}: a witness knows its cluster by name only; mount by name")]
    NetNameIsAddress(smol_str::SmolStr),
}

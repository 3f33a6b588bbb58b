//! Text that must not outlive its use, nor reach a log.

use zeroize::Zeroizing;

/// A password. Its memory is wiped when it is dropped, and it prints as nothing
/// that tells more than that it is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Copies `text` once, into memory of exactly its size: a string that grew
    /// would leave its smaller predecessors behind.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(String::from(text)))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

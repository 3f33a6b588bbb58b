//! Text that must not outlive its use, nor reach a log.

use ctutils::CtEq;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A password. However often it is cloned, it is in memory once; that memory is
/// wiped when the last clone is dropped. `Debug` does not show it, and
/// comparing it takes the same time whatever it is compared with.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Copies `text` once, into memory of exactly its size: a string that grew
    /// would leave its smaller predecessors behind.
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Zeroizing::new(String::from(text))))
    }

    /// Returns the text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).to_bool()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", Some(Secret::new("hidden"))), "Some(Secret)");
    }

    #[test]
    fn clones_are_one_copy() {
        let secret = Secret::new("hidden");
        assert_eq!(secret.expose().as_ptr(), secret.clone().expose().as_ptr());
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        assert_eq!(Secret::new("hidden"), Secret::new("hidden"));
        for other in ["", "hidde", "hiddem", "hidden!"] {
            assert_ne!(Secret::new("hidden"), Secret::new(other));
        }
    }
}

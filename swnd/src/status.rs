//! How many mounts there are, and how many have a witness.

use std::fmt;

/// Status of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether the cifs module is there.
    pub up: bool,
    /// How many mounts want a witness.
    pub mounts: usize,
    /// How many have one.
    pub registered: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On a kernel that asks for no witness, mounts are adopted.
        if self.up || self.mounts > 0 {
            let Self { mounts, registered, .. } = self;
            write!(f, "{registered} of {mounts} mounts registered")
        } else {
            f.write_str("waiting for the cifs module")
        }
    }
}

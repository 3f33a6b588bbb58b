//! What settings are for that are not for all.

use std::fmt;

/// A section of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The mounts by one name of a server.
    Cluster(String),
    /// The mounts that are adopted by a pattern.
    Mount(String),
}

impl Section {
    /// Returns the word that it begins with, and its name.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Cluster(name) => ("cluster", name),
            Self::Mount(name) => ("mount", name),
        }
    }

    /// Returns the cluster's name, where it is for one.
    pub fn cluster(&self) -> Option<&str> {
        match self {
            Self::Cluster(name) => Some(name),
            Self::Mount(_) => None,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}

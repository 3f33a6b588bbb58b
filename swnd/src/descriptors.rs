//! How many files swnd may have open. Each witness, and each account at it, takes a
//! connection of its own, and the default of 1024 is the limit of `select`, which
//! nothing here uses.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::warn!("cannot raise the limit of open files: {error}");
    }
}

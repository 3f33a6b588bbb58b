//! One copy of each distinct set of credentials, however many registrations
//! use it: links are shared by it, and secrets are not multiplied.

use crate::Credentials;
use std::sync::{Arc, Weak};

/// A set of credentials; equal ones are the same object.
#[derive(Debug, Clone)]
pub(super) struct SharedCredentials(Arc<Credentials>);

impl SharedCredentials {
    pub(super) fn get(&self) -> &Credentials {
        &self.0
    }
}

impl PartialEq for SharedCredentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The credentials in use.
#[derive(Debug, Default)]
pub(super) struct CredentialsPool {
    in_use: Vec<Weak<Credentials>>,
}

impl CredentialsPool {
    /// The shared copy of `credentials`.
    pub(super) fn intern(&mut self, credentials: Credentials) -> SharedCredentials {
        self.in_use.retain(|weak| weak.strong_count() > 0);
        let known =
            self.in_use.iter().filter_map(Weak::upgrade).find(|known| **known == credentials);
        SharedCredentials(known.unwrap_or_else(|| {
            let new = Arc::new(credentials);
            self.in_use.push(Arc::downgrade(&new));
            new
        }))
    }
}

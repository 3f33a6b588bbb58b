//! One copy of what many registrations have alike: credentials, by which links
//! are shared, and whose secrets are not multiplied; and interface lists.

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
pub(super) struct CredentialsPool(Pool<Credentials>);

impl CredentialsPool {
    /// The shared copy of `credentials`.
    pub(super) fn intern(&mut self, credentials: Credentials) -> SharedCredentials {
        SharedCredentials(self.0.intern(Arc::new(credentials)))
    }
}

/// What is in use of a kind, each value once.
#[derive(Debug)]
pub(super) struct Pool<T: ?Sized> {
    in_use: Vec<Weak<T>>,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { in_use: Vec::new() }
    }
}

impl<T: ?Sized + PartialEq> Pool<T> {
    /// The copy of `new` that is in use, which is `new` itself where it is the
    /// first.
    pub(super) fn intern(&mut self, new: Arc<T>) -> Arc<T> {
        self.in_use.retain(|weak| weak.strong_count() > 0);
        let known = self.in_use.iter().filter_map(Weak::upgrade).find(|known| **known == *new);
        known.unwrap_or_else(|| {
            self.in_use.push(Arc::downgrade(&new));
            new
        })
    }
}

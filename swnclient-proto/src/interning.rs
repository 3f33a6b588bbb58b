//! One copy of what many registrations have alike: credentials, by which links
//! are shared, and whose secrets are not multiplied; and interface lists.

use crate::wire::Interface;
use crate::{Credentials, ScopedAddr};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Names a set of credentials. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CredentialsId(u64);

/// A set of credentials; equal ones are the same object.
#[derive(Debug, Clone)]
pub(crate) struct SharedCredentials(Arc<Named>);

#[derive(Debug)]
struct Named {
    id: CredentialsId,
    credentials: Credentials,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.credentials == other.credentials
    }
}

impl SharedCredentials {
    pub(crate) fn get(&self) -> &Credentials {
        &self.0.credentials
    }

    pub(crate) fn id(&self) -> CredentialsId {
        self.0.id
    }
}

impl PartialEq for SharedCredentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The credentials in use.
#[derive(Debug, Default)]
pub(crate) struct CredentialsPool {
    pool: Pool<Named>,
    last_id: u64,
}

impl CredentialsPool {
    /// The shared copy of `credentials`.
    pub(crate) fn intern(&mut self, credentials: Credentials) -> SharedCredentials {
        self.last_id += 1;
        let id = CredentialsId(self.last_id);
        SharedCredentials(self.pool.intern(Arc::new(Named { id, credentials })))
    }
}

/// The interface lists in use.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pool: Pool<[Interface]>,
    /// The last one of each node.
    by_node: BTreeMap<ScopedAddr, Weak<[Interface]>>,
}

impl Lists {
    /// Returns the shared copy of a list that `node` gave, and the one
    /// that it replaces wherever that is kept: a node that tells each registration
    /// another list takes the memory of one.
    pub(crate) fn intern(
        &mut self,
        node: ScopedAddr,
        list: Vec<Interface>,
    ) -> (Arc<[Interface]>, Option<Arc<[Interface]>>) {
        // A list that is not in use any more keeps its memory as long as its last weak
        // reference.
        self.by_node.retain(|_, weak| weak.strong_count() > 0);
        let list = self.pool.intern(list.into());
        let before = self.by_node.insert(node, Arc::downgrade(&list));
        let before = before.and_then(|weak| weak.upgrade());
        (Arc::clone(&list), before.filter(|before| !Arc::ptr_eq(before, &list)))
    }
}

/// What is in use of a kind, each value once.
#[derive(Debug)]
pub(crate) struct Pool<T: ?Sized> {
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
    pub(crate) fn intern(&mut self, new: Arc<T>) -> Arc<T> {
        self.in_use.retain(|weak| weak.strong_count() > 0);
        let known = self.in_use.iter().filter_map(Weak::upgrade).find(|known| **known == *new);
        known.unwrap_or_else(|| {
            self.in_use.push(Arc::downgrade(&new));
            new
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use crate::ResourceState;
    use std::net::{IpAddr, Ipv4Addr};

    fn list(last: u8) -> Vec<Interface> {
        vec![Interface {
            group_name: "NODE1".into(),
            version: 2,
            state: ResourceState::Available,
            ipv4: Some(Ipv4Addr::new(192, 0, 2, last)),
            ipv6: None,
            witness: true,
        }]
    }

    #[test]
    fn a_node_s_list_replaces_its_list_before_and_equal_ones_are_the_same() {
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]).into());
        let mut lists = Lists::default();
        let (first, before) = lists.intern(one, list(1));
        assert!(before.is_none());
        let (same, before) = lists.intern(one, list(1));
        assert!(before.is_none() && Arc::ptr_eq(&first, &same));
        let (same, before) = lists.intern(other, list(1));
        assert!(before.is_none() && Arc::ptr_eq(&first, &same));
        let (second, before) = lists.intern(one, list(2));
        assert!(Arc::ptr_eq(&before.unwrap(), &first) && !Arc::ptr_eq(&first, &second));
        drop(second);
        let (_, before) = lists.intern(one, list(3));
        assert!(before.is_none(), "it is not in use any more");
    }
}

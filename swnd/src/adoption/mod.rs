//! Mounts that the kernel asks no witness for, and that swnd watches all the same: those
//! without the option `witness`, as all are on a kernel without `CONFIG_CIFS_SWN_UPCALL`.
//!
//! They are a source of registrations beside the kernel's messages: the table and the
//! failover treat them alike, but that nothing can be told to the kernel about them.
//!
//! [`Adoption`] decides, without files: which mounts there are goes in, what to register
//! and what not any more comes out. [`mounts`] finds them.

pub mod mounts;
mod rules;
mod source;

pub use rules::{Pattern, Rule, Rules, Watch};
pub use source::CredentialsFrom;

use crate::failover::DebugData;
pub use crate::mount::FIRST_ADOPTED;
use crate::mountinfo::CifsMount;
use std::collections::BTreeMap;
use swnclient::{RegistrationRequest, ScopedAddr};

/// What there is at one moment.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The cifs mounts.
    pub mounts: Vec<CifsMount>,
    /// What the cifs client says of its shares, where it says it.
    pub debug_data: Option<DebugData>,
}

/// What follows for the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A mount is there, or something about it has changed.
    Register {
        /// The mount's number.
        id: u32,
        /// What to watch.
        request: RegistrationRequest,
        /// Whether a witness watches it, and not swnd itself.
        witness: bool,
        /// Where its credentials are from; `None`: the machine's tickets.
        credentials: Option<CredentialsFrom>,
    },
    /// It is gone.
    Unregister {
        /// Its number.
        id: u32,
    },
}

/// Names a share, however it was written. As the kernel's, a registration is for all mounts
/// of a share.
type Key = (String, String);

/// What to watch, and by which credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    request: RegistrationRequest,
    witness: bool,
    credentials: Option<CredentialsFrom>,
}

impl Wanted {
    fn register(&self, id: u32) -> Change {
        let Self { request, witness, credentials } = self.clone();
        Change::Register { id, request, witness, credentials }
    }
}

/// The mounts that are adopted.
#[derive(Debug, Default)]
pub struct Adoption {
    rules: Rules,
    adopted: BTreeMap<Key, (u32, Wanted)>,
    last: Option<u32>,
    /// All must be registered again.
    again: bool,
}

impl Adoption {
    /// Adopts nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Returns whether it can adopt anything, or has.
    pub fn is_needed(&self) -> bool {
        !self.rules.is_empty() || !self.adopted.is_empty()
    }

    /// Changes which mounts are adopted, with the next [`Adoption::update`].
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Has the next [`Adoption::update`] register all again, with other credentials.
    pub fn register_again(&mut self) {
        self.again = true;
    }

    /// Compares what there is now with what is adopted.
    pub fn update(&mut self, found: &Found) -> Vec<Change> {
        let again = std::mem::take(&mut self.again);
        let mut wanted = self.wanted(found);
        let mut changes = Vec::new();
        self.adopted.retain(|key, (id, known)| {
            let stays = wanted.get(key).is_some_and(|new| new.witness == known.witness);
            if !stays {
                changes.push(Change::Unregister { id: *id });
            }
            stays
        });
        for (key, (id, known)) in &mut self.adopted {
            let Some(new) = wanted.remove(key) else { continue };
            if again || new != *known {
                changes.push(new.register(*id));
                *known = new;
            }
        }
        for (key, new) in wanted {
            let id = self.next_id();
            changes.push(new.register(id));
            self.adopted.insert(key, (id, new));
        }
        changes
    }

    /// Returns what to watch, for each share that is adopted.
    fn wanted(&self, found: &Found) -> BTreeMap<Key, Wanted> {
        let mut shares = BTreeMap::<Key, Vec<&CifsMount>>::new();
        for mount in &found.mounts {
            let key = (mount.net_name.to_lowercase(), mount.share_name.to_lowercase());
            shares.entry(key).or_default().push(mount);
        }
        let wanted = shares.into_iter().filter_map(|(key, mounts)| {
            // The kernel asks for a witness of this share.
            if mounts.iter().any(|mount| mount.has("witness")) {
                return None;
            }
            let share = found.debug_data.as_ref().and_then(|data| data.share(&key.0, &key.1));
            let first = mounts.iter().min_by_key(|mount| mount.id)?;
            if !self.rules.adopts(first, share) {
                return None;
            }
            let before = self.adopted.get(&key).map(|(_, it)| &it.request);
            let before_by = before.and_then(|it| Some(it.scoped(it.ip_address?)));
            let address = address(&mounts, before_by)?;
            // Written as by the mount that was there first.
            let request = before.cloned().unwrap_or_else(|| RegistrationRequest {
                net_name: first.net_name.as_str().into(),
                share_name: Some(first.share_name.as_str().into()),
                ip_address: None,
                scope_id: 0,
                net_name_notify: true,
                share_name_notify: true,
                ip_notify: false,
            });
            // A connection that is being made does not say it yet.
            let ip_notify = request.ip_notify || share.is_some_and(|share| share.scale_out);
            let request = request.served_by(address.address()).on_link(address.scope_id());
            let request = RegistrationRequest { ip_notify, ..request };
            let rule = self.rules.of(first);
            let witness = rule.is_none_or(|rule| rule.watch == Watch::Witness);
            let credentials = rule.and_then(|rule| rule.credentials.clone()).filter(|_| witness);
            Some((key, Wanted { request, witness, credentials }))
        });
        wanted.collect()
    }

    /// Returns a number that is not in use. It isn't used again soon.
    fn next_id(&mut self) -> u32 {
        loop {
            let next = self.last.and_then(|last| last.checked_add(1)).unwrap_or(FIRST_ADOPTED);
            self.last = Some(next);
            if !self.adopted.values().any(|(id, _)| *id == next) {
                return next;
            }
        }
    }
}

/// Returns the address that serves a share: of several mounts' the one that is watched, or
/// else the first mount's.
fn address(mounts: &[&CifsMount], before: Option<ScopedAddr>) -> Option<ScopedAddr> {
    let mut all: Vec<_> = mounts.iter().filter_map(|it| Some((it.id, it.address()?))).collect();
    all.sort_unstable();
    let is_before = |it: &&(u64, ScopedAddr)| Some(it.1) == before;
    all.iter().find(is_before).or(all.first()).map(|(_, address)| *address)
}

#[cfg(test)]
mod tests;

//! The locks of the inbox. `tests/inbox-model` has others in their place, which try every
//! order in which threads can take them.

pub(crate) use std::sync::{Mutex, MutexGuard};

//! loom's lock, which loses its thread while it is held as well: loom itself goes from one
//! thread to another only where one of its objects is used, and not at an unlock, so that
//! no `try_lock` would find it held.

pub(crate) use loom::sync::MutexGuard;
use loom::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::sync::{LockResult, TryLockResult};

#[derive(Debug)]
pub(crate) struct Mutex<T> {
    lock: loom::sync::Mutex<T>,
    used: AtomicUsize,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { lock: loom::sync::Mutex::new(value), used: AtomicUsize::new(0) }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = self.lock.lock();
        self.used.fetch_add(1, AcqRel);
        guard
    }

    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        self.used.fetch_add(1, AcqRel);
        let guard = self.lock.try_lock();
        self.used.fetch_add(1, AcqRel);
        guard
    }
}

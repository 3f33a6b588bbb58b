//! Requests that the kernel has not answered yet.

use std::collections::VecDeque;

/// What the kernel was asked for. `K`: see [`Link`](super::Link).
#[derive(Debug)]
pub(super) enum Request<K> {
    Controller,
    Family,
    Notification(K),
}

/// The requests by their sequence numbers, in the order in which they were made.
/// The kernel answers in this order: the first one looked at is nearly always the
/// right one.
#[derive(Debug)]
pub(super) struct PendingRequests<K>(VecDeque<(u32, Request<K>)>);

impl<K> Default for PendingRequests<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K> PendingRequests<K> {
    /// The capacity that is kept while there are none.
    const RETAINED_CAPACITY: usize = 16;

    pub(super) fn push(&mut self, sequence: u32, request: Request<K>) {
        self.0.push_back((sequence, request));
    }

    /// Removes the request with this number.
    pub(super) fn remove(&mut self, sequence: u32) -> Option<Request<K>> {
        let index = self.0.iter().position(|(number, _)| *number == sequence)?;
        let (_, request) = self.0.remove(index)?;
        if self.0.is_empty() {
            self.0.shrink_to(Self::RETAINED_CAPACITY);
        }
        Some(request)
    }

    /// Forgets all of them: no answer will come.
    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

//! What the engine's thread has left for the caller's loop.
//!
//! The loop never waits for that thread, which may lose its CPU at any moment:
//! where the inbox is locked, the loop goes on with something else, and is notified
//! by the thread that held it.

use crate::backlog::KEPT;
use crate::sync::{Mutex, MutexGuard};
use core_client::{Event, RegistrationId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, TryLockError};

/// From how many events on the inbox is searched for what is out of date.
const CROWDED: usize = 1024;

/// Wakes a loop to process the inbox. From any thread.
pub(crate) trait Notifier {
    /// Returns at once; the loop may be running before it does.
    fn notify(&self);
}

/// What has happened to registrations, oldest first.
pub(crate) type Events = VecDeque<(RegistrationId, Event)>;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Inbox<N> {
    inner: Mutex<Inner<N>>,
}

#[derive(Debug)]
struct Inner<N> {
    events: Events,
    /// How many may come before the next search.
    limit: usize,
    /// No more events will come: the client that posts here has ended.
    ended: bool,
    notifiers: Arc<[N]>,
}

impl<N> Default for Inbox<N> {
    fn default() -> Self {
        let inner = Inner {
            events: VecDeque::new(),
            limit: CROWDED,
            ended: false,
            notifiers: Arc::new([]),
        };
        Self { inner: Mutex::new(inner) }
    }
}

impl<N: Notifier> Inbox<N> {
    fn lock(&self) -> MutexGuard<'_, Inner<N>> {
        // Plain data, in order between any two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets those that are notified from now on; and notifies them where there is something
    /// to take, which a loop may have left because of the lock that was held here.
    pub(crate) fn set_notifiers(&self, notifiers: Arc<[N]>) {
        let mut inner = self.lock();
        let before = std::mem::replace(&mut inner.notifiers, Arc::clone(&notifiers));
        let is_left = inner.ended || !inner.events.is_empty();
        drop(inner);
        drop(before);
        if is_left {
            for notifier in notifiers.iter() {
                notifier.notify();
            }
        }
    }

    /// Adds an event. On the engine's thread.
    pub(crate) fn post(&self, id: RegistrationId, event: Event) {
        let notifiers = {
            let mut inner = self.lock();
            inner.events.push_back((id, event));
            if inner.events.len() > inner.limit {
                drop_outdated(&mut inner.events);
                inner.limit = CROWDED.max(2 * inner.events.len());
            }
            Arc::clone(&inner.notifiers)
        };
        for notifier in notifiers.iter() {
            notifier.notify();
        }
    }

    /// Says that the client has ended. On the engine's thread, or where that is gone.
    pub(crate) fn end(&self) {
        let notifiers = {
            let mut inner = self.lock();
            inner.ended = true;
            Arc::clone(&inner.notifiers)
        };
        for notifier in notifiers.iter() {
            notifier.notify();
        }
    }

    /// Whether the client has ended, and all that it left here is taken; from now on
    /// another one may post.
    pub(crate) fn take_end(&self) -> bool {
        let mut inner = self.lock();
        inner.events.is_empty() && std::mem::take(&mut inner.ended)
    }

    /// Takes what there is, once `events` is empty. Whether nothing is left here
    /// but what will be notified of.
    pub(crate) fn take(&self, events: &mut Events) -> bool {
        if !events.is_empty() {
            return false;
        }
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // What holds it notifies then.
            Err(TryLockError::WouldBlock) => return true,
        };
        std::mem::swap(&mut inner.events, events);
        inner.limit = CROWDED;
        true
    }
}

/// Of what is no news after a while only the last counts, and of what a witness has
/// told as much as is kept of it later: no call may fetch it for years.
fn drop_outdated(events: &mut Events) {
    let (mut registered, mut failed) = (HashSet::new(), HashSet::new());
    let mut told: HashMap<RegistrationId, usize> = HashMap::new();
    let mut keep: Vec<bool> = events
        .iter()
        .rev()
        .map(|(id, event)| match event {
            Event::Registered { .. } => registered.insert(*id),
            Event::Failed { .. } => failed.insert(*id),
            Event::Notification(_) => {
                let told = told.entry(*id).or_default();
                *told += 1;
                *told <= KEPT
            }
            // The end, and what it doesn't know.
            _ => true,
        })
        .collect();
    events.retain(|_| keep.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::{CROWDED, Events, Inbox, Notifier};
    use core_client::{Error, Event, Notification, RegistrationId};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::{Arc, Weak};

    /// Counts what a loop gets that is notified.
    #[derive(Debug)]
    struct Loop {
        inbox: Weak<Inbox<Arc<Self>>>,
        got: AtomicUsize,
    }

    impl Notifier for Arc<Loop> {
        fn notify(&self) {
            let got = take(&self.inbox.upgrade().unwrap());
            self.got.fetch_add(got.len(), Relaxed);
        }
    }

    const FIRST: RegistrationId = RegistrationId(1);
    const SECOND: RegistrationId = RegistrationId(2);

    fn failed() -> Event {
        Event::Failed { error: Error::NoWitness, retry_in: None }
    }

    fn registered() -> Event {
        Event::Registered { witness: [192, 0, 2, 1].into(), version: 2 }
    }

    fn take(inbox: &Inbox<Arc<Loop>>) -> Events {
        let mut events = Events::new();
        assert!(inbox.take(&mut events));
        events
    }

    #[test]
    fn a_loop_does_not_wait_for_the_engine_that_is_posting() {
        let inbox = Inbox::default();
        inbox.post(FIRST, failed());
        let posting = inbox.lock();
        assert!(take(&inbox).is_empty());
        drop(posting);
        assert_eq!(take(&inbox).len(), 1);
    }

    #[test]
    fn each_event_notifies_when_it_can_be_taken() {
        let inbox = Arc::new(Inbox::default());
        let notified = Arc::new(Loop { inbox: Arc::downgrade(&inbox), got: AtomicUsize::new(0) });
        inbox.set_notifiers(Arc::new([Arc::clone(&notified)]));
        inbox.post(FIRST, failed());
        inbox.post(SECOND, failed());
        assert_eq!(notified.got.load(Relaxed), 2);
    }

    #[test]
    fn a_loop_that_comes_is_notified_of_what_is_there() {
        let inbox = Arc::new(Inbox::default());
        inbox.post(FIRST, failed());
        let comes = Arc::new(Loop { inbox: Arc::downgrade(&inbox), got: AtomicUsize::new(0) });
        inbox.set_notifiers(Arc::new([Arc::clone(&comes)]));
        assert_eq!(comes.got.load(Relaxed), 1);
    }

    #[test]
    fn a_loop_that_has_events_left_is_told_to_look_again() {
        let inbox = Inbox::default();
        inbox.post(FIRST, registered());
        let mut events = take(&inbox);
        inbox.post(FIRST, failed());
        assert!(!inbox.take(&mut events));
        assert_eq!(events, [(FIRST, registered())]);
        events.clear();
        assert!(inbox.take(&mut events));
        assert_eq!(events, [(FIRST, failed())]);
    }

    #[test]
    fn failures_that_nobody_comes_for_do_not_fill_the_memory() {
        let inbox = Inbox::default();
        inbox.post(SECOND, failed());
        inbox.post(SECOND, Event::Unregistered);
        for _ in 0..CROWDED {
            inbox.post(FIRST, registered());
            inbox.post(FIRST, failed());
        }
        for _ in 0..10 * CROWDED {
            inbox.post(FIRST, failed());
        }
        let mut events = take(&inbox);
        assert!(events.len() <= CROWDED, "{}", events.len());
        assert_eq!(events.pop_front(), Some((SECOND, failed())));
        assert_eq!(events.pop_front(), Some((SECOND, Event::Unregistered)));
        assert_eq!(events.pop_front(), Some((FIRST, registered())));
        assert!(events.iter().all(|event| *event == (FIRST, failed())));
    }

    #[test]
    fn notifications_that_are_not_fetched_do_not_fill_the_memory() {
        let inbox = Inbox::default();
        let told = |last| {
            Event::Notification(Notification::ClientMove { address: [192, 0, 2, last].into() })
        };
        inbox.post(SECOND, told(1));
        for _ in 0..100 * CROWDED {
            inbox.post(FIRST, told(2));
        }
        inbox.post(FIRST, told(3));
        let mut events = take(&inbox);
        assert!(events.len() <= CROWDED + 1, "{}", events.len());
        assert_eq!(events.pop_front(), Some((SECOND, told(1))));
        assert_eq!(events.pop_back(), Some((FIRST, told(3))));
    }
}

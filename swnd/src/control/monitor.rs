//! The clients that are told each event. The event loop never waits for one.

use super::interface::Event;
use crate::counters::Counters;
use crate::report::Report;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, error::TrySendError};

/// How many events a client may be behind; what comes then is counted.
const QUEUE: usize = 256;

struct Monitor {
    events: mpsc::Sender<Event>,
    lost: u64,
}

/// The clients of `Monitor`, and what was counted for those of `Counters`. Clones share
/// them.
#[derive(Clone, Default)]
pub struct Monitors {
    all: Arc<Mutex<Vec<Monitor>>>,
    counters: Arc<Counters>,
}

impl Monitors {
    fn all(&self) -> MutexGuard<'_, Vec<Monitor>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client, until its receiver is dropped.
    pub(super) fn add(&self) -> mpsc::Receiver<Event> {
        let (events, receiver) = mpsc::channel(QUEUE);
        let mut all = self.all();
        all.retain(|monitor| !monitor.events.is_closed());
        all.push(Monitor { events, lost: 0 });
        receiver
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts it, and tells each client, where there is one and it has room.
    pub fn report(&self, report: &Report) {
        self.counters.report(report);
        let mut all = self.all();
        if all.is_empty() {
            return;
        }
        let event = Event::new(report);
        all.retain_mut(|monitor| {
            let event = Event { lost: monitor.lost, ..event.clone() };
            match monitor.events.try_send(event) {
                Ok(()) => monitor.lost = 0,
                Err(TrySendError::Full(_)) => monitor.lost += 1,
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
    }
}

impl std::fmt::Debug for Monitors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Monitors").field(&self.all().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_loses_events_and_learns_how_many() {
        let monitors = Monitors::default();
        let mut receiver = monitors.add();
        for _ in 0..QUEUE + 3 {
            monitors.report(&Report::Overrun);
        }
        for _ in 0..QUEUE {
            assert_eq!(receiver.try_recv().unwrap().lost, 0);
        }
        assert!(receiver.try_recv().is_err());
        monitors.report(&Report::Listening);
        let event = receiver.try_recv().unwrap();
        assert_eq!((event.kind.as_str(), event.lost), ("listening", 3));
    }

    #[test]
    fn a_client_that_has_gone_is_forgotten() {
        let monitors = Monitors::default();
        drop(monitors.add());
        monitors.report(&Report::Overrun);
        assert_eq!(monitors.all().len(), 0);
    }
}

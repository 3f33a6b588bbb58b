//! Models of libswnclient's inbox. Its files are taken as they are, with loom's locks in the
//! place of the system's: each model is run once for every order in which its threads can
//! take the lock and see each other's notifications.

#[allow(dead_code, reason = "the inbox uses a part of it")]
#[path = "../../../swnclient-sys/src/backlog.rs"]
mod backlog;
#[path = "../../../swnclient-sys/src/inbox.rs"]
mod inbox;

mod sync;

use core_client::{Error, Event, RegistrationId};
use inbox::{Events, Inbox, Notifier};
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::AcqRel;
use loom::thread;

/// A loop's notification, as an eventfd is: it is there until the loop looks.
#[derive(Clone)]
struct Bell(Arc<AtomicBool>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// A loop's turn, if it was notified: what it takes.
    fn turn(&self, inbox: &Inbox<Self>) -> usize {
        let mut events = Events::new();
        if self.0.swap(false, AcqRel) {
            inbox.take(&mut events);
        }
        events.len()
    }
}

impl Notifier for Bell {
    fn notify(&self) {
        self.0.swap(true, AcqRel);
    }
}

fn post(inbox: &Inbox<Bell>) {
    inbox.post(RegistrationId(1), Event::Failed { error: Error::NoWitness, retry_in: None });
}

/// Posts twice while a loop turns.
pub fn posting() {
    loom::model(|| {
        let (inbox, bell) = (Arc::new(Inbox::default()), Bell::new());
        inbox.set_notifiers([bell.clone()].into());
        let engine = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                post(&inbox);
                post(&inbox);
            })
        };
        let mut got = bell.turn(&inbox) + bell.turn(&inbox);
        engine.join().unwrap();
        got += bell.turn(&inbox);
        assert_eq!(got, 2);
    });
}

/// Posts, and sets the notifiers, while a loop turns.
pub fn coming() {
    loom::model(|| {
        let (inbox, bell) = (Arc::new(Inbox::default()), Bell::new());
        inbox.set_notifiers([bell.clone()].into());
        let engine = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || post(&inbox))
        };
        let comes = {
            let (inbox, bell) = (Arc::clone(&inbox), bell.clone());
            // A loop of its own, which does not turn yet.
            thread::spawn(move || inbox.set_notifiers([bell, Bell::new()].into()))
        };
        let mut got = bell.turn(&inbox);
        engine.join().unwrap();
        comes.join().unwrap();
        got += bell.turn(&inbox);
        assert_eq!(got, 1);
    });
}

/// Posts and ends while a loop turns.
pub fn ending() {
    loom::model(|| {
        let (inbox, bell) = (Arc::new(Inbox::default()), Bell::new());
        inbox.set_notifiers([bell.clone()].into());
        let engine = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                post(&inbox);
                inbox.end();
            })
        };
        let (mut got, mut ends) = (0, 0);
        let mut turn = || {
            got += bell.turn(&inbox);
            if inbox.take_end() {
                assert_eq!(got, 1);
                ends += 1;
            }
        };
        turn();
        turn();
        engine.join().unwrap();
        turn();
        assert_eq!(ends, 1);
    });
}

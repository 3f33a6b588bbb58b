//! What libswnclient keeps between its thread and the caller's: the inbox, and the registry
//! of who waits for what. That library is for C only, so that its files are taken here as
//! they are; they have no `unsafe` code.

use crate::errno::Errno;
use crate::inbox::{Events, Inbox, Notifier};
use crate::registry::{Registrar, Registry, RequestId, Wake};
use core_client::{
    Credentials, Error, Event, Notification, NtlmCredentials, RegistrationId, RegistrationRequest,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// More than a backlog keeps, and the inbox of few registrations.
const KEPT_MAX: usize = 4096;
/// Twice as much as the inbox keeps of one registration.
const KEPT_OF_EACH: usize = 1024;

/// A client that says yes, and the caller's loop.
#[derive(Debug, Clone, Default)]
struct Outside {
    last: Rc<Cell<u64>>,
    /// Those that have not ended.
    live: Rc<RefCell<BTreeSet<u64>>>,
    woken: Rc<RefCell<Vec<RequestId>>>,
}

impl Registrar for Outside {
    fn register(&self, _: RegistrationRequest, _: Credentials) -> RegistrationId {
        self.last.set(self.last.get() + 1);
        self.live.borrow_mut().insert(self.last.get());
        RegistrationId(self.last.get())
    }

    fn request_again(&self, id: RegistrationId, _: Credentials) {
        assert!(self.live.borrow().contains(&id.0), "{id:?} has ended");
    }

    fn unregister(&self, id: RegistrationId) {
        self.live.borrow_mut().remove(&id.0);
    }
}

impl Wake for Outside {
    fn wake(&self, request: RequestId) {
        self.woken.borrow_mut().push(request);
    }
}

/// Where there is none to wake.
#[derive(Debug)]
struct Nothing;

impl Notifier for Nothing {
    fn notify(&self) {}
}

struct Bench {
    outside: Outside,
    inbox: Inbox<Nothing>,
    registry: Registry<Outside>,
    /// As taken from the inbox, and not handled yet.
    events: Events,
    requests: Vec<(RequestId, u8)>,
    told: u32,
}

fn info(which: u8) -> RegistrationRequest {
    RegistrationRequest {
        // In both cases it is the same name.
        net_name: if which & 4 == 0 { "cluster" } else { "CLUSTER" }.into(),
        share_name: Some(format!("share{}", which & 3).into()),
        ip_address: None,
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    }
}

impl Bench {
    /// Does one thing; `which` is a registration, a request, or how many.
    fn act(&mut self, action: u8, which: u8) {
        let (outside, waker) = (self.outside.clone(), self.outside.clone());
        match action % 10 {
            0 => {
                let user = if which & 8 == 0 { "alice" } else { "bob" };
                let credentials = NtlmCredentials::from_password(user, "D", "p");
                let credentials = Credentials::Ntlm(credentials);
                let started = self.registry.register(info(which), credentials, &outside, waker);
                self.started(started, which);
            }
            1 => {
                let started = self.registry.wait(info(which), waker);
                self.started(started, which);
            }
            2 => {
                let started = self.registry.unregister(info(which), &outside, waker);
                self.started(started, which);
            }
            3 => self.post(which, Event::Registered { witness: [10, 0, 0, 1].into(), version: 2 }),
            4 => self.post(which, Event::Failed { error: Error::NoWitness, retry_in: None }),
            5 => self.post(which, Event::Unregistered),
            6 => {
                for _ in 0..=which {
                    self.told += 1;
                    let address = IpAddr::from(Ipv4Addr::from(self.told));
                    let notification = Notification::ClientMove { address };
                    self.post(which, Event::Notification(notification));
                }
            }
            7 => self.turn(usize::from(which)),
            8 => self.poll(which & 0x80 != 0),
            _ => {
                if let Some(at) = usize::from(which).checked_rem(self.requests.len()) {
                    let (request, _) = self.requests.swap_remove(at);
                    self.registry.abandon(request, &outside);
                    assert_eq!(self.registry.poll(request), None);
                }
            }
        }
    }

    fn started(&mut self, started: Result<RequestId, Errno>, which: u8) {
        match started {
            Ok(request) => self.requests.push((request, which & 3)),
            Err(errno) => assert_ne!(errno.0, 0),
        }
    }

    /// Of one of those that there have been, or will be.
    fn post(&mut self, which: u8, event: Event) {
        let id = 1 + u64::from(which) % (self.outside.last.get() + 1);
        self.inbox.post(RegistrationId(id), event);
    }

    /// A turn of the caller's loop, which handles so many events.
    fn turn(&mut self, count: usize) {
        self.inbox.take(&mut self.events);
        let registrations = usize::try_from(self.outside.last.get()).unwrap_or(usize::MAX);
        let most = KEPT_MAX.max(registrations.saturating_add(1).saturating_mul(KEPT_OF_EACH));
        assert!(self.events.len() <= most, "{}", self.events.len());
        let count = count.min(self.events.len());
        for (id, event) in self.events.drain(..count) {
            self.registry.event(id, event, &self.outside);
        }
    }

    /// Asks each request for its outcome; with `refused`, what a wait gives comes back.
    fn poll(&mut self, refused: bool) {
        self.outside.woken.borrow_mut().clear();
        let requests = std::mem::take(&mut self.requests);
        for (request, which) in requests {
            match self.registry.poll(request) {
                None => self.requests.push((request, which)),
                Some(Ok(batch)) if refused => self.registry.give_back(info(which), batch),
                Some(Ok(batch)) => {
                    assert!(batch.len() <= KEPT_MAX, "{}", batch.len());
                    // Each is an address higher than the one before.
                    let addresses = batch.iter().map(|it| match it {
                        Notification::ClientMove { address } => *address,
                        other => panic!("{other:?} was never told"),
                    });
                    assert!(addresses.is_sorted(), "{batch:?}");
                }
                Some(Err(errno)) => assert_ne!(errno.0, 0),
            }
        }
    }
}

/// Pairs of bytes: what is done, and to which.
pub(crate) fn c_inbox(data: &[u8]) {
    let mut bench = Bench {
        outside: Outside::default(),
        inbox: Inbox::default(),
        registry: Registry::default(),
        events: Events::new(),
        requests: Vec::new(),
        told: 0,
    };
    for pair in data.chunks_exact(2).take(512) {
        if let [action, which] = pair {
            bench.act(*action, *which);
        }
    }
    // Each request is told how it ended.
    bench.registry.close(Errno::CANCELED);
    for (request, _) in bench.requests {
        assert!(bench.registry.poll(request).is_some(), "{request:?}");
    }
}

/// A registration's life, with and without a wait, a crowd of news, and each misuse.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 3, 0, 7, 9, 8, 0, 1, 0, 6, 0, 7, 9, 8, 0, 2, 0, 5, 0, 7, 9, 8, 0],
        vec![0, 0, 3, 0, 7, 9, 6, 255, 6, 255, 6, 255, 6, 255, 6, 255, 7, 255, 1, 0, 8, 128, 8, 0],
        vec![0, 1, 0, 1, 0, 5, 9, 0, 3, 0, 7, 9, 8, 0, 0, 9, 4, 0, 7, 9, 1, 1, 1, 1],
        vec![1, 2, 2, 2, 0, 2, 4, 0, 7, 9, 8, 0, 0, 2, 3, 0, 7, 9, 8, 0, 4, 0, 7, 9, 0, 2, 1, 2],
    ]
}

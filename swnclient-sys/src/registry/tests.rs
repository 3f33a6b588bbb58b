use super::{Registrar, Registry, RequestId, Wake};
use crate::errno::Errno;
use core_client::{
    Credentials, Error, Event, Notification, NtlmCredentials, RegistrationId, RegistrationRequest,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What the registry asks of the client.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Register(RegistrationId),
    Retry(RegistrationId),
    Unregister(RegistrationId),
}

#[derive(Default)]
struct Client {
    last: Cell<u64>,
    asked: RefCell<Vec<Asked>>,
}

impl Client {
    fn asked(&self) -> Vec<Asked> {
        self.asked.take()
    }
}

impl Registrar for Client {
    fn register(&self, _: RegistrationRequest, _: Credentials) -> RegistrationId {
        self.last.set(self.last.get() + 1);
        let id = RegistrationId(self.last.get());
        self.asked.borrow_mut().push(Asked::Register(id));
        id
    }

    fn request_again(&self, id: RegistrationId, _: Credentials) {
        self.asked.borrow_mut().push(Asked::Retry(id));
    }

    fn unregister(&self, id: RegistrationId) {
        self.asked.borrow_mut().push(Asked::Unregister(id));
    }
}

#[derive(Debug, Clone, Default)]
struct Woken(Rc<RefCell<Vec<RequestId>>>);

impl Wake for Woken {
    fn wake(&self, request: RequestId) {
        self.0.borrow_mut().push(request);
    }
}

impl Woken {
    fn take(&self) -> Vec<RequestId> {
        self.0.take()
    }
}

/// A registry, its client and its wakers.
#[derive(Default)]
struct Bench {
    registry: Registry<Woken>,
    client: Client,
    woken: Woken,
}

const FIRST: RegistrationId = RegistrationId(1);
const SECOND: RegistrationId = RegistrationId(2);

fn info(net_name: &str) -> RegistrationRequest {
    RegistrationRequest {
        net_name: net_name.into(),
        share_name: Some("data".into()),
        ip_address: "192.0.2.1".parse().ok(),
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    }
}

fn credentials(password: &str) -> Credentials {
    Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", password))
}

fn registered() -> Event {
    Event::Registered { witness: [192, 0, 2, 2].into(), version: 2 }
}

fn denied() -> Error {
    Error::AccessDenied { address: [192, 0, 2, 1].into(), detail: "no".into() }
}

fn client_move(last: u8) -> Notification {
    Notification::ClientMove { address: [192, 0, 2, last].into() }
}

impl Bench {
    fn register(&mut self) -> Result<RequestId, Errno> {
        self.register_with("secret")
    }

    fn register_with(&mut self, password: &str) -> Result<RequestId, Errno> {
        let waker = self.woken.clone();
        self.registry.register(info("cluster"), credentials(password), &self.client, waker)
    }

    fn wait(&mut self) -> Result<RequestId, Errno> {
        self.registry.wait(info("cluster"), self.woken.clone())
    }

    fn unregister(&mut self) -> Result<RequestId, Errno> {
        self.registry.unregister(info("cluster"), &self.client, self.woken.clone())
    }

    fn event(&mut self, id: RegistrationId, event: Event) {
        self.registry.event(id, event, &self.client);
    }

    fn notify(&mut self, last: u8) {
        self.event(FIRST, Event::Notification(client_move(last)));
    }

    fn poll(&mut self, request: RequestId) -> Option<Result<Vec<Notification>, Errno>> {
        self.registry.poll(request)
    }

    /// With a registration that a witness has accepted.
    fn established() -> Self {
        let mut bench = Self::default();
        let request = bench.register().unwrap();
        bench.event(FIRST, registered());
        assert_eq!(bench.poll(request), Some(Ok(vec![])));
        bench.client.asked();
        bench.woken.take();
        bench
    }

    fn fail(&mut self, error: Error, retry_in: Option<Duration>) {
        self.event(FIRST, Event::Failed { error, retry_in });
    }
}

#[test]
fn a_registration_is_done_when_a_witness_has_accepted_it() {
    let mut bench = Bench::default();
    let request = bench.register().unwrap();
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST)]);
    assert_eq!(bench.poll(request), None);
    bench.event(FIRST, registered());
    assert_eq!(bench.woken.take(), [request]);
    assert_eq!(bench.poll(request), Some(Ok(vec![])));
    assert_eq!(bench.poll(request), None);
}

#[test]
fn a_repeated_registration_costs_nothing() {
    let mut bench = Bench::established();
    assert_eq!(bench.register(), Err(Errno::EXIST));
    assert_eq!(bench.client.asked(), []);
}

#[test]
fn a_repeated_registration_hurries_one_that_fails_and_brings_new_credentials() {
    let mut bench = Bench::established();
    bench.fail(Error::NoWitness, Some(Duration::from_secs(1)));
    assert_eq!(bench.register(), Err(Errno::EXIST));
    assert_eq!(bench.client.asked(), [Asked::Retry(FIRST)]);
    bench.event(FIRST, registered());
    assert_eq!(bench.register(), Err(Errno::EXIST));
    assert_eq!(bench.client.asked(), []);
    assert_eq!(bench.register_with("changed"), Err(Errno::EXIST));
    assert_eq!(bench.client.asked(), [Asked::Retry(FIRST)]);
    assert_eq!(bench.register_with("changed"), Err(Errno::EXIST));
    assert_eq!(bench.client.asked(), []);
}

#[test]
fn the_first_failure_is_told_and_ends_the_registration() {
    let mut bench = Bench::default();
    let first = bench.register().unwrap();
    let joined = bench.register().unwrap();
    bench.fail(Error::NoWitness, Some(Duration::from_secs(1)));
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST), Asked::Unregister(FIRST)]);
    assert_eq!(bench.poll(first), Some(Err(Errno(libc::ENOTSUP))));
    assert_eq!(bench.poll(joined), Some(Err(Errno(libc::ENOTSUP))));
    assert_eq!(bench.wait(), Err(Errno::NOENT));
    // It can be made again before the client has said goodbye to the old one.
    bench.register().unwrap();
    bench.event(FIRST, Event::Unregistered);
    bench.event(SECOND, registered());
    assert_eq!(bench.register(), Err(Errno::EXIST));
}

#[test]
fn whoever_joins_a_registration_is_told_that_it_exists() {
    let mut bench = Bench::default();
    let first = bench.register().unwrap();
    let joined = bench.register().unwrap();
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST)]);
    bench.event(FIRST, registered());
    assert_eq!(bench.poll(first), Some(Ok(vec![])));
    assert_eq!(bench.poll(joined), Some(Err(Errno::EXIST)));
}

#[test]
fn whoever_joined_inherits_a_registration() {
    let mut bench = Bench::default();
    let first = bench.register().unwrap();
    let joined = bench.register().unwrap();
    bench.registry.abandon(first, &bench.client);
    bench.event(FIRST, registered());
    assert_eq!(bench.poll(joined), Some(Ok(vec![])));
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST)]);
}

#[test]
fn a_registration_that_nobody_was_told_of_ends() {
    let mut bench = Bench::default();
    let request = bench.register().unwrap();
    bench.registry.abandon(request, &bench.client);
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST), Asked::Unregister(FIRST)]);
    // Nor where the witness was faster.
    let request = bench.register().unwrap();
    bench.event(SECOND, registered());
    bench.registry.abandon(request, &bench.client);
    assert_eq!(bench.client.asked(), [Asked::Register(SECOND), Asked::Unregister(SECOND)]);
    assert_eq!(bench.wait(), Err(Errno::NOENT));
}

#[test]
fn a_request_that_was_told_may_go_without_consequence() {
    let mut bench = Bench::default();
    let request = bench.register().unwrap();
    bench.event(FIRST, registered());
    assert_eq!(bench.poll(request), Some(Ok(vec![])));
    bench.registry.abandon(request, &bench.client);
    assert_eq!(bench.client.asked(), [Asked::Register(FIRST)]);
}

#[test]
fn names_are_compared_without_case_and_everything_else_exactly() {
    let mut bench = Bench::established();
    let mut other = info("CLUSTER");
    other.share_name = Some("DATA".into());
    let waker = bench.woken.clone();
    let mut register =
        |info| bench.registry.register(info, credentials("secret"), &bench.client, waker.clone());
    assert_eq!(register(other.clone()), Err(Errno::EXIST));
    other.ip_notify = true;
    assert!(register(other.clone()).is_ok());
    other.ip_address = None;
    assert!(register(other).is_ok());
}

#[test]
fn notifications_wait_for_whoever_asks_and_come_in_order() {
    let mut bench = Bench::established();
    bench.notify(3);
    bench.notify(4);
    let request = bench.wait().unwrap();
    assert_eq!(bench.woken.take(), [request]);
    bench.notify(5);
    assert_eq!(bench.poll(request), Some(Ok(vec![client_move(3), client_move(4), client_move(5)])));
    let request = bench.wait().unwrap();
    assert_eq!(bench.poll(request), None);
    bench.notify(6);
    assert_eq!(bench.poll(request), Some(Ok(vec![client_move(6)])));
}

#[test]
fn notifications_that_nobody_received_come_again_before_newer_ones() {
    let mut bench = Bench::established();
    bench.notify(3);
    bench.notify(4);
    let request = bench.wait().unwrap();
    let Some(Ok(batch)) = bench.poll(request) else { panic!() };
    bench.notify(5);
    bench.registry.give_back(info("cluster"), batch);
    let request = bench.wait().unwrap();
    assert_eq!(bench.poll(request), Some(Ok(vec![client_move(3), client_move(4), client_move(5)])));
}

#[test]
fn a_second_wait_is_refused_until_the_first_has_gone() {
    let mut bench = Bench::established();
    let request = bench.wait().unwrap();
    assert_eq!(bench.wait(), Err(Errno::BUSY));
    bench.registry.abandon(request, &bench.client);
    assert!(bench.wait().is_ok());
}

#[test]
fn unregistering_cancels_a_wait_and_then_succeeds() {
    let mut bench = Bench::established();
    let wait = bench.wait().unwrap();
    let request = bench.unregister().unwrap();
    assert_eq!(bench.woken.take(), [wait]);
    assert_eq!(bench.client.asked(), [Asked::Unregister(FIRST)]);
    assert_eq!(bench.poll(wait), Some(Err(Errno::CANCELED)));
    assert_eq!(bench.poll(request), None);
    // The same mount comes back at once: a registration of its own.
    let again = bench.register().unwrap();
    bench.event(FIRST, Event::Unregistered);
    assert_eq!(bench.poll(request), Some(Ok(vec![])));
    bench.event(SECOND, registered());
    assert_eq!(bench.poll(again), Some(Ok(vec![])));
}

#[test]
fn unregistering_cancels_a_registration_that_is_under_way() {
    let mut bench = Bench::default();
    let request = bench.register().unwrap();
    bench.unregister().unwrap();
    assert_eq!(bench.poll(request), Some(Err(Errno::CANCELED)));
    assert_eq!(bench.unregister(), Err(Errno::NOENT));
}

#[test]
fn a_wait_survives_the_loss_of_a_witness() {
    let mut bench = Bench::established();
    let wait = bench.wait().unwrap();
    bench.fail(Error::NoWitness, Some(Duration::from_secs(1)));
    bench.event(FIRST, registered());
    assert_eq!(bench.poll(wait), None);
    bench.notify(3);
    assert_eq!(bench.poll(wait), Some(Ok(vec![client_move(3)])));
}

#[test]
fn a_wait_ends_when_the_client_gives_up() {
    let mut bench = Bench::established();
    let wait = bench.wait().unwrap();
    bench.fail(denied(), None);
    assert_eq!(bench.poll(wait), Some(Err(Errno::ACCES)));
    assert_eq!(bench.client.asked(), [Asked::Unregister(FIRST)]);
    assert_eq!(bench.wait(), Err(Errno::NOENT));
    // The caller's next register starts a new life.
    assert!(bench.register().is_ok());
}

#[test]
fn the_next_wait_is_told_that_the_client_gave_up_after_what_was_left() {
    let mut bench = Bench::established();
    bench.notify(3);
    bench.fail(denied(), None);
    bench.event(FIRST, Event::Unregistered);
    let wait = bench.wait().unwrap();
    assert_eq!(bench.poll(wait), Some(Ok(vec![client_move(3)])));
    assert_eq!(bench.wait(), Err(Errno::ACCES));
    assert_eq!(bench.wait(), Err(Errno::NOENT));
}

#[test]
fn what_a_given_up_registration_left_is_for_its_successor() {
    let mut bench = Bench::established();
    bench.notify(3);
    bench.fail(denied(), None);
    bench.register().unwrap();
    bench.event(SECOND, registered());
    let wait = bench.wait().unwrap();
    assert_eq!(bench.poll(wait), Some(Ok(vec![client_move(3)])));
}

#[test]
fn a_wait_that_was_woken_goes_along_to_the_successor() {
    let mut bench = Bench::established();
    let wait = bench.wait().unwrap();
    bench.notify(3);
    bench.fail(denied(), None);
    bench.register().unwrap();
    assert_eq!(bench.poll(wait), Some(Ok(vec![client_move(3)])));
}

#[test]
fn unregistering_what_was_given_up_succeeds_at_once() {
    let mut bench = Bench::established();
    bench.fail(denied(), None);
    bench.client.asked();
    let request = bench.unregister().unwrap();
    assert_eq!(bench.poll(request), Some(Ok(vec![])));
    assert_eq!(bench.client.asked(), []);
}

#[test]
fn closing_cancels_every_request() {
    let mut bench = Bench::established();
    let wait = bench.wait().unwrap();
    bench.registry.close(Errno::CANCELED);
    assert_eq!(bench.woken.take(), [wait]);
    assert_eq!(bench.poll(wait), Some(Err(Errno::CANCELED)));
    bench.notify(3);
    assert_eq!(bench.wait(), Err(Errno::NOENT));
}

#[test]
fn what_no_wait_takes_is_bounded_and_stays_in_order() {
    let mut bench = Bench::established();
    for _ in 0..10_000 {
        bench.notify(1);
    }
    bench.notify(2);
    let wait = bench.wait().unwrap();
    let batch = bench.poll(wait).unwrap().unwrap();
    assert_eq!(batch.len(), crate::backlog::KEPT);
    assert_eq!(batch.last(), Some(&client_move(2)));
    // Also where it is given back, while more comes.
    for _ in 0..10_000 {
        bench.notify(3);
    }
    bench.registry.give_back(info("cluster"), batch);
    let wait = bench.wait().unwrap();
    let batch = bench.poll(wait).unwrap().unwrap();
    assert_eq!(batch.len(), crate::backlog::KEPT);
    assert_eq!(batch.last(), Some(&client_move(3)));
}

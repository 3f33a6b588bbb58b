//! Which of the kernel's registrations is which at a witness.

mod outside;

use crate::client::{Call, FakeClient, auth, guest, request};
use rustix::io::Errno;
use std::time::{Duration, Instant};
use swnclient::{
    Credentials, Error, Event, KerberosCredentials, Notification, NtlmCredentials, RegistrationId,
    ResourceState,
};
use swnd::authentication::{Mechanism, Policy};
use swnd::kernel::{KernelAnswer, KernelAuth, KernelMessage};
use swnd::report::Report;
use swnd::table::{Forward, Outcome, Table};

fn ntlm(user: &str) -> Credentials {
    let ntlm = NtlmCredentials::from_password(user, "", "swnpass");
    Credentials::Ntlm(ntlm.with_uppercase(swnclient::Uppercase::Linux))
}

const HERE: &str = "10.77.0.101";
const THERE: &str = "10.77.0.102";
const WITNESS: &str = "10.77.0.103";

/// A table, its client, and shorthands for what goes in.
#[derive(Default)]
struct Bench {
    table: Table,
    client: FakeClient,
}

impl Bench {
    fn register(&mut self, id: u32, net_name: &str, address: &str) -> Report {
        self.register_as(id, net_name, address, auth("swnuser"))
    }

    fn register_as(&mut self, id: u32, net_name: &str, address: &str, auth: KernelAuth) -> Report {
        let request = request(net_name, address);
        let message = KernelMessage::Register { id, request, auth };
        self.table.message(message, &self.client)
    }

    fn unregister(&mut self, id: u32) -> Report {
        self.table.message(KernelMessage::Unregister { id }, &self.client)
    }

    fn accepted(&mut self, registration: RegistrationId) -> Option<Report> {
        let event = Event::Registered { witness: WITNESS.parse().unwrap(), version: 2 };
        self.table.event(registration, event).report
    }

    fn failed(&mut self, registration: RegistrationId, error: &Error) -> Report {
        let event = Event::Failed { error: error.clone(), retry_in: None };
        self.table.event(registration, event).report.unwrap()
    }

    fn reports(&mut self, registration: RegistrationId) -> Outcome {
        let event = Event::Notification(node_down());
        self.table.event(registration, event)
    }

    /// The registration that a single register call made.
    fn started(&self) -> RegistrationId {
        let calls = self.client.take_calls();
        match calls.as_slice() {
            [Call::Register(id, ..)] => *id,
            _ => panic!("{calls:?}"),
        }
    }

    fn answer(
        &mut self,
        registration: RegistrationId,
        id: u32,
        result: Result<(), Errno>,
    ) -> Option<Report> {
        let registration = Some(registration);
        let since = Instant::now();
        let token = Forward { id, registration, notification: node_down(), since, test: None };
        self.table.answer(KernelAnswer { token, result }, &self.client)
    }
}

fn node_down() -> Notification {
    Notification::ResourceChange { name: HERE.into(), state: ResourceState::Unavailable }
}

fn by_address() -> Error {
    Error::NetNameIsAddress(HERE.into())
}

#[test]
fn a_mount_is_registered_and_its_notifications_go_to_its_number() {
    let mut bench = Bench::default();
    let report = bench.register(7, "witclu", HERE);
    assert_eq!(report.level(), log::Level::Info);
    let calls = bench.client.take_calls();
    let [Call::Register(registration, asked, credentials)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(*asked, request("witclu", HERE));
    assert_eq!(*credentials, ntlm("swnuser"));
    assert_eq!(bench.table.counts(), (1, 0));

    let report = bench.accepted(*registration).unwrap();
    assert_eq!(
        report.to_string(),
        r"\\witclu\data: registered at witness 10.77.0.103, which watches 10.77.0.101 (version 2)"
    );
    assert_eq!(bench.table.counts(), (1, 1));

    let outcome = bench.reports(*registration);
    let registration = Some(*registration);
    let forward = outcome.forward.unwrap();
    let found = (forward.id, forward.registration, forward.notification);
    assert_eq!(found, (7, registration, node_down()));
}

#[test]
fn an_echo_costs_a_retry_and_a_debug_line() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    for _ in 0..3 {
        let report = bench.register(7, "witclu", HERE);
        assert_eq!(report.level(), log::Level::Debug);
        assert_eq!(bench.client.take_calls(), [Call::Retry(registration, ntlm("swnuser"))]);
    }
    assert_eq!(bench.table.counts(), (1, 0));
}

#[test]
fn a_changed_policy_counts_when_the_kernel_asks_again() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let policy = Policy::new(&[Mechanism::Kerberos], KerberosCredentials::from_environment());
    bench.table.set_policy(policy);
    assert_eq!(bench.client.take_calls(), []);
    bench.register(7, "witclu", HERE);
    let calls = bench.client.take_calls();
    let [Call::Retry(again, Credentials::Kerberos(_))] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(*again, registration);
}

#[test]
fn a_cluster_may_have_a_policy_of_its_own() {
    let kerberos = Policy::new(&[Mechanism::Kerberos], KerberosCredentials::from_environment());
    let policy = Policy::default().with_clusters(vec![("WITCLU".into(), kerberos)]);
    let mut bench = Bench { table: Table::new(policy), ..Bench::default() };
    bench.register(7, "witclu", HERE);
    bench.register(8, "other", HERE);
    let calls = bench.client.take_calls();
    let [Call::Register(_, _, first), Call::Register(_, _, second)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert!(matches!(first, Credentials::Kerberos(_)), "{first:?}");
    assert_eq!(*second, ntlm("swnuser"));
}

#[test]
fn new_credentials_are_handed_on() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    bench.register_as(7, "witclu", HERE, auth("other"));
    assert_eq!(bench.client.take_calls(), [Call::Retry(registration, ntlm("other"))]);
}

#[test]
fn a_client_move_ends_the_old_registration_and_starts_a_new_one() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let old = bench.started();
    bench.accepted(old);

    bench.unregister(7);
    bench.register(7, "witclu", THERE);
    let calls = bench.client.take_calls();
    let [Call::Unregister(ended), Call::Register(new, asked, _)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(*ended, old);
    assert_eq!(*asked, request("witclu", THERE));

    // Whatever the old one still says is not for the new one's number.
    let outcome = bench.reports(old);
    assert!(outcome.forward.is_none());
    assert!(matches!(outcome.report, Some(Report::Late { .. })));
    assert!(bench.accepted(old).is_none());
    assert_eq!(bench.table.counts(), (1, 0));
    assert!(bench.reports(*new).forward.is_some());

    let report = bench.table.event(old, Event::Unregistered).report.unwrap();
    assert_eq!(report.to_string(), r"\\witclu\data: unregistered; 10.77.0.101 is watched no more");
    assert!(bench.reports(*new).forward.is_some());
}

#[test]
fn another_address_under_a_known_number_registers_anew() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let old = bench.started();
    let report = bench.register(7, "witclu", THERE);
    assert_eq!(report.to_string(), r"\\witclu\data: served by 10.77.0.102 now; re-registering");
    let calls = bench.client.take_calls();
    assert!(
        matches!(&calls[..], [Call::Unregister(ended), Call::Register(..)] if *ended == old),
        "{calls:?}"
    );
}

#[test]
fn another_share_under_a_known_number_registers_anew() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let old = bench.started();
    let report = bench.register(7, "other", HERE);
    assert!(matches!(report, Report::Asked { .. }), "{report:?}");
    let calls = bench.client.take_calls();
    assert!(
        matches!(&calls[..], [Call::Unregister(ended), Call::Register(..)] if *ended == old),
        "{calls:?}"
    );
}

#[test]
fn what_the_kernel_took_back_supersedes_what_a_witness_reports() {
    let register = |id, address| KernelMessage::Register {
        id,
        request: request("witclu", address),
        auth: auth("swnuser"),
    };
    let unregister = |id| KernelMessage::Unregister { id };
    for (message, expected) in [
        (Some(unregister(7)), true),
        (Some(unregister(8)), false),
        (Some(register(7, THERE)), true),
        (Some(register(7, HERE)), false),
        (Some(register(8, THERE)), false),
        // The module is gone.
        (None, true),
    ] {
        let mut bench = Bench::default();
        bench.register(7, "witclu", HERE);
        let registration = bench.started();
        let holder = bench.table.holder(7);
        assert!(holder.is_some());
        match message.clone() {
            Some(message) => drop(bench.table.message(message, &bench.client)),
            None => bench.table.clear(&bench.client),
        }
        let Outcome { forward, report, .. } = bench.reports(registration);
        assert_eq!(forward.is_none(), expected, "{message:?}");
        assert_eq!(matches!(report, Some(Report::Late { .. })), expected, "{message:?}");
        assert_eq!(bench.table.holder(7) != holder, expected, "{message:?}");
    }
}

#[test]
fn a_number_is_held_by_the_same_mount_after_it_was_moved_on_a_failover() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let holder = bench.table.holder(7);
    let report = bench.table.relocate(7, THERE.parse().unwrap(), &bench.client);
    assert!(matches!(report, Some(Report::AddressChanged { .. })), "{report:?}");
    bench.register(7, "witclu", THERE);
    assert_eq!(bench.table.holder(7), holder);
    bench.register(7, "witclu", HERE);
    assert_ne!(bench.table.holder(7), holder);
}

#[test]
fn an_unknown_number_is_unregistered_with_a_debug_line() {
    let mut bench = Bench::default();
    let report = bench.unregister(9);
    assert_eq!(report.level(), log::Level::Debug);
    assert_eq!(bench.client.take_calls(), []);
}

#[test]
fn a_mount_by_address_is_told_once_to_mount_by_name() {
    let mut bench = Bench::default();
    bench.register(7, HERE, HERE);
    let registration = bench.started();
    let report = bench.failed(registration, &by_address());
    assert_eq!(report.level(), log::Level::Warn);
    let line = report.to_string();
    assert!(line.starts_with(r"\\10.77.0.101\data: "), "{line}");
    assert!(line.contains("mount by the cluster's name"), "{line}");
    for _ in 0..3 {
        bench.register(7, HERE, HERE);
        let report = bench.failed(registration, &by_address());
        assert_eq!(report.level(), log::Level::Debug);
    }
}

#[test]
fn a_failure_is_news_again_after_a_success_or_with_new_credentials() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let level = |bench: &mut Bench| bench.failed(registration, &by_address()).level();
    assert_eq!(level(&mut bench), log::Level::Warn);
    assert_eq!(level(&mut bench), log::Level::Debug);
    bench.accepted(registration);
    assert_eq!(level(&mut bench), log::Level::Warn);
    bench.register_as(7, "witclu", HERE, auth("other"));
    assert_eq!(level(&mut bench), log::Level::Warn);
    assert_eq!(level(&mut bench), log::Level::Debug);
}

#[test]
fn a_failure_tells_when_the_next_attempt_comes() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let report = bench.failed(registration, &by_address());
    let line = report.to_string();
    assert!(line.ends_with("; next attempt when the kernel asks again"));
    let event = Event::Failed { error: by_address(), retry_in: Some(Duration::from_millis(4210)) };
    let report = bench.table.event(registration, event).report.unwrap();
    assert!(report.to_string().ends_with("; next attempt in 4.2 s"));
}

#[test]
fn credentials_that_are_of_no_use_are_told_once_and_registered_when_they_become_so() {
    let ntlm_only = || Policy::new(&[Mechanism::Ntlm], KerberosCredentials::from_environment());
    let not_utf8 = KernelAuth::NotUtf8 { what: "password" };
    for (auth, hint) in [
        (guest(), "mount with credentials"),
        (KernelAuth::Kerberos, "mount with sec=ntlmssp"),
        (not_utf8, "the mount's password is not UTF-8; mount with iocharset=utf8"),
    ] {
        let mut bench = Bench { table: Table::new(ntlm_only()), ..Bench::default() };
        let report = bench.register_as(7, "witclu", HERE, auth.clone());
        assert_eq!(report.level(), log::Level::Warn);
        let line = report.to_string();
        assert!(line.starts_with(r"\\witclu\data: "), "{line}");
        assert!(line.contains(hint), "{line}");
        let report = bench.register_as(7, "witclu", HERE, auth);
        assert_eq!(report.level(), log::Level::Debug);
        assert_eq!(bench.client.take_calls(), []);

        bench.register(7, "witclu", HERE);
        bench.started();
    }
}

#[test]
fn a_number_the_kernel_does_not_know_any_more_is_released() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let report = bench.answer(registration, 7, Err(Errno::INVAL)).unwrap();
    assert_eq!(report.level(), log::Level::Warn);
    assert_eq!(bench.client.take_calls(), [Call::Unregister(registration)]);
    assert_eq!(bench.table.counts(), (0, 0));
}

#[test]
fn both_addresses_by_which_a_share_is_mounted_are_watched_until_one_is_forgotten() {
    let mut bench = Bench { table: Table::default().keeping_others(true), ..Bench::default() };
    bench.register(7, "witclu", HERE);
    let here = bench.started();
    bench.accepted(here);
    bench.register(7, "witclu", THERE);
    let there = bench.started();
    bench.accepted(there);
    for registration in [here, there] {
        let forward = bench.reports(registration).forward.unwrap();
        assert_eq!((forward.id, forward.registration), (7, Some(registration)));
    }
    // The kernel names one of them at each echo.
    for address in [HERE, THERE, THERE, HERE] {
        bench.register(7, "witclu", address);
        let asked = if address == HERE { here } else { there };
        assert_eq!(bench.client.take_calls(), [Call::Retry(asked, ntlm("swnuser"))]);
        assert_eq!(bench.table.counts(), (1, 1));
    }
    bench.table.forget(7, THERE.parse().unwrap(), &bench.client);
    assert_eq!(bench.client.take_calls(), [Call::Unregister(there)]);
    assert_eq!(bench.table.counts(), (1, 1));
    bench.register(7, "witclu", THERE);
    let there = bench.started();
    bench.unregister(7);
    assert_eq!(bench.client.take_calls(), [here, there].map(Call::Unregister));
}

#[test]
fn a_number_for_another_share_ends_all_that_it_stood_for() {
    let mut bench = Bench { table: Table::default().keeping_others(true), ..Bench::default() };
    bench.register(7, "witclu", HERE);
    let here = bench.started();
    bench.register(7, "witclu", THERE);
    let there = bench.started();
    bench.register(7, "other", THERE);
    let calls = bench.client.take_calls();
    let ended = [here, there].map(Call::Unregister);
    assert_eq!(calls[..2], ended);
    assert!(matches!(calls[2..], [Call::Register(..)]), "{calls:?}");
}

#[test]
fn an_answer_to_the_old_registration_does_not_end_the_new_one() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let old = bench.started();
    bench.unregister(7);
    bench.register(7, "witclu", THERE);
    bench.client.take_calls();
    bench.answer(old, 7, Err(Errno::INVAL));
    assert_eq!(bench.client.take_calls(), []);
    assert_eq!(bench.table.counts(), (1, 0));
}

#[test]
fn another_refusal_of_the_kernel_ends_nothing() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let report = bench.answer(registration, 7, Err(Errno::PERM)).unwrap();
    assert_eq!(report.level(), log::Level::Warn);
    assert_eq!(bench.client.take_calls(), []);
}

#[test]
fn an_accepted_notification_makes_one_line() {
    let mut bench = Bench::default();
    bench.register(7, "witclu", HERE);
    let registration = bench.started();
    let report = bench.answer(registration, 7, Ok(())).unwrap();
    assert_eq!(report.level(), log::Level::Info);
    assert_eq!(
        report.to_string(),
        r"\\witclu\data: 10.77.0.101 is unavailable: the kernel accepted it"
    );
}

#[test]
fn one_bad_registration_does_not_disturb_another() {
    let mut bench = Bench::default();
    bench.register(1, "good", HERE);
    let good = bench.started();
    bench.accepted(good);
    bench.register_as(2, "bad", HERE, guest());
    bench.register(3, "worse", HERE);
    let worse = bench.started();
    bench.failed(worse, &by_address());
    bench.unregister(2);
    bench.unregister(3);
    assert_eq!(bench.table.counts(), (1, 1));
    assert_eq!(bench.reports(good).forward.unwrap().id, 1);
}

#[test]
fn the_end_of_the_module_ends_every_registration() {
    let mut bench = Bench::default();
    bench.register(1, "a", HERE);
    let a = bench.started();
    bench.register(2, "b", HERE);
    let b = bench.started();
    bench.table.clear(&bench.client);
    assert_eq!(bench.client.take_calls(), [Call::Unregister(a), Call::Unregister(b)]);
    assert_eq!(bench.table.counts(), (0, 0));
    assert!(bench.reports(a).forward.is_none());
}

#[test]
fn nothing_is_kept_of_a_registration_after_its_last_event() {
    let mut bench = Bench::default();
    for _ in 0..3 {
        bench.register(1, "a", HERE);
        let registration = bench.started();
        bench.unregister(1);
        bench.table.event(registration, Event::Unregistered);
        bench.client.take_calls();
        assert!(bench.table.mount_of(registration).is_none());
    }
    assert_eq!(bench.table.counts(), (0, 0));
}

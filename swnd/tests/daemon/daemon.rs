//! The daemon between a stand-in kernel and a witness client that is told what
//! to report.

use crate::client::{Call, FakeClient, auth, guest, request};
use kernel_sim::{StandInKernel, encode_family};
use neli::consts::genl::CtrlCmd;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient::{Error, Event, EventSink, Notification, RegistrationId, ResourceState};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Forwarder, Mode, Observer};
use swnd::kernel::ctrl::Family;
use swnd::kernel::{Link, LinkError, message};
use swnd::report::Report;
use tokio::time::timeout;

const HERE: &str = "10.77.0.101";
const THERE: &str = "10.77.0.102";
/// For anything that happens at once.
const LIMIT: Duration = Duration::from_secs(10);

/// Keeps the lines above debug level.
#[derive(Debug, Default, Clone)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Observer for Lines {
    fn report(&self, report: &Report) {
        if report.level() <= log::Level::Info {
            self.0.lock().unwrap().push(report.to_string());
        }
    }
}

struct Bench {
    kernel: StandInKernel,
    daemon: Daemon<StandInKernel, Lines, FakeClient>,
    events: Forwarder<StandInKernel, Lines, FakeClient>,
    lines: Lines,
}

impl Bench {
    async fn new(kernel: StandInKernel) -> Self {
        let lines = Lines::default();
        let link = Link::open(kernel.clone()).unwrap();
        let mut events = None;
        let daemon =
            Daemon::new(link, lines.clone(), Policy::default(), Mode::Forward, |forwarder| {
                events = Some(forwarder);
                FakeClient::default()
            });
        let bench = Self { kernel, daemon, events: events.unwrap(), lines };
        bench.settle().await;
        bench
    }

    /// Lets the daemon do all there is to do.
    async fn settle(&self) {
        tokio::select! {
            biased;
            error = self.daemon.run() => panic!("{error}"),
            () = std::future::ready(()) => {}
        }
    }

    async fn mount(&self, net_name: &str, address: &str) -> (u32, RegistrationId) {
        let id = self.kernel.mount(&request(net_name, address), &auth("swnuser"));
        self.settle().await;
        (id, self.started())
    }

    fn started(&self) -> RegistrationId {
        let calls = self.daemon.client().take_calls();
        match calls.last() {
            Some(Call::Register(id, ..)) => *id,
            _ => panic!("{calls:?}"),
        }
    }

    fn report(&mut self, registration: RegistrationId, notification: Notification) {
        self.events.event(registration, Event::Notification(notification));
    }

    fn accept(&mut self, registration: RegistrationId) {
        let witness = "10.77.0.103".parse().unwrap();
        let event = Event::Registered { witness, version: 2 };
        self.events.event(registration, event);
    }

    fn taken(&self) -> Vec<(u32, Notification)> {
        let taken = self.kernel.take_notifications();
        taken.into_iter().map(|t| (t.id, t.notification)).collect()
    }

    fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.0.lock().unwrap())
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client_move(to: &str) -> Notification {
    Notification::ClientMove { address: address(to) }
}

fn node(state: ResourceState) -> Notification {
    Notification::ResourceChange { name: HERE.into(), state }
}

#[tokio::test]
async fn a_notification_reaches_the_kernel_from_within_the_event() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, registration) = bench.mount("witclu", HERE).await;
    bench.accept(registration);
    let down = node(ResourceState::Unavailable);
    bench.report(registration, down.clone());
    // The loop has not run since.
    assert_eq!(bench.taken(), [(id, down)]);
    bench.settle().await;
    assert_eq!(
        bench.take_lines(),
        [
            "listening to the cifs module",
            r"\\witclu\data: asking for a witness of 10.77.0.101",
            r"\\witclu\data: registered at witness 10.77.0.103, which watches 10.77.0.101 (version 2)",
            r"\\witclu\data: 10.77.0.101 is unavailable: the kernel accepted it",
        ]
    );
}

#[tokio::test]
async fn all_notifications_are_forwarded_in_order() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, registration) = bench.mount("witclu", HERE).await;
    let all = [
        node(ResourceState::Unknown),
        node(ResourceState::Available),
        Notification::ShareMove { address: address("fd00::2") },
        Notification::IpChange { address: address(THERE) },
        client_move(HERE),
    ];
    for notification in &all {
        bench.report(registration, notification.clone());
    }
    assert_eq!(bench.taken(), all.map(|notification| (id, notification)));
}

#[tokio::test]
async fn a_client_move_leaves_one_registration_for_the_new_address() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, old) = bench.mount("witclu", HERE).await;
    bench.accept(old);
    bench.report(old, client_move(THERE));
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Unregister(ended), Call::Register(_, asked, _)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(*ended, old);
    assert_eq!(*asked, request("witclu", THERE));
    assert_eq!(bench.kernel.registrations(), [(id, "witclu".into(), Some(address(THERE)))]);
    assert_eq!(bench.daemon.status().mounts, 1);
}

#[tokio::test]
async fn what_follows_a_client_move_at_the_old_registration_is_dropped() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, old) = bench.mount("witclu", HERE).await;
    // One reply of the witness, handled in one go: the loop does not run between.
    bench.report(old, client_move(THERE));
    bench.report(old, node(ResourceState::Unavailable));
    assert_eq!(bench.taken(), [(id, client_move(THERE))]);
    bench.settle().await;
    bench.report(old, node(ResourceState::Unavailable));
    assert_eq!(bench.taken(), []);
    let new = bench.started();
    bench.report(new, node(ResourceState::Available));
    assert_eq!(bench.taken(), [(id, node(ResourceState::Available))]);
}

#[tokio::test]
async fn a_client_move_of_a_share_mounted_twice_keeps_the_number() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, _) = bench.mount("witclu", HERE).await;
    let again = bench.kernel.mount(&request("witclu", HERE), &auth("swnuser"));
    assert_eq!(id, again);
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Retry(old, _)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    bench.report(*old, client_move(THERE));
    bench.report(*old, node(ResourceState::Unavailable));
    assert_eq!(bench.taken(), [(id, client_move(THERE))]);
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    assert!(
        matches!(&calls[..], [Call::Unregister(ended), Call::Register(..)] if ended == old),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_number_that_went_to_another_mount_unseen_gets_no_notification() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, old) = bench.mount("witclu", HERE).await;
    bench.kernel.unmount(id);
    let other = bench.kernel.mount(&request("other", HERE), &auth("swnuser"));
    assert_eq!(other, id);
    bench.report(old, node(ResourceState::Unavailable));
    assert_eq!(bench.taken(), []);
}

#[tokio::test]
async fn a_mount_whose_unregister_message_was_lost_ends_with_the_kernels_answer() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, registration) = bench.mount("witclu", HERE).await;
    bench.kernel.lose(1);
    bench.kernel.unmount(id);
    bench.settle().await;
    assert_eq!(bench.daemon.client().take_calls(), []);
    bench.report(registration, node(ResourceState::Unavailable));
    bench.settle().await;
    assert_eq!(bench.daemon.client().take_calls(), [Call::Unregister(registration)]);
    let lines = bench.take_lines();
    assert!(lines.iter().any(|line| line.contains("next echo")));
    assert!(lines.last().unwrap().contains("its registration ends"));
}

#[tokio::test]
async fn a_restarted_daemon_learns_of_every_mount_at_the_next_echo() {
    let kernel = StandInKernel::with_module();
    for name in ["a", "b"] {
        kernel.mount(&request(name, HERE), &auth("swnuser"));
    }
    let bench = Bench::new(kernel).await;
    assert_eq!(bench.daemon.status().mounts, 0);
    bench.kernel.echo();
    bench.settle().await;
    assert_eq!(bench.daemon.status().mounts, 2);
    bench.kernel.echo();
    bench.settle().await;
    assert_eq!(bench.daemon.status().mounts, 2);
}

#[tokio::test]
async fn the_module_may_come_later_and_go() {
    let bench = Bench::new(StandInKernel::new()).await;
    assert_eq!(bench.daemon.status().to_string(), "waiting for the cifs module");
    bench.kernel.load_module();
    bench.settle().await;
    let (_, registration) = bench.mount("witclu", HERE).await;
    assert_eq!(bench.daemon.status().to_string(), "0 of 1 mounts registered");
    bench.kernel.unload_module();
    bench.settle().await;
    assert_eq!(bench.daemon.client().take_calls(), [Call::Unregister(registration)]);
    assert_eq!(bench.daemon.status().to_string(), "waiting for the cifs module");
}

#[tokio::test]
async fn a_wrong_password_makes_one_line_and_a_retry_at_each_echo() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let (id, registration) = bench.mount("witclu", HERE).await;
    bench.take_lines();
    let refused = || Event::Failed {
        error: Error::AccessDenied {
            address: address("10.77.0.103"),
            detail: "STATUS_LOGON_FAILURE".into(),
        },
        retry_in: None,
    };
    for _ in 0..3 {
        bench.events.event(registration, refused());
        bench.kernel.echo();
        bench.settle().await;
        let calls = bench.daemon.client().take_calls();
        assert!(matches!(calls[..], [Call::Retry(..)]), "{calls:?}");
    }
    let lines = bench.take_lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with(r"\\witclu\data: "));
    assert!(!lines[0].contains("swnpass"));

    bench.kernel.change_auth(id, &auth("other"));
    bench.kernel.echo();
    bench.settle().await;
    bench.events.event(registration, refused());
    assert_eq!(bench.take_lines().len(), 1);
}

#[tokio::test]
async fn a_message_of_no_use_is_told_once_and_disturbs_nothing() {
    let bench = Bench::new(StandInKernel::with_module()).await;
    bench.take_lines();
    let mut nowhere = request("bad", HERE);
    nowhere.ip_address = None;
    bench.kernel.mount(&nowhere, &auth("swnuser"));
    bench.kernel.mount(&request("good", HERE), &guest());
    bench.kernel.mount(&request("better", HERE), &auth("swnuser"));
    for _ in 0..3 {
        bench.kernel.echo();
        bench.settle().await;
    }
    assert_eq!(bench.daemon.status().mounts, 2);
    let lines = bench.take_lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("attribute Ip is missing"), "{lines:?}");
}

#[tokio::test]
async fn a_message_of_another_process_is_told_and_dropped() {
    let bench = Bench::new(StandInKernel::with_module()).await;
    bench.take_lines();
    bench.kernel.inject(Some(4711), vec![0; 64]);
    bench.settle().await;
    assert_eq!(bench.take_lines(), ["dropped a message of the process at port id 4711"]);
    assert_eq!(bench.daemon.client().take_calls(), []);
}

#[tokio::test]
async fn a_failure_of_the_link_that_a_notification_finds_ends_the_daemon() {
    let bench = Bench::new(StandInKernel::with_module()).await;
    let (id, registration) = bench.mount("witclu", HERE).await;
    let Bench { kernel, daemon, mut events, .. } = bench;
    let report = async {
        tokio::task::yield_now().await;
        // Nothing is sent, whose answer would wake the loop.
        kernel.unmount(id);
        let family = Family { id: 0x99, name: message::FAMILY.into(), groups: vec![] };
        kernel.inject(Some(0), encode_family(CtrlCmd::Newfamily, &family, 0).unwrap());
        let down = node(ResourceState::Unavailable);
        events.event(registration, Event::Notification(down));
    };
    let ended = async { tokio::join!(daemon.run(), report).0 };
    let error = timeout(LIMIT, ended).await.expect("it ends");
    assert!(matches!(error, LinkError::NoGroup), "{error}");
}

mod any_history {
    //! Whatever happens, and whatever is lost on the way: one echo later, and
    //! one report of each registration, the witnesses watch what is mounted.

    use super::*;
    use proptest::prelude::*;
    use smol_str::SmolStr;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Mount(&'static str, &'static str),
        Unmount(u32),
        Echo,
        Reload,
        Notify(prop::sample::Index, Notification),
        Accept(prop::sample::Index),
        /// So many of the next messages are lost.
        Lose(usize),
        Settle,
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = prop::sample::select(vec!["a", "b", "c"]);
        let address = || prop::sample::select(vec![HERE, THERE]);
        let index = any::<prop::sample::Index>;
        prop_oneof![
            4 => (name, address()).prop_map(|(name, address)| Step::Mount(name, address)),
            3 => (1u32..5).prop_map(Step::Unmount),
            1 => Just(Step::Echo),
            1 => Just(Step::Reload),
            3 => (index(), address()).prop_map(|(i, to)| Step::Notify(i, client_move(to))),
            2 => index().prop_map(|i| Step::Notify(i, node(ResourceState::Available))),
            1 => index().prop_map(Step::Accept),
            1 => (1usize..4).prop_map(Step::Lose),
            6 => Just(Step::Settle),
        ]
    }

    /// What the client was asked to watch, and was not asked to end.
    #[derive(Default)]
    struct Watched(BTreeMap<RegistrationId, (SmolStr, Option<IpAddr>)>);

    impl Watched {
        fn update(&mut self, bench: &mut Bench) {
            for call in bench.daemon.client().take_calls() {
                match call {
                    Call::Register(id, request, _) => {
                        self.0.insert(id, (request.net_name, request.ip_address));
                    }
                    Call::Retry(id, _) | Call::TryNow(id) => {
                        assert!(self.0.contains_key(&id), "{id:?} has ended")
                    }
                    Call::Unregister(id) => {
                        assert!(self.0.remove(&id).is_some(), "{id:?} ended twice");
                        bench.events.event(id, Event::Unregistered);
                    }
                }
            }
        }

        fn ids(&self) -> Vec<RegistrationId> {
            self.0.keys().copied().collect()
        }
    }

    async fn live(steps: Vec<Step>) {
        let mut bench = Bench::new(StandInKernel::with_module()).await;
        let mut watched = Watched::default();
        for step in steps {
            match step {
                Step::Mount(name, address) => {
                    bench.kernel.mount(&request(name, address), &auth("swnuser"));
                }
                Step::Unmount(id) => bench.kernel.unmount(id),
                Step::Echo => bench.kernel.echo(),
                Step::Reload => {
                    bench.kernel.unload_module();
                    bench.kernel.load_module();
                }
                Step::Notify(index, notification) => {
                    if let Some(id) = index.get_or_none(&watched.ids()) {
                        bench.report(*id, notification);
                    }
                }
                Step::Accept(index) => {
                    if let Some(id) = index.get_or_none(&watched.ids()) {
                        bench.accept(*id);
                    }
                }
                Step::Lose(datagrams) => bench.kernel.lose(datagrams),
                Step::Settle => {
                    bench.settle().await;
                    watched.update(&mut bench);
                }
            }
        }
        bench.kernel.lose(0);
        bench.settle().await;
        bench.kernel.echo();
        bench.settle().await;
        watched.update(&mut bench);
        for id in watched.ids() {
            bench.report(id, node(ResourceState::Unknown));
        }
        bench.settle().await;
        watched.update(&mut bench);

        let mut mounted: Vec<_> =
            bench.kernel.registrations().into_iter().map(|(_, name, at)| (name, at)).collect();
        let mut watched: Vec<_> = watched.0.into_values().collect();
        mounted.sort();
        watched.sort();
        assert_eq!(watched, mounted);
        assert_eq!(bench.daemon.status().mounts, mounted.len());
    }

    trait GetOrNone {
        fn get_or_none<'a, T>(&self, slice: &'a [T]) -> Option<&'a T>;
    }

    impl GetOrNone for prop::sample::Index {
        fn get_or_none<'a, T>(&self, slice: &'a [T]) -> Option<&'a T> {
            (!slice.is_empty()).then(|| self.get(slice))
        }
    }

    proptest! {
        #[test]
        fn ends_with_a_watch_on_each_mount(steps in prop::collection::vec(step(), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(live(steps));
        }
    }
}

#[tokio::test]
async fn a_mount_by_an_address_of_a_link_stays_on_its_link() {
    let mut bench = Bench::new(StandInKernel::with_module()).await;
    let mounted = request("witclu", "fe80::1").on_link(3);
    let id = bench.kernel.mount(&mounted, &auth("swnuser"));
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Register(registration, asked, ..)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(*asked, mounted);
    bench.report(*registration, client_move("fe80::2"));
    bench.settle().await;
    assert_eq!(bench.taken(), [(id, client_move("fe80::2"))]);
    // The kernel asks by the address that it was given.
    let calls = bench.daemon.client().take_calls();
    let Some(Call::Register(_, asked, ..)) = calls.last() else { panic!("{calls:?}") };
    assert_eq!(*asked, request("witclu", "fe80::2").on_link(3));
    // The same address on another link is another server.
    bench.kernel.mount(&request("other", "fe80::2").on_link(4), &auth("swnuser"));
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Register(_, asked, ..)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(*asked, request("other", "fe80::2").on_link(4));
}

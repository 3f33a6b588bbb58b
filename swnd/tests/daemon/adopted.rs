//! Mounts that the daemon adopts, beside those that the kernel asks for.

use crate::client::{Call, FakeClient, auth, request};
use kernel_sim::StandInKernel;
use smol_str::SmolStr;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swnclient::{Event, EventSink, Notification, RegistrationId, ResourceState, ScopedAddr};
use swnd::adoption::mounts::{MountList, OpenMounts};
use swnd::adoption::{FIRST_ADOPTED, Found, Rule, Rules, Watch};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Forwarder, Mode, Observer, Status};
use swnd::failover::driver::{Answer, Network, Observed};
use swnd::failover::{Connection, End};
use swnd::kernel::Link;
use swnd::report::Report;
use swnd::table::{MountKind, MountState};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

const HERE: &str = "10.77.0.101";
const LIMIT: Duration = Duration::from_secs(10);

/// Keeps every line, and counts the registrations.
#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<String>>>, watch::Sender<usize>, Arc<Notify>);

impl Observer for Lines {
    fn report(&self, report: &Report) {
        self.0.lock().unwrap().push(report.to_string());
        self.2.notify_one();
    }

    fn status(&self, status: Status) {
        self.1.send_replace(status.mounts);
    }
}

/// A list of mounts that the test writes.
#[derive(Default)]
struct Mounts {
    text: Mutex<String>,
    changed: Arc<Notify>,
}

impl Mounts {
    fn set(&self, lines: &[&str]) {
        *self.text.lock().unwrap() = lines.join("\n");
        self.changed.notify_one();
    }
}

struct List(Arc<Mounts>);

impl MountList for List {
    fn changed(&self) -> Answer<io::Result<()>> {
        let changed = Arc::clone(&self.0.changed);
        Box::pin(async move {
            changed.notified().await;
            Ok(())
        })
    }

    fn find(&self) -> io::Result<Found> {
        let text = self.0.text.lock().unwrap().clone();
        Ok(Found { mounts: swnd::mountinfo::parse(text.as_bytes())?, debug_data: None })
    }
}

/// A network in which every address answers, and no connection can be seen.
struct Blind;

impl Network for Blind {
    fn look(&self, _: &[Connection]) -> Vec<Connection> {
        Vec::new()
    }

    fn observe(&self, _: bool, _: bool) -> Observed {
        Observed::Blind(None)
    }

    fn end(&self, _: &Connection, _: Option<(u8, Duration)>) -> End {
        End::Impossible
    }

    fn probe(&self, _: ScopedAddr) -> Answer<bool> {
        Box::pin(std::future::ready(true))
    }

    fn look_up(&self, _: SmolStr) -> Answer<Vec<IpAddr>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

struct Bench {
    kernel: StandInKernel,
    mounts: Arc<Mounts>,
    daemon: Arc<Daemon<StandInKernel, Lines, FakeClient>>,
    events: Forwarder<StandInKernel, Lines, FakeClient>,
    lines: Lines,
    counts: watch::Receiver<usize>,
}

impl Bench {
    fn new(kernel: StandInKernel) -> Self {
        let mounts = Arc::new(Mounts::default());
        let list = Arc::clone(&mounts);
        let open: OpenMounts = Arc::new(move || Ok(Arc::new(List(Arc::clone(&list)))));
        let (sender, counts) = watch::channel(0);
        let lines = Lines(Arc::default(), sender, Arc::default());
        let mut events = None;
        let daemon = Daemon::new(
            Link::open(kernel.clone()).unwrap(),
            lines.clone(),
            Policy::default(),
            Mode::Verified(Arc::new(Blind)),
            |forwarder| {
                events = Some(forwarder);
                FakeClient::default()
            },
        );
        let rules = Rules { all: true, ..Rules::default() };
        let daemon = Arc::new(daemon.adopting(rules, open));
        let running = Arc::clone(&daemon);
        // All the time: what is under way is lost where it is dropped.
        tokio::spawn(async move { running.run().await });
        Self { kernel, mounts, daemon, events: events.unwrap(), lines, counts }
    }

    async fn until(&mut self, mounts: usize) {
        let there = self.counts.wait_for(|it| *it == mounts);
        timeout(LIMIT, there).await.expect("in time").unwrap();
    }

    /// Waits until a line was written.
    async fn line(&self, wanted: &str) {
        let written = async {
            while !self.lines.0.lock().unwrap().iter().any(|line| line.contains(wanted)) {
                self.lines.2.notified().await;
            }
        };
        let written = timeout(LIMIT, written).await;
        written.unwrap_or_else(|_| panic!("{:#?}", self.lines.0.lock().unwrap()));
    }

    fn registered(&self) -> Vec<(RegistrationId, String, Option<IpAddr>)> {
        let calls = self.daemon.client().take_calls().into_iter();
        calls
            .filter_map(|call| match call {
                Call::Register(id, request, _) => {
                    Some((id, request.net_name.to_string(), request.ip_address))
                }
                _ => None,
            })
            .collect()
    }
}

const CLUSTER: &str = "70 25 0:44 / /mnt rw - cifs //witclu/data rw,vers=3.1.1,addr=10.77.0.101";

#[tokio::test]
async fn a_mount_is_watched_for_as_long_as_it_is_there() {
    // Without the family, as a kernel without the option has it.
    let mut bench = Bench::new(StandInKernel::new());
    bench.mounts.set(&[CLUSTER]);
    bench.until(1).await;
    let [(id, net_name, address)] = &bench.registered()[..] else { panic!("not one") };
    assert_eq!((net_name.as_str(), *address), ("witclu", Some(HERE.parse().unwrap())));
    let view = bench.daemon.source().mounts_after(None, 10);
    let described: Vec<_> = view.iter().map(|view| (view.id, view.kind)).collect();
    assert_eq!(described, [(FIRST_ADOPTED, MountKind::Adopted)]);

    bench.mounts.set(&[CLUSTER, "71 25 0:44 / /bind rw - cifs //witclu/data rw,addr=10.77.0.101"]);
    bench.mounts.set(&["72 25 0:45 / /other rw - cifs //other/data rw,addr=10.77.0.102"]);
    bench.line(r"\\other\data: asking for a witness of 10.77.0.102").await;
    let calls = bench.daemon.client().take_calls();
    assert!(calls.contains(&Call::Unregister(*id)), "{calls:?}");
    bench.mounts.set(&[]);
    bench.until(0).await;
}

#[tokio::test]
async fn the_end_of_the_kernels_family_is_no_end_of_what_is_adopted() {
    let mut bench = Bench::new(StandInKernel::with_module());
    bench.mounts.set(&[CLUSTER]);
    bench.until(1).await;
    bench.kernel.mount(&request("kernels", HERE), &auth("swnuser"));
    bench.until(2).await;
    bench.kernel.unload_module();
    bench.until(1).await;
    let left = bench.daemon.source().mounts_after(None, 10);
    assert_eq!(left.iter().map(|it| it.kind).collect::<Vec<_>>(), [MountKind::Adopted]);
}

#[tokio::test]
async fn the_kernel_is_told_nothing_about_a_mount_that_is_adopted() {
    let mut bench = Bench::new(StandInKernel::with_module());
    bench.mounts.set(&[CLUSTER]);
    bench.until(1).await;
    let registered = bench.registered();
    let [(id, ..)] = &registered[..] else { panic!("{registered:?}") };
    let state = ResourceState::Unavailable;
    let down = Notification::ResourceChange { name: HERE.into(), state };
    bench.events.event(*id, Event::Notification(down));
    bench.line("nothing can be done").await;
    let order = Notification::ClientMove { address: "10.77.0.102".parse().unwrap() };
    bench.events.event(*id, Event::Notification(order));
    bench.line("not moved").await;
    assert_eq!(bench.kernel.take_notifications().len(), 0);
}

#[tokio::test]
async fn other_rules_and_credentials_count_at_once() {
    let mut bench = Bench::new(StandInKernel::new());
    bench.mounts.set(&[CLUSTER]);
    bench.until(1).await;
    let source = bench.daemon.source();
    source.set_policy(Policy::default());
    bench.line("credentials that are read again").await;
    source.set_rules(Rules::default());
    bench.until(0).await;
    source.set_rules(Rules { all: true, ..Rules::default() });
    bench.until(1).await;
}

#[tokio::test]
async fn the_kernel_may_ask_where_a_mount_that_is_adopted_is_served() {
    let mut bench = Bench::new(StandInKernel::new());
    bench.mounts.set(&[CLUSTER]);
    bench.until(1).await;
    let source = bench.daemon.source();
    let asked = source.lead("WITCLU").expect("it is adopted");
    assert_eq!(asked.await, Some(HERE.parse().unwrap()));
    assert!(source.lead("other").is_none());
}

#[tokio::test]
async fn a_mount_that_is_watched_by_its_connection_is_listed_and_asks_for_no_witness() {
    let bench = Bench::new(StandInKernel::new());
    let source = bench.daemon.source();
    let (pattern, watch) = ("//witclu/*".parse().unwrap(), Watch::Connection);
    let rules = vec![Rule { pattern, watch, credentials: None }];
    source.set_rules(Rules { all: false, rules });
    bench.mounts.set(&[CLUSTER]);
    bench.line("watching the kernel's connection to 10.77.0.101, without a witness").await;
    let states: Vec<_> = source.mounts_after(None, 10).iter().map(|it| it.state).collect();
    assert_eq!(states, [MountState::Connection]);
    assert!(bench.daemon.client().take_calls().is_empty());
    // It wants none.
    assert_eq!(source.status().mounts, 0);
    bench.mounts.set(&[]);
    bench.line("not mounted any more").await;
    assert!(source.mounts_after(None, 10).is_empty());
}

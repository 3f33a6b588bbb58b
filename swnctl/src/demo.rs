//! `swnctl demo`: failovers on this machine alone. The daemon is the real one; a
//! witness cluster in this process and a stand-in for the kernel are around it.

use crate::out;
use crate::terminal::{Colour, Terminal};
use kernel_sim::{StandInKernel, Taken, known_account};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use swnclient::{Client, Config, Notification, RegistrationRequest};
use swnd::authentication::Policy;
use swnd::daemon::{Daemon, Mode, Observer};
use swnd::kernel::Link;
use swnd::report::Report;
use tokio::sync::mpsc;
use witness_sim::net::{RunningCluster, unused_subnet};
use witness_sim::{ClusterConfig, Destination, Event, Happening, NodeId, Profile, Step, Who};

/// A port for the endpoint mapper that needs no privilege.
const MAPPER_PORT: u16 = 13_500;
/// How long anything in the demonstration may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs the demonstration.
pub fn run() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        out::line(format_args!(
            "A cluster of three nodes, a kernel that mounts a share of it, and swnd between"
        ));
        out::line(format_args!(
            "them, all in this process. The kernel and the cluster are stand-ins."
        ));
        show_legend();
        failover().await?;
        version_1().await
    })
}

/// A client is moved, its node dies, the mount goes.
async fn failover() -> Result<(), String> {
    let mut scene = Scene::start("A Samba cluster, witness version 2", Profile::Samba).await?;
    let [first, _, third] = scene.addresses;
    let id = scene.mount(first);
    scene.until(|m| *m == Milestone::Registered).await?;

    scene.say("admin", format!("moves the client from node1 to node3 ({third})"));
    let to = Destination::Node(NodeId(3));
    scene.cluster.run(Step::ClientMove { who: Who::All, to }).await;
    scene.until_told(|n| *n == Notification::ClientMove { address: third }).await?;
    scene.kernel_says(format!("reconnects to {third} and registers for it"));
    scene.until(|m| *m == Milestone::Registered).await?;

    scene.say("admin", "pulls the plug of node3".into());
    scene.cluster.run(Step::NodeDown { node: NodeId(3), silent: true }).await;
    scene.until_told(|n| matches!(n, Notification::ResourceChange { .. })).await?;
    scene.kernel_says(format!("reconnects; another node has {third} by now"));
    scene.unmount(id).await
}

/// What Dell OneFS does: version 1 only, and the client lands on another node.
async fn version_1() -> Result<(), String> {
    let mut scene = Scene::start("A OneFS cluster, witness version 1", Profile::OneFs).await?;
    let [first, _, third] = scene.addresses;
    let id = scene.mount(first);
    scene.until(|m| *m == Milestone::Registered).await?;

    scene.say("admin", "pulls the plug of node1".into());
    scene.cluster.run(Step::NodeDown { node: NodeId(1), silent: true }).await;
    scene.until_told(|n| matches!(n, Notification::ResourceChange { .. })).await?;
    scene.kernel.reconnect(id, third);
    scene.kernel_says(format!("reconnects by name, lands on node3 ({third}), and says so"));
    scene.kernel.echo();
    scene.until(|m| *m == Milestone::Registered).await?;
    scene.unmount(id).await
}

/// Who is in it, as they are coloured on a terminal.
const LEGEND: [(&str, Colour, &str); 4] = [
    ("swnd", Colour::Good, "the real daemon"),
    ("kernel", Colour::Doubtful, "a stand-in"),
    ("cluster", Colour::Plain, "a stand-in"),
    ("admin", Colour::Bad, "what is done to them"),
];

/// Says who is who, where there are colours.
fn show_legend() {
    let terminal = Terminal::of_output();
    if terminal.colour {
        let all = LEGEND.map(|(who, colour, is)| format!("{}: {is}", terminal.paint(who, colour)));
        out::line(format_args!("{}", all.join("; ")));
    }
}

/// Shows what has happened, and to whom.
fn show(since: Duration, who: &str, what: &str) {
    let terminal = Terminal::of_output();
    let colour = LEGEND.iter().find(|(it, ..)| *it == who).map_or(Colour::Quiet, |it| it.1);
    let (since, who) = (since.as_secs_f64(), terminal.paint(&format!("{who:8}"), colour));
    out::line(format_args!("{since:8.3} s  {who} {}", terminal.wrap(what, 21)));
}

/// Something to tell.
enum Entry {
    Swnd { level: log::Level, text: String, milestone: Milestone },
    Cluster(Event),
}

/// What a scene waits for.
#[derive(Debug, PartialEq)]
enum Milestone {
    Listening,
    Registered,
    Told(Notification),
    Unregistered,
    None,
}

impl From<&Report> for Milestone {
    fn from(report: &Report) -> Self {
        match report {
            Report::Listening => Self::Listening,
            Report::Registered { .. } => Self::Registered,
            Report::Notified { notification, .. } => Self::Told(notification.clone()),
            Report::Unregistered { .. } => Self::Unregistered,
            _ => Self::None,
        }
    }
}

struct Teller(mpsc::UnboundedSender<Entry>);

impl Observer for Teller {
    fn report(&self, report: &Report) {
        // Fails once the scene is over.
        let _ = self.0.send(Entry::Swnd {
            level: report.level(),
            text: report.to_string(),
            milestone: report.into(),
        });
    }
}

/// One cluster, one kernel, one daemon.
struct Scene {
    cluster: RunningCluster,
    kernel: StandInKernel,
    addresses: [IpAddr; 3],
    net_name: SmolStr,
    entries: mpsc::UnboundedReceiver<Entry>,
    start: Instant,
    /// When a witness last answered an AsyncNotify.
    replied: Option<Instant>,
    /// From a witness's reply to the kernel's message.
    forwarded: Vec<Duration>,
    daemon: tokio::task::JoinHandle<()>,
}

impl Scene {
    async fn start(title: &str, profile: Profile) -> Result<Self, String> {
        out::line(format_args!("\n{title}\n"));
        let mut config = ClusterConfig::new(profile, 3, unused_subnet());
        config.mapper_port = MAPPER_PORT;
        let net_name = config.net_name.to_lowercase().into();
        let address = |n| config.address(NodeId(n)).ok_or("the cluster has no three nodes");
        let addresses = [address(1)?, address(2)?, address(3)?];
        let cluster = RunningCluster::start(config).await.map_err(|error| error.to_string())?;
        let (sender, entries) = mpsc::unbounded_channel();

        let mut events = cluster.events();
        let cluster_sender = sender.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let _ = cluster_sender.send(Entry::Cluster(event));
            }
        });

        let kernel = StandInKernel::with_module();
        let link = Link::open(kernel.clone()).map_err(|error| error.to_string())?;
        // The only client of this cluster need not wait for others to come back first.
        let client = Config {
            client_name: "laptop".into(),
            mapper_port: MAPPER_PORT,
            loss_spread: Duration::ZERO,
            ..Config::default()
        };
        let mode = Mode::Forward;
        let daemon = Daemon::new(link, Teller(sender), Policy::default(), mode, |sink| {
            Client::start(client, sink)
        });
        let daemon = tokio::spawn(async move { drop(daemon.run().await) });
        let mut scene = Self {
            cluster,
            kernel,
            addresses,
            net_name,
            entries,
            start: Instant::now(),
            replied: None,
            forwarded: Vec::new(),
            daemon,
        };
        scene.until(|milestone| *milestone == Milestone::Listening).await?;
        Ok(scene)
    }

    fn mount(&self, address: IpAddr) -> u32 {
        let request = RegistrationRequest::new(self.net_name.clone())
            .share("data")
            .served_by(address)
            .scale_out();
        self.kernel_says(format!(r"mounts \\{}\data from node1 ({address})", self.net_name));
        self.kernel.mount(&request, &known_account())
    }

    async fn unmount(mut self, id: u32) -> Result<(), String> {
        self.kernel_says("unmounts".into());
        self.kernel.unmount(id);
        self.until(|milestone| *milestone == Milestone::Unregistered).await?;
        let left = self.cluster.with(|cluster, _| cluster.registrations().len()).await;
        let times: Vec<String> =
            self.forwarded.iter().map(|time| format!("{} µs", time.as_micros())).collect();
        out::line(format_args!("\nRegistrations left in the cluster: {left}."));
        out::line(format_args!(
            "From the witness's reply to the kernel's message: {}.",
            times.join(", ")
        ));
        self.daemon.abort();
        Ok(())
    }

    fn say(&self, who: &str, what: String) {
        show(self.start.elapsed(), who, &what);
    }

    fn kernel_says(&self, what: String) {
        self.say("kernel", what);
    }

    /// Tells what happens until `end` has happened.
    async fn until(&mut self, end: impl Fn(&Milestone) -> bool) -> Result<(), String> {
        loop {
            let entry = tokio::time::timeout(LIMIT, self.entries.recv()).await;
            let entry = entry.map_err(|_| "nothing happened for ten seconds")?;
            let entry = entry.ok_or("the daemon has ended")?;
            self.tell(&entry);
            if matches!(entry, Entry::Swnd { milestone, .. } if end(&milestone)) {
                return Ok(());
            }
        }
    }

    /// Tells what happens until the kernel has a certain notification.
    async fn until_told(&mut self, expected: impl Fn(&Notification) -> bool) -> Result<(), String> {
        self.until(|milestone| matches!(milestone, Milestone::Told(what) if expected(what)))
            .await?;
        for Taken { at, .. } in self.kernel.take_notifications() {
            self.forwarded.extend(self.replied.take().map(|replied| at - replied));
        }
        Ok(())
    }

    fn tell(&mut self, entry: &Entry) {
        match entry {
            Entry::Swnd { level, text, .. } => {
                if *level <= log::Level::Info {
                    self.say("swnd", text.clone());
                }
            }
            Entry::Cluster(event) => {
                let at = (self.cluster.started() + event.at).into_std();
                match &event.what {
                    Happening::Notified { .. } => {
                        self.replied.get_or_insert(at);
                    }
                    Happening::Registered { .. }
                    | Happening::RegisterRefused { .. }
                    | Happening::Noticed { .. }
                    | Happening::AddressMoved { .. }
                    | Happening::Unregistered { .. } => {}
                    _ => return,
                }
                let since = at.saturating_duration_since(self.start);
                show(since, "cluster", &event.what.to_string());
            }
        }
    }
}

//! The project's client.
//!
//! `client SERVES WITNESS NET_NAME USER PASSWORD DOMAIN MAPPER_PORT`

use super::{Orders, answer, cpu_time};
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swnclient::{Client, Config, Credentials, Event, RegistrationId};
use tokio::sync::Notify;

/// One registration, or many at a time; in seconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Since 1970.
    pub(crate) start: f64,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// How long many registrations may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What has become of the registrations.
#[derive(Debug, Default)]
struct Books {
    stands: Vec<bool>,
    standing: usize,
    notified: usize,
    /// When the first one failed.
    lost: Option<(Instant, Duration)>,
    /// The CPU time at the last one that was registered.
    registered: Option<(Instant, Duration)>,
    /// How many have to stand, and how many notifications have to be there.
    goal: (usize, usize),
}

impl Books {
    fn is_reached(&self) -> bool {
        self.standing >= self.goal.0 && self.notified >= self.goal.1
    }

    fn take(&mut self, RegistrationId(id): RegistrationId, event: &Event) {
        let index = usize::try_from(id).expect("few registrations");
        if self.stands.len() <= index {
            self.stands.resize(index + 1, false);
        }
        match event {
            Event::Registered { .. } => {
                self.standing += usize::from(!std::mem::replace(&mut self.stands[index], true));
                if self.is_reached() {
                    self.registered = Some((Instant::now(), cpu_time()));
                }
            }
            Event::Notification(_) => self.notified += 1,
            Event::Failed { error, .. } => {
                if std::mem::replace(&mut self.stands[index], false) {
                    self.standing -= 1;
                } else {
                    eprintln!("registration {id}: {error}");
                }
                self.lost.get_or_insert_with(|| (Instant::now(), cpu_time()));
            }
            Event::Unregistered => {
                self.standing -= usize::from(std::mem::replace(&mut self.stands[index], false));
            }
            Event::NoNews | Event::ServerLost { .. } => {}
            other => eprintln!("registration {id}: {other:?}"),
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    books: Mutex<Books>,
    reached: Notify,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many stand and so many notifications have come.
    async fn reach(&self, standing: usize, notified: usize) {
        self.books().goal = (standing, notified);
        let wait = async {
            while !self.books().is_reached() {
                self.reached.notified().await;
            }
        };
        let in_time = tokio::time::timeout(LIMIT, wait).await;
        assert!(in_time.is_ok(), "not within {LIMIT:?}: {:?}", self.books().standing);
    }
}

/// What is registered, where, by whom.
struct Setting {
    serves: IpAddr,
    net_name: SmolStr,
    credentials: Credentials,
    config: Config,
}

/// One client with its books.
struct Subject {
    client: Client,
    shared: Arc<Shared>,
    asked: usize,
}

impl Subject {
    fn start(config: Config) -> Self {
        let shared = Arc::new(Shared::default());
        let books = Arc::clone(&shared);
        let sink = move |id, event| {
            let mut guard = books.books();
            guard.take(id, &event);
            if guard.is_reached() {
                books.reached.notify_one();
            }
        };
        Self { client: Client::start(config, sink), shared, asked: 0 }
    }

    /// Asks for so many more, all at once, each for a share of its own.
    fn register(&mut self, setting: &Setting, count: usize) {
        for number in self.asked..self.asked + count {
            let share = match number {
                0 => "data".into(),
                _ => format_smolstr!("data{number}"),
            };
            let request = super::request(&setting.net_name, share, setting.serves);
            self.client.register(request, setting.credentials.clone());
        }
        self.asked += count;
    }
}

pub(super) async fn run(args: &[&str]) {
    let [serves, _witness, net_name, user, password, domain, mapper_port] = args else {
        panic!("client: {args:?}");
    };
    let config = Config {
        client_name: "bench".into(),
        mapper_port: mapper_port.parse().expect("a port"),
        // The wait that keeps clients from coming all at once is no work.
        loss_spread: Duration::ZERO,
        ..Config::default()
    };
    let setting = Setting {
        serves: serves.parse().expect("an address"),
        net_name: (*net_name).into(),
        credentials: super::credentials(user, password, domain),
        config,
    };
    let mut orders = Orders::new();
    let mut subject = Subject::start(setting.config.clone());
    while let Some((order, count)) = orders.next().await {
        match order.as_str() {
            // One by one, each by a client and over connections of its own.
            "register" => {
                let mut samples = Vec::new();
                for _ in 0..count {
                    samples.push(once(&setting).await);
                }
                answer(&samples);
            }
            // All at once, by one client, which keeps them.
            "hold" => {
                let (start, wall, cpu) = (now(), Instant::now(), cpu_time());
                subject.register(&setting, count);
                subject.shared.reach(subject.asked, 0).await;
                answer(&sample(start, wall, cpu, None));
            }
            // Until so many notifications have come.
            "notified" => {
                let (start, wall, cpu) = (now(), Instant::now(), cpu_time());
                subject.shared.reach(subject.asked, count).await;
                subject.shared.books().notified = 0;
                answer(&sample(start, wall, cpu, None));
            }
            // From the loss of the first to the last one that is registered again.
            "lose" => subject.shared.books().lost = None,
            "recovered" => {
                let standing = subject.asked;
                let lost = async {
                    while subject.shared.books().lost.is_none() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                lost.await;
                subject.shared.reach(standing, 0).await;
                let mut books = subject.shared.books();
                let (wall, cpu) = books.lost.take().expect("lost");
                answer(&sample(0.0, wall, cpu, books.registered));
            }
            _ => panic!("client: no order {order}"),
        }
    }
    subject.client.shutdown(Duration::from_secs(10)).await;
}

async fn once(setting: &Setting) -> Sample {
    let (start, wall, cpu) = (now(), Instant::now(), cpu_time());
    let mut subject = Subject::start(setting.config.clone());
    subject.register(setting, 1);
    subject.shared.reach(1, 0).await;
    let end = subject.shared.books().registered;
    let sample = sample(start, wall, cpu, end);
    subject.client.shutdown(Duration::from_secs(10)).await;
    sample
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

fn sample(start: f64, wall: Instant, cpu: Duration, end: Option<(Instant, Duration)>) -> Sample {
    let (end, end_cpu) = end.unwrap_or_else(|| (Instant::now(), cpu_time()));
    Sample { start, wall: (end - wall).as_secs_f64(), cpu: (end_cpu - cpu).as_secs_f64() }
}

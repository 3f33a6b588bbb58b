//! The fault matrix: everything that can go wrong, at every step of a
//! registration's life, against every profile, in virtual time. A cell says
//! its result, and how long it took until the registration was in order
//! again.
//!
//! The tables are written to cargo's directory for tests,
//! `target/tmp/fault-matrix-PROFILE.md`.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::{Client, Config};
use swnclient_proto::{
    Credentials, Error, Event, Notification, NtlmCredentials, RegistrationId, RegistrationRequest,
};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, NodeDeath, NodeId, Profile, Stage};

const SECOND: Duration = Duration::from_secs(1);
/// How often the consumer asks again, as the kernel does (`echo_interval`).
const ECHO: Duration = Duration::from_secs(60);
/// How long a registration may take to be in order again: a call that gets no answer,
/// and some attempts after it; or ten minutes after the only node that can be asked has
/// refused the credentials once.
const LIMIT: Duration = Duration::from_secs(700);
const ID: RegistrationId = RegistrationId(1);

/// What goes wrong: fault rules in their text form.
const FAULTS: [&str; 26] = [
    "refuse",
    "no-reply",
    "drop",
    "delay 3s",
    "delay 200s",
    "cut 0",
    "cut 20",
    "garble 0",
    "garble 8",
    "garble 60",
    "chunks",
    "fragments 1",
    "huge-counts",
    "huge-length",
    "truncate 4",
    "wrong-call-id",
    "unprotected",
    "fault 0x1c010002",
    "fault 0x00000005",
    "nak 2",
    "status ERROR_TIMEOUT",
    "status ERROR_NOT_FOUND",
    "status ERROR_INVALID_STATE",
    "status ERROR_REVISION_MISMATCH",
    "status ERROR_ACCESS_DENIED",
    "empty",
];

/// What happens to the node that is just answering, and how it is put right.
const INCIDENTS: [(&str, &str); 8] = [
    ("node N down", ""),
    ("node N down silent", ""),
    ("node N down", "node N up"),
    ("node N down silent", "node N up"),
    ("node N cut", "node N up"),
    ("address A to node M", ""),
    ("address A offline", "address A online"),
    ("service node N stop", "service node N port 50000"),
];

/// A cell's text, or what is wrong.
type Outcome = Result<String, String>;

struct Run {
    world: World<Client>,
    client: ClientId,
    events: Vec<WorldEvent<(RegistrationId, Event)>>,
}

impl Run {
    fn new(profile: Profile) -> Self {
        let cluster = Cluster::new(ClusterConfig::new(profile, 4, [10, 0, 0]));
        let mut world = World::new(cluster, NetworkConfig::default(), 1);
        let client = world.add_client(Client::new(Config::default(), 1));
        Self { world, client, events: Vec::new() }
    }

    fn step(&mut self, text: &str) {
        self.world.run(text.parse().unwrap());
    }

    fn credentials() -> Credentials {
        Credentials::Ntlm(NtlmCredentials::from_password("alice", "EXAMPLE", "secret"))
    }

    fn mount(&mut self) {
        self.world.with_client(self.client, |client, now| {
            let request = RegistrationRequest::new("cluster.example.test")
                .share("data")
                .served_by(IpAddr::from([10, 0, 0, 11]))
                .scale_out();
            client.register(ID, request, Self::credentials(), now);
        });
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.world.poll_event()));
    }

    /// Lets time pass until a condition holds; the consumer asks again now and
    /// then.
    fn until(&mut self, limit: Duration, condition: impl Fn(&Cluster) -> bool) -> bool {
        let end = self.world.now() + limit;
        while self.world.now() < end {
            let part = ECHO.min(end - self.world.now());
            if self.world.pass_until(part, |world| condition(world.cluster())) {
                return true;
            }
            self.world.with_client(self.client, |client, now| {
                client.request_again(ID, Self::credentials(), now);
            });
        }
        false
    }

    /// Lets time pass until a rule applied; at which node.
    fn until_faulted(&mut self) -> Option<NodeId> {
        for _ in 0..100_000 {
            self.collect();
            let faulted = self.events.iter().find_map(|event| match event {
                WorldEvent::Cluster(event) => match event.what {
                    Happening::Faulted { node, .. } => Some(node),
                    _ => None,
                },
                WorldEvent::Client { .. } => None,
            });
            if faulted.is_some() || !self.world.step() {
                return faulted;
            }
        }
        None
    }

    /// How often the client told its consumer to move to `to`.
    fn moves(&self, to: IpAddr) -> usize {
        let moves = self.events.iter().filter(|event| {
            matches!(event, WorldEvent::Client { event: (_, Event::Notification(
                Notification::ClientMove { address })), .. } if *address == to)
        });
        moves.count()
    }

    /// Whether the registration gets in order, stays, and works.
    fn recovers(&mut self, since: Duration) -> Outcome {
        if !self.until(LIMIT, in_order) {
            return Err(format!("not in order after {LIMIT:?}"));
        }
        let took = self.world.now() - since;
        // What hides behind timeouts comes out.
        self.world.pass(15 * SECOND);
        if !self.until(LIMIT, in_order) {
            return Err("did not stay in order".into());
        }
        let to = IpAddr::from([10, 0, 0, 99]);
        self.step("client-move all to 10.0.0.99");
        self.world.pass(SECOND);
        self.collect();
        if self.moves(to) != 1 {
            return Err(format!("a move was told {} times", self.moves(to)));
        }
        // Where the consumer had to ask again, it was told why.
        let asked = self.failures().find_map(|(error, retry)| retry.is_none().then_some(error));
        Ok(match asked {
            Some(error) => format!("{}; when asked again: {}", name(error), seconds(took)),
            None => seconds(took),
        })
    }

    /// Whether the consumer is told again and again why nothing comes of it.
    fn reports(&mut self) -> Outcome {
        if self.until(LIMIT, in_order) {
            return Err("in order, where it cannot be".into());
        }
        self.collect();
        match self.failures().last() {
            Some((error, _)) if self.failures().count() > 5 => Ok(name(error)),
            _ => Err("the consumer does not hear of it".into()),
        }
    }

    /// Whether it stays as it is: nothing shows that something is wrong.
    fn stays(&mut self) -> Outcome {
        self.collect();
        let before = self.failures().count();
        self.world.pass(LIMIT);
        self.collect();
        if self.failures().count() > before || self.world.cluster().registrations().len() != 1 {
            return Err("did not stay as it was".into());
        }
        Ok("not to be noticed".into())
    }

    fn failures(&self) -> impl Iterator<Item = (&Error, Option<Duration>)> {
        self.events.iter().filter_map(|event| match event {
            WorldEvent::Client { event: (_, Event::Failed { error, retry_in }), .. } => {
                Some((error, *retry_in))
            }
            _ => None,
        })
    }

    fn unregisters(&mut self, since: Duration) -> Outcome {
        let unregistered = |event: &WorldEvent<(RegistrationId, Event)>| {
            matches!(event, WorldEvent::Client { event: (_, Event::Unregistered), .. })
        };
        let mut took = None;
        for _ in 0..100_000 {
            self.collect();
            if self.events.iter().any(unregistered) {
                took.get_or_insert(self.world.now() - since);
                if self.world.cluster().registrations().len() == 0 {
                    return Ok(seconds(took.unwrap_or_default()));
                }
            }
            if self.world.now() > since + LIMIT || !self.world.step() {
                break;
            }
        }
        let left = self.world.cluster().registrations().len();
        Err(format!("consumer told after {took:?}, {left} registrations left"))
    }
}

/// An error's name, without its details.
fn name(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap().into()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// One registration, at a node that works, with a call that waits.
fn in_order(cluster: &Cluster) -> bool {
    let mut all = cluster.registrations();
    all.len() == 1
        && all.next().is_some_and(|r| {
            let node = cluster.topology().node(r.node).unwrap();
            r.waiting.len() == 1 && node.power == witness_sim::Power::Up
        })
}

/// A fault rule applies to a registration's first pass through a stage.
fn fault(profile: Profile, stage: Stage, what: &str) -> Outcome {
    let mut run = Run::new(profile);
    let rule = format!("fault {stage} {what}");
    if stage == Stage::UnRegister {
        run.mount();
        assert!(run.until(30 * SECOND, in_order));
        run.step(&rule);
        run.world.with_client(run.client, |client, now| client.unregister(ID, now));
        let now = run.world.now();
        return run.unregisters(now);
    }
    run.step(&rule);
    run.mount();
    if stage == Stage::AsyncNotify {
        run.world.pass(SECOND);
        // The rule awaits the first answer. This one has nothing to lose.
        run.step("answer all ERROR_TIMEOUT");
        // Version 1 has no keep-alive, so the call may wait as long as it likes.
        if what == "no-reply" && !profile.traits().version_2 {
            return run.stays();
        }
    }
    let since = run.world.now();
    run.recovers(since)
}

/// Something happens to a node while it is about to answer in a stage.
fn incident(profile: Profile, stage: Stage, harm: &str, repair: &str) -> Outcome {
    let mut run = Run::new(profile);
    let pause = match stage {
        Stage::MapperConnect | Stage::Connect => "no-reply",
        // The registration waits there for long; it needs no pause.
        Stage::AsyncNotify => "empty",
        _ => "delay 500ms",
    };
    let rule = format!("fault {stage} {pause}");
    if stage == Stage::UnRegister {
        run.mount();
        assert!(run.until(30 * SECOND, in_order));
        run.step(&rule);
        run.world.with_client(run.client, |client, now| client.unregister(ID, now));
    } else {
        run.step(&rule);
        run.mount();
    }
    let node = run.until_faulted().ok_or("the stage was not reached")?;
    let address = run.world.cluster().config().address(node).unwrap();
    let other = if node == NodeId(4) { 3 } else { 4 };
    let fill = |text: &str| {
        text.replace('N', &node.0.to_string())
            .replace('A', &address.to_string())
            .replace('M', &other.to_string())
    };
    let since = run.world.now();
    run.step(&fill(harm));
    if !repair.is_empty() {
        run.world.pass(30 * SECOND);
        run.step(&fill(repair));
    }
    if stage == Stage::UnRegister {
        return run.unregisters(since);
    }
    // The node that serves the share is gone for good, with its address, and
    // was the only one to know the others.
    let hopeless = harm.starts_with("node N down")
        && repair.is_empty()
        && stage <= Stage::GetInterfaceList
        && profile.traits().node_death == NodeDeath::Unavailable;
    if hopeless { run.reports() } else { run.recovers(since) }
}

/// Whether a stage has what the fault is about.
fn applies(stage: Stage, what: &str) -> bool {
    use Stage::{
        Auth, Connect, EptMap, MapperBind, MapperConnect, Register, RegisterEx, UnRegister,
    };
    match what {
        "refuse" | "no-reply" | "drop" => true,
        _ if matches!(stage, MapperConnect | Connect) => false,
        "unprotected" => !matches!(stage, MapperBind | EptMap),
        "huge-counts" => !matches!(stage, Auth | Register | RegisterEx | UnRegister),
        "fragments 1" | "truncate 4" => !matches!(stage, MapperBind | Stage::Bind | Auth),
        "nak 2" => matches!(stage, MapperBind | Stage::Bind | Auth),
        "empty" => stage == Stage::AsyncNotify,
        _ if what.starts_with("status") => {
            !matches!(stage, MapperBind | EptMap | Stage::Bind | Auth)
        }
        _ => true,
    }
}

fn stages(profile: Profile) -> impl Iterator<Item = Stage> {
    let version_2 = profile.traits().version_2;
    Stage::ALL
        .into_iter()
        .filter(move |stage| *stage != if version_2 { Stage::Register } else { Stage::RegisterEx })
}

fn matrix(profile: Profile) -> (String, Vec<String>) {
    let mut table = format!("## {profile}\n\n| |");
    for stage in stages(profile) {
        write!(table, " {stage} |").unwrap();
    }
    table += "\n| --- |";
    for _ in stages(profile) {
        table += " --- |";
    }
    let mut failures = Vec::new();
    let mut cell = |table: &mut String, row: &str, stage, outcome: Outcome| match outcome {
        Ok(text) => write!(table, " {text} |").unwrap(),
        Err(error) => {
            *table += " **fails** |";
            failures.push(format!("{profile}, {row} at {stage}: {error}"));
        }
    };
    for what in FAULTS {
        write!(table, "\n| {what} |").unwrap();
        for stage in stages(profile) {
            let outcome =
                if applies(stage, what) { fault(profile, stage, what) } else { Ok("n/a".into()) };
            cell(&mut table, what, stage, outcome);
        }
    }
    for (harm, repair) in INCIDENTS {
        let row = if repair.is_empty() { harm.into() } else { format!("{harm}, later {repair}") };
        write!(table, "\n| {row} |").unwrap();
        for stage in stages(profile) {
            cell(&mut table, &row, stage, incident(profile, stage, harm, repair));
        }
    }
    table += "\n";
    (table, failures)
}

fn check(profile: Profile) {
    let (table, failures) = matrix(profile);
    let path = format!("{}/fault-matrix-{profile}.md", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&path, table).unwrap();
    assert!(failures.is_empty(), "see {path}; {}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_registration_survives_every_fault_of_samba() {
    check(Profile::Samba);
}

#[test]
fn a_registration_survives_every_fault_of_windows_2012() {
    check(Profile::Windows2012);
}

#[test]
fn a_registration_survives_every_fault_of_windows_2012_r2() {
    check(Profile::Windows2012R2);
}

#[test]
fn a_registration_survives_every_fault_of_a_role_of_windows() {
    check(Profile::WindowsRole);
}

#[test]
fn a_registration_survives_every_fault_of_ontap() {
    check(Profile::Ontap);
}

#[test]
fn a_registration_survives_every_fault_of_onefs() {
    check(Profile::OneFs);
}

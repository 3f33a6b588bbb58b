//! One cell: its runs, and whether they end as they should.

use super::rows::{Expect, Fault, Happens, Row};
use super::{Column, Place};
use crate::{Bench, MountId};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::Config;
use swnclient_proto::wire::AddressInfo;
use swnclient_proto::{Error, Event, Notification, ResourceState};
use witness_sim::world::{ClientId, NetworkConfig};
use witness_sim::{
    ClusterConfig, Destination, Fault as Rule, Happening, NodeDeath, NodeId, Profile, Script,
    Stage, Step, Traits, What, Who,
};

/// How long everything else may take.
const SOON: Duration = Duration::from_secs(5);
/// How long an answer is held back, for something to happen meanwhile.
const MEANWHILE: Duration = Duration::from_secs(2);
/// How long what goes by is there.
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// An address without a node: for a move that is like no other.
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const CLIENT: ClientId = ClientId(0);
const MOUNT: MountId = MountId(0);

/// The results of the runs of a cell against one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outcome {
    /// What the consumer was told besides that it is registered.
    pub told: BTreeSet<String>,
    /// Whether it had to ask again.
    pub denied: bool,
    /// Whether it took ten minutes, after one refusal.
    pub paused: bool,
    /// Whether it can't be noticed before the connection breaks.
    pub unnoticed: bool,
}

/// Runs a cell against one server: in each way that it may behave, with three nodes and with
/// two.
///
/// # Panics
/// Where it doesn't end as it should.
pub fn check(row: &Row, column: Column, profile: Profile) -> Outcome {
    let mut outcome = Outcome::default();
    for traits in profile.ways() {
        for nodes in [3, 2] {
            let mut config = ClusterConfig::new(profile, nodes, [10, 0, 0]);
            config.traits = traits.clone();
            check_at(row, column, profile, &config, &mut outcome);
        }
    }
    outcome
}

fn check_at(
    row: &Row,
    column: Column,
    profile: Profile,
    config: &ClusterConfig,
    outcome: &mut Outcome,
) {
    let places = match row.fault {
        // News about the server while the witness waits for it.
        Fault::Happens(_) if column == Column::Waiting => &[Place::Server, Place::Witness],
        _ => column.places(),
    };
    let stages = column.stages(config.traits.version_2);
    for place in places {
        let run = || Run::new(row, column, *place, profile, config.clone());
        match row.fault {
            Fault::Happens(what) => {
                for stage in stages {
                    run().happens(what, *stage, outcome);
                }
            }
            Fault::Answer(list) => {
                for what in list {
                    let connect = column.connect().filter(|_| befalls_connections(*what));
                    for stage in connect.iter().chain(stages) {
                        run().answer(*what, *stage, outcome);
                    }
                }
            }
        }
    }
}

fn befalls_connections(what: What) -> bool {
    matches!(what, What::Refuse | What::NoReply | What::Drop | What::Cut(_))
}

/// A node's address.
fn address(node: NodeId) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + node.0])
}

struct Run<'a> {
    row: &'a Row,
    column: Column,
    place: Place,
    traits: Traits,
    nodes: u8,
    name: String,
    bench: Bench,
    /// How long the fault holds everything up by itself.
    held: Duration,
}

impl<'a> Run<'a> {
    fn new(
        row: &'a Row,
        column: Column,
        place: Place,
        profile: Profile,
        config: ClusterConfig,
    ) -> Self {
        let traits = config.traits.clone();
        let nodes = u8::try_from(config.nodes.len()).expect("there are few");
        let mut bench = Bench::new(config, NetworkConfig::default(), 1);
        let require_header_signing = traits.header_signing;
        bench.add_client(Config { require_header_signing, ..Config::default() }, 1);
        let way = if traits == profile.traits() { "" } else { ", the other way" };
        let name =
            format!("{}::{} {place:?} {profile}{way}, {nodes} nodes", row.name, column.name());
        Self { row, column, place, traits, nodes, name, bench, held: Duration::ZERO }
    }

    /// Lets time pass until a condition holds.
    fn until(&mut self, limit: Duration, what: &str, condition: impl FnMut(&mut Bench) -> bool) {
        let end = self.bench.world.now() + limit;
        let met = self.bench.pass_until(end, condition);
        let told = &self.bench.told;
        assert!(
            met,
            "{}: not within {limit:?}: {what}; the consumer was told {told:#?}",
            self.name
        );
    }

    /// Adds a rule where the column's step is still to come, and goes there.
    fn go(&mut self, rule: Rule) {
        match (self.column, self.place) {
            (Column::Waiting | Column::Unregister, _) => {
                self.mount();
                let pends = self.column == Column::Unregister;
                self.until(SOON, "registered", |bench| {
                    bench.witnesses(MOUNT).len() == 1 && (!pends || bench.is_in_order(MOUNT))
                });
                self.bench.run(Step::Fault(rule));
                if pends {
                    self.bench.unregister(MOUNT);
                }
            }
            (_, Place::Server) => {
                self.bench.run(Step::Fault(rule));
                self.mount();
            }
            (_, Place::Witness) => {
                // The list is held back, so that there is time for a rule that
                // befalls the witness alone.
                let list = Stage::GetInterfaceList;
                let hold = Rule::once(list, What::Delay(Duration::from_millis(10)));
                self.bench.run(Step::Fault(hold));
                self.mount();
                self.until_fault(list);
                self.bench.run(Step::Fault(rule));
            }
        }
        self.until_fault(rule.on);
    }

    fn mount(&mut self) {
        self.bench.mount(CLIENT, address(NodeId(1)));
    }

    /// Lets time pass until a rule applies; at which node.
    fn until_fault(&mut self, on: Stage) -> NodeId {
        let mut at = NodeId(0);
        self.until(SOON, "the step of the fault", |bench| {
            let found = bench.happened.iter().find_map(|what| match what {
                Happening::Faulted { node, stage, .. } if *stage == on => Some(*node),
                _ => None,
            });
            at = found.unwrap_or(at);
            found.is_some()
        });
        self.bench.happened.clear();
        at
    }

    /// Something is wrong with an answer.
    fn answer(mut self, what: What, stage: Stage, outcome: &mut Outcome) {
        self.name = format!("{} {what} at {stage}", self.name);
        self.go(Rule::once(stage, what));
        if self.column == Column::Waiting {
            // Something to tell, which goes wrong.
            let to = address(NodeId(1)).into();
            self.bench.run(Step::ClientMove { who: Who::All, to });
        }
        self.finish(outcome, Duration::ZERO);
    }

    /// Something happens while an answer is awaited.
    fn happens(mut self, what: Happens, stage: Stage, outcome: &mut Outcome) {
        let mut node = NodeId(1);
        if self.column == Column::Waiting {
            self.mount();
            self.until(SOON, "in order", |bench| bench.is_in_order(MOUNT));
        } else {
            let hold = Rule::once(stage, What::Delay(MEANWHILE));
            self.go(hold);
            self.held = MEANWHILE;
        }
        if self.place == Place::Witness {
            let witness = self.bench.witnesses(MOUNT).first().copied();
            // Where it has not registered: the one that it is connected to.
            node = witness.unwrap_or_else(|| self.connected_to());
        }
        let over = self.inflict(what, node);
        self.finish(outcome, over);
    }

    /// The node, besides node 1, that the client is connected to.
    fn connected_to(&self) -> NodeId {
        let cluster = self.bench.world.cluster();
        let nodes = (2..=self.nodes).map(NodeId);
        let mut connected = nodes.filter(|node| cluster.connections_to(*node) > 0);
        connected.next().unwrap_or(NodeId(2))
    }

    /// Makes it happen; how long it is before the registration can be in order.
    fn inflict(&mut self, what: Happens, node: NodeId) -> Duration {
        let takeover = self.traits.node_death != NodeDeath::Unavailable;
        let nodes = self.nodes;
        let stops = what.stops(self.place, takeover, nodes);
        let other = NodeId(node.0 % nodes + 1);
        let who = Who::All;
        let mut goes_by = None;
        let bench = &mut self.bench;
        match what {
            Happens::NodeDown | Happens::NodeVanishes => {
                bench.run(Step::NodeDown { node, silent: what == Happens::NodeVanishes });
                goes_by = stops.then_some((MINUTE, Step::NodeUp { node }));
            }
            Happens::NodeCut => {
                bench.run(Step::NodeCut { node });
                goes_by = Some((MINUTE, Step::NodeUp { node }));
            }
            Happens::NodeRestarts => {
                bench.run(Step::NodeDown { node, silent: false });
                goes_by = Some((SOON, Step::NodeUp { node }));
            }
            Happens::ServiceStops => {
                bench.run(Step::Service { node, port: None });
                let again = Step::Service { node, port: Some(50_000) };
                goes_by = stops.then_some((MINUTE, again));
            }
            Happens::ServiceRestarts => bench.run(Step::Service { node, port: Some(50_000) }),
            Happens::AddressMoves => {
                bench.run(Step::AddressMove { address: address(node), node: other });
                let back = Step::AddressMove { address: address(node), node };
                goes_by = stops.then_some((MINUTE, back));
            }
            Happens::AddressOffline => {
                let address = address(node);
                bench.run(Step::AddressState { address, online: false });
                goes_by = Some((MINUTE, Step::AddressState { address, online: true }));
            }
            Happens::AllDown => {
                for node in (1..=nodes).map(NodeId) {
                    bench.run(Step::NodeDown { node, silent: node.0 % 2 == 0 });
                }
                bench.pass(HOUR);
                for node in (1..=nodes).map(NodeId) {
                    bench.run(Step::NodeUp { node });
                }
            }
            Happens::ClientMove => bench.run(Step::ClientMove { who, to: address(other).into() }),
            Happens::ShareMove => bench.run(Step::ShareMove { who, to: address(other).into() }),
            Happens::IpChange => bench.run(Step::IpChange { who, to: address(other).into() }),
            Happens::MixedList => {
                let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2]);
                let to = Destination::Addresses(vec![
                    AddressInfo::new(address(other), false),
                    AddressInfo::new(v6, true),
                    AddressInfo::new(address(NodeId(9)), true),
                ]);
                bench.run(Step::ClientMove { who, to });
            }
            Happens::UselessList => {
                let offline = AddressInfo::new(address(other), false);
                for list in [vec![offline], Vec::new()] {
                    let to = Destination::Addresses(list);
                    bench.run(Step::ClientMove { who: who.clone(), to });
                    bench.pass(Duration::from_millis(10));
                }
            }
            Happens::ForceUnregister => bench.run(Step::ForceUnregister { who }),
            Happens::PasswordChange => {
                let password = "other".into();
                bench.run(Step::Password { user: "alice".into(), password });
            }
            Happens::ClockStep => bench.leap(CLIENT, HOUR),
        }
        let over = goes_by.as_ref().filter(|_| stops).map_or(Duration::ZERO, |(after, _)| *after);
        let steps = goes_by.into_iter().collect();
        bench.world.play(&Script { steps });
        over
    }

    /// Sees that it ends as it should.
    fn finish(mut self, outcome: &mut Outcome, over: Duration) {
        let limit = over + self.held + self.row.limit();
        if self.column == Column::Unregister {
            self.end(limit);
        } else {
            match self.row.expect(self.column, self.place, &self.traits, self.nodes) {
                Expect::Recovered => {}
                Expect::Denied => {
                    outcome.denied = true;
                    self.ask_again(limit);
                }
                Expect::Paused => {
                    outcome.paused = true;
                    self.wait_for_pause(limit);
                }
                Expect::Unnoticed => {
                    outcome.unnoticed = true;
                    self.break_connection(limit);
                }
            }
            // Not before the fault has had its effect.
            self.bench.pass(Duration::from_millis(100));
            self.until(limit, "in order again", |bench| bench.is_in_order(MOUNT));
            self.be_of_use();
        }
        outcome.told.extend(self.bench.told.iter().filter_map(|(_, _, event)| describe(event)));
    }

    /// Nothing is tried for ten minutes, though the consumer asks with the same credentials.
    fn wait_for_pause(&mut self, limit: Duration) {
        self.until(limit, "refused", |bench| {
            matches!(
                bench.told.last(),
                Some((_, _, Event::Failed { error: Error::AccessDenied { .. }, retry_in: None }))
            )
        });
        let is_connected = |bench: &mut Bench| bench.world.open_connections() > 0;
        let end = self.bench.world.now() + 10 * MINUTE - SOON;
        assert!(!self.bench.pass_until(end, is_connected), "{}: tried again", self.name);
        self.until(2 * SOON, "tried again", is_connected);
    }

    /// Nothing is tried until the consumer asks.
    fn ask_again(&mut self, limit: Duration) {
        self.until(limit, "refused", |bench| {
            matches!(
                bench.told.last(),
                Some((_, _, Event::Failed { error: Error::AccessDenied { .. }, retry_in: None }))
            )
        });
        if matches!(self.row.fault, Fault::Happens(Happens::PasswordChange)) {
            self.bench.set_password("other");
        }
        // Nor sooner than that.
        let calls = self.bench.world.open_connections();
        self.bench.pass(Duration::from_secs(1));
        assert_eq!((calls, self.bench.world.open_connections()), (0, 0), "{}", self.name);
        self.bench.echo();
    }

    /// Nothing happens until the connection breaks.
    fn break_connection(&mut self, limit: Duration) {
        self.bench.pass(2 * limit);
        assert!(!self.bench.is_in_order(MOUNT), "{}", self.name);
        let witness = self.bench.witnesses(MOUNT);
        let node = witness.first().copied().unwrap_or(NodeId(0));
        self.bench.run(Step::Service { node, port: Some(50_000) });
    }

    /// The next move arrives, once.
    fn be_of_use(&mut self) {
        self.bench.run(Step::NoFaults);
        let notification = Notification::ClientMove { address: ELSEWHERE };
        self.bench.run(Step::ClientMove { who: Who::All, to: ELSEWHERE.into() });
        self.bench.pass(SOON / 2);
        let moves = |event: &Event| *event == Event::Notification(notification.clone());
        let arrived = self.bench.told.iter().filter(|(_, _, event)| moves(event)).count();
        assert_eq!(arrived, 1, "{}: {:#?}", self.name, self.bench.told);
        self.bench.told.retain(|(_, _, event)| !moves(event));
    }

    /// The registration ends; nothing of it is left where the cluster can be
    /// reached.
    fn end(&mut self, limit: Duration) {
        let id = self.bench.get(MOUNT).id;
        self.until(limit, "unregistered", |bench| bench.ledger.has_ended(id));
        self.until(Config::default().call_timeout, "nothing left", |bench| {
            let cluster = bench.world.cluster();
            cluster.registrations().len() == 0 && bench.world.open_connections() == 0
        });
    }
}

/// What the consumer was told, in few words; nothing for what it waits for.
fn describe(event: &Event) -> Option<String> {
    Some(match event {
        Event::Registered { .. } | Event::NoNews | Event::Unregistered => return None,
        Event::Failed { error, .. } => match error {
            Error::Connect { .. } => "cannot connect".into(),
            Error::Lost { .. } => "connection lost".into(),
            Error::Timeout { awaited, .. } => format!("no answer: {awaited}"),
            Error::NoService { .. } => "no witness service".into(),
            Error::AccessDenied { .. } => "credentials refused".into(),
            Error::Association { .. } => "protocol broken".into(),
            Error::Malformed { .. } => "malformed answer".into(),
            Error::NoWitness => "no witness".into(),
            Error::Refused { status, .. } => status.name().unwrap_or("refused").into(),
            Error::Fault { status, .. } => status.name().unwrap_or("fault").into(),
            other => other.to_string(),
        },
        Event::Notification(Notification::ResourceChange { state, .. }) => match state {
            ResourceState::Available => "*available*".into(),
            ResourceState::Unavailable => "*unavailable*".into(),
            ResourceState::Unknown => "*unknown*".into(),
        },
        Event::Notification(Notification::ClientMove { .. }) => "*client move*".into(),
        Event::Notification(Notification::ShareMove { .. }) => "*share move*".into(),
        Event::Notification(Notification::IpChange { .. }) => "*IP change*".into(),
        other => format!("{other:?}"),
    })
}

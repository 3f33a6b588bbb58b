//! How often a witness can make the project's client do something, in virtual time.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::wire::{NotifyMessages, Status};
use swnclient_proto::{Client, Config, ResourceState};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::world::{ClientId, NetworkConfig, World, WorldEvent};
use witness_sim::{Cluster, ClusterConfig, Happening, Profile, Stage, Step, Who};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A registered client of a cluster that is in order so far.
fn world() -> (World<Client>, ClientId) {
    let cluster = Cluster::new(ClusterConfig::new(Profile::Samba, 3, [10, 0, 0]));
    let mut world = World::new(cluster, NetworkConfig::default(), 1);
    let client = world.add_client(Client::new(Config::default(), 1));
    world.with_client(client, |client, now| {
        let request = RegistrationRequest::new("cluster.example.test")
            .share("data")
            .served_by(IpAddr::from([10, 0, 0, 11]))
            .scale_out();
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        client.register(RegistrationId(1), request, Credentials::Ntlm(alice), now);
    });
    (world, client)
}

/// How often something that `counts` happens within `time`.
fn count(world: &mut World<Client>, time: Duration, counts: impl Fn(&Happening) -> bool) -> usize {
    while world.poll_event().is_some() {}
    world.pass(time);
    let events = std::iter::from_fn(|| world.poll_event());
    events.filter(|it| matches!(it, WorldEvent::Cluster(event) if counts(&event.what))).count()
}

fn is_ask(what: &Happening) -> bool {
    matches!(what, Happening::Faulted { stage: Stage::AsyncNotify, .. })
}

#[test]
fn a_witness_that_answers_at_once_is_asked_ten_times_a_second_at_most() {
    for (what, per_second) in [("empty", 1), ("storm 0", 10), ("storm 1", 10), ("storm 100", 10)] {
        let (mut world, _) = world();
        world.run(format!("fault notify always {what}").parse().unwrap());
        // The first ones are free.
        world.pass(10 * SECOND);
        let asked = count(&mut world, MINUTE, is_ask);
        assert!((30..=60 * per_second + 1).contains(&asked), "{what}: {asked}");
    }
}

#[test]
fn a_witness_whose_answers_are_enormous_is_asked_ever_more_seldom() {
    let (mut world, _) = world();
    world.pass(10 * SECOND);
    while world.poll_event().is_some() {}
    // Half a megabyte, whenever it is asked.
    let name = "n".repeat(250_000);
    for second in 0..180 {
        let name = format!("{second}{name}").into();
        let change = NotifyMessages::ResourceChange(vec![(name, ResourceState::Unavailable)]);
        world.run(Step::Answer { who: Who::All, notice: Ok::<_, Status>(Some(change)) });
        world.pass(SECOND);
    }
    let answers = std::iter::from_fn(|| world.poll_event()).filter(|event| {
        matches!(event, WorldEvent::Cluster(it) if matches!(it.what, Happening::Notified { .. }))
    });
    let answers = answers.count();
    assert!((10..=20).contains(&answers), "{answers} in three minutes");
}

#[test]
fn a_witness_that_accepts_and_then_fails_is_asked_every_half_minute_in_the_mean() {
    let not_found = &["fault notify always status ERROR_NOT_FOUND"][..];
    // What it is asked for once it has accepted a registration that was lost.
    let cut = &[
        "fault list node 2 always cut 0",
        "fault list node 3 always cut 0",
        "answer all ERROR_NOT_FOUND",
    ];
    for steps in [not_found, cut] {
        let (mut world, _) = world();
        world.pass(10 * SECOND);
        for step in steps {
            world.run(step.parse().unwrap());
        }
        // Until the pace is at its slowest.
        world.pass(10 * MINUTE);
        let is_registered = |what: &Happening| matches!(what, Happening::Registered { .. });
        let accepted = count(&mut world, 60 * MINUTE, is_registered);
        assert!((60..=160).contains(&accepted), "{steps:?}: {accepted} in an hour");
    }
}

//! The control socket of a daemon between a stand-in kernel and a witness client that is
//! told what to report, by hand on the wire.

use crate::client::{Call, FakeClient, auth, guest, request};
use kernel_sim::StandInKernel;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use swnclient::{Error, Event, EventSink};
use swnd::authentication::Policy;
use swnd::control::{CLIENTS_MAX, Control, Monitors, interface};
use swnd::daemon::{Daemon, Forwarder, Mode, Observer};
use swnd::kernel::Link;
use swnd::report::Report;

/// For anything that happens at once.
const LIMIT: Duration = Duration::from_secs(10);

struct Told(Monitors);

impl Observer for Told {
    fn report(&self, report: &Report) {
        self.0.report(report);
    }
}

struct Bench {
    kernel: StandInKernel,
    daemon: Daemon<StandInKernel, Told, FakeClient>,
    events: Forwarder<StandInKernel, Told, FakeClient>,
    path: PathBuf,
    control: Option<Control>,
}

impl Bench {
    async fn new(name: &str) -> Self {
        let kernel = StandInKernel::with_module();
        let link = Link::open(kernel.clone()).unwrap();
        let monitors = Monitors::default();
        let mut events = None;
        let told = Told(monitors.clone());
        let daemon = Daemon::new(link, told, Policy::default(), Mode::Forward, |forwarder| {
            events = Some(forwarder);
            FakeClient::default()
        });
        let path = std::env::temp_dir().join(format!("swnd-control-{name}-{}", std::process::id()));
        let control = Control::start(&path, daemon.source(), monitors).unwrap();
        let bench = Self { kernel, daemon, events: events.unwrap(), path, control: Some(control) };
        bench.settle().await;
        bench
    }

    async fn settle(&self) {
        tokio::select! {
            biased;
            error = self.daemon.run() => panic!("{error}"),
            () = std::future::ready(()) => {}
        }
    }

    fn connect(&self) -> Wire {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Wire(BufReader::new(stream))
    }
}

struct Wire(BufReader<UnixStream>);

impl Wire {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        self.0.get_mut().write_all(&[0]).unwrap();
    }

    fn receive(&mut self) -> serde_json::Value {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the connection ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn call(&mut self, text: &str) -> serde_json::Value {
        self.send(text);
        self.receive()
    }

    fn status(&mut self) -> interface::Status {
        let mut reply = self.call(r#"{"method":"org.swnclient.Witness.Status"}"#);
        serde_json::from_value(reply["parameters"].take()).unwrap()
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

#[tokio::test]
async fn the_status_tells_the_state_of_each_registration() {
    let mut bench = Bench::new("status").await;
    bench.kernel.mount(&request("cluster", "10.77.0.101"), &auth("alice"));
    bench.kernel.mount(&request("other", "10.77.0.102"), &auth("bob"));
    bench.kernel.mount(&request("third", "10.77.0.103"), &guest());
    bench.settle().await;
    let mut ids = bench.daemon.client().take_calls().into_iter().map(|call| match call {
        Call::Register(id, ..) => id,
        call => panic!("{call:?}"),
    });
    let (first, second) = (ids.next().unwrap(), ids.next().unwrap());
    let mut wire = bench.connect();
    let states = |wire: &mut Wire| -> Vec<interface::State> {
        wire.status().registrations.iter().map(|it| it.state).collect()
    };
    use interface::State::{Blocked, Registered, Registering, Unusable, Waiting};
    assert_eq!(states(&mut wire), [Registering, Registering, Unusable]);

    let witness = "10.77.0.102".parse().unwrap();
    bench.events.event(first, Event::Registered { witness, version: 2 });
    let error = Error::NetNameIsAddress("10.0.0.9".into());
    let failed = |retry_in| Event::Failed { error: error.clone(), retry_in };
    bench.events.event(second, failed(None));
    let status = wire.status();
    assert_eq!((status.daemon.mounts, status.daemon.registered), (3, 1));
    assert!(status.daemon.cifs);
    assert_eq!(status.registrations[0].witness, Some(witness));
    assert_eq!(states(&mut wire), [Registered, Blocked, Unusable]);
    let problem = status.registrations[1].problem.clone().unwrap();
    assert!(problem.ends_with("; mount by the cluster's name"), "{problem}");

    bench.events.event(first, failed(Some(Duration::from_secs(3600))));
    assert_eq!(states(&mut wire), [Waiting, Blocked, Unusable]);
    let left = wire.status().registrations[0].retry_in_ms.unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
}

#[tokio::test]
async fn more_mounts_than_are_copied_at_once_are_all_told_once() {
    let bench = Bench::new("many").await;
    for n in 0..200 {
        bench.kernel.mount(&request(&format!("cluster{n}"), "10.77.0.101"), &auth("alice"));
    }
    bench.settle().await;
    let names: std::collections::BTreeSet<_> =
        bench.connect().status().registrations.into_iter().map(|it| it.net_name).collect();
    assert_eq!(names.len(), 200);
}

#[tokio::test]
async fn a_monitor_is_told_what_happens_until_it_goes() {
    let bench = Bench::new("monitor").await;
    let mut wire = bench.connect();
    wire.send(r#"{"method":"org.swnclient.Witness.Monitor","more":true}"#);
    // Until the call is handled, nothing is told.
    let mut mounted = 0_u32..;
    let event = loop {
        let name = format!("cluster{}", mounted.next().unwrap());
        bench.kernel.mount(&request(&name, "10.77.0.101"), &auth("alice"));
        bench.settle().await;
        wire.0.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        if wire.0.fill_buf().is_ok() {
            wire.0.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
            break wire.receive();
        }
    };
    assert_eq!(event["continues"], true);
    let net_name = event["parameters"]["event"]["net_name"].as_str().unwrap();
    assert!(net_name.starts_with("cluster"), "{net_name}");
    assert_eq!(event["parameters"]["event"]["kind"], "asked");
    let reply = bench.connect().call(r#"{"method":"org.swnclient.Witness.Monitor"}"#);
    assert_eq!(reply["error"], "org.varlink.service.ExpectedMore");
}

#[tokio::test]
async fn a_retry_reaches_the_client_and_an_unknown_number_is_an_error() {
    let bench = Bench::new("retry").await;
    let id = bench.kernel.mount(&request("cluster", "10.77.0.101"), &auth("alice"));
    bench.settle().await;
    bench.daemon.client().take_calls();
    let mut wire = bench.connect();
    let retry = |id: u32| {
        format!(r#"{{"method":"org.swnclient.Witness.Retry","parameters":{{"id":{id}}}}}"#)
    };
    assert_eq!(wire.call(&retry(id)), serde_json::json!({ "parameters": {} }));
    assert!(matches!(bench.daemon.client().take_calls()[..], [Call::TryNow(..)]));
    let reply = wire.call(&retry(id + 1));
    assert_eq!(reply["error"], "org.swnclient.Witness.NotFound");
    assert_eq!(reply["parameters"]["id"], id + 1);
    let reply = wire.call(r#"{"method":"org.swnclient.Witness.Retry"}"#);
    assert_eq!(reply["error"], "org.varlink.service.InvalidParameter");
}

#[tokio::test]
async fn what_has_happened_is_counted_by_its_kind_and_reason() {
    let mut bench = Bench::new("counters").await;
    bench.kernel.mount(&request("cluster", "10.77.0.101"), &auth("alice"));
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Register(id, ..)] = calls[..] else { panic!("{calls:?}") };
    let witness = "10.77.0.102".parse().unwrap();
    bench.events.event(id, Event::Registered { witness, version: 2 });
    // The first takes the witness, which the second does not have.
    for _ in 0..2 {
        let failed = Event::Failed { error: Error::NoWitness, retry_in: None };
        bench.events.event(id, failed);
    }
    let reply = bench.connect().call(r#"{"method":"org.swnclient.Witness.Counters"}"#);
    let counters: interface::Counters =
        serde_json::from_value(reply["parameters"]["counters"].clone()).unwrap();
    let of = |name| counters.events.get(name).copied();
    let expected = [Some(1), Some(2), Some(1), None];
    assert_eq!(["asked", "failed.no_witness", "registered", "failed"].map(of), expected);
    let losses: u64 = counters.losses.values().sum();
    assert_eq!((counters.losses.get("no_witness"), losses), (Some(&1), 1));
    assert_eq!(counters.witness_connections, Some(3));
    assert_eq!(counters.delivery.counts.len(), counters.delivery.bounds_us.len() + 1);
}

#[tokio::test]
async fn the_time_of_mounts_without_a_witness_goes_on_until_they_have_one() {
    let mut bench = Bench::new("unwatched").await;
    let unwatched = |bench: &Bench| {
        let reply = bench.connect().call(r#"{"method":"org.swnclient.Witness.Counters"}"#);
        reply["parameters"]["counters"]["unwatched_ms"].as_u64().unwrap()
    };
    assert_eq!(unwatched(&bench), 0);
    bench.kernel.mount(&request("cluster", "10.77.0.101"), &auth("alice"));
    bench.settle().await;
    let calls = bench.daemon.client().take_calls();
    let [Call::Register(id, ..)] = calls[..] else { panic!("{calls:?}") };
    // It goes on by itself.
    let until = Instant::now() + LIMIT;
    while unwatched(&bench) < 2 {
        assert!(Instant::now() < until);
    }
    let witness = "10.77.0.102".parse().unwrap();
    bench.events.event(id, Event::Registered { witness, version: 2 });
    let ended = unwatched(&bench);
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(3) {
        assert_eq!(unwatched(&bench), ended);
    }
}

#[tokio::test]
async fn it_describes_itself_as_every_varlink_service_does() {
    let bench = Bench::new("introspect").await;
    let mut wire = bench.connect();
    let info = wire.call(r#"{"method":"org.varlink.service.GetInfo","parameters":{}}"#);
    assert_eq!(info["parameters"]["interfaces"][1], interface::NAME);
    let describe = |name| {
        format!(
            r#"{{"method":"org.varlink.service.GetInterfaceDescription","parameters":{{"interface":"{name}"}}}}"#
        )
    };
    let description = wire.call(&describe(interface::NAME));
    assert_eq!(description["parameters"]["description"], interface::DESCRIPTION);
    for (method, error) in [
        ("org.swnclient.Witness.Nothing", "org.varlink.service.MethodNotFound"),
        ("org.example.Nothing", "org.varlink.service.InterfaceNotFound"),
        ("", "org.varlink.service.InterfaceNotFound"),
    ] {
        assert_eq!(wire.call(&format!(r#"{{"method":"{method}"}}"#))["error"], error);
    }
}

#[tokio::test]
async fn calls_may_come_together_or_in_pieces_and_oneway_ones_get_no_reply() {
    let bench = Bench::new("pieces").await;
    let mut wire = bench.connect();
    let info = r#"{"method":"org.varlink.service.GetInfo"}"#;
    wire.send(&format!("{info}\0{{\"method\":\"x.y\",\"oneway\":true}}\0{info}"));
    for _ in 0..2 {
        assert_eq!(wire.receive()["parameters"]["product"], "swnd");
    }
    let (head, tail) = info.split_at(10);
    wire.0.get_mut().write_all(head.as_bytes()).unwrap();
    bench.connect().status();
    assert_eq!(wire.call(tail)["parameters"]["product"], "swnd");
}

#[tokio::test]
async fn what_is_not_a_call_or_too_long_ends_the_connection_and_no_other() {
    let bench = Bench::new("hostile").await;
    let mut good = bench.connect();
    let long = format!(r#"{{"method":"{}"}}"#, "x".repeat(1 << 20));
    let deep = "[".repeat(60_000);
    for bad in ["", "{", "[]", "\u{7f}", r#"{"method":1}"#, &deep, &long] {
        let mut wire = bench.connect();
        // It may end before all is written.
        let _ = wire.0.get_mut().write_all(bad.as_bytes());
        let _ = wire.0.get_mut().write_all(&[0]);
        assert!(wire.is_closed(), "{bad:.20}");
        assert_eq!(good.status().daemon.mounts, 0);
    }
}

#[tokio::test]
async fn a_client_too_many_is_told_so_and_comes_in_once_another_has_gone() {
    let bench = Bench::new("busy").await;
    let mut clients: Vec<_> = (0..CLIENTS_MAX).map(|_| bench.connect()).collect();
    clients.iter_mut().for_each(|client| drop(client.status()));
    let mut late = bench.connect();
    assert_eq!(late.receive()["error"], "org.swnclient.Witness.Busy");
    assert!(late.is_closed());
    clients.pop();
    let busy = |bench: &Bench| {
        let mut wire = bench.connect();
        let sent = wire.0.get_mut().write_all(b"{\"method\":\"org.varlink.service.GetInfo\"}\0");
        sent.is_err() || wire.receive().get("error").is_some()
    };
    while busy(&bench) {}
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let mut bench = Bench::new("left").await;
    let start =
        |bench: &Bench| Control::start(&bench.path, bench.daemon.source(), Monitors::default());
    assert!(start(&bench).is_err());
    bench.connect().status();
    bench.control = None;
    assert!(!bench.path.exists());
    drop(std::os::unix::net::UnixListener::bind(&bench.path).unwrap());
    bench.control = Some(start(&bench).unwrap());
    bench.connect().status();
}

#[tokio::test]
async fn the_last_list_of_a_registration_is_told() {
    let mut bench = Bench::new("interfaces").await;
    bench.kernel.mount(&request("cluster", "10.77.0.101"), &auth("alice"));
    bench.settle().await;
    let mut wire = bench.connect();
    let id = wire.status().registrations[0].id;
    let mut call = |id: u32| {
        let call = format!(
            r#"{{"method":"org.swnclient.Witness.Interfaces","parameters":{{"id":{id}}}}}"#
        );
        wire.call(&call)
    };
    let told = call(id);
    let addresses: Vec<_> = told["parameters"]["interfaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["addresses"][0].as_str().unwrap(), it["state"].as_str().unwrap()))
        .collect();
    assert_eq!(addresses, [("10.77.0.101", "available"), ("10.77.0.102", "unavailable")]);
    assert_eq!(call(id + 1)["error"], "org.swnclient.Witness.NotFound");
    bench.control.take();
}

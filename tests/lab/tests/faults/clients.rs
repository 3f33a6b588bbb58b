//! Registrations by the client library, each under a name of its own, so that the witnesses' list tells them apart.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab::{CLUSTER_NAME, PASSWORD, SHARE, USER, in_client_namespace};
use swnclient::{
    Client, Config, Credentials, Event, Notification, NtlmCredentials, RegistrationRequest,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long unregistering may take at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// What has happened to a registration, and when.
type Log = Arc<Mutex<Vec<(Instant, Event)>>>;

/// Some registrations, which end when this is dropped.
pub(crate) struct Clients {
    since: Instant,
    events: Vec<Log>,
    stop: Option<UnboundedSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    /// Registers a client for each of `addresses`, under the name that [`Clients::name`] gives it.
    pub(crate) fn start(addresses: &[Ipv4Addr]) -> Clients {
        let since = Instant::now();
        let events: Vec<Log> = addresses.iter().map(|_| Arc::default()).collect();
        let (stop, stopped) = unbounded_channel();
        let sinks = addresses.iter().copied().zip(events.clone()).collect();
        let thread = std::thread::spawn(|| in_client_namespace(|| run(sinks, stopped)));
        Clients { since, events, stop: Some(stop), thread: Some(thread) }
    }

    /// What the client for the address `index` calls itself.
    pub(crate) fn name(index: usize) -> String {
        format!("client-{index}")
    }

    /// What has happened to a client so far.
    pub(crate) fn events(&self, index: usize) -> Vec<Event> {
        let events = self.events[index].lock().expect("events are not poisoned");
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// What has happened to each client, with the time since the first was started.
    pub(crate) fn history(&self) -> String {
        let mut history = String::new();
        for (index, events) in self.events.iter().enumerate() {
            let events = events.lock().expect("events are not poisoned");
            for (at, event) in events.iter() {
                let after = at.duration_since(self.since).as_secs_f64();
                history += &format!("\n{after:8.3} {}: {event:?}", Self::name(index));
            }
        }
        history
    }

    /// What a client was told so far.
    pub(crate) fn notifications(&self, index: usize) -> Vec<Notification> {
        let told = self.events(index).into_iter().filter_map(|event| match event {
            Event::Notification(notification) => Some(notification),
            _ => None,
        });
        told.collect()
    }
}

fn run(sinks: Vec<(Ipv4Addr, Log)>, mut stopped: UnboundedReceiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let start = |(index, (address, events)): (usize, (Ipv4Addr, Log))| {
            let config = Config { client_name: Clients::name(index).into(), ..Config::default() };
            let client = Client::start(config, move |_, event| {
                events.lock().expect("events are not poisoned").push((Instant::now(), event));
            });
            let request = RegistrationRequest::new(CLUSTER_NAME)
                .share(SHARE)
                .served_by(address.into())
                .scale_out();
            let user = NtlmCredentials::from_password(USER, "", PASSWORD);
            client.register(request, Credentials::Ntlm(user));
            client
        };
        let clients: Vec<Client> = sinks.into_iter().enumerate().map(start).collect();
        let _ = stopped.recv().await;
        for client in clients {
            client.shutdown(GOODBYE).await;
        }
    });
}

impl Drop for Clients {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its panic, if any, has been printed, and the test has missed what it did not do.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

//! `swnctl watch`: a registration without the kernel.

use super::interfaces::state_name;
use super::{addresses, credentials};
use crate::commands::{Exit, print_json};
use crate::options::Watch;
use crate::show;
use serde::Serialize;
use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swnclient::{Client, Config, Event, Notification, RegistrationRequest};
use tokio::runtime::Builder;

/// How long unregistering may take.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Runs the command, until it is interrupted or the registration can't be made.
pub(crate) fn run(output: &mut impl Write, command: &Watch, json: bool) -> Result<(), Exit> {
    let Watch { cluster, share, address, authentication } = command;
    let address = addresses(cluster, *address).map_err(Exit::Failed)?.into_iter().next();
    let credentials = credentials::get(authentication).map_err(Exit::Failed)?;
    let request = RegistrationRequest {
        net_name: cluster.into(),
        share_name: share.as_ref().map(Into::into),
        ip_address: address,
        net_name_notify: true,
        share_name_notify: share.is_some(),
        ip_notify: true,
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let config = Config {
        client_name: host.into(),
        mapper_port: authentication.mapper_port,
        ..Config::default()
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::start(config, |_, _| {});
        let mut registration = client.registration(request, credentials);
        let outcome = loop {
            let event = tokio::select! {
                event = registration.next_event() => event,
                _ = tokio::signal::ctrl_c() => break Ok(()),
            };
            let Some(event) = event else { break Ok(()) };
            let is_final = matches!(event, Event::Failed { retry_in: None, .. });
            let shown = match (Happened::new(&event, address), json) {
                (None, _) => Ok(()),
                (Some(value), true) => print_json(output, &value),
                (Some(value), false) => show::watched(output, &value).map_err(Exit::from),
            };
            match (shown, is_final) {
                (Ok(()), false) => {}
                (Ok(()), true) => break Err(Exit::NotWell),
                (Err(exit), _) => break Err(exit),
            }
        };
        client.shutdown(END_LIMIT).await;
        outcome
    })
}

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(crate) struct Happened {
    /// Microseconds since 1970, UTC.
    pub(crate) time_us: u64,
    /// registered, failed, resource_change, client_move, share_move, or ip_change.
    kind: &'static str,
    /// The witness, where it has accepted the registration.
    witness: Option<IpAddr>,
    /// The protocol's version, likewise.
    version: Option<u8>,
    /// The resource that has changed its state.
    name: Option<String>,
    /// Its state.
    state: Option<&'static str>,
    /// Where to move.
    address: Option<IpAddr>,
    /// The same as text.
    pub(crate) text: String,
}

impl Happened {
    /// Describes an event that comes now; `None` for one that says nothing to a reader.
    fn new(event: &Event, watched: Option<IpAddr>) -> Option<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut it = Self {
            time_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX),
            kind: "registered",
            witness: None,
            version: None,
            name: None,
            state: None,
            address: None,
            text: String::new(),
        };
        match event {
            Event::Registered { witness, version } => {
                (it.witness, it.version) = (Some(*witness), Some(*version));
                let watched = watched.map_or_else(String::new, |it| format!(", watching {it}"));
                it.text = format!("registered with witness {witness} (version {version}){watched}");
            }
            Event::Failed { error, retry_in } => {
                it.kind = "failed";
                it.text = match retry_in {
                    Some(delay) => format!("{error}; next attempt in {:.1} s", delay.as_secs_f32()),
                    None => error.to_string(),
                };
            }
            Event::Notification(Notification::ResourceChange { name, state }) => {
                let state = state_name(*state);
                it.kind = "resource_change";
                it.text = format!("{name}: {state}");
                (it.name, it.state) = (Some(name.to_string()), Some(state));
            }
            Event::Notification(Notification::ClientMove { address }) => {
                it.move_to("client_move", "client move", *address);
            }
            Event::Notification(Notification::ShareMove { address }) => {
                it.move_to("share_move", "share move", *address);
            }
            Event::Notification(Notification::IpChange { address }) => {
                it.move_to("ip_change", "address change", *address);
            }
            _ => return None,
        }
        Some(it)
    }

    fn move_to(&mut self, kind: &'static str, text: &str, address: IpAddr) {
        self.kind = kind;
        self.text = format!("{text} to {address}");
        self.address = Some(address);
    }
}

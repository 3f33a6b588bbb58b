//! `swnctl watch`: a registration without the kernel.

use super::answer::Happened;
use super::{addresses, credentials};
use crate::exit::{Exit, print_json};
use crate::options::{Json, Watch};
use crate::show;
use std::io::Write;
use std::time::Duration;
use swnclient::{Client, ClientName, Config, Event, RegistrationRequest, ScopedAddr, host_name};
use tokio::runtime::Builder;

/// How long unregistering may take.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Runs the command, until it is interrupted or the registration can't be made.
pub(crate) fn run(
    output: &mut impl Write,
    command: &Watch,
    json: Option<Json>,
) -> Result<(), Exit> {
    let Watch { cluster, share, address, authentication } = command;
    let address = addresses(cluster, *address).map_err(Exit::Failed)?.into_iter().next();
    let credentials = credentials::get(authentication).map_err(Exit::Failed)?;
    let request = RegistrationRequest {
        net_name: cluster.into(),
        share_name: share.as_ref().map(Into::into),
        ip_address: address.map(ScopedAddr::address),
        scope_id: address.map_or(0, ScopedAddr::scope_id),
        net_name_notify: true,
        share_name_notify: share.is_some(),
        ip_notify: true,
    };
    let config = Config {
        client_name: ClientName::of_host(host_name),
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
                (Some(value), Some(form)) => print_json(output, form, &value),
                (Some(value), None) => show::watched(output, &value).map_err(Exit::from),
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

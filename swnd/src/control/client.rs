//! One client of the socket: its calls, one after the other.

use super::interface::{
    self, Counted, Daemon, Listed, Monitored, Registration, Reloaded, Resolved, Status, Tested,
};
use super::wire::{Call, Connection, Failure};
use super::{Context, Probe, TestError};
use crate::text::OneLine;
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::timeout;

/// How long a client may be connected without a call.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How many mounts are copied while the event loop may wait.
const MOUNTS_AT_ONCE: usize = 64;

/// Who calls.
pub(super) struct Caller {
    pub(super) uid: u32,
    /// Whether it may change something.
    pub(super) privileged: bool,
}

/// Serves a client until it closes the connection.
pub(super) async fn serve(stream: UnixStream, caller: Caller, context: &Context) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    while let Some(call) = timeout(IDLE_LIMIT, connection.call()).await?? {
        if call.method == "org.swnclient.Witness.Monitor" && call.more {
            return monitor(&mut connection, context).await;
        }
        if call.method == "org.swnclient.Witness.Probe" && call.more {
            match probe(&call, &caller, context) {
                Ok(probe) => super::probe::run(&mut connection, probe).await?,
                Err(failure) => connection.send(&failure.encode()?).await?,
            }
            continue;
        }
        let answer = answer(&call, &caller, context).await;
        if call.oneway {
            continue;
        }
        match answer {
            Ok(answer) => connection.reply(&answer, false).await?,
            Err(failure) => connection.send(&failure.encode()?).await?,
        }
    }
    Ok(())
}

/// Sends events until the client closes the connection.
async fn monitor(connection: &mut Connection, context: &Context) -> io::Result<()> {
    let mut events = context.monitors.add();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = connection.closed() => return Ok(()),
        };
        let Some(event) = event else { return Ok(()) };
        connection.reply(&Monitored { event }, true).await?;
    }
}

/// A reply's parameters.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Answer {
    Status(Status),
    Reloaded(Reloaded),
    Counted(Counted),
    Tested(Tested),
    Resolved(Resolved),
    Listed(Listed),
    Service(serde_json::Value),
}

async fn answer(call: &Call, caller: &Caller, context: &Context) -> Result<Answer, Failure> {
    let done = Answer::Service(json!({}));
    let may_change = || match caller.privileged {
        true => Ok(()),
        false => Err(Failure::permission_denied()),
    };
    let method = call.method.as_str();
    Ok(match method {
        "org.swnclient.Witness.Status" => Answer::Status(status(context).await),
        "org.swnclient.Witness.Monitor" | "org.swnclient.Witness.Probe" => {
            return Err(Failure::new("org.varlink.service.ExpectedMore", json!({})));
        }
        "org.swnclient.Witness.Retry" => {
            may_change()?;
            let id: u32 = call.parameter("id")?;
            if !context.source.retry(id) {
                return Err(Failure::not_found(id));
            }
            done
        }
        "org.swnclient.Witness.Counters" => {
            let witness_connections = context.source.witness_connections().await;
            let unwatched = context.source.unwatched();
            let counters = context.monitors.counters();
            Answer::Counted(Counted::new(counters, unwatched, witness_connections))
        }
        "org.swnclient.Witness.Interfaces" => {
            may_change()?;
            let id: u32 = call.parameter("id")?;
            let list = context.source.interfaces(id).ok_or_else(|| Failure::not_found(id))?;
            Answer::Listed(Listed::new(&list.await))
        }
        "org.swnclient.Witness.TestNotify" => {
            may_change()?;
            let id: u32 = call.parameter("id")?;
            let reconnect: bool = call.parameter("reconnect")?;
            Answer::Tested(test(context, caller, id, reconnect).await?)
        }
        "org.swnclient.Witness.Resolve" => {
            may_change()?;
            let name: String = call.parameter("name")?;
            Answer::Resolved(resolve(context, &name).await)
        }
        "org.swnclient.Witness.SetLogLevel" => {
            may_change()?;
            let level: String = call.parameter("level")?;
            let level = interface::log_level(&level).ok_or_else(|| Failure::invalid("level"))?;
            log::set_max_level(level);
            let (name, uid) = (interface::log_level_name(level), caller.uid);
            log::info!("the log level is {name} now, by user {uid}");
            done
        }
        "org.swnclient.Witness.Reload" => {
            may_change()?;
            let source = Arc::clone(&context.source);
            log::info!("user {} has the configuration read again", caller.uid);
            let reloaded = match spawn_blocking(move || source.reload()).await {
                Ok(reloaded) => reloaded,
                Err(error) => Err(vec![error.to_string()]),
            };
            Answer::Reloaded(reloaded.map_err(|problems| {
                let parameters = json!({ "problems": problems });
                Failure::new("org.swnclient.Witness.BadConfiguration", parameters)
            })?)
        }
        "org.varlink.service.GetInfo" => Answer::Service(json!({
            "vendor": "swnclient",
            "product": "swnd",
            "version": env!("CARGO_PKG_VERSION"),
            "url": "",
            "interfaces": ["org.varlink.service", interface::NAME],
        })),
        "org.varlink.service.GetInterfaceDescription" => {
            let name: String = call.parameter("interface")?;
            let description = match name.as_str() {
                interface::NAME => interface::DESCRIPTION,
                "org.varlink.service" => include_str!("org.varlink.service.varlink"),
                _ => return Err(Failure::invalid("interface")),
            };
            Answer::Service(json!({ "description": description }))
        }
        _ => {
            let (interface, _) = method.rsplit_once('.').unwrap_or((method, ""));
            let known = [interface::NAME, "org.varlink.service"].contains(&interface);
            return Err(match known {
                true => {
                    Failure::new("org.varlink.service.MethodNotFound", json!({ "method": method }))
                }
                false => Failure::new(
                    "org.varlink.service.InterfaceNotFound",
                    json!({ "interface": interface }),
                ),
            });
        }
    })
}

fn probe(call: &Call, caller: &Caller, context: &Context) -> Result<Probe, Failure> {
    if !caller.privileged {
        return Err(Failure::permission_denied());
    }
    let id: u32 = call.parameter("id")?;
    log::info!("user {} probes the witness of the kernel's registration {id}", caller.uid);
    context.source.probe(id).ok_or_else(|| Failure::not_found(id))
}

async fn test(
    context: &Context,
    caller: &Caller,
    id: u32,
    reconnect: bool,
) -> Result<Tested, Failure> {
    let source = Arc::clone(&context.source);
    let what = if reconnect { "a reconnect" } else { "a harmless notification" };
    log::info!("user {} tests registration {id} of the kernel by {what}", caller.uid);
    let tested = spawn_blocking(move || source.test_notify(id, reconnect)).await;
    match tested.unwrap_or(Err(TestError::NoAnswer)) {
        Ok(took) => Ok(Tested { micros: interface::microseconds(took) }),
        Err(TestError::NotFound) => Err(Failure::not_found(id)),
        Err(error) => {
            let parameters = json!({ "reason": error.to_string() });
            Err(Failure::new("org.swnclient.Witness.TestFailed", parameters))
        }
    }
}

async fn resolve(context: &Context, name: &str) -> Resolved {
    let Some(lead) = context.source.lead(name) else {
        return Resolved { adopted: false, address: None };
    };
    let address = lead.await;
    let name = OneLine::new(name);
    match address {
        Some(address) => log::debug!("the kernel asks for {name}: {address}"),
        None => log::debug!("the kernel asks for {name}: whatever the system's resolver says"),
    }
    Resolved { adopted: true, address }
}

async fn status(context: &Context) -> Status {
    let source = &context.source;
    let mut registrations: Vec<Registration> = Vec::new();
    loop {
        let after = registrations.last().map(|last| last.id);
        let mounts = source.mounts_after(after, MOUNTS_AT_ONCE);
        let now = Instant::now();
        registrations.extend(mounts.iter().map(|view| Registration::new(view, now)));
        if mounts.len() < MOUNTS_AT_ONCE {
            break;
        }
        // Lets the other clients go on.
        yield_now().await;
    }
    let status = source.status();
    let daemon = Daemon {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        uptime_ms: interface::milliseconds(context.started.elapsed()),
        cifs: status.up,
        mounts: status.mounts,
        registered: status.registered,
        log_level: interface::log_level_name(log::max_level()).into(),
    };
    Status { daemon, registrations }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adoption::Rules;
    use crate::authentication::Policy;
    use crate::control::{Monitors, Source};
    use crate::table::MountView;

    /// A daemon without mounts, which must not be asked to change anything.
    struct Idle;

    impl Source for Idle {
        fn status(&self) -> crate::status::Status {
            crate::status::Status { up: false, mounts: 0, registered: 0 }
        }

        fn unwatched(&self) -> Duration {
            Duration::from_secs(3)
        }

        fn witness_connections(&self) -> crate::failover::driver::Answer<usize> {
            Box::pin(std::future::ready(2))
        }

        fn mounts_after(&self, _: Option<u32>, _: usize) -> Vec<MountView> {
            Vec::new()
        }

        fn retry(&self, id: u32) -> bool {
            panic!("retried {id}");
        }

        fn set_policy(&self, _: Policy) {
            panic!("a policy was set");
        }

        fn probe(&self, _: u32) -> Option<Probe> {
            panic!("a witness was asked")
        }

        fn interfaces(
            &self,
            _: u32,
        ) -> Option<crate::failover::driver::Answer<Vec<swnclient::Interface>>> {
            panic!("a list was read")
        }

        fn test_notify(&self, _: u32, _: bool) -> Result<Duration, TestError> {
            panic!("the kernel was told");
        }

        fn set_rules(&self, _: Rules) {
            panic!("rules were set");
        }

        fn reload(&self) -> Result<Reloaded, Vec<String>> {
            panic!("the configuration was read");
        }
    }

    #[tokio::test]
    async fn a_user_may_look_and_change_nothing() {
        let context = Context {
            source: Arc::new(Idle),
            monitors: Monitors::default(),
            started: Instant::now(),
            own_uid: 0,
        };
        let caller = Caller { uid: 1000, privileged: false };
        let call = |text: &str| serde_json::from_str::<Call>(text).unwrap();
        let status = call(r#"{"method":"org.swnclient.Witness.Status"}"#);
        assert!(answer(&status, &caller, &context).await.is_ok());
        let before = log::max_level();
        for text in [
            r#"{"method":"org.swnclient.Witness.Retry","parameters":{"id":1}}"#,
            r#"{"method":"org.swnclient.Witness.SetLogLevel","parameters":{"level":"trace"}}"#,
            r#"{"method":"org.swnclient.Witness.Reload"}"#,
            r#"{"method":"org.swnclient.Witness.Resolve","parameters":{"name":"cluster"}}"#,
            r#"{"method":"org.swnclient.Witness.Interfaces","parameters":{"id":1}}"#,
            r#"{"method":"org.swnclient.Witness.TestNotify","parameters":{"id":1,"reconnect":false}}"#,
        ] {
            let refused = answer(&call(text), &caller, &context).await.err();
            assert_eq!(refused, Some(Failure::permission_denied()), "{text}");
        }
        let asked =
            call(r#"{"method":"org.swnclient.Witness.Probe","more":true,"parameters":{"id":1}}"#);
        let refused = probe(&asked, &caller, &context).err();
        assert_eq!(refused, Some(Failure::permission_denied()));
        assert_eq!(log::max_level(), before);
    }
}

//! What a client of the control socket sends, on a socket.

use std::sync::Arc;
use std::time::Duration;
use swnd::adoption::Rules;
use swnd::authentication::Policy;
use swnd::control::interface::Reloaded;
use swnd::control::{Monitors, Probe, Source, TestError, serve_connection};
use swnd::daemon::Status;
use swnd::failover::driver::Answer;
use swnd::report::Report;
use swnd::table::MountView;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A daemon without mounts.
struct Idle;

impl Source for Idle {
    fn status(&self) -> Status {
        Status { up: true, mounts: 0, registered: 0 }
    }

    fn unwatched(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn witness_connections(&self) -> Answer<usize> {
        Box::pin(std::future::ready(2))
    }

    fn mounts_after(&self, _: Option<u32>, _: usize) -> Vec<MountView> {
        Vec::new()
    }

    fn retry(&self, id: u32) -> bool {
        id == 1
    }

    fn set_policy(&self, _: Policy) {}

    fn set_rules(&self, _: Rules) {}

    fn probe(&self, id: u32) -> Option<Probe> {
        let nodes: Vec<std::net::IpAddr> = vec![[192, 0, 2, 1].into()];
        let witness = ([192, 0, 2, 1].into(), 2);
        (id == 1).then(|| Probe {
            nodes: Box::pin(std::future::ready(nodes)),
            attempt: Box::pin(std::future::ready(Ok(witness))),
        })
    }

    fn interfaces(&self, id: u32) -> Option<Answer<Vec<core_client::Interface>>> {
        let list = vec![core_client::Interface {
            group_name: "NODE".into(),
            state: core_client::ResourceState::Available,
            addresses: vec![[192, 0, 2, 1].into()],
            may_be_witness: true,
        }];
        (id == 1).then(|| -> Answer<_> { Box::pin(std::future::ready(list)) })
    }

    fn test_notify(&self, id: u32, _: bool) -> Result<Duration, TestError> {
        match id {
            1 => Ok(Duration::from_micros(40)),
            _ => Err(TestError::NotFound),
        }
    }

    fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Err(vec!["no file".into()])
    }
}

/// The first byte says whether the client is root; the others are what it sends.
pub(crate) fn control(data: &[u8]) {
    converse(data);
}

/// Returns how many replies there were, each of which is an object.
fn converse(data: &[u8]) -> usize {
    let Some((first, calls)) = data.split_first() else { return 0 };
    let privileged = first & 1 == 1;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return 0 };
    let replies = runtime.block_on(async {
        let (client, server) = UnixStream::pair()?;
        let monitors = Monitors::default();
        let (mut reader, mut writer) = client.into_split();
        let served = async {
            let _ = serve_connection(server, privileged, Arc::new(Idle), monitors.clone()).await;
            // For who asked for events.
            monitors.report(&Report::Overrun);
        };
        let sent = async {
            // It may be dropped before all is written.
            let _ = writer.write_all(calls).await;
            drop(writer);
        };
        let mut replies = Vec::new();
        tokio::join!(served, sent, async { drop(reader.read_to_end(&mut replies).await) });
        std::io::Result::Ok(replies)
    });
    let replies = replies.unwrap_or_default();
    let mut count = 0;
    for reply in replies.split(|byte| *byte == 0).filter(|reply| !reply.is_empty()) {
        let reply: Result<serde_json::Value, _> = serde_json::from_slice(reply);
        let is_reply = |value: &serde_json::Value| {
            value.get("parameters").is_some_and(serde_json::Value::is_object)
        };
        assert!(reply.as_ref().is_ok_and(is_reply), "{reply:?}");
        count += 1;
    }
    count
}

/// Each method, with what it takes, together and by themselves.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let witness = |method: &str, rest: &str| {
        format!("{{\"method\":\"org.swnclient.Witness.{method}\"{rest}}}\0")
    };
    let service = |method: &str, rest: &str| {
        format!("{{\"method\":\"org.varlink.service.{method}\"{rest}}}\0")
    };
    let calls = [
        service("GetInfo", ""),
        service("GetInterfaceDescription", r#","parameters":{"interface":"org.varlink.service"}"#),
        witness("Status", r#","parameters":{}"#),
        witness("Counters", r#","oneway":true"#),
        witness("Retry", r#","parameters":{"id":1}"#),
        witness("Resolve", r#","parameters":{"name":"cluster"}"#),
        witness("TestNotify", r#","parameters":{"id":1,"reconnect":true}"#),
        witness("Interfaces", r#","parameters":{"id":1}"#),
        witness("SetLogLevel", r#","parameters":{"level":"verbose"}"#),
        witness("Reload", ""),
        witness("Probe", r#","more":true,"parameters":{"id":1}"#),
        witness("Monitor", r#","more":true"#),
    ];
    let each = calls.iter().map(|call| [b"\x01", call.as_bytes()].concat());
    let together = [b"\x00", calls.concat().as_bytes()].concat();
    each.chain([together]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_are_answered() {
        let seeds = super::seeds();
        let replies: Vec<_> = seeds.iter().map(|seed| super::converse(seed)).collect();
        // One way, and events that never come, have no reply; a user may not do some of them.
        assert_eq!(replies, [1, 1, 1, 0, 1, 1, 1, 1, 1, 2, 0, 9]);
    }
}

//! `Probe`: the way to a mount's witness, tried with the mount's credentials, which only the
//! daemon has.

use super::Probe;
use super::interface::{ProbeStep, Probed, microseconds};
use super::wire::Connection;
use crate::report;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long an attempt to register may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends each step as it ends.
pub(super) async fn run(connection: &mut Connection, probe: Probe) -> io::Result<()> {
    let Probe { nodes, attempt } = probe;
    let started = Instant::now();
    let nodes: Vec<_> = nodes.await.iter().map(ToString::to_string).collect();
    let step = ProbeStep {
        step: "nodes".into(),
        ok: !nodes.is_empty(),
        micros: None,
        text: match nodes.is_empty() {
            true => "no node of the cluster has told its addresses yet".into(),
            false => format!("the cluster lists in service: {}", nodes.join(", ")),
        },
    };
    connection.reply(&Probed { step }, true).await?;
    let attempt = timeout(LIMIT, attempt).await;
    let took = microseconds(started.elapsed());
    let (ok, text) = match attempt {
        Ok(Ok((witness, version))) => {
            (true, format!("registered once more at witness {witness} (version {version})"))
        }
        Ok(Err(error)) => (false, report::describe(&error)),
        Err(_) => (false, format!("not registered once more within {} s", LIMIT.as_secs())),
    };
    let step = ProbeStep { step: "register".into(), ok, micros: ok.then_some(took), text };
    connection.reply(&Probed { step }, false).await
}

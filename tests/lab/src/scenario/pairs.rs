//! Notifications that come while the kernel reconnects: F11.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use super::{Scenario, Setup, Stage};
use crate::Cluster;

/// Connections that end, each with the notifications of a failover: that the address is unavailable, and available.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// How often.
    pub times: u64,
    /// The time between the two.
    pub gap: Duration,
    /// Decides at which moment of each reconnect they come.
    pub seed: u64,
}

/// From the end of a connection until its files are open again it takes some 50 ms; a notification takes as long from
/// the command to the kernel.
const SPREAD_MS: u64 = 150;

impl Pairs {
    /// A moment for each turn, spread over the reconnect: before it begins, and in each of its steps.
    fn moments(&self) -> impl Iterator<Item = Duration> {
        let mut state = self.seed | 1;
        (0..self.times).map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            Duration::from_millis(state % SPREAD_MS)
        })
    }
}

impl Scenario for Pairs {
    fn setup(&self) -> Setup {
        Setup::default()
    }

    fn strike(&self, stage: &Stage<'_>) {
        let address = stage.address.into();
        for moment in self.moments() {
            std::thread::scope(|scope| {
                let told = scope.spawn(|| tell(stage.cluster, address, self.gap));
                sleep(moment);
                assert_eq!(stage.guest.end_connections(address), 1, "the mount's connection");
                told.join().expect("the notifications can be sent");
            });
            stage.writer().wait_for_progress();
        }
    }
}

/// Tells everyone that `address` is unavailable, and after `gap` that it is available.
fn tell(cluster: &Cluster, address: IpAddr, gap: Duration) {
    let message = |state: u32| format!(r#"{{"type": {state}, "name": "{address}"}}"#);
    let respond = |messages: &str| {
        format!(
            "net witness force-response --witness-apply-to-all \
             --witness-forced-response='{{\"result\": 0, \"response\": {{\"type\": 1, \"messages\": [{messages}]}}}}'"
        )
    };
    let (unavailable, available) = (message(0xFF), message(1));
    let command = if gap.is_zero() {
        // One response with both.
        respond(&format!("{unavailable}, {available}"))
    } else {
        // A command takes longer than the gap, so both run at a time.
        let gap = gap.as_secs_f64();
        format!("{} & sleep {gap}; {} & wait", respond(&unavailable), respond(&available))
    };
    cluster.node(cluster.any_node(), &["sh", "-c", &command]);
}

//! What the project does on its way from the wire to the kernel and back, each
//! step by itself: `cargo bench -p bench`. No sockets, no tasks.

#![allow(missing_docs, reason = "criterion's macros write public functions")]

mod client;
mod lists;
mod netlink;
mod ntlm;
mod rpc;

use criterion::Criterion;
use std::time::Duration;

/// So that all of it is done within two minutes.
fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion::criterion_group!(
    name = hot_paths;
    config = config();
    targets = rpc::bench, ntlm::bench, lists::bench, client::bench, netlink::bench
);
criterion::criterion_main!(hot_paths);

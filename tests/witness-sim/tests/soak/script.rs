//! What goes wrong: a seed's script.

use crate::NODES;
use std::ops::Range;
use std::time::Duration;
use witness_sim::Step;

/// A fault, and what puts it right.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) harm: Step,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    pub(crate) repair: Step,
    /// How long it is quiet afterwards.
    pub(crate) rest: Duration,
}

/// So many troubles for a cluster of that subnet; how long each lasts and the
/// rest between them are drawn from these ranges, in milliseconds.
pub(crate) fn script(
    seed: u64,
    faults: u64,
    subnet: [u8; 3],
    lasts: Range<u64>,
    rest: Range<u64>,
) -> Vec<Trouble> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..faults)
        .map(|_| {
            let (harm, repair) = trouble(&mut rng, subnet);
            Trouble {
                harm: harm.parse().unwrap(),
                lasts: Duration::from_millis(rng.u64(lasts.clone())),
                repair: repair.parse().unwrap(),
                rest: Duration::from_millis(rng.u64(rest.clone())),
            }
        })
        .collect()
}

/// What makes everything work again.
pub(crate) fn heal(subnet: [u8; 3]) -> Vec<Step> {
    let mut steps = vec!["no-faults".to_owned()];
    let [a, b, c] = subnet;
    for node in 1..=NODES {
        let address = format!("address {a}.{b}.{c}.{}", 10 + node);
        steps.push(format!("node {node} up"));
        steps.push(format!("{address} to node {node}"));
        steps.push(format!("{address} online"));
    }
    steps.iter().map(|step| step.parse().unwrap()).collect()
}

fn trouble(rng: &mut fastrand::Rng, [a, b, c]: [u8; 3]) -> (String, String) {
    let node = rng.u8(1..=NODES);
    let other = rng.u8(1..=NODES);
    let up = format!("node {node} up");
    let address = format!("address {a}.{b}.{c}.{}", 10 + node);
    let rule = |rule: &str| (format!("fault {rule}"), "no-faults".to_owned());
    match rng.u8(0..16) {
        0 | 1 => (format!("node {node} down"), up),
        2 | 3 => (format!("node {node} down silent"), up),
        4 => (format!("node {node} cut"), up),
        5 => (format!("{address} offline"), format!("{address} online")),
        6 => (format!("{address} to node {other}"), format!("{address} to node {node}")),
        7 => (
            format!("service node {node} stop"),
            format!("service node {node} port {}", rng.u16(50_000..)),
        ),
        8 => (format!("force-unregister witness {node}"), up),
        9 => (format!("answer witness {node} ERROR_NOT_FOUND"), up),
        10 => rule("register-ex times 50 no-reply"),
        11 => rule("notify times 50 garble 60"),
        12 => rule("list times 20 status ERROR_INVALID_STATE"),
        13 => rule("bind times 20 cut 30"),
        14 => rule("register-ex times 20 delay 2s"),
        _ => rule("ept-map times 20 drop"),
    }
}

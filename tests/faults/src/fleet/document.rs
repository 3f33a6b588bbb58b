//! The fleets' results as a document.

use super::Outcome;

const HEAD: &str = "\
# When a witness dies: how its clients come back

Made by `cargo run --release -p faults --bin fleet docs`, in virtual time: the project's client against a simulated
cluster of the kind of Windows Server 2012 R2, each client with one share and a connection of its own. The nodes take
turns in serving the shares. The plug of one node is pulled, at second 0. Clients whose witness it was notice after 10 s
(TCP keepalive and `TCP_USER_TIMEOUT`, `dead_after`); then each waits for a random part of the *spread* (`loss_spread`,
15 s unless configured otherwise) before it registers with another node. A spread of 0 s is how it would be without.

";

const TAIL: &str = "
What the spread costs: half of the concerned clients are without a witness some 8 s longer, and the last one 15 s. What
it brings: at 10,000 clients and three nodes the busiest second of a witness sees less than a tenth of the
registrations that it would see without. (15 s can make it a fifteenth at most; where few come, as with nine nodes,
chance makes one second out of many stand out.) All are registered again 25 s after the death.

![Registrations in each second at each surviving witness, without and with a spread, for 10,000 clients](fleet.svg)
";

/// The document with these outcomes.
pub fn document(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "| clients | nodes | lost their witness | spread | most registrations in a second at one \
         witness | 50 % again | 99 % again | 100 % again |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for outcome in outcomes {
        text.push_str(&row(outcome));
    }
    text.push_str(TAIL);
    text
}

/// A line of the table.
pub fn row(outcome: &Outcome) -> String {
    let after = |percent| match outcome.percent(percent) {
        Some(time) => format!("{:.1} s", time.as_secs_f64()),
        None => "never".into(),
    };
    let Outcome { clients, nodes, concerned, .. } = outcome;
    let (spread, peak) = (outcome.spread.as_secs(), outcome.peak());
    let [half, most, all] = [50, 99, 100].map(after);
    format!(
        "| {clients} | {nodes} | {concerned} | {spread} s | {peak} | {half} | {most} | {all} |\n"
    )
}

//! The matrix as a document.

use super::{Column, Outcome, ROWS, Row, check};
use std::fmt::Write;
use witness_sim::Profile;

const HEAD: &str = "\
# What becomes of a registration when something goes wrong

Made by `UPDATE_DOCS=1 cargo test -p faults --test matrix` from the tests it names; a test fails when it is out of date.

Each cell is a test: `cargo test -p faults --test matrix ROW::COLUMN`. It runs the project's client against a cluster of
three nodes, and one of two, in virtual time, once for each server (Windows Server 2012; Windows Server 2012 R2 with a
scale-out and with a general-purpose file server; Samba, OneFS, ONTAP), for each way in which it may behave where that is
not known (`Profile::ways`), for each node that the client reaches in that step (the one that serves the share, the
witness), and for each variant of the fault. The fault befalls the answer to the step, or happens while the answer is
awaited.

A run passes where, within the time of the row, the registration is in order: registered once in the whole cluster, by
a witness that can be reached, with an AsyncNotify pending; and where the administrator's next client move reaches the
consumer, once. In the last column it passes where the consumer is told the end and nothing of the registration is left
in the cluster. The time counts from the fault, or, where nothing can go on without the node (it serves the share and
no other node takes its address over, or it is one of two), from when it is back.

The cells say what the consumer is told meanwhile: *errors*, after which the client goes on by itself, and
notifications. **Asks again** means that it goes on when the consumer repeats the registration with
other credentials: those that two servers have refused are not tried again for 13 hours, because that locks accounts.
**After ten minutes**: the only node that could be asked has refused them once. **Not noticed** is what version 1 cannot
do better: it has no keep-alive, so that no answer may mean no news. Where a cell has
no errors, the client coped without troubling anybody.
";

/// Runs all cells and writes their results.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| fault | within |");
    for column in Column::ALL {
        write!(text, " {} |", column.name()).expect("a string takes all");
    }
    text.push_str("\n|---|---|---|---|---|---|---|---|---|\n");
    for row in ROWS {
        write!(text, "| **{}**: {} | {} s |", row.name, row.title, row.within)
            .expect("a string takes all");
        for column in Column::ALL {
            write!(text, " {} |", cell(row, column)).expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

/// The result of a cell: one text where all servers are alike.
fn cell(row: &Row, column: Column) -> String {
    let mut groups: Vec<(Outcome, Vec<Profile>)> = Vec::new();
    for profile in Profile::ALL {
        let outcome = check(row, column, profile);
        match groups.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, profiles)) => profiles.push(profile),
            None => groups.push((outcome, vec![profile])),
        }
    }
    let test = format!("`{}::{}`", row.name, column.name());
    let texts: Vec<String> = groups
        .iter()
        .map(|(outcome, profiles)| {
            let text = text(outcome, column);
            if groups.len() == 1 {
                return text;
            }
            let names: Vec<&str> = profiles.iter().map(|profile| profile.name()).collect();
            format!("{}: {text}", names.join(", "))
        })
        .collect();
    format!("{test}<br>{}", texts.join("<br>"))
}

fn text(outcome: &Outcome, column: Column) -> String {
    let end = match (outcome, column) {
        (Outcome { denied: true, .. }, _) => "**asks again**",
        (Outcome { paused: true, .. }, _) => "**after ten minutes**",
        (Outcome { unnoticed: true, .. }, _) => "**not noticed** before the connection breaks",
        (_, Column::Unregister) => "ended",
        _ => "recovered",
    };
    if outcome.told.is_empty() {
        return end.to_owned();
    }
    let told: Vec<&str> = outcome.told.iter().map(String::as_str).collect();
    format!("{end}; {}", told.join(", "))
}

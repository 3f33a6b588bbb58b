//! Prints how fleets of 100 to 100,000 clients come through the death of a
//! node, and draws it: `fleet [FILE.svg]`.

#![allow(clippy::indexing_slicing, reason = "there is one outcome for each run")]

use faults::fleet;
use std::time::Duration;
use swnclient::proto::Config;

/// The fleet that is drawn.
const DRAWN: usize = 10_000;

fn main() -> std::io::Result<()> {
    let spread = Config::default().loss_spread;
    let mut outcomes = Vec::new();
    for clients in [100, 1_000, 10_000, 100_000] {
        for spread in [Duration::ZERO, spread] {
            eprintln!("{clients} clients, spread {spread:?}");
            outcomes.push(fleet::run(clients, spread, 1));
        }
    }
    print!("{}", fleet::table(&outcomes));
    if let Some(path) = std::env::args_os().nth(1) {
        let drawn: Vec<_> = outcomes.iter().filter(|o| o.clients == DRAWN).collect();
        std::fs::write(path, fleet::plot(&drawn))?;
    }
    Ok(())
}

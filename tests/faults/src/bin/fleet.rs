//! Sees how fleets of 100 to 100,000 clients come through the death of a node, and
//! writes `fleet.md` and `fleet.svg` into a folder: `fleet docs`.

use faults::fleet::{self, Outcome};
use std::path::PathBuf;
use std::time::Duration;
use swnclient_proto::Config;

/// Clients and nodes.
const FLEETS: [(usize, u8); 6] =
    [(100, 3), (1_000, 3), (10_000, 3), (10_000, 5), (10_000, 9), (100_000, 3)];
/// The fleet that is drawn.
const DRAWN: (usize, u8) = (10_000, 3);

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("fleet: where are fleet.md and fleet.svg to be written?");
        std::process::exit(2);
    };
    let spread = Config::default().loss_spread;
    let mut outcomes = Vec::new();
    for (clients, nodes) in FLEETS {
        for spread in [Duration::ZERO, spread] {
            let outcome = fleet::run(clients, nodes, spread, 1);
            print!("{}", fleet::row(&outcome));
            outcomes.push(outcome);
        }
    }
    std::fs::write(folder.join("fleet.md"), fleet::document(&outcomes))?;
    let drawn: Vec<&Outcome> = outcomes.iter().filter(|o| (o.clients, o.nodes) == DRAWN).collect();
    std::fs::write(folder.join("fleet.svg"), fleet::plot(&drawn))
}

//! Writes each target's seeds into DIRECTORY/TARGET, for a fuzzer to start from.

use std::path::Path;
use std::{env, fs, io, process};
use swnclient_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1) else {
        eprintln!("usage: swnclient-fuzz DIRECTORY");
        process::exit(2);
    };
    for target in TARGETS {
        let directory = Path::new(&directory).join(target.name);
        fs::create_dir_all(&directory)?;
        for (nth, seed) in (target.seeds)().iter().enumerate() {
            fs::write(directory.join(format!("seed-{nth}")), seed)?;
        }
    }
    Ok(())
}

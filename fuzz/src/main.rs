//! Writes each target's seeds into DIRECTORY/TARGET, for a fuzzer to start from; or runs a
//! target with each file of a folder, which shows what the folder reaches.

use std::path::Path;
use std::{env, fs, io, process};
use swnclient_fuzz::TARGETS;

fn write_seeds(directory: &Path) -> io::Result<()> {
    for target in TARGETS {
        let directory = directory.join(target.name);
        fs::create_dir_all(&directory)?;
        for (nth, seed) in (target.seeds)().iter().enumerate() {
            fs::write(directory.join(format!("seed-{nth}")), seed)?;
        }
    }
    Ok(())
}

fn replay(name: &str, directory: &Path) -> io::Result<()> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| io::Error::other(format!("no target {name}")))?;
    for entry in fs::read_dir(directory)? {
        (target.run)(&fs::read(entry?.path())?);
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--replay", target, directory] => replay(target, Path::new(directory)),
        [directory] => write_seeds(Path::new(directory)),
        _ => {
            eprintln!("usage: swnclient-fuzz DIRECTORY | --replay TARGET DIRECTORY");
            process::exit(2);
        }
    }
}

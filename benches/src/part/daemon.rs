//! The daemon as a program, in a real kernel with the cifs module.

use super::Findings;
use crate::report::{Limit, Row};
use crate::stats::float;
use crate::{Options, source};
use lab::{CLUSTER_NAME, Cluster, Guest, PASSWORD, USER};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const TITLE: &str = "swnd's memory, start and size";

/// The C daemon, built by hand beside the project.
pub(super) const OTHER: &str = "C_SWND";
const MOUNTS: usize = 10;
/// How often each starts in the guest at a time, which gives a command half a
/// minute.
const STARTS: usize = 3;

pub(super) fn run(options: &Options) -> Findings {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let mount = mount(&cluster);
    let own = std::env::current_exe().expect("a program knows where it is").with_file_name("swnd");
    assert!(own.exists(), "{} is missing: cargo build --release -p swnd", own.display());
    let other = std::env::var_os(OTHER).map(PathBuf::from);
    let mut findings = Findings::default();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.div_ceil(STARTS) {
        findings.feel_noise();
        ours.extend(starts(&guest, STARTS, None, &format!("{} --log stderr", own.display())));
        if let Some(other) = &other {
            theirs.extend(starts(&guest, STARTS, None, &other.display().to_string()));
        }
    }
    let mounted = starts(&guest, 1, Some(&mount), &format!("{} --log stderr", own.display()))[0];

    // Without the other there is nothing to be smaller than.
    let smaller = |what: &str, unit, ours: &[f64], theirs: Vec<f64>| match theirs.len() {
        0 => Row::new(what, unit, ours).limited(Limit::RatioAtMost(1.0)),
        _ => {
            let beside = ("C swnd", &theirs[..ours.len()]);
            Row::paired(what, unit, ours, beside, Some(Limit::RatioAtMost(1.0)))
        }
    };
    let each =
        |of: usize, starts: &[[f64; 3]]| starts.iter().map(|start| start[of]).collect::<Vec<_>>();
    let size = |of: fn(&Path) -> f64| other.iter().map(|other| of(other)).collect::<Vec<_>>();
    findings.rows = vec![
        smaller("resident memory after start", "KiB", &each(1, &ours), each(1, &theirs)),
        smaller("of it anonymous", "KiB", &each(2, &ours), each(2, &theirs)),
        smaller(
            "resident with 10 mounts; the other without",
            "KiB",
            &[mounted[1]],
            each(1, &theirs),
        ),
        smaller("from start to READY", "ms", &each(0, &ours), each(0, &theirs)),
        smaller(
            "the program and its libraries, stripped",
            "KiB",
            &[with_libraries(&own)],
            size(with_libraries),
        ),
        Row::new("the program alone, stripped", "KiB", &[stripped(&own)]),
    ];
    findings.note("In a guest of User Mode Linux with the cifs module loaded.");
    match &other {
        Some(other) => findings.note(format!(
            "The C daemon is {} KiB itself; the rest is libraries.",
            crate::report::number(stripped(other))
        )),
        None => findings.note(format!("Nothing to compare with: {OTHER} names no C daemon.")),
    }
    findings
}

/// The command that mounts as many shares, each of which is a registration of
/// its own.
fn mount(cluster: &Cluster) -> String {
    let address = cluster.address_of(0);
    // A node may be healthy before its smbd can be told anything.
    let shares = format!(
        "path=$(sed -n 's/.*path = //p' /etc/samba/smb.conf) && for n in $(seq {MOUNTS}); do \
         printf '[bench%s]\\n\\tpath = %s\\n\\tread only = no\\n' $n \"$path\"; \
         done >> /etc/samba/smb.conf && \
         until smbcontrol smbd reload-config; do sleep 0.1; done"
    );
    for node in 0..Cluster::NODES {
        cluster.node(node, &["sh", "-c", &shares]);
    }
    let options = format!("ip={address},username={USER},password={PASSWORD},vers=3.1.1");
    format!(
        "for n in $(seq {MOUNTS}); do mkdir -p /mnt/$n && \
         mount -t cifs //{CLUSTER_NAME}/bench$n /mnt/$n -o {options},echo_interval=2,witness || exit 1; done"
    )
}

/// Milliseconds until ready, KiB resident, KiB of it anonymous.
fn starts(guest: &Guest, rounds: usize, mounts: Option<&str>, program: &str) -> Vec<[f64; 3]> {
    let script = source("benches/daemon_start.py");
    let script = script.canonicalize().expect("the script is there");
    let (script, count) = (script.display(), mounts.map_or(0, |_| MOUNTS));
    let mount = mounts.unwrap_or("true");
    let said = guest.ok(&format!("/usr/bin/python3 {script} {rounds} {count} '{mount}' {program}"));
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// The size of a program without symbols, in KiB.
fn stripped(program: &Path) -> f64 {
    let copy = std::env::temp_dir().join("bench-stripped");
    let strip = Command::new("strip").arg("-o").arg(&copy).arg(program).status();
    assert!(strip.is_ok_and(|status| status.success()), "strip {}", program.display());
    kib(&copy)
}

/// The same with all libraries that it is linked to, as ldd lists them.
fn with_libraries(program: &Path) -> f64 {
    let listed = Command::new("ldd").arg(program).output().expect("ldd can be started");
    let listed = String::from_utf8_lossy(&listed.stdout);
    let libraries = listed.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(Path::new)
    });
    stripped(program) + libraries.map(kib).sum::<f64>()
}

fn kib(file: &Path) -> f64 {
    let length =
        std::fs::metadata(file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).len();
    float(usize::try_from(length.div_ceil(1024)).expect("a size"))
}

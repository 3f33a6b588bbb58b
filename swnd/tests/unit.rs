//! How much of the system the unit leaves to swnd, as systemd counts it.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::path::Path;
use std::process::Command;

/// Tenths: as root, which reads keytabs and the connections' owners, and as a user of its own.
const LIMITS: [(&str, bool, u32); 2] = [("root", false, 20), ("own user", true, 15)];

#[test]
fn the_unit_leaves_little_to_the_daemon_and_less_where_it_has_a_user_of_its_own() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let read = |name: &str| std::fs::read_to_string(packaging.join(name)).unwrap();
    let directory = std::env::temp_dir().join(format!("swnd-unit-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("swnd.service");
    for (name, own_user, limit) in LIMITS {
        let mut unit = read("swnd.service.in").replace("@sbindir@", "/usr/sbin");
        if own_user {
            // What comes last counts, as of a drop-in.
            unit = unit.replace("[Install]", &format!("{}\n[Install]", read("own-user.conf")));
        }
        std::fs::write(&file, unit).unwrap();
        let analyzed = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={limit}"))
            .arg(&file)
            .output();
        let output = match analyzed {
            Ok(output) => output,
            Err(error) => {
                println!("no systemd-analyze, which would say how much: {error}");
                break;
            }
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        // Before systemd 250 it looks at running units only.
        if error.contains("unrecognized option") {
            println!("systemd-analyze is too old: {error}");
            break;
        }
        println!("{name}: {}", text.lines().last().unwrap_or_default());
        assert!(output.status.success(), "{name}: more than {limit}: {text}{error}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

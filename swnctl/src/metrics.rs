//! `swnctl metrics`: the daemon's status as OpenMetrics text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use swnd::control::interface::{Registration, State, Status};

const STATES: [(State, &str); 5] = [
    (State::Registering, "registering"),
    (State::Registered, "registered"),
    (State::Waiting, "waiting"),
    (State::Blocked, "blocked"),
    (State::Unusable, "unusable"),
];

/// Describes a status; `None`: the daemon does not run.
pub fn text(status: Option<&Status>) -> String {
    let mut text = String::new();
    family(&mut text, "swnd_up", "gauge", "Whether swnd answers.");
    sample(&mut text, "swnd_up", "", u64::from(status.is_some()));
    if let Some(status) = status {
        daemon(&mut text, status);
        mounts(&mut text, &status.registrations);
    }
    text.push_str("# EOF\n");
    text
}

fn daemon(text: &mut String, status: &Status) {
    let daemon = &status.daemon;
    family(text, "swnd_build", "info", "The version of swnd.");
    let version = format!("{{version=\"{}\"}}", escape(&daemon.version));
    sample(text, "swnd_build_info", &version, 1);
    family(text, "swnd_uptime_seconds", "gauge", "How long swnd has run.");
    sample(text, "swnd_uptime_seconds", "", daemon.uptime_ms / 1000);
    family(text, "swnd_kernel_family_up", "gauge", "Whether the cifs module is loaded.");
    sample(text, "swnd_kernel_family_up", "", daemon.cifs.into());
}

fn mounts(text: &mut String, all: &[Registration]) {
    family(text, "swnd_mounts", "gauge", "Mounts that want a witness, by state.");
    for (state, name) in STATES {
        let count = all.iter().filter(|it| it.state == state).count();
        sample(
            text,
            "swnd_mounts",
            &format!("{{state=\"{name}\"}}"),
            u64::try_from(count).unwrap_or(u64::MAX),
        );
    }
    // Several mounts of one share are one line: it is registered if all of them are.
    let mut shares: BTreeMap<String, bool> = BTreeMap::new();
    for it in all {
        let share = it.share_name.as_deref().unwrap_or_default();
        let labels =
            format!("{{net_name=\"{}\",share_name=\"{}\"}}", escape(&it.net_name), escape(share));
        *shares.entry(labels).or_insert(true) &= it.state == State::Registered;
    }
    family(text, "swnd_mount_registered", "gauge", "Whether a witness watches the share.");
    for (labels, registered) in shares {
        sample(text, "swnd_mount_registered", &labels, registered.into());
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String does not fail.
    let _ = write!(text, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
}

fn sample(text: &mut String, name: &str, labels: &str, value: u64) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Writes the text to a file for node_exporter, which never sees half of it.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    // Its collector reads *.prom only.
    aside.push(format!(".{}", std::process::id()));
    let aside = Path::new(&aside);
    let written = fs::File::create_new(aside).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        fs::rename(aside, path)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(aside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use swnd::control::interface::Daemon;

    fn registration(id: u32, share: &str, state: State) -> Registration {
        Registration {
            id,
            net_name: "clu\"ster".into(),
            share_name: Some(share.into()),
            address: None,
            state,
            state_ms: 0,
            witness: None,
            version: None,
            retry_in_ms: None,
            problem: None,
            reason: None,
        }
    }

    #[test]
    fn a_daemon_that_does_not_run_is_down() {
        let expected =
            "# TYPE swnd_up gauge\n# HELP swnd_up Whether swnd answers.\nswnd_up 0\n# EOF\n";
        assert_eq!(text(None), expected);
    }

    #[test]
    fn each_state_and_each_share_has_its_line() {
        let daemon = Daemon {
            version: "0.1.0".into(),
            pid: 1,
            uptime_ms: 61_500,
            cifs: true,
            mounts: 3,
            registered: 2,
            log_level: "info".into(),
        };
        let registrations = vec![
            registration(1, "data", State::Registered),
            registration(2, "data", State::Blocked),
            registration(3, "a\\b\n", State::Registered),
        ];
        let text = text(Some(&Status { daemon, registrations }));
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "swnd_up 1",
            "swnd_build_info{version=\"0.1.0\"} 1",
            "swnd_uptime_seconds 61",
            "swnd_kernel_family_up 1",
            "swnd_mounts{state=\"registering\"} 0",
            "swnd_mounts{state=\"registered\"} 2",
            "swnd_mounts{state=\"waiting\"} 0",
            "swnd_mounts{state=\"blocked\"} 1",
            "swnd_mounts{state=\"unusable\"} 0",
            "swnd_mount_registered{net_name=\"clu\\\"ster\",share_name=\"a\\\\b\\n\"} 1",
            "swnd_mount_registered{net_name=\"clu\\\"ster\",share_name=\"data\"} 0",
        ];
        assert_eq!(samples, expected);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let directory = std::env::temp_dir().join(format!("swnctl-metrics-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("swnd.prom");
        for text in ["one\n", "two\n"] {
            write_file(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(write_file(&directory.join("missing/swnd.prom"), "x").is_err());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }
}

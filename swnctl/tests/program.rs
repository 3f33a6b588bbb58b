//! The program from outside, and its manual page against `--help`.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use clap::CommandFactory;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};
use swnctl::options::Options;

const PAGE: &str = include_str!("../../man/swnctl.8");

fn swnctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swnctl")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_demonstration_ends_with_nothing_left_behind() {
    let output = swnctl(&["demo"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let ends = text.lines().filter(|line| *line == "Registrations left in the cluster: 0.");
    assert_eq!(ends.count(), 2, "{text}");
}

#[test]
fn the_demonstration_ends_quietly_where_its_reader_has_gone() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("A cluster of three nodes"), "{line}");
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn it_tells_its_version_and_its_commands() {
    assert_eq!(
        stdout(&swnctl(&["--version"])),
        concat!("swnctl ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = swnctl(&["--help"]);
    assert!(help.status.success());
    let shows = |line: &str| line.trim_start().starts_with("demo ");
    assert!(stdout(&help).lines().any(shows), "{}", stdout(&help));
}

#[test]
fn an_unknown_command_is_an_error_of_its_own() {
    for arguments in [&["nothing"][..], &["log-level", "loud"], &["wait"]] {
        assert_eq!(swnctl(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// A file of its own, removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swnctl-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers one call with the status of a daemon of the version 0.0.1.
fn older_daemon(listener: &UnixListener) {
    let (mut client, _) = listener.accept().unwrap();
    let mut call = Vec::new();
    BufReader::new(&client).read_until(0, &mut call).unwrap();
    let daemon = r#"{"version":"0.0.1","pid":1,"uptime_ms":1,"cifs":true,"mounts":0,
        "registered":0,"log_level":"info"}"#;
    let reply = format!("{{\"parameters\":{{\"daemon\":{daemon},\"registrations\":[]}}}}\0");
    client.write_all(reply.as_bytes()).unwrap();
}

#[test]
fn a_daemon_of_another_version_is_told_from_the_program() {
    let path = std::env::temp_dir().join(format!("swnctl-older-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = std::thread::spawn(move || older_daemon(&listener));
    let output = swnctl(&["--socket", path.to_str().unwrap(), "check", "//127.0.0.1/data"]);
    std::fs::remove_file(&path).unwrap();
    daemon.join().unwrap();
    let text = stdout(&output);
    let mut lines = text.lines().skip_while(|line| !line.contains("daemon.version"));
    let own = env!("CARGO_PKG_VERSION");
    let found = lines.next().unwrap();
    assert!(found.starts_with("warn"), "{found}");
    assert!(found.ends_with(&format!("swnd is 0.0.1, swnctl {own}")), "{found}");
    assert!(lines.next().unwrap().contains("systemctl restart swnd"), "{text}");
}

#[test]
fn a_configuration_is_checked_without_the_daemon() {
    let file = File::new("wrong", "\nkeep-alive = 0\nkeytap = \"/etc/kt\"\n");
    let path = file.0.to_str().unwrap();
    let output = swnctl(&["config", "check", path]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "{path}:2: keep-alive: \"0\" is not in 1..=3600\n\
         {path}:3: unknown key keytap; do you mean keytab?\n"
    );
    assert_eq!(stdout(&output), expected);
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&swnctl(&["--json", "config", "check", path]))).unwrap();
    assert_eq!(json[1]["file"], path);
    assert_eq!(json[1]["line"], 3);
    let output = swnctl(&["config", "show", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("do you mean keytab?"));
    assert_eq!(swnctl(&["config", "check", "/nonexistent"]).status.code(), Some(1));
}

#[test]
fn the_settings_that_are_shown_are_those_of_a_file_that_has_them() {
    let text = "auth = [\"kerberos\", 'ntlm']\nspnego = true\nkeytab = 'a\"b\\c'\nkeep-alive = 7\n\
        [cluster.'a.b']\nprincipal = 'X$'\n[cluster.b]\nauth = 'ntlm'\n[cluster.'a.b']\nauth = 'ntlm'\n";
    let file = File::new("shown", text);
    let path = file.0.to_str().unwrap();
    assert_eq!(stdout(&swnctl(&["config", "check", path])), format!("{path}: ok\n"));
    let shown = stdout(&swnctl(&["config", "show", path]));
    for line in [
        &format!("auth = [\"kerberos\", \"ntlm\"]  # {path}:1"),
        "dead-after = 10  # default",
        "# ccache is not set",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}\n{shown}");
    }
    let again = File::new("again", &shown);
    let settings = |file: &File| {
        let json = stdout(&swnctl(&["config", "show", file.0.to_str().unwrap(), "--json"]));
        let all: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let pairs = all
            .into_iter()
            .map(|it| (format!("{} {}", it["cluster"], it["key"]), it["values"].to_string()));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(settings(&file), settings(&again));
}

#[test]
fn the_page_lists_the_commands_and_options_of_the_program() {
    let listed = |prefix: &str| -> BTreeSet<String> {
        let items = PAGE.lines().filter_map(|line| line.strip_prefix(prefix));
        let first = |item: &str| item.split(' ').next().unwrap().replace("\\-", "-");
        items.map(first).collect()
    };
    let mut command = Options::command();
    command.build();
    let commands = command.get_subcommands().map(|it| it.get_name().to_owned());
    assert_eq!(listed(".It Cm "), commands.collect());
    let of = |command: &clap::Command| -> Vec<String> {
        let options = command.get_arguments().filter(|it| it.get_short().is_none());
        options.filter_map(|it| it.get_long()).map(|long| format!("-{long}")).collect()
    };
    let by_command: Vec<_> = command.get_subcommands().map(of).collect();
    for option in by_command.iter().flatten() {
        assert!(PAGE.replace("\\-", "-").contains(&format!("Fl {option}")), "{option}");
    }
    // Those of several commands are listed by themselves.
    let count = |option: &String| by_command.iter().filter(|it| it.contains(option)).count();
    let shared = by_command.iter().flatten().filter(|option| count(option) > 1).cloned();
    let options = of(&command).into_iter().chain(shared.collect::<Vec<_>>());
    let long = listed(".It Fl ").into_iter().filter(|it| it.starts_with('-'));
    assert_eq!(long.collect::<BTreeSet<_>>(), options.collect());
}

//! The program from outside, and its manual page against `--help`.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use clap::CommandFactory;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
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
    let options = command.get_arguments().filter(|it| it.get_short().is_none());
    let options = options.filter_map(|it| it.get_long()).map(|long| format!("-{long}"));
    let long = listed(".It Fl ").into_iter().filter(|it| it.starts_with('-'));
    assert_eq!(long.collect::<BTreeSet<_>>(), options.collect());
}

//! The completions that are installed: that they are those of the program's options, and
//! that each shell that is installed loads them and completes by them.
//!
//! `UPDATE_COMPLETIONS=1 cargo test -p swnctl --test completion` writes them.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use clap::CommandFactory;
use clap_complete::Shell;
use std::process::Command;
use swnctl::options::Options;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");

fn path(file: &str) -> String {
    format!("{DIRECTORY}/{file}")
}

#[test]
fn the_files_are_those_of_the_options() {
    for (shell, name, file) in [
        (Shell::Bash, "bash", "swnctl.bash"),
        (Shell::Zsh, "zsh", "_swnctl"),
        (Shell::Fish, "fish", "swnctl.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Options::command(), "swnctl", &mut text);
        let text = String::from_utf8(text).unwrap();
        let text: Vec<_> = text.lines().map(str::trim_end).collect();
        let text = text.join("\n").trim_end().to_owned() + "\n";
        if std::env::var_os("UPDATE_COMPLETIONS").is_some() {
            std::fs::write(path(file), &text).unwrap();
            continue;
        }
        let is_same = text == std::fs::read_to_string(path(file)).unwrap();
        assert!(is_same, "{file}: see the top of tests/completion.rs");
        let mut swnctl = Command::new(env!("CARGO_BIN_EXE_swnctl"));
        let output = swnctl.args(["completion", name]).output().unwrap();
        assert_eq!(output.stdout, text.as_bytes(), "{name}");
    }
}

/// What a shell prints.
fn output(shell: &str, arguments: &[&str]) -> String {
    let output = Command::new(shell).args(arguments).output();
    let output = output.unwrap_or_else(|_| panic!("install {shell}, as tests/lab/setup does"));
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{shell}: {text}{error}");
    text
}

#[test]
fn bash_completes_commands_and_options() {
    let complete = |word: &str| {
        let script = format!(
            ". {}; complete -p swnctl >/dev/null || exit 1; COMP_WORDS=(swnctl {word}); \
             COMP_CWORD=1; _swnctl swnctl {word} swnctl; echo \"${{COMPREPLY[@]}}\"",
            path("swnctl.bash")
        );
        output("bash", &["--norc", "-c", &script])
    };
    assert_eq!(complete("mon"), "monitor\n");
    assert_eq!(complete("--so"), "--socket\n");
}

#[test]
fn zsh_loads_its_function() {
    let script = format!(
        "autoload -U compinit && compinit -D -u && source {} && print $_comps[swnctl] && \
         whence -w _swnctl",
        path("_swnctl")
    );
    assert_eq!(output("zsh", &["-f", "-c", &script]), "_swnctl\n_swnctl: function\n");
}

#[test]
fn fish_completes_commands_and_options() {
    let complete = |word: &str| {
        let script = format!("source {}; complete -C 'swnctl {word}'", path("swnctl.fish"));
        output("fish", &["--no-config", "-c", &script])
    };
    let monitor = complete("mon");
    assert!(monitor.starts_with("monitor\t"), "{monitor}");
    assert!(complete("--so").starts_with("--socket\t"));
}

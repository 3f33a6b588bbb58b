//! swnd(8) says what `--help` says.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails, which is what it is for"
)]

use clap::CommandFactory;
use std::collections::BTreeSet;
use swnd::options::Options;

const PAGE: &str = include_str!("../../man/swnd.8");

/// A section's lines.
fn section(name: &str) -> Vec<&'static str> {
    let lines: Vec<_> = PAGE
        .lines()
        .skip_while(|line| *line != format!(".Sh {name}"))
        .skip(1)
        .take_while(|line| !line.starts_with(".Sh "))
        .collect();
    assert!(!lines.is_empty(), "no section {name}");
    lines
}

/// What the page lists in a section: `.It Fl d Ar N , Fl \-debuglevel Ar N` is
/// `-d N` and `--debuglevel N`.
fn listed(name: &str) -> BTreeSet<String> {
    let items = section(name).into_iter().filter_map(|line| line.strip_prefix(".It "));
    items
        .flat_map(|item| item.split(" , "))
        .map(|item| item.replace("\\-", "-").replace("Fl ", "-").replace("Ar ", ""))
        .collect()
}

fn command() -> clap::Command {
    let mut command = Options::command();
    // Adds --help and --version.
    command.build();
    command
}

#[test]
fn the_page_lists_the_options_of_the_program() {
    let mut options = BTreeSet::new();
    for argument in command().get_arguments() {
        let value = if argument.get_action().takes_values() {
            argument.get_value_names().and_then(|names| names.first())
        } else {
            None
        };
        let mut add = |flag: String| {
            options.insert(match value {
                Some(value) => format!("{flag} {value}"),
                None => flag,
            });
        };
        if let Some(short) = argument.get_short() {
            add(format!("-{short}"));
        }
        if let Some(long) = argument.get_long() {
            add(format!("--{long}"));
        }
    }
    assert_eq!(listed("OPTIONS"), options);
}

#[test]
fn the_page_names_the_defaults_of_the_program() {
    let text = section("OPTIONS").join("\n");
    for argument in command().get_arguments().filter(|it| it.get_action().takes_values()) {
        for default in argument.get_default_values() {
            let default = default.to_str().unwrap();
            // A keyword is marked up.
            let is_named = text.contains(&format!("the default is {default}."))
                || text.contains(&format!("the default is\n.Cm {default} ."));
            assert!(is_named, "{default}");
        }
    }
}

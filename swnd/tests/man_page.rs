//! swnd(8) says what `--help` says, and swnd.conf(5) has a key for each option.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails, which is what it is for"
)]

use clap::CommandFactory;
use std::collections::BTreeSet;
use swnd::options::Options;
use swnd::settings::Sources;

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
        .map(|item| {
            item.replace("\\-", "-")
                .replace(" Ns Op = Ns Ar ", "[=")
                .replace("Fl ", "-")
                .replace("Ar ", "")
        })
        .map(|item| if item.contains("[=") { item + "]" } else { item })
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
                Some(value) if argument.is_require_equals_set() => format!("{flag}[={value}]"),
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

/// The values of an option, as `KEY` of swnd.conf(5).
fn keys() -> BTreeSet<String> {
    let command = command();
    let options = command.get_arguments().filter(|it| it.get_action().takes_values());
    options
        .filter_map(|it| it.get_long())
        .filter(|key| *key != "config")
        .map(String::from)
        .collect()
}

#[test]
fn the_page_of_the_file_lists_each_option_as_a_key() {
    let page = include_str!("../../man/swnd.conf.5").replace("\\-", "-");
    let listed = page.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    let listed: BTreeSet<String> =
        listed.map(|item| item.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(listed, keys());
}

#[test]
fn the_example_has_each_key_with_its_default_and_can_be_read_with_all_of_them() {
    let example = include_str!("../../packaging/swnd.conf");
    let set = example.lines().filter_map(|line| line.strip_prefix('#')?.split_once(" = "));
    let set: Vec<_> = set.filter(|(key, _)| !key.starts_with(' ')).collect();
    let names: BTreeSet<String> = set.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(names, keys());
    let command = command();
    for (key, value) in &set {
        let option = command.get_arguments().find(|it| it.get_long() == Some(key)).unwrap();
        for default in option.get_default_values() {
            assert_eq!(value.trim_matches('"'), default, "{key}");
        }
    }
    let path = std::env::temp_dir().join(format!("swnd-example-{}.conf", std::process::id()));
    let uncommented: String = set.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    for text in [example, &uncommented] {
        std::fs::write(&path, text).unwrap();
        let settings = Sources::of_file(&path).load();
        std::fs::remove_file(&path).unwrap();
        settings.unwrap();
    }
}

#[test]
fn the_page_names_the_defaults_of_the_program() {
    let text = section("OPTIONS").join("\n");
    for argument in command().get_arguments().filter(|it| it.get_action().takes_values()) {
        // A switch is off.
        let defaults = argument.get_default_values().iter().filter(|it| *it != "false");
        for default in defaults {
            let default = default.to_str().unwrap();
            // A keyword is marked up.
            let is_named = text.contains(&format!("the default is {default}."))
                || text.contains(&format!("the default is\n.Cm {default} ."));
            assert!(is_named, "{default}");
        }
    }
}

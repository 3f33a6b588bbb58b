//! The manual pages are well formed, and the rows of a check are listed with their tests.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../man");
#[test]
fn mandoc_has_nothing_to_warn_of() {
    for page in fs::read_dir(FOLDER).unwrap() {
        let page = page.unwrap().path();
        let mut command = Command::new("mandoc");
        let output = command.args(["-T", "lint", "-W", "warning"]).arg(&page).output();
        let output = output.expect("install mandoc, as tests/lab/setup does");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.is_empty(), "{}: {text}", page.display());
    }
}

/// Returns the files below a folder.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.flat_map(|it| if it.is_dir() { files(it) } else { vec![it] }).collect()
}

#[test]
fn each_row_of_a_check_is_listed_with_tests_that_break_it() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let tests = ["swnctl/src/check", "swnctl/tests", "tests/lab/tests"];
    let tests = tests.iter().flat_map(|it| files(root.join(it)));
    let tests: String = tests.map(|it| fs::read_to_string(it).unwrap()).collect();
    let text = fs::read_to_string(root.join("docs/checks.md")).unwrap();
    let mut listed = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<_> = line.split('`').skip(1).step_by(2).collect();
        let (row, names) = quoted.split_first().unwrap();
        listed.push((*row).to_owned());
        let names: Vec<_> = names.iter().filter(|it| it.contains('_')).collect();
        assert!(!names.is_empty(), "{line}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}()")), "{row}: there is no test {name}");
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    command.args(["--json", "--socket", "/nonexistent", "check", "//127.0.0.1/data"]);
    let output = command.output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows: Vec<_> =
        rows.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(listed, rows);
}

//! docs/conformance.md is whole, and what it names is there.

#![allow(clippy::unwrap_used)]

use faults::matrix::ROWS;
use std::fs;
use std::path::{Path, PathBuf};

/// Where files that are named may be.
const FILES: [&str; 3] = ["tests/faults/tests", "tests/witness-sim/tests", "."];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of every Rust source of the project.
fn sources() -> String {
    fn read(directory: &Path, text: &mut String) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                read(&path, text);
            } else if name.ends_with(".rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&top(), &mut text);
    text
}

#[test]
fn no_cell_is_empty_and_every_name_is_of_something_that_there_is() {
    let document = fs::read_to_string(top().join("docs/conformance.md")).unwrap();
    let sources = sources();
    let mut names = 0;
    for line in document.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() >= 2 && cells.iter().all(|cell| !cell.is_empty()), "{line}");
        for name in line.split('`').skip(1).step_by(2) {
            names += 1;
            let (first, last) = name.split_once("::").unwrap_or((name, name));
            if let Some(file) = name.strip_suffix(".rs") {
                assert!(
                    FILES.iter().any(|it| top().join(it).join(name).exists()),
                    "{file}: {line}"
                );
                continue;
            }
            let is_cell = ROWS.iter().any(|row| row.name == first);
            let is_test = sources.contains(&format!("fn {last}("));
            let is_word = sources.contains(last);
            let is_long = last.matches('_').count() > 3;
            assert!(is_cell || is_test || is_word && !is_long, "{name} is nowhere: {line}");
        }
    }
    assert!(names > 60, "{names}");
}

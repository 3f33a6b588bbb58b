//! docs/threat-model.md names the tests of its promises, docs/hostile-servers.md those of what
//! was wrong once: they exist.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENTS: [&str; 2] =
    [include_str!("../../docs/threat-model.md"), include_str!("../../docs/hostile-servers.md")];

/// Adds the names of the functions in a folder of the workspace.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
                Some(name.split_once('(')?.0.to_owned())
            });
            found.extend(names);
        }
    }
}

#[test]
fn each_test_that_the_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for folder in [
        "dcerpc-proto/src",
        "dcerpc-proto/tests",
        "swnclient/src",
        "swnclient-proto/src",
        "swnclient-proto/tests",
        "swnclient-sys/src",
        "swnctl/src",
        "swnctl/tests",
        "swnd/src",
        "swnd/tests",
        "tests/faults/tests",
        "tests/lab/tests",
        "tests/witness-sim/tests",
    ] {
        functions(&root.join(folder), &mut found);
    }
    for document in DOCUMENTS {
        // A test has a sentence for its name.
        let named: Vec<&str> = document
            .split('`')
            .filter(|word| word.matches('_').count() > 3 && !word.contains(|c: char| !is_name(c)))
            .collect();
        assert!(named.len() > 15, "{named:?}");
        let missing: Vec<_> = named.into_iter().filter(|name| !found.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

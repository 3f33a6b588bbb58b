//! The manual pages are well formed.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::process::Command;

#[test]
fn mandoc_has_nothing_to_warn_of() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../man");
    for page in std::fs::read_dir(folder).unwrap() {
        let page = page.unwrap().path();
        let mut command = Command::new("mandoc");
        let output = command.args(["-T", "lint", "-W", "warning"]).arg(&page).output();
        let output = output.expect("install mandoc, as tests/lab/setup does");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.is_empty(), "{}: {text}", page.display());
    }
}

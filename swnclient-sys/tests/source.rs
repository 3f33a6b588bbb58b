//! What holds for the sources: each function that C calls is written by a macro of
//! `ffi/guard.rs`, and in no crate of the product files use each other in a circle.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the macros are that write functions for C.
const GUARD: &str = "ffi::guard";

/// Returns the text of each module without its unit tests, by its path in the crate.
fn modules(of: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of).join("src");
    let mut modules = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "tests" {
                    folders.push(path);
                }
            } else if path.file_name().unwrap() != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                modules.insert(name(path.strip_prefix(&root).unwrap()), product.into());
            }
        }
    }
    modules
}

fn name(file: &Path) -> String {
    let path = match file.file_name().unwrap().to_str().unwrap() {
        "mod.rs" => file.parent().unwrap().into(),
        "lib.rs" | "main.rs" => PathBuf::new(),
        _ => file.with_extension(""),
    };
    path.to_str().unwrap().replace('/', "::")
}

/// Returns what a module's text names by `prefix`, down to the first two names.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let path = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect()
    };
    let mut found = Vec::new();
    for (_, rest) in text.match_indices(prefix).map(|(at, _)| text.split_at(at + prefix.len())) {
        match rest.strip_prefix('{') {
            Some(list) => {
                let list = list.split(';').next().unwrap();
                found.extend(list.split([',', '{', '}']).map(|item| path(item.trim())));
            }
            None => found.push(path(rest)),
        }
    }
    found
}

/// Returns the modules that each one uses.
fn uses(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut uses = BTreeMap::new();
    for (module, text) in modules {
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        let inside = named(text, "super::").into_iter().map(|path| format!("{parent}::{path}"));
        let used = inside.chain(named(text, "crate::")).filter_map(|path| {
            let known = modules.keys().filter(|known| {
                let path = path.trim_start_matches(':');
                !known.is_empty() && (path == **known || path.starts_with(&format!("{known}::")))
            });
            known.max_by_key(|known| known.len()).map(String::as_str)
        });
        // What is in a folder uses what the folder's own file defines.
        let is_own = |used: &&str| *used == module || module.starts_with(&format!("{used}::"));
        uses.insert(module.as_str(), used.filter(|used| !is_own(used)).collect());
    }
    uses
}

#[test]
fn every_function_that_c_calls_goes_through_the_guard() {
    let modules = modules("swnclient-sys");
    for (module, text) in &modules {
        let by_hand = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .filter(|line| {
                line.contains("no_mangle") || line.contains("extern ") && line.contains("fn ")
            })
            .count();
        assert_eq!(by_hand, if module == GUARD { 3 } else { 0 }, "{module}");
    }
    let functions = modules["ffi::entry"].lines().filter(|line| line.starts_with("    fn swnc_"));
    assert_eq!(functions.count(), 8);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let c_library = modules("swnclient-sys");
    let used = uses(&c_library);
    assert!(used["ffi::request"].contains("ffi::loop_handle"), "{used:?}");
    assert!(used["ffi::guard"].contains("engine"), "{used:?}");
    for name in ["dcerpc-proto", "swnclient-proto", "swnclient", "swnclient-sys", "swnd", "swnctl"]
    {
        let modules = modules(name);
        let mut left = uses(&modules);
        // Takes away what uses nothing that is left.
        while let Some(end) = left
            .iter()
            .find(|(_, used)| !used.iter().any(|used| left.contains_key(used)))
            .map(|(module, _)| *module)
        {
            left.remove(end);
        }
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

//! `include/witness/swnclient.h`: that it is what cbindgen writes, that it
//! compiles alone, and that C and Rust agree on it.
//!
//! `UPDATE_HEADER=1 cargo test -p swnclient-sys --test header` writes it anew.

use std::fs;
use std::path::Path;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/witness/swnclient.h");

fn generate() -> String {
    let config = cbindgen::Config::from_file(Path::new(HERE).join("cbindgen.toml")).unwrap();
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(Path::new(HERE).join("src/ffi/abi.rs"))
        .with_src(Path::new(HERE).join("src/ffi/entry.rs"))
        .generate()
        .unwrap()
        .write(&mut text);
    finish(String::from_utf8(text).unwrap())
}

/// What C has and cbindgen can't write: an anonymous union. `__extension__`,
/// because C99 does not have them. What only Rust wants to read goes.
fn finish(text: String) -> String {
    let text = text.replace(" *\n * # Safety\n * As the description says.\n", "");
    let (before, rest) = text.split_once("/**\n * The anonymous union").unwrap();
    let (union, after) = rest.split_once("};\n\n").unwrap();
    let (_, members) = union.split_once("{\n").unwrap();
    let members: String = members.lines().map(|line| format!("    {line}\n")).collect();
    let (before_member, rest) = after.split_once("    /**\n     * The anonymous union.").unwrap();
    let (_, after_member) = rest.split_once("detail;\n").unwrap();
    format!("{before}{before_member}    __extension__ union {{\n{members}    }};\n{after_member}")
}

#[test]
fn the_header_is_what_cbindgen_writes() {
    let text = generate();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        fs::write(HEADER, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(HEADER).unwrap(), "see the top of tests/header.rs");
}

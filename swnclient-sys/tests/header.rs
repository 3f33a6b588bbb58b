//! `include/witness/swnclient.h`: that it is what cbindgen writes, that it
//! compiles alone, and that C and Rust agree on it.
//!
//! `UPDATE_HEADER=1 cargo test -p swnclient-sys --test header` writes it again.

#![allow(clippy::unwrap_used)]

mod common;

use common::{compile, output, pkg_config};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../include/witness/swnclient.h");

/// Writes the functions of entry.rs as its macro defines them, since cbindgen does
/// not expand macros.
fn functions() -> PathBuf {
    let source = fs::read_to_string(Path::new(HERE).join("src/ffi/entry.rs")).unwrap();
    let (_, rest) = source.split_once("\nentry! {\n").unwrap();
    let (functions, _) = rest.split_once("\n}\n").unwrap();
    let text = functions.replace("\n    fn ", "\n#[no_mangle] pub unsafe extern \"C\" fn ");
    let path = common::scratch("header").join("entry.rs");
    fs::write(&path, text).unwrap();
    path
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(Path::new(HERE).join("cbindgen.toml")).unwrap();
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(Path::new(HERE).join("src/ffi/abi.rs"))
        .with_src(functions())
        .generate()
        .unwrap()
        .write(&mut text);
    finish(&String::from_utf8(text).unwrap())
}

/// What C has and cbindgen can't write: an anonymous union. `__extension__`,
/// because C99 does not have them.
fn finish(text: &str) -> String {
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

/// Compiles a program that includes nothing but the header.
fn compile_alone(compiler: &str, standard: &str, extension: &str) {
    let source = common::scratch(standard).join(format!("alone.{extension}"));
    fs::write(
        &source,
        "#include <witness/swnclient.h>\n\
         int main(void) {\n\
             struct swn_notification n;\n\
             n.type = SWN_NOTIFICATION_CLIENT_MOVE;\n\
             n.client_move.addr = 0;\n\
             return n.resource_change.name != 0;\n\
         }\n",
    )
    .unwrap();
    output(
        Command::new(compiler)
            .args([&format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .args(["-fsyntax-only", &format!("-I{}", common::include())])
            .args(pkg_config(&["--cflags-only-I"]))
            .arg(source),
    );
}

#[test]
fn the_header_compiles_alone_and_without_a_warning() {
    for (compiler, standard, extension) in [
        ("cc", "c99", "c"),
        ("cc", "c17", "c"),
        ("c++", "c++17", "cc"),
        ("clang", "c99", "c"),
        ("clang++", "c++17", "cc"),
    ] {
        compile_alone(compiler, standard, extension);
    }
}

#[test]
fn the_functions_of_samba_are_declared_as_its_headers_declare_them() {
    compile("prototypes", &["prototypes.c"]);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_structures_are_laid_out_as_they_always_were() {
    let program = compile("layout", &["layout.c"]);
    let expected = "\
struct swn_registration_info 32
struct swn_registration_info.net_name 0
struct swn_registration_info.share_name 8
struct swn_registration_info.ip_address 16
struct swn_registration_info.net_name_req 24
struct swn_registration_info.share_name_req 25
struct swn_registration_info.ip_address_req 26
struct swn_notification 24
struct swn_notification.type 0
struct swn_notification.resource_change.name 8
struct swn_notification.resource_change.state 16
struct swn_notification.client_move.addr 8
struct swn_notification.share_move.addr 8
struct swn_notification.ip_change.addr 8
SWN_NOTIFICATION_RESOURCE_CHANGE 0
SWN_NOTIFICATION_CLIENT_MOVE 1
SWN_NOTIFICATION_SHARE_MOVE 2
SWN_NOTIFICATION_IP_CHANGE 3
SWN_RESOURCE_STATE_UNKNOWN 0
SWN_RESOURCE_STATE_AVAILABLE 1
SWN_RESOURCE_STATE_UNAVAILABLE 2
";
    assert_eq!(output(&mut Command::new(program)), expected);
}

//! Finds Samba's libraries, and links the way distributions expect of a shared
//! library.

use std::env;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// pkg-config's name of each library, the least version, the linker's name.
const LIBRARIES: [(&str, &str, &str); 3] = [
    ("talloc", "2.1.0", "talloc"),
    ("tevent", "0.9.30", "tevent"),
    ("samba-credentials", "1.0.0", "samba-credentials"),
];

/// What the library is linked with, besides its version script.
const LINK_ARGUMENTS: [&str; 4] = [
    "-Wl,-soname,libswnclient.so.0",
    // Full RELRO.
    "-Wl,-z,relro,-z,now",
    // Position-independent code only, and no symbol without a definition.
    "-Wl,-z,text,-z,defs",
    // dlclose leaves it in memory: the caller's tevent contexts hold pointers
    // to its functions for as long as they live, and a thread that asks a slow
    // name server cannot be stopped.
    "-Wl,-z,nodelete",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    for (module, version, library) in LIBRARIES {
        let found = pkg_config::Config::new()
            .atleast_version(version)
            // Its Libs name what it needs itself, which is none of ours.
            .cargo_metadata(false)
            .probe(module)?;
        for path in found.link_paths {
            println!("cargo:rustc-link-search=native={}", path.display());
        }
        println!("cargo:rustc-link-lib={library}");
    }
    for argument in LINK_ARGUMENTS {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    version_symbols()
}

/// Gives the symbols their version node.
///
/// rustc passes the linker an anonymous version script of its own. GNU ld
/// refuses a second script then, and LLVM's lld ignores it. So the linker is
/// GNU ld, called by a script that puts our version script in the place of
/// rustc's.
fn version_symbols() -> Result<(), Box<dyn Error>> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let versions = source.join("libswnclient.map");
    println!("cargo:rerun-if-changed={}", versions.display());
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");

    let compiler = env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".into());
    let asked = Command::new(&compiler).arg("-print-prog-name=ld.bfd").output()?;
    let linker = String::from_utf8(asked.stdout)?;

    let directory = PathBuf::from(env::var("OUT_DIR")?).join("ld");
    fs::create_dir_all(&directory)?;
    let wrapper = directory.join("ld.bfd");
    fs::write(&wrapper, script(&versions, linker.trim()))?;
    fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755))?;
    println!("cargo:rustc-cdylib-link-arg=-fuse-ld=bfd");
    println!("cargo:rustc-cdylib-link-arg=-B{}", directory.display());
    Ok(())
}

fn script(versions: &Path, linker: &str) -> String {
    format!(
        "#!/bin/sh\n\
         for argument; do\n\
         \tshift\n\
         \tcase $argument in\n\
         \t--version-script=*) argument='--version-script={}' ;;\n\
         \tesac\n\
         \tset -- \"$@\" \"$argument\"\n\
         done\n\
         exec '{linker}' \"$@\"\n",
        versions.display()
    )
}

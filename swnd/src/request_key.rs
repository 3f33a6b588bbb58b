//! Whether the kernel asks swnd for the addresses of servers. Its cifs client asks for a name
//! by a key of the type `dns_resolver` each time that it connects again; request-key(8) has it
//! answered by the program that its configuration names, and that may be `swnctl resolve-key`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What request-key(8) reads, in this order (request-key.conf(5)).
const DIRECTORY: &str = "/etc/request-key.d";
const FILE: &str = "/etc/request-key.conf";
/// How much of a file is read, in bytes, and how many files.
const FILE_MAX: u64 = 64 << 10;
const FILES_MAX: usize = 64;

/// Returns whether it is so configured. Reads some small files.
pub fn asks_swnd() -> bool {
    files(Path::new(DIRECTORY)).iter().any(|file| is_in(file)) || is_in(Path::new(FILE))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let files = entries.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|it| it == "conf")).take(FILES_MAX).collect()
}

fn is_in(file: &Path) -> bool {
    read(file).is_ok_and(|text| text.lines().any(is_of_swnd))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a line gives all keys of the type to swnctl:
/// `create dns_resolver * * /usr/sbin/swnctl resolve-key %k`.
fn is_of_swnd(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let ["create", "dns_resolver", "*", "*", program, arguments @ ..] = words.as_slice() else {
        return false;
    };
    Path::new(program).file_name().is_some_and(|name| name == "swnctl")
        && arguments.contains(&"resolve-key")
        && arguments.last() == Some(&"%k")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_installed_is_found_among_others() {
        let installed = include_str!("../../packaging/request-key.conf.in");
        assert_eq!(installed.lines().filter(|line| is_of_swnd(line)).count(), 1);
        for line in [
            "create dns_resolver * * /sbin/key.dns_resolver %k",
            "#create dns_resolver * * /usr/sbin/swnctl resolve-key %k",
            "create user * * /usr/sbin/swnctl resolve-key %k",
            "create dns_resolver afsdb:* * /usr/sbin/swnctl resolve-key %k",
            "create dns_resolver * * /usr/sbin/swnctl resolve-key",
            "create dns_resolver * * /usr/sbin/swnctl status %k",
            "",
        ] {
            assert!(!is_of_swnd(line), "{line}");
        }
        let other = "create\tdns_resolver\t*\t*\t/opt/bin/swnctl --socket /run/s resolve-key %k";
        assert!(is_of_swnd(other));
    }

    #[test]
    fn what_is_missing_or_too_long_is_no_error() {
        assert!(files(Path::new("/nonexistent")).is_empty());
        assert!(!is_in(Path::new("/nonexistent")));
        assert!(!is_in(Path::new("/dev/zero")));
    }
}

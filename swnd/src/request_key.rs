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

/// The line by which request-key(8) asks swnd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The file that has it.
    pub file: PathBuf,
    /// The program that it names.
    pub program: PathBuf,
}

/// Returns whether it is so configured. Reads some small files.
pub fn asks_swnd() -> bool {
    installed().is_some()
}

/// Returns how it is so configured, where it is. Reads some small files.
pub fn installed() -> Option<Asked> {
    files(Path::new(DIRECTORY)).into_iter().chain([FILE.into()]).find_map(line_of)
}

fn line_of(file: PathBuf) -> Option<Asked> {
    let text = read(&file).ok()?;
    let program = text.lines().find_map(program_of)?.into();
    Some(Asked { file, program })
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let files = entries.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|it| it == "conf")).take(FILES_MAX).collect()
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Returns swnctl's path of a line that gives all keys of the type to it:
/// `create dns_resolver * * /usr/sbin/swnctl resolve-key %k`.
fn program_of(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let ["create", "dns_resolver", "*", "*", program, arguments @ ..] = words.as_slice() else {
        return None;
    };
    let is_swnctl = Path::new(program).file_name().is_some_and(|name| name == "swnctl")
        && arguments.contains(&"resolve-key")
        && arguments.last() == Some(&"%k");
    is_swnctl.then_some(*program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_installed_is_found_among_others() {
        let installed = include_str!("../../packaging/request-key.conf.in");
        let programs: Vec<_> = installed.lines().filter_map(program_of).collect();
        assert_eq!(programs, ["@sbindir@/swnctl"]);
        for line in [
            "create dns_resolver * * /sbin/key.dns_resolver %k",
            "#create dns_resolver * * /usr/sbin/swnctl resolve-key %k",
            "create user * * /usr/sbin/swnctl resolve-key %k",
            "create dns_resolver afsdb:* * /usr/sbin/swnctl resolve-key %k",
            "create dns_resolver * * /usr/sbin/swnctl resolve-key",
            "create dns_resolver * * /usr/sbin/swnctl status %k",
            "",
        ] {
            assert_eq!(program_of(line), None, "{line}");
        }
        let other = "create\tdns_resolver\t*\t*\t/opt/bin/swnctl --socket /run/s resolve-key %k";
        assert_eq!(program_of(other), Some("/opt/bin/swnctl"));
    }

    #[test]
    fn what_is_missing_or_too_long_is_no_error() {
        assert!(files(Path::new("/nonexistent")).is_empty());
        assert_eq!(line_of("/nonexistent".into()), None);
        assert_eq!(line_of("/dev/zero".into()), None);
    }
}

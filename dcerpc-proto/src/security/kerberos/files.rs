//! The files that credentials are in. What the library would do with a file that another
//! user has put there is not tried: it waits for ever at a FIFO, and a cache of another
//! user's is another user's identity.

use super::error::{KerberosError, KerberosErrorKind};
use super::keytab;
use super::sys::geteuid;
use smol_str::{SmolStr, format_smolstr};
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use zeroize::Zeroizing;

/// How much of a keytab is read, in bytes.
const KEYTAB_MAX: u64 = 1 << 20;
const ROOT: u32 = 0;

/// Checks a credential cache by its name for the library, for example `FILE:/run/krb5cc_smb`.
/// What is no file, or is not there, is left to the library.
///
/// # Errors
/// Why the file is not used.
pub(super) fn check_cache(name: &str) -> Result<(), KerberosError> {
    match name.split_once(':') {
        Some(("DIR", path)) => match path.strip_prefix(':') {
            Some(file) => check(Path::new(file), "file", Metadata::is_file),
            None => check(Path::new(path), "directory", Metadata::is_dir),
        },
        _ => file(name).map_or(Ok(()), |path| check(path, "file", Metadata::is_file)),
    }
}

/// Checks a keytab, as [`check_cache`] does.
///
/// # Errors
/// Why the file is not used.
pub(super) fn check_keytab(name: &str) -> Result<(), KerberosError> {
    file(name).map_or(Ok(()), |path| check(path, "file", Metadata::is_file))
}

/// Returns what is wrong with a keytab that the library has no key from.
pub(super) fn keytab_problem(name: &str) -> SmolStr {
    match file(name).map(File::open) {
        Some(Err(error)) => format_smolstr!("{error}"),
        _ => "it has no such key".into(),
    }
}

/// Returns the machine accounts, `HOST$@REALM`, that a keytab has keys of.
pub(super) fn machine_accounts(name: &str) -> Vec<String> {
    let Some(path) = file(name).filter(|_| check_keytab(name).is_ok()) else {
        return Vec::new();
    };
    // Read once, so that no key is left where a buffer grew.
    let length = fs::metadata(path).map_or(0, |file| file.len().min(KEYTAB_MAX));
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.reserve_exact(usize::try_from(length).unwrap_or(0) + 1);
    match File::open(path).and_then(|file| file.take(length).read_to_end(&mut bytes)) {
        Ok(_) => keytab::machine_accounts(&bytes),
        Err(_) => Vec::new(),
    }
}

/// Returns the path of a cache or a keytab that is a file; `None` for another type.
fn file(name: &str) -> Option<&Path> {
    match name.split_once(':') {
        Some(("FILE" | "WRFILE", path)) => Some(Path::new(path)),
        Some((kind, _)) if !kind.contains('/') => None,
        _ => Some(Path::new(name)),
    }
}

/// Checks that a file is of the kind that is wanted, and, as a link to it, of this process's
/// user or of root.
fn check(path: &Path, kind: &str, is_wanted: fn(&Metadata) -> bool) -> Result<(), KerberosError> {
    let wrong = |what: SmolStr| {
        let what = format_smolstr!("{}: {what}", path.display());
        Err(KerberosError::new(KerberosErrorKind::File, what))
    };
    let found = fs::symlink_metadata(path).and_then(|first| {
        let is_link = first.is_symlink();
        Ok((if is_link { fs::metadata(path)? } else { first.clone() }, first))
    });
    let (target, first) = match found {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return wrong(format_smolstr!("{error}")),
    };
    let user = geteuid();
    if let Some(other) =
        [&first, &target].map(MetadataExt::uid).iter().find(|it| ![ROOT, user].contains(it))
    {
        return wrong(format_smolstr!(
            "it belongs to the user {other}, and one of {} is wanted",
            if user == ROOT { "root".into() } else { format_smolstr!("root or the user {user}") },
        ));
    }
    match is_wanted(&target) {
        true => Ok(()),
        false => wrong(format_smolstr!("it is {}, and no {kind}", description(&target))),
    }
}

fn description(file: &Metadata) -> &'static str {
    let kind = file.file_type();
    match () {
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_dir() => "a directory",
        () if kind.is_file() => "a file",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::Command;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }

        fn name(&self, file: &str) -> String {
            self.0.join(file).display().to_string()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn problem(result: Result<(), KerberosError>) -> String {
        result.expect_err("it is refused").to_string()
    }

    #[test]
    fn a_fifo_is_no_cache_and_no_keytab() {
        let scratch = Scratch::new("fifo");
        let fifo = scratch.name("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let link = scratch.name("link");
        std::os::unix::fs::symlink(&fifo, &link).expect("a link");
        for name in [&fifo, &format!("FILE:{fifo}"), &format!("DIR::{fifo}"), &link] {
            assert!(problem(check_cache(name)).contains("it is a FIFO, and no file"), "{name}");
        }
        assert!(problem(check_keytab(&fifo)).contains("it is a FIFO"));
        assert!(problem(check_cache(&format!("DIR:{fifo}"))).contains("no directory"));
        assert!(problem(check_cache("/dev/zero")).contains("a device"));
        assert_eq!(machine_accounts(&fifo), [""; 0]);
    }

    #[test]
    fn a_file_of_another_user_is_not_used_and_its_owner_is_named() {
        let scratch = Scratch::new("owner");
        let cache = scratch.name("krb5cc_0");
        fs::write(&cache, "").expect("a file");
        assert_eq!(check_cache(&format!("FILE:{cache}")), Ok(()));
        if geteuid() != ROOT {
            return println!("not root: the files of others can't be made");
        }
        std::os::unix::fs::chown(&cache, Some(4711), None).expect("root may");
        let line = problem(check_cache(&format!("FILE:{cache}")));
        let expected = format!(
            "Kerberos: {cache}: it belongs to the user 4711, and one of root is wanted; let root \
             own a regular file in that place, or name another one"
        );
        assert_eq!(line, expected);
        // A link of theirs is as bad.
        let own = scratch.name("own");
        fs::write(&own, "").expect("a file");
        let link = scratch.name("link");
        std::os::unix::fs::symlink(&own, &link).expect("a link");
        assert_eq!(check_keytab(&link), Ok(()));
        std::os::unix::fs::lchown(&link, Some(4711), None).expect("root may");
        assert!(problem(check_keytab(&link)).contains("4711"));
        // And so is a link to their file.
        let link = scratch.name("link of root");
        std::os::unix::fs::symlink(&cache, &link).expect("a link");
        assert!(problem(check_cache(&link)).contains("4711"));
    }

    #[test]
    fn what_is_no_file_or_not_there_is_left_to_the_library() {
        for name in ["KEYRING:persistent:0", "KCM:", "MEMORY:x", "/no/such/file", "DIR:/no/such"] {
            assert_eq!(check_cache(name), Ok(()), "{name}");
        }
        assert_eq!(check_keytab("/no/such:file"), Ok(()));
    }
}

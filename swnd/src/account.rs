//! A user, a domain and a password from a file in the format of mount.cifs(8).

use rustix::fs::OFlags;
use smol_str::SmolStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// How long such a file may be, in bytes.
const LENGTH_MAX: u64 = 16 << 10;
/// `O_NONBLOCK`, so that no pipe is waited for.
const NONBLOCK: i32 = i32::from_ne_bytes(OFlags::NONBLOCK.bits().to_ne_bytes());

/// What a file says.
#[derive(Default)]
pub struct Account {
    /// `username=`.
    pub user: Option<String>,
    /// `domain=`, or what the user's name has before a slash.
    pub domain: Option<String>,
    /// `password=`, which is wiped when this is dropped.
    pub password: Option<Zeroizing<String>>,
}

impl Account {
    /// Reads the text of a file. What is not understood is left out.
    pub fn parse(text: &str) -> Self {
        let mut account = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim_start().split_once('=') else { continue };
            match key.trim_end() {
                "username" | "user" => account.user = Some(value.trim().into()),
                // May begin and end with blanks.
                "password" | "pass" => account.password = Some(Zeroizing::new(value.into())),
                "domain" | "dom" | "workgroup" => account.domain = Some(value.trim().into()),
                _ => {}
            }
        }
        account
    }

    /// Reads a file that its owner alone may read: root, or the user that this process runs
    /// as.
    ///
    /// # Errors
    /// Why it can't be used, and what to do.
    pub fn of_private_file(path: &Path) -> Result<Self, SmolStr> {
        Self::of_file_of(path, &[0, rustix::process::geteuid().as_raw()])
    }

    fn of_file_of(path: &Path, owners: &[u32]) -> Result<Self, SmolStr> {
        let text = private_text(path, owners)
            .map_err(|error| smol_str::format_smolstr!("{}: {error}", path.display()))?;
        let account = Self::parse(&text);
        let missing = match (&account.user, &account.password) {
            (Some(user), _) if user.is_empty() => "username=",
            (None, _) => "username=",
            (_, None) => "password=",
            _ => return Ok(account),
        };
        Err(smol_str::format_smolstr!("{}: it has no line {missing}", path.display()))
    }
}

fn private_text(path: &Path, owners: &[u32]) -> io::Result<Zeroizing<String>> {
    let refused = |what: String| Err(io::Error::other(what));
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path)?;
    let found = file.metadata()?;
    let mode = found.mode() & 0o7777;
    if !found.is_file() {
        return refused("it is no regular file".into());
    }
    if !owners.contains(&found.uid()) {
        return refused(format!("it belongs to user {}: chown root", found.uid()));
    }
    if mode & 0o077 != 0 {
        return refused(format!("its mode {mode:04o} lets others at it: chmod 600"));
    }
    text(file, found.len())
}

/// Reads a file of mount.cifs(8), whatever its mode.
///
/// # Errors
/// It can't be read, or is not UTF-8.
pub fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    text(file, length)
}

fn text(file: File, length: u64) -> io::Result<Zeroizing<String>> {
    // At once, so that no part of it is left where it was before.
    let capacity = usize::try_from(length.min(LENGTH_MAX)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(LENGTH_MAX).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Zeroizing::new(text.into()))
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, domain, .. } = self;
        f.debug_struct("Account")
            .field("user", user)
            .field("domain", domain)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str, text: &str, mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("swnd-{name}-{}", std::process::id()));
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    const TEXT: &str = "# x\nusername=alice\n password= a b=c \ndomain = EXAMPLE\n";

    #[test]
    fn a_file_of_mount_cifs_is_read() {
        let file = Temporary::new("account", TEXT, 0o600);
        for account in [Account::parse(TEXT), Account::of_private_file(&file.0).unwrap()] {
            assert_eq!(account.user.as_deref(), Some("alice"));
            assert_eq!(account.password.as_ref().map(|it| it.as_str()), Some(" a b=c "));
            assert_eq!(account.domain.as_deref(), Some("EXAMPLE"));
            assert!(!format!("{account:?}").contains("a b=c"));
        }
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_anothers_is_refused() {
        let why = |path: &Path, owners: &[u32]| {
            Account::of_file_of(path, owners).unwrap_err().to_string()
        };
        let own = [rustix::process::geteuid().as_raw()];
        for mode in [0o644, 0o640, 0o604, 0o610, 0o601] {
            let file = Temporary::new("others", TEXT, mode);
            let expected =
                format!("{}: its mode {mode:04o} lets others at it: chmod 600", file.0.display());
            assert_eq!(why(&file.0, &own), expected);
        }
        let file = Temporary::new("anothers", TEXT, 0o600);
        let another = own.map(|uid| uid + 1);
        assert!(why(&file.0, &another).contains("it belongs to user"));
        for (path, expected) in [("/", "it is no regular file"), ("/no/file", "No such file")] {
            assert!(why(Path::new(path), &[0]).contains(expected));
        }
    }

    #[test]
    fn a_file_without_user_or_password_is_refused() {
        for (text, missing) in [
            ("password=x\n", "username="),
            ("username=\npassword=x\n", "username="),
            ("username=x\n", "password="),
            ("", "username="),
        ] {
            let file = Temporary::new("incomplete", text, 0o400);
            let why = Account::of_private_file(&file.0).unwrap_err();
            assert!(why.ends_with(&format!("it has no line {missing}")), "{text}: {why}");
        }
    }
}

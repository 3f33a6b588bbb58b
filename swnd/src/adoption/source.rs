//! Where the credentials of mounts that are adopted are from.

use crate::account::Account;
use smol_str::SmolStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The table of mounts.
const FSTAB: &str = "/etc/fstab";
/// How much of it is read, in bytes.
const FSTAB_MAX: u64 = 1 << 20;

/// Where credentials are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsFrom {
    /// A file in the format of mount.cifs(8).
    File(PathBuf),
    /// The file that the share's line of `/etc/fstab` names.
    Fstab,
}

impl FromStr for CredentialsFrom {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fstab" => Ok(Self::Fstab),
            path if path.starts_with('/') => Ok(Self::File(path.into())),
            _ => Err("an absolute path, or fstab"),
        }
    }
}

impl CredentialsFrom {
    /// Reads the credentials for a share. May block.
    ///
    /// # Errors
    /// Why they can't be used, and what to do.
    pub fn read(&self, net_name: &str, share: &str) -> Result<Account, SmolStr> {
        match self {
            Self::File(path) => Account::of_private_file(path),
            Self::Fstab => {
                let file = File::open(FSTAB)
                    .map_err(|error| smol_str::format_smolstr!("{FSTAB}: {error}"))?;
                let lines = BufReader::new(file.take(FSTAB_MAX)).lines().map_while(Result::ok);
                match lines.filter_map(|line| credentials(&line, net_name, share)).next() {
                    Some(path) => Account::of_private_file(Path::new(&path)),
                    None => Err(smol_str::format_smolstr!(
                        "{FSTAB} has no line for the share with the option credentials="
                    )),
                }
            }
        }
    }
}

/// Returns the path of `credentials=` of a line for a share.
fn credentials(line: &str, net_name: &str, share: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let source = unescape(fields.next()?);
    let mut names = source.trim_start_matches(['/', '\\']).split(['/', '\\']);
    let is = |found: Option<&str>, wanted: &str| {
        found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    };
    if !is(names.next(), net_name) || !is(names.next(), share) {
        return None;
    }
    let kind = fields.nth(1)?;
    if !matches!(kind, "cifs" | "smb3") {
        return None;
    }
    let options = fields.next()?.split(',');
    let mut paths = options.filter_map(|option| match option.split_once('=')? {
        ("credentials" | "cred", path) if path.starts_with('/') => Some(unescape(path)),
        _ => None,
    });
    // The last one counts.
    paths.by_ref().last()
}

/// Undoes `\040`, and its like (fstab(5)).
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_share_names_its_file() {
        for (line, path) in [
            (
                "//CLUSTER/data /mnt cifs credentials=/etc/cifs/data,hard 0 0",
                Some("/etc/cifs/data"),
            ),
            (r"\\cluster\data /mnt smb3 rw,cred=/a\040b", Some("/a b")),
            ("//cluster/data/folder /mnt cifs credentials=/a,credentials=/b", Some("/b")),
            ("//cluster/data /mnt cifs credentials=a", None),
            ("//cluster/data /mnt cifs username=x,password=y", None),
            ("//cluster/home /mnt cifs credentials=/a", None),
            ("//other/data /mnt cifs credentials=/a", None),
            ("//cluster/data /mnt nfs credentials=/a", None),
            ("#//cluster/data /mnt cifs credentials=/a", None),
            ("//cluster/data /mnt", None),
            ("", None),
        ] {
            assert_eq!(credentials(line, "cluster", "DATA").as_deref(), path, "{line}");
        }
    }
}

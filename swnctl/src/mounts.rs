//! The cifs mounts of this machine, from `/proc/self/mountinfo`.

use swnd::control::interface::Registration;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CifsMount {
    /// Where.
    pub path: String,
    /// The server's name as it was mounted.
    pub net_name: String,
    /// The share's name.
    pub share_name: String,
    /// Whether it has the option `witness`.
    pub witness: bool,
}

impl CifsMount {
    /// Whether a registration is for this mount.
    pub fn is_of(&self, registration: &Registration) -> bool {
        let share = registration.share_name.as_deref().unwrap_or_default();
        self.net_name.eq_ignore_ascii_case(&registration.net_name)
            && self.share_name.eq_ignore_ascii_case(share)
    }
}

/// Returns the mounts of the running system; none where they can't be read.
pub fn read() -> Vec<CifsMount> {
    parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// Reads the text of a `mountinfo`.
pub fn parse(text: &str) -> Vec<CifsMount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<CifsMount> {
    let (head, tail) = line.split_once(" - ")?;
    let path = unescape(head.split(' ').nth(4)?);
    let mut tail = tail.split(' ');
    if !matches!(tail.next()?, "cifs" | "smb3") {
        return None;
    }
    let source = unescape(tail.next()?);
    let options = tail.next().unwrap_or_default();
    let mut names = source.trim_start_matches(['/', '\\']).split(['/', '\\']);
    let (net_name, share_name) = (names.next()?.into(), names.next()?.into());
    let witness = options.split(',').any(|option| option == "witness");
    Some(CifsMount { path, net_name, share_name, witness })
}

/// Undoes the kernel's `\040` and its like.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = octal.and_then(|_| rest.get(4..)).unwrap_or(after);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cifs_mounts_are_found_among_the_others() {
        let text = "\
25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
70 25 0:44 / /mnt/my\\040data rw - cifs //cluster/data rw,vers=3.1.1,witness,hard
71 25 0:45 / /srv rw shared:9 - smb3 \\134\\134host\\134old rw,vers=2.1
72 25 0:46 /
";
        let mount = |path: &str, net: &str, share: &str, witness| CifsMount {
            path: path.into(),
            net_name: net.into(),
            share_name: share.into(),
            witness,
        };
        let expected =
            [mount("/mnt/my data", "cluster", "data", true), mount("/srv", "host", "old", false)];
        assert_eq!(parse(text), expected);
    }
}

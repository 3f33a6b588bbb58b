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
    /// Its options.
    pub options: Vec<String>,
}

impl CifsMount {
    /// Whether a registration is for this mount.
    pub fn is_of(&self, registration: &Registration) -> bool {
        let share = registration.share_name.as_deref().unwrap_or_default();
        self.is_share(&registration.net_name, share)
    }

    /// Whether it is a mount of this share.
    pub fn is_share(&self, net_name: &str, share: &str) -> bool {
        self.net_name.eq_ignore_ascii_case(net_name) && self.share_name.eq_ignore_ascii_case(share)
    }

    /// Whether it has an option without a value.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|it| it == option)
    }

    /// Returns the value of an option.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().find_map(|it| it.strip_prefix(option)?.strip_prefix('='))
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
    let options = options.split(',').map(unescape).collect();
    Some(CifsMount { path, net_name, share_name, options })
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
        let mount = |path: &str, net: &str, share: &str, options: &str| CifsMount {
            path: path.into(),
            net_name: net.into(),
            share_name: share.into(),
            options: options.split(',').map(String::from).collect(),
        };
        let expected = [
            mount("/mnt/my data", "cluster", "data", "rw,vers=3.1.1,witness,hard"),
            mount("/srv", "host", "old", "rw,vers=2.1"),
        ];
        assert_eq!(parse(text), expected);
    }
}

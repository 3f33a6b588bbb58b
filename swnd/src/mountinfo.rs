//! The cifs mounts of this mount namespace, from `/proc/self/mountinfo` (proc(5)).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use swnclient::ScopedAddr;

/// Where the kernel lists the mounts.
pub const PATH: &str = "/proc/self/mountinfo";
/// The longest line that is read, in bytes. The kernel's are shorter: a path has up to
/// 4096 bytes, each of which may be escaped by four, and so have the options.
const LINE_MAX: usize = 64 << 10;
/// How many cifs mounts are read.
const MOUNTS_MAX: usize = 16 << 10;

/// A cifs mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CifsMount {
    /// The kernel's number of the mount.
    pub id: u64,
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
        self.options.iter().find_map(|it| value(it, option))
    }

    /// Returns the address that serves it. While the kernel reconnects, that is the one it
    /// tries.
    pub fn address(&self) -> Option<ScopedAddr> {
        // The last: before it there are names, of which one may look like an address.
        let address = self.options.iter().rev().find_map(|it| value(it, "addr"))?;
        let (address, scope_id) = address.split_once('%').unwrap_or((address, "0"));
        let address = address.parse::<IpAddr>().ok()?;
        Some(ScopedAddr::new(address.to_canonical(), scope_id.parse().unwrap_or_default()))
    }
}

fn value<'a>(option: &'a str, name: &str) -> Option<&'a str> {
    option.strip_prefix(name)?.strip_prefix('=')
}

/// Reads the mounts of this process's mount namespace.
///
/// # Errors
/// There is no `/proc`.
pub fn read() -> io::Result<Vec<CifsMount>> {
    parse(BufReader::with_capacity(LINE_MAX, File::open(PATH)?))
}

/// Reads the lines of a `mountinfo`. What is not understood is left out.
///
/// # Errors
/// Those of `input`.
pub fn parse(mut input: impl BufRead) -> io::Result<Vec<CifsMount>> {
    let mut mounts = Vec::new();
    let mut line = Vec::new();
    while mounts.len() < MOUNTS_MAX && next_line(&mut input, &mut line)? {
        mounts.extend(mount(&line));
    }
    Ok(mounts)
}

/// Reads a line into `line`, which stays empty where the line is too long. Returns whether
/// there was one.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let (mut any, mut is_long) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let (part, _) = available.split_at(end.unwrap_or(available.len()));
        is_long |= line.len() + part.len() > LINE_MAX;
        match is_long {
            true => line.clear(),
            false => line.extend(part),
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Reads one line: `36 35 0:44 / /mnt rw shared:1 - cifs //server/share rw,vers=3.1.1`.
fn mount(line: &[u8]) -> Option<CifsMount> {
    let mut words = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let path = words.nth(3)?;
    // Optional fields come before the hyphen.
    let mut words = words.skip_while(|word| *word != b"-").skip(1);
    if !matches!(words.next()?, b"cifs" | b"smb3") {
        return None;
    }
    let source = unescape(words.next()?);
    let mut names = source.trim_start_matches(['/', '\\']).split(['/', '\\']);
    let (net_name, share_name) = (names.next()?, names.next()?);
    if net_name.is_empty() || share_name.is_empty() {
        return None;
    }
    let options = words.next().unwrap_or_default();
    Some(CifsMount {
        id,
        path: unescape(path),
        net_name: net_name.into(),
        share_name: share_name.into(),
        options: options.split(|byte| *byte == b',').map(unescape).collect(),
    })
}

/// Undoes the kernel's `\040` and its like.
fn unescape(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
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
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mount_of(options: &str) -> CifsMount {
        let line = format!("70 25 0:44 / /mnt rw - cifs //cluster/data {options}");
        parse(line.as_bytes()).unwrap().pop().unwrap()
    }

    #[test]
    fn cifs_mounts_are_found_among_the_others() {
        let text = "\
25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
70 25 0:44 / /mnt/my\\040data rw - cifs //cluster/data rw,vers=3.1.1,witness,hard
71 25 0:45 /a\\040-\\040cifs /srv rw shared:9 master:3 - smb3 \\134\\134host\\134old\\134a rw,vers=2.1
72 25 0:46 /
73 25 0:47 / /x rw - cifs //host rw
74 25 0:48 / /x rw - cifs // rw
x 25 0:49 / /x rw - cifs //host/share rw
";
        let mount = |id: u64, path: &str, net: &str, share: &str, options: &str| CifsMount {
            id,
            path: path.into(),
            net_name: net.into(),
            share_name: share.into(),
            options: options.split(',').map(String::from).collect(),
        };
        let expected = [
            mount(70, "/mnt/my data", "cluster", "data", "rw,vers=3.1.1,witness,hard"),
            mount(71, "/srv", "host", "old", "rw,vers=2.1"),
        ];
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_address_is_the_kernels_and_no_part_of_a_name() {
        for (options, address) in [
            ("rw,addr=10.77.0.101,hard", Some("10.77.0.101")),
            ("addr=2001:0db8:0000:0000:0000:0000:0000:0001", Some("2001:db8::1")),
            ("addr=::ffff:10.77.0.101", Some("10.77.0.101")),
            ("username=a,addr=10.0.0.9,domain=X,addr=10.77.0.101", Some("10.77.0.101")),
            ("username=a\\054addr=10.0.0.9", None),
            ("srcaddr=10.0.0.9", None),
            ("addr=", None),
            ("addr=witclu", None),
            ("", None),
        ] {
            let address = address.map(|it| it.parse::<IpAddr>().unwrap().into());
            assert_eq!(mount_of(options).address(), address, "{options}");
        }
        let by_link = mount_of("addr=fe80:0000:0000:0000:0000:0000:0000:0001%2").address();
        assert_eq!(by_link, Some(ScopedAddr::new("fe80::1".parse().unwrap(), 2)));
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_the_next_one_is_read() {
        let long = format!("1 1 0:1 / /{} rw - cifs //a/b rw\n", "x".repeat(LINE_MAX));
        let text = format!("{long}2 1 0:1 / /y rw - cifs //a/b rw");
        // Whatever the size of the pieces in which it comes.
        for capacity in [1, 7, LINE_MAX] {
            let mounts = parse(BufReader::with_capacity(capacity, text.as_bytes())).unwrap();
            let ids: Vec<_> = mounts.iter().map(|it| it.id).collect();
            assert_eq!(ids, [2], "{capacity}");
        }
    }

    #[test]
    fn no_more_mounts_are_read_than_there_is_room_for() {
        let line = "1 1 0:1 / /x rw - cifs //a/b rw\n";
        let mounts = parse(line.repeat(MOUNTS_MAX + 1).as_bytes()).unwrap();
        assert_eq!(mounts.len(), MOUNTS_MAX);
    }

    #[test]
    fn the_list_of_this_process_can_be_read() {
        read().unwrap();
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(
            text in prop::collection::vec(
                prop::sample::select(b" -\\/,=\n017x\xff\0".to_vec()), 0..200),
        ) {
            let text = [b"1 2 0:1 / / rw - cifs //a/b ", text.as_slice()].concat();
            prop_assert!(parse(text.as_slice()).is_ok());
        }

        #[test]
        fn a_name_is_read_as_it_was_escaped(name in "[a-z \\\\\t#\u{e9}]{1,20}") {
            let escaped: String = name
                .bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' => char::from(byte).to_string(),
                    byte => format!("\\{byte:03o}"),
                })
                .collect();
            let line = format!("1 2 0:1 / /{escaped} rw - cifs //a/b rw");
            let mount = parse(line.as_bytes()).unwrap().pop().unwrap();
            prop_assert_eq!(mount.path, format!("/{name}"));
        }
    }
}

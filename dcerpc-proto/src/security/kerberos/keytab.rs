//! The names in a keytab, in MIT's "Keytab file format". The library tells them only with
//! structures that differ between its versions.

/// Version 2 of the format: big-endian.
const VERSION: [u8; 2] = [5, 2];

/// Returns the principals that are machine accounts of Active Directory, `HOST$@REALM`, each
/// once, in order. What can't be read ends the file.
pub(super) fn machine_accounts(file: &[u8]) -> Vec<String> {
    let mut accounts = Vec::new();
    let Some(mut rest) = file.strip_prefix(&VERSION) else {
        return accounts;
    };
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let taken = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
        let Some((entry, after)) = after.split_at_checked(taken).filter(|_| taken > 0) else {
            break;
        };
        rest = after;
        // What is deleted has a negative length.
        let account = machine_account(entry).filter(|it| length > 0 && !accounts.contains(it));
        accounts.extend(account);
    }
    accounts
}

fn machine_account(mut entry: &[u8]) -> Option<String> {
    let count = number(&mut entry)?;
    let realm = text(&mut entry)?;
    let name = text(&mut entry)?;
    (count == 1 && name.ends_with('$')).then(|| format!("{name}@{realm}"))
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::machine_accounts;
    use proptest::prelude::*;

    fn counted(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).expect("it is short");
        [&length.to_be_bytes(), text.as_bytes()].concat()
    }

    fn entry(names: &[&str], sign: i32) -> Vec<u8> {
        let count = u16::try_from(names.len()).expect("there are few");
        let names = names.iter().flat_map(|name| counted(name));
        let mut entry = [&count.to_be_bytes()[..], &counted("WORK.EXAMPLE")].concat();
        entry.extend(names);
        // Type, time, version, and a key.
        entry.extend([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 18, 0, 2, 7, 7]);
        let length = sign * i32::try_from(entry.len()).expect("it is short");
        [&length.to_be_bytes()[..], &entry].concat()
    }

    #[test]
    fn the_machine_accounts_of_a_keytab_are_found_behind_its_services() {
        let keytab = [
            vec![5, 2],
            entry(&["host", "laptop.work.example"], 1),
            entry(&["OLD$"], -1),
            entry(&["LAPTOP$"], 1),
            entry(&["LAPTOP$"], 1),
            entry(&["host", "LAPTOP$"], 1),
            entry(&["CIFS$", "laptop"], 1),
            entry(&["jane"], 1),
            entry(&["OTHER$"], 1),
        ]
        .concat();
        let expected = ["LAPTOP$@WORK.EXAMPLE", "OTHER$@WORK.EXAMPLE"];
        assert_eq!(machine_accounts(&keytab), expected);
        // Cut short, and padded with zeros.
        assert_eq!(machine_accounts(&keytab[..keytab.len() - 1]), expected[..1]);
        assert_eq!(machine_accounts(&[&keytab[..], &[0; 8]].concat()), expected);
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(bytes: Vec<u8>) {
            machine_accounts(&bytes);
            machine_accounts(&[&[5, 2, 0, 0, 0, 40], &bytes[..]].concat());
        }
    }
}

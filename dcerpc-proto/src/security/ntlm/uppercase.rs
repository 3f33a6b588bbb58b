//! The capital letters of a user's name, which go into the key of a response ([MS-NLMP]
//! 3.3.2). Client and server have each a table of their own, and where these differ the
//! server refuses the right password.

/// Whose table of capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Uppercase {
    /// Samba's, 636 letters: what its client and its server have.
    #[default]
    Samba,
    /// The Linux kernel's, 516 letters, the same in 6.1 and 7.3: what a mount was
    /// authenticated with.
    Linux,
}

impl Uppercase {
    /// Returns the capital of a letter, one UTF-16 unit for one; itself where the table
    /// has none.
    pub(super) fn of(self, letter: char) -> char {
        match (self, u32::from(letter)) {
            (Self::Samba, code) if SAMBA.iter().any(|(from, to)| (*from..=*to).contains(&code)) => {
                regular(letter)
            }
            (Self::Linux, code) => linux(letter, code),
            _ => letter,
        }
    }
}

/// Where Samba's table has the capitals that Unicode has.
const SAMBA: [(u32, u32); 33] = [
    (0x61, 0x17e),
    (0x183, 0x192),
    (0x199, 0x199),
    (0x1a1, 0x1bd),
    (0x1c6, 0x1f5),
    (0x1fb, 0x217),
    (0x253, 0x25b),
    (0x260, 0x260),
    (0x263, 0x263),
    (0x268, 0x269),
    (0x26f, 0x26f),
    (0x272, 0x275),
    (0x283, 0x283),
    (0x288, 0x288),
    (0x28a, 0x28b),
    (0x292, 0x292),
    (0x3ac, 0x3ce),
    (0x3e3, 0x3ef),
    (0x430, 0x44f),
    (0x451, 0x45c),
    (0x45e, 0x481),
    (0x491, 0x4c4),
    (0x4c8, 0x4c8),
    (0x4cc, 0x4cc),
    (0x4d1, 0x4eb),
    (0x4ef, 0x4f5),
    (0x4f9, 0x4f9),
    (0x561, 0x586),
    (0x1e01, 0x1ef9),
    (0x1f00, 0x1fe5),
    (0x2170, 0x217f),
    (0x24d0, 0x24e9),
    (0xff41, 0xff5a),
];

/// The kernel's table has the capitals of five alphabets, with some peculiarities.
fn linux(letter: char, code: u32) -> char {
    let other = match code {
        0x180 | 0x195 | 0x19a | 0x19b | 0x19e | 0x1bf | 0x450 | 0x45d | 0x4c6 | 0x4ca => code,
        0x1efb | 0x1efd | 0x1eff | 0x1f78 | 0x1f79 => code,
        // The capital of a digraph that begins with one.
        0x1c5 | 0x1c8 | 0x1cb | 0x1f2 => code - 1,
        // No pairs, but for this table.
        0x1e9d | 0x1e9f => code - 1,
        0x1e9b => 0x1e60,
        // With an iota below, which becomes one beside.
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => code + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => code + 9,
        ..0x200 | 0x3a0..=0x3ce | 0x430..=0x45f | 0x490..=0x4cc => return regular(letter),
        0x1e00..=0x1ffc | 0xff40..=0xff5a => return regular(letter),
        _ => code,
    };
    char::from_u32(other).unwrap_or(letter)
}

/// The capital of a letter, of one UTF-16 unit as the letter. One whose capital belongs to
/// another letter as well (dotless i, long s, the micro sign, ß, which has two) stays as it
/// is, save the final sigma.
fn regular(letter: char) -> char {
    const FINAL_SIGMA: char = '\u{3c2}';
    let mut capitals = letter.to_uppercase();
    let (Some(capital), None) = (capitals.next(), capitals.next()) else {
        return letter;
    };
    let one_unit = letter.len_utf16() == 1 && capital.len_utf16() == 1;
    let sole_owner = capital.to_lowercase().eq([letter]);
    if one_unit && (sole_owner || letter == FINAL_SIGMA) { capital } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(table: Uppercase, text: &str) -> String {
        text.chars().map(|letter| table.of(letter)).collect()
    }

    /// How many letters a table has capitals for, and FNV-1a of all of them, each letter
    /// and its capital as little-endian units.
    fn digest(table: Uppercase) -> (usize, u64) {
        let mut pairs = Vec::new();
        for letter in (0..=0xffff).filter_map(char::from_u32) {
            let capital = table.of(letter);
            if capital != letter {
                pairs.extend([u32::from(letter), u32::from(capital)]);
            }
        }
        let bytes = pairs.iter().flat_map(|code| [code & 0xff, code >> 8]);
        let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        (pairs.len() / 2, digest)
    }

    /// The digests of the tables themselves: of Linux 7.3's source, and of what
    /// `toupper_m` of Samba 4.22 returns.
    #[test]
    fn the_tables_are_those_of_the_kernel_and_of_samba() {
        assert_eq!(digest(Uppercase::Linux), (516, 0x0fd9_d3e4_0653_4428));
        assert_eq!(digest(Uppercase::Samba), (636, 0x19c9_82bb_b37c_7a6a));
    }

    #[test]
    fn letters_that_neither_knows_stay_as_they_are() {
        for table in [Uppercase::Samba, Uppercase::Linux] {
            assert_eq!(upper(table, "ione\u{219}cu \u{21b}"), "IONE\u{219}CU \u{21b}");
            assert_eq!(upper(table, "\u{10d2}\u{10d8}"), "\u{10d2}\u{10d8}");
            let (dotless, long_s, micro, outside) = ('\u{131}', '\u{17f}', '\u{b5}', '\u{10428}');
            for letter in [dotless, long_s, micro, '\u{df}', outside] {
                assert_eq!(table.of(letter), letter, "{table:?}");
            }
            assert_eq!(upper(table, "\u{3c2}\u{3c3}\u{ff}"), "\u{3a3}\u{3a3}\u{178}");
        }
        assert_eq!(
            (Uppercase::Samba.of('\u{201}'), Uppercase::Linux.of('\u{201}')),
            ('\u{200}', '\u{201}')
        );
    }
}

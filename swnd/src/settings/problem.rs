//! Where a setting is from, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

/// Where a setting is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is set nowhere.
    Default,
    /// A file, and its line.
    File(PathBuf, usize),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// What is wrong in a file, or with a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {what}")]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, and what is allowed.
    pub what: String,
}

/// Says that a key is unknown, and which one may be meant.
pub(super) fn unknown(key: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| distance(key, name));
    match nearest.filter(|name| distance(key, name) <= key.len().div_ceil(3)) {
        Some(nearest) => format!("unknown key {key}; do you mean {nearest}?"),
        None if known.len() == 1 => format!("unknown key {key}; there is {}", known.join(", ")),
        None => format!("unknown key {key}; there are {}", known.join(", ")),
    }
}

/// How many characters are put in, left out or exchanged between two words.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (n, a) in one.chars().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        for (cell, b) in row.iter_mut().zip(std::iter::once(None).chain(other.chars().map(Some))) {
            let Some(b) = b else {
                *cell = left;
                continue;
            };
            let above = *cell;
            left = (left + 1).min(above + 1).min(diagonal + usize::from(a != b));
            (diagonal, *cell) = (above, left);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_words_is_in_characters() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("keep-alive", "keep-alive", 0),
            ("keepalive", "keep-alive", 1),
            ("kep_aliv", "keep-alive", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn an_unknown_key_names_the_nearest_or_else_all() {
        let known = ["keep-alive", "keytab", "log"];
        let unknown = |key| unknown(key, &known);
        assert_eq!(unknown("keep_alive"), "unknown key keep_alive; do you mean keep-alive?");
        assert_eq!(unknown("keytabs"), "unknown key keytabs; do you mean keytab?");
        assert_eq!(unknown("port"), "unknown key port; there are keep-alive, keytab, log");
    }
}

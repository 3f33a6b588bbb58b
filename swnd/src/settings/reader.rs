//! Reads the part of TOML that a configuration file needs: `key = value`, a line each,
//! with strings, integers, booleans and arrays of them, and sections `[cluster.NAME]` and
//! `[mount.NAME]`.

use super::section::Section;
use std::fmt;

/// A line of a file that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) what: String,
}

/// One `key = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of whose section it is.
    pub(super) section: Option<Section>,
    /// Empty where the section begins.
    pub(super) key: String,
    pub(super) value: Value,
    /// From 1.
    pub(super) line: usize,
}

/// A value, as the command line would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    One(String),
    Many(Vec<String>),
}

impl fmt::Display for Value {
    /// With commas between those of an array.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => f.write_str(value),
            Self::Many(values) => f.write_str(&values.join(",")),
        }
    }
}

/// Reads a file: an entry for each line but those that are empty or a comment.
pub(super) fn read(text: &str) -> Vec<Result<Entry, SyntaxError>> {
    let mut entries = Vec::<Result<Entry, SyntaxError>>::new();
    let mut section = None;
    // What follows a section that can't be read is of no known section.
    let mut is_known = true;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start();
        if let Some(header) = text.strip_prefix('[') {
            let begun = Line(header).section();
            is_known = begun.is_ok();
            entries.push(begun.map_err(|what| SyntaxError { line, what }).map(|begun| {
                section = Some(begun);
                let value = Value::Many(Vec::new());
                Entry { section: section.clone(), key: String::new(), value, line }
            }));
            continue;
        }
        let entry = match Line(text).entry() {
            Ok(None) => continue,
            Ok(Some(_)) if !is_known => continue,
            Ok(Some((key, value))) => {
                let is_same = |before: &&Entry| before.key == key && before.section == section;
                match entries.iter().flatten().find(is_same).map(|before| before.line) {
                    Some(before) => Err(format!("{key} is already set in line {before}")),
                    None => Ok(Entry { section: section.clone(), key, value, line }),
                }
            }
            Err(what) => Err(what),
        };
        entries.push(entry.map_err(|what| SyntaxError { line, what }));
    }
    entries
}

/// What is left of a line.
struct Line<'a>(&'a str);

impl Line<'_> {
    /// `None`: an empty line, or a comment.
    fn entry(mut self) -> Result<Option<(String, Value)>, String> {
        if self.is_over() {
            return Ok(None);
        }
        let key = self.word();
        self.skip_blanks();
        if key.is_empty() || !self.takes('=') {
            return Err("write key = value, or begin a comment with #".into());
        }
        self.skip_blanks();
        let value = match self.takes('[') {
            true => Value::Many(self.array()?),
            false => Value::One(self.scalar()?),
        };
        self.skip_blanks();
        match self.is_over() {
            true => Ok(Some((key, value))),
            false => Err(format!("{:?} follows the value; a comment begins with #", self.0)),
        }
    }

    /// Returns whose section begins, after its `[`.
    fn section(mut self) -> Result<Section, String> {
        self.skip_blanks();
        let kind = self.word();
        let name = match self.takes('.') {
            true if self.0.starts_with(['"', '\'']) => self.scalar()?,
            true => self.word(),
            false => String::new(),
        };
        self.skip_blanks();
        let is_closed = self.takes(']');
        self.skip_blanks();
        let is_one = !name.is_empty() && is_closed && self.is_over();
        // Names are the same in capitals.
        match (is_one, kind.as_str()) {
            (true, "cluster") => Ok(Section::Cluster(name.to_lowercase())),
            (true, "mount") => Ok(Section::Mount(name.to_lowercase())),
            _ => Err("a section is [cluster.\"NAME\"] or [mount.\"//NAME/SHARE\"]; all else is \
                set before the first"
                .into()),
        }
    }

    fn is_over(&self) -> bool {
        self.0.is_empty() || self.0.starts_with('#')
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn takes(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.0.chars();
        let next = characters.next();
        self.0 = characters.as_str();
        next
    }

    /// A key, an integer or a boolean.
    fn word(&mut self) -> String {
        let is_of_a_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+');
        let end = self.0.find(|c| !is_of_a_word(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.into()
    }

    fn array(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            self.skip_blanks();
            if self.takes(']') {
                return Ok(values);
            }
            values.push(self.scalar()?);
            self.skip_blanks();
            if !self.takes(',') && !self.0.starts_with(']') {
                return Err("an array ends with ] in the line in which it begins".into());
            }
        }
    }

    fn scalar(&mut self) -> Result<String, String> {
        if self.takes('"') {
            return self.string();
        }
        if self.takes('\'') {
            let Some((value, rest)) = self.0.split_once('\'') else {
                return Err("the string has no closing '".into());
            };
            self.0 = rest;
            return Ok(value.into());
        }
        let rest = self.0;
        let word = self.word();
        match word.as_str() {
            "true" | "false" => Ok(word),
            _ => match word.replace('_', "").parse::<i64>() {
                Ok(number) => Ok(number.to_string()),
                Err(_) => {
                    let value = rest.split('#').next().unwrap_or_default().trim_end();
                    Err(format!("a string is quoted: {value:?}"))
                }
            },
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let mut value = String::new();
        loop {
            let next = match self.next() {
                Some('"') => return Ok(value),
                Some('\\') => match self.next() {
                    Some(same @ ('"' | '\\')) => Some(same),
                    Some('n') => Some('\n'),
                    Some('t') => Some('\t'),
                    _ => return Err(r#"after \ there is ", \, n or t; or quote by '"#.into()),
                },
                next => next,
            };
            value.push(next.ok_or("the string has no closing \"")?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: &str) -> Value {
        Value::One(value.into())
    }

    #[test]
    fn values_are_strings_numbers_booleans_and_arrays() {
        let text = "\
# A comment.
  keep-alive = 1_20 # seconds
spnego=true
ccache = \"FILE:/run/cc #1\"
a = \"\\\"\\\\\\n\\t\"
b = 'C:\\x'
c = [ \"kerberos\", 'ntlm' , 3,]
d = []
e = -5\r
f = \"ü\"
";
        let entries: Result<Vec<_>, _> = read(text).into_iter().collect();
        let many = |values: &[&str]| Value::Many(values.iter().map(ToString::to_string).collect());
        let expected = [
            ("keep-alive", one("120"), 2),
            ("spnego", one("true"), 3),
            ("ccache", one("FILE:/run/cc #1"), 4),
            ("a", one("\"\\\n\t"), 5),
            ("b", one(r"C:\x"), 6),
            ("c", many(&["kerberos", "ntlm", "3"]), 7),
            ("d", many(&[]), 8),
            ("e", one("-5"), 9),
            ("f", one("ü"), 10),
        ];
        let entry =
            |(key, value, line)| Entry { section: None, key: String::from(key), value, line };
        let expected = expected.map(entry);
        assert_eq!(entries.unwrap(), expected);
    }

    #[test]
    fn each_line_that_is_wrong_says_what_is_wanted() {
        for (text, what) in [
            ("keep-alive", "write key = value"),
            ("= 3", "write key = value"),
            ("keep alive = 3", "write key = value"),
            ("[kerberos]", "a section is [cluster."),
            ("[cluster]", "a section is [cluster."),
            ("[cluster.a.example]", "a section is [cluster."),
            ("[cluster.\"a\"", "a section is [cluster."),
            ("[cluster.\"a\"] b", "a section is [cluster."),
            ("[cluster.\"a]", "no closing \""),
            ("log = syslog", "a string is quoted: \"syslog\""),
            ("ccache = FILE:/run/cc # where", "a string is quoted: \"FILE:/run/cc\""),
            ("log =", "a string is quoted: \"\""),
            ("log = \"syslog", "no closing \""),
            ("log = 'syslog", "no closing '"),
            ("log = \"sys\\log\"", "after \\ there is"),
            ("auth = [\"ntlm\"", "ends with ]"),
            ("auth = [", "a string is quoted"),
            ("keep-alive = 3 seconds", "\"seconds\" follows the value"),
            ("keep-alive = 99999999999999999999", "a string is quoted"),
        ] {
            let entries = read(&format!("\n{text}\n"));
            let [Err(error)] = entries.as_slice() else { panic!("{text}: {entries:?}") };
            assert_eq!(error.line, 2);
            assert!(error.what.contains(what), "{text}: {}", error.what);
        }
    }

    #[test]
    fn a_section_is_of_a_cluster_or_of_mounts() {
        let text = "spnego = true\n[cluster.a]\nauth = \"ntlm\"\n [ cluster.\"b.c\" ] # x\n\
            auth = []\n[other]\nauth = 1\n[mount.'//C/*']\nwatch = 1\n[cluster.a]\nauth = 2\n";
        let entries = read(text);
        let found: Vec<_> = entries
            .iter()
            .filter(|entry| !entry.as_ref().is_ok_and(|it| it.key.is_empty()))
            .map(|entry| entry.as_ref().map(|it| it.section.clone()).map_err(|it| it.line))
            .collect();
        let cluster = |name: &str| Ok(Some(Section::Cluster(name.into())));
        let mount = Ok(Some(Section::Mount("//c/*".into())));
        assert_eq!(found, [Ok(None), cluster("a"), cluster("b.c"), Err(6), mount, Err(11)]);
    }

    #[test]
    fn a_key_is_set_once_in_a_file() {
        let mut entries = read("spnego = true\n\nspnego = false\n");
        let what = "spnego is already set in line 1".into();
        assert_eq!(entries.pop(), Some(Err(SyntaxError { line: 3, what })));
        assert!(matches!(entries.as_slice(), [Ok(_)]), "{entries:?}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in r#"([a-z."'\\\[\]=,# \r\n\u{e9}]|cluster|true|-?[0-9])*"#) {
            let found = read(&text);
            prop_assert!(found.len() <= text.lines().count());
            let line = |it: &Result<Entry, SyntaxError>| match it {
                Ok(entry) => entry.line,
                Err(error) => error.line,
            };
            prop_assert!(found.is_sorted_by_key(line));
        }

        #[test]
        fn a_string_is_read_as_it_was_quoted(value in any::<String>()) {
            let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
            let quoted = quoted.replace('\n', r"\n").replace('\t', r"\t");
            prop_assume!(!value.contains('\r'));
            let text = format!("key = \"{quoted}\" # comment");
            let Ok(Some((_, read))) = Line(&text).entry() else { panic!("{text}") };
            prop_assert_eq!(read, Value::One(value));
        }
    }
}

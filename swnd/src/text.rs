//! Text from outside (a server, the kernel, a library) in a line of the log: the one
//! place where it is escaped and clipped.

use std::fmt::{self, Write};

/// How much of a name or another text from outside is shown, in characters.
const TEXT_MAX: usize = 256;
/// How much of an error's text, which may have such texts within it.
const ERROR_MAX: usize = 1024;
/// How long a line may be, in characters.
pub(crate) const LINE_MAX: usize = 2048;

/// Stands for what was cut off.
const MARK: char = '…';

/// A text on one line: what would break or forge it is escaped, and where it is too
/// long, it is cut, with a mark.
#[derive(Debug)]
pub(crate) struct OneLine<T> {
    text: T,
    limit: usize,
}

impl<T: fmt::Display> OneLine<T> {
    /// A name, or another text from outside.
    pub(crate) fn new(text: T) -> Self {
        Self { text, limit: TEXT_MAX }
    }

    /// An error's text.
    pub(crate) fn error(text: T) -> Self {
        Self { text, limit: ERROR_MAX }
    }

    /// A whole line, which may have either within it.
    pub(crate) fn line(text: T) -> Self {
        Self { text, limit: LINE_MAX }
    }
}

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clip = Clip { to: f, room: self.limit, full: false };
        match write!(clip, "{}", self.text) {
            // No more of the text is asked for then.
            Err(_) if clip.full => f.write_char(MARK),
            result => result,
        }
    }
}

/// Passes on as many characters as there is room for, then fails.
struct Clip<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    room: usize,
    full: bool,
}

impl Write for Clip<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.room == 0 {
                self.full = true;
                return Err(fmt::Error);
            }
            self.room -= 1;
            match is_control(c) {
                true => write!(self.to, "{}", c.escape_unicode())?,
                false => self.to.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Returns whether a character can break a line, or change how others are shown: the
/// controls, the separators of lines and paragraphs, and what sets a direction.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_or_turns_a_line_is_escaped() {
        let text = "a\n\x1b[2J\u{85}\u{2028}\u{2029}\u{202e}\u{2067}é";
        let expected = r"a\u{a}\u{1b}[2J\u{85}\u{2028}\u{2029}\u{202e}\u{2067}é";
        assert_eq!(OneLine::new(text).to_string(), expected);
    }

    #[test]
    fn a_text_that_fits_is_whole_and_a_longer_one_has_a_mark() {
        let fits = "é".repeat(TEXT_MAX);
        assert_eq!(OneLine::new(&fits).to_string(), fits);
        assert_eq!(OneLine::new(format!("{fits}é")).to_string(), format!("{fits}…"));
    }

    #[test]
    fn no_more_of_a_text_is_made_than_is_shown() {
        struct Endless;

        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("on and ")?;
                }
            }
        }
        assert_eq!(OneLine::line(Endless).to_string().chars().count(), LINE_MAX + 1);
    }
}

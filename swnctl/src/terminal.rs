//! The terminal that standard output is, if it is one: how wide it is, and whether it has
//! colours.

use rustix::termios::tcgetwinsize;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

/// A colour, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Good,
    Doubtful,
    Bad,
    Quiet,
    Plain,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Doubtful => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
            Self::Quiet => "\x1b[2m",
            Self::Plain => "\x1b[36m",
        }
    }
}

/// What standard output can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terminal {
    /// How many characters a line has; `None`: as many as come.
    pub(crate) width: Option<usize>,
    pub(crate) colour: bool,
}

impl Terminal {
    /// Returns what standard output can show. Colours are for a terminal only, and where
    /// `NO_COLOR` (no-color.org) is not set.
    pub(crate) fn of_output() -> Self {
        static FOUND: OnceLock<Terminal> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let output = io::stdout();
            if !output.is_terminal() {
                return Self::default();
            }
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
            let width = tcgetwinsize(&output).map(|size| usize::from(size.ws_col));
            Self {
                width: width.ok().filter(|width| *width > 0),
                colour: !is_set("NO_COLOR") && !is_dumb,
            }
        })
    }

    /// Colours a text.
    pub(crate) fn paint(self, text: &str, colour: Colour) -> String {
        match self.colour {
            true => format!("{}{text}\x1b[0m", colour.code()),
            false => text.into(),
        }
    }

    /// Breaks a text between words, where it begins `indent` characters from the left and
    /// goes on there.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> String {
        let Some(room) = self.width.and_then(|width| width.checked_sub(indent)) else {
            return text.into();
        };
        // A column that is too narrow is worse than a line that the terminal breaks.
        if room < 20 {
            return text.into();
        }
        let mut wrapped = String::new();
        let mut used = 0;
        for word in text.split(' ') {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > room {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(indent));
                used = 0;
            } else if used > 0 {
                wrapped.push(' ');
                used += 1;
            }
            wrapped.push_str(word);
            used += length;
        }
        wrapped
    }

    /// Narrows columns until they fit, the widest first, none below `least`.
    pub(crate) fn fit<const N: usize>(self, mut widths: [usize; N], between: usize) -> [usize; N] {
        let Some(room) = self.width else { return widths };
        let least = 8;
        while widths.iter().sum::<usize>() + between * (N - 1) > room {
            match widths.iter_mut().max() {
                Some(widest) if *widest > least => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(width: usize) -> Terminal {
        Terminal { width: Some(width), colour: false }
    }

    #[test]
    fn a_text_is_broken_between_words_and_goes_on_below_its_beginning() {
        let text = "a text that is longer than the terminal is wide";
        let expected = "a text that is longer\n     than the terminal is\n     wide";
        assert_eq!(wide(27).wrap(text, 5), expected);
        assert_eq!(wide(20).wrap(text, 5), text);
        assert_eq!(Terminal::default().wrap(text, 5), text);
    }

    #[test]
    fn the_widest_columns_are_narrowed_first() {
        assert_eq!(wide(30).fit([20, 5, 12], 2), [11, 5, 10]);
        assert_eq!(wide(10).fit([20, 5, 12], 2), [8, 5, 8]);
        assert_eq!(Terminal::default().fit([20, 5, 12], 2), [20, 5, 12]);
    }

    #[test]
    fn colours_are_for_who_has_them() {
        let coloured = Terminal { width: None, colour: true };
        assert_eq!(coloured.paint("ok", Colour::Good), "\x1b[32mok\x1b[0m");
        assert_eq!(Terminal::default().paint("ok", Colour::Good), "ok");
    }
}

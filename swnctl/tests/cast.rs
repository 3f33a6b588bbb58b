//! The animated pictures of what a person sees: of the demonstration, as README.md shows it,
//! and of `swnctl monitor` in a real failover, as the guide does. Each is made of the text.
//!
//! `UPDATE_DOCS=1 cargo test -p swnctl --test cast` draws them.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::fmt::Write as _;
use std::fs;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The size of a character and of a line, and what is around them, in pixels.
const CHARACTER: f64 = 7.3;
const LINE: usize = 18;
const MARGIN: usize = 14;
/// A line is shown for so long at least before the next, and the last one until it begins
/// again, in seconds.
const BETWEEN: f64 = 0.35;
const LONGEST: f64 = 1.5;
const AT_THE_END: f64 = 6.0;

/// A line, when it comes, and the part that is coloured.
struct Line {
    text: String,
    at: f64,
    coloured: Option<(&'static str, &'static str)>,
}

/// The words that have a colour, as on a terminal.
const COLOURS: [(&str, &str); 5] = [
    (" swnd ", "#7ee787"),
    (" kernel ", "#e3b341"),
    (" cluster ", "#76e3ea"),
    (" admin ", "#ff7b72"),
    (" warning ", "#e3b341"),
];

/// Returns the lines, each when its own time says, but not too fast to read and not too slow
/// to wait for.
fn lines(text: &str, time: impl Fn(&str) -> Option<f64>) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut at, mut before) = (0.0, None);
    for text in text.lines() {
        let now = time(text);
        if let (Some(now), Some(before)) = (now, before) {
            at += f64::clamp(now - before, BETWEEN, LONGEST);
        }
        before = now.or(before);
        let coloured =
            COLOURS.into_iter().find(|(word, _)| text.find(word).is_some_and(|found| found < 25));
        lines.push(Line { text: text.into(), at, coloured });
    }
    lines
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn draw(title: &str, lines: &[Line]) -> String {
    let columns = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "of a few hundred characters")]
    let width = columns as f64 * CHARACTER + 2.0 * MARGIN as f64;
    let height = lines.len() * LINE + 2 * MARGIN;
    let total = lines.last().map_or(0.0, |line| line.at) + AT_THE_END;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"12\" role=\"img\">\n\
         <title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (nth, Line { text, at, coloured }) in lines.iter().enumerate() {
        if text.is_empty() {
            continue;
        }
        let y = MARGIN + nth * LINE + LINE - 5;
        let text = match coloured
            .and_then(|(word, colour)| Some((text.split_once(word)?, word, colour)))
        {
            Some(((before, after), word, colour)) => format!(
                "{}<tspan fill=\"{colour}\">{}</tspan>{}",
                escape(before),
                escape(word),
                escape(after)
            ),
            None => escape(text),
        };
        let show = match *at > 0.0 {
            // Not there, then there, for the part of the time that is left.
            true => format!(
                "<animate attributeName=\"opacity\" values=\"0;1\" keyTimes=\"0;{:.4}\" \
                 calcMode=\"discrete\" dur=\"{total:.2}s\" repeatCount=\"indefinite\"/>",
                at / total
            ),
            false => String::new(),
        };
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"#e6edf3\" xml:space=\"preserve\">{text}{show}</text>"
        );
    }
    svg + "</svg>\n"
}

fn assert_drawn(file: &str, svg: &str) {
    let path = format!("{ROOT}/docs/{file}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, svg).unwrap();
    }
    let is_same = fs::read_to_string(&path).is_ok_and(|found| found == *svg);
    assert!(is_same, "docs/{file} is of another text: see the top of tests/cast.rs");
}

#[test]
fn the_demonstration_is_drawn_as_the_readme_shows_it() {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let start = readme.find("A Samba cluster, witness version 2\n").unwrap();
    let end = readme.find("A OneFS cluster, witness version 1\n").unwrap();
    // As "   0.504 s  cluster  ...".
    let time = |line: &str| line.trim_start().split_once(" s  ")?.0.parse().ok();
    let text = format!("$ swnctl demo\n\n{}", readme[start..end].trim_end());
    assert_drawn("demo.svg", &draw("swnctl demo", &lines(&text, time)));
}

#[test]
fn a_failover_is_drawn_as_the_guide_shows_it() {
    let guide = fs::read_to_string(format!("{ROOT}/docs/guide.md")).unwrap();
    let (_, rest) = guide.split_once("<!-- lab: monitor -->\n\n```\n").unwrap();
    let (text, _) = rest.split_once("```\n").unwrap();
    // As "10:14:02.117Z info    ...".
    let time = |line: &str| {
        let parts: Vec<f64> =
            line.split_once("Z ")?.0.split(':').map_while(|part| part.parse().ok()).collect();
        let [hours, minutes, seconds] = parts.try_into().ok()?;
        Some(hours * 3600.0 + minutes * 60.0 + seconds)
    };
    assert_drawn("monitor.svg", &draw("swnctl monitor", &lines(text, time)));
}

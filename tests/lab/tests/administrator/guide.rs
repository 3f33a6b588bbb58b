//! The sessions in the guide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The guide.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md");

/// Sessions that were recorded, by the names of the comments before them in the guide:
/// `<!-- lab: NAME -->`.
#[derive(Debug)]
pub(crate) struct Guide {
    recorded: BTreeMap<String, String>,
    /// Those in which lines may come in another order.
    unordered: BTreeSet<String>,
}

impl Guide {
    pub(crate) fn read() -> Guide {
        Guide { recorded: BTreeMap::new(), unordered: BTreeSet::new() }
    }

    /// Records a session.
    pub(crate) fn block(&mut self, name: &str, text: &str) {
        println!("{text}");
        self.recorded.insert(name.into(), text.trim_end().to_owned() + "\n");
    }

    /// Records a session of which not all lines come in the same order each time: it is
    /// written to the guide, and not compared.
    pub(crate) fn record(&mut self, name: &str, text: &str) {
        self.block(name, text);
        self.unordered.insert(name.into());
    }

    /// Compares what was recorded with the guide, or writes it there. Times and numbers may
    /// differ.
    ///
    /// # Panics
    /// Where they differ, or the guide has no such block.
    pub(crate) fn finish(self, path: &Path) {
        let mut text = fs::read_to_string(path).expect("the guide can be read");
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        for (name, recorded) in &self.recorded {
            let mark = format!("<!-- lab: {name} -->\n\n```\n");
            let start = text.find(&mark).unwrap_or_else(|| panic!("{mark} is not in the guide"));
            let start = start + mark.len();
            let end = start + text[start..].find("```\n").expect("a block ends");
            // Another kernel or Samba may differ in more.
            let is_other =
                ["LAB_KERNEL", "LAB_SAMBA"].iter().any(|it| std::env::var_os(it).is_some());
            if update {
                text.replace_range(start..end, recorded);
            } else if !is_other && !self.unordered.contains(name) {
                let (found, expected) = (shape(&text[start..end]), shape(recorded));
                assert_eq!(found, expected, "{name}: UPDATE_DOCS=1 renews docs/guide.md");
            }
        }
        if update {
            fs::write(path, text).expect("the guide can be written");
        }
    }
}

/// The text without what differs from run to run: numbers, and the room that they take.
fn shape(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let words = line.split_whitespace().map(|word| {
            let mut shape = String::new();
            for c in word.chars() {
                match c.is_ascii_digit() {
                    true if shape.ends_with('0') => {}
                    true => shape.push('0'),
                    false => shape.push(c),
                }
            }
            shape
        });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect()
}

//! What was measured, as text and as JSON.

use crate::stats::{Summary, ratios};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// All parts, each as it was measured last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) parts: Vec<Part>,
}

/// One part.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    /// What a reader must know about it.
    pub(crate) notes: Vec<String>,
    pub(crate) series: Vec<Series>,
}

/// Where and under what circumstances it was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The load average of one minute before the part and after.
    pub(crate) load: [f64; 2],
    /// A fixed amount of work between the rounds, in milliseconds: what the
    /// machine's other business does to any figure.
    pub(crate) noise: Option<Summary>,
}

/// One figure, of ours and of somebody else's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) ours: Summary,
    pub(crate) beside: Option<Beside>,
    pub(crate) limit: Option<Limit>,
}

/// The same of somebody else's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) who: String,
    pub(crate) figure: Summary,
    /// Ours divided by theirs, pair by pair.
    pub(crate) ratio: Summary,
}

/// What it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Limit {
    /// The median of ours, at most.
    AtMost(f64),
    /// The median of the ratio, at most.
    RatioAtMost(f64),
}

/// Points of a plot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) plot: String,
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Row {
    pub(crate) fn new(what: &str, unit: &str, ours: &[f64]) -> Self {
        let ours = Summary::of(ours);
        Self { what: what.into(), unit: unit.into(), ours, beside: None, limit: None }
    }

    /// Pair by pair beside somebody else's.
    pub(crate) fn paired(
        what: &str,
        unit: &str,
        ours: &[f64],
        (who, theirs): (&str, &[f64]),
        limit: Option<Limit>,
    ) -> Self {
        let ratio = Summary::of(&ratios(ours, theirs));
        let beside = Beside { who: who.into(), figure: Summary::of(theirs), ratio };
        Self { beside: Some(beside), limit, ..Self::new(what, unit, ours) }
    }

    pub(crate) fn limited(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Whether the limit is kept; `None` without one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(match (self.limit?, &self.beside) {
            (Limit::AtMost(limit), _) => self.ours.median <= limit,
            (Limit::RatioAtMost(limit), Some(beside)) => beside.ratio.median <= limit,
            (Limit::RatioAtMost(_), None) => false,
        })
    }
}

impl Part {
    pub(crate) fn is_met(&self) -> bool {
        self.rows.iter().all(|row| row.is_met() != Some(false))
    }
}

impl Report {
    /// What was measured before; nothing where there is no such file.
    pub(crate) fn read(path: &Path) -> Self {
        let Ok(text) = std::fs::read(path) else {
            return Self::default();
        };
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) {
        let text = serde_json::to_string_pretty(self).expect("a report is plain data") + "\n";
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Takes a part in, for the one of the same name.
    pub(crate) fn put(&mut self, part: Part) {
        match self.parts.iter_mut().find(|known| known.name == part.name) {
            Some(known) => *known = part,
            None => self.parts.push(part),
        }
    }
}

/// Three significant digits, or all before the point.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            return f.write_str(&number(self.median));
        }
        write!(f, "{} [{} .. {}]", number(self.median), number(self.min), number(self.max))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {}", number(*limit)),
            Self::RatioAtMost(limit) => write!(f, "ratio at most {}", number(*limit)),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<46} {:>28} {:<4}", self.what, self.ours.to_string(), self.unit)?;
        if let Some(beside) = &self.beside {
            let figure = format!("{}: {}", beside.who, beside.figure);
            write!(f, " {figure:>44}  ratio {:<24}", beside.ratio.to_string())?;
        }
        if let (Some(limit), Some(met)) = (self.limit, self.is_met()) {
            write!(f, "  {limit}: {}", if met { "kept" } else { "MISSED" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.name, self.title)?;
        writeln!(f, "  median [least .. most] of the rounds")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        let Machine { cpu, cores, kernel, load, noise } = &self.machine;
        write!(f, "  machine: {cores} x {cpu}, Linux {kernel}, load {} to {}", load[0], load[1])?;
        if let Some(noise) = noise {
            write!(f, "; fixed work between the rounds: {noise} ms")?;
        }
        writeln!(f)
    }
}

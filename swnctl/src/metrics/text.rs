//! The two formats that Prometheus reads.

use crate::options::Format;
use std::fmt::Write as _;

/// Returns the media type of a format.
pub(super) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Openmetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
    }
}

/// Metrics as text.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    format: Format,
}

/// The labels of a sample, and their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    pub(super) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Ends the text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::Openmetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins what goes up and down.
    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    /// Begins what does not change.
    pub(super) fn info(&mut self, name: &str, help: &str) {
        match self.format {
            Format::Openmetrics => self.head(name.trim_end_matches("_info"), "info", help),
            Format::Prometheus => self.head(name, "gauge", help),
        }
    }

    /// Begins what only goes up; its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str) {
        match self.format {
            Format::Openmetrics => self.head(name.trim_end_matches("_total"), "counter", help),
            Format::Prometheus => self.head(name, "counter", help),
        }
    }

    /// Writes a histogram of times: the classes' bounds, how many there are in each and
    /// above, and the sum; in microseconds.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[u64],
        counts: &[u64],
        sum: u64,
    ) {
        self.head(name, "histogram", help);
        let mut total = 0;
        let bounds = bounds.iter().map(|bound| seconds(*bound)).chain(["+Inf".into()]);
        let bucket = format!("{name}_bucket");
        for (bound, count) in bounds.zip(counts) {
            total += count;
            self.sample(&bucket, &[("le", &bound)], total);
        }
        self.time(&format!("{name}_sum"), sum);
        self.sample(&format!("{name}_count"), &[], total);
    }

    /// Writes a value.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: u64) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        // Writing to a String does not fail.
        let _ = match labels.is_empty() {
            true => writeln!(self.text, "{name} {value}"),
            false => writeln!(self.text, "{name}{{{}}} {value}", labels.join(",")),
        };
    }

    /// Writes a time, given in microseconds, as seconds.
    pub(super) fn time(&mut self, name: &str, micros: u64) {
        let _ = writeln!(self.text, "{name} {}", seconds(micros));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Microseconds as seconds, without a loss.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    match text.trim_end_matches('0') {
        whole if whole.ends_with('.') => format!("{whole}0"),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up() {
        let mut text = Text::new(Format::Openmetrics);
        text.histogram("t_seconds", "T.", &[10, 1_000_000], &[2, 0, 1], 2_500_000);
        let expected = "# HELP t_seconds T.\n# TYPE t_seconds histogram\n\
            t_seconds_bucket{le=\"0.00001\"} 2\nt_seconds_bucket{le=\"1.0\"} 2\n\
            t_seconds_bucket{le=\"+Inf\"} 3\nt_seconds_sum 2.5\nt_seconds_count 3\n# EOF\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn each_format_has_its_names() {
        let of = |format| {
            let mut text = Text::new(format);
            text.info("a_info", "A.");
            text.counter("b_total", "B.");
            text.finish()
        };
        let expected = "# HELP a A.\n# TYPE a info\n# HELP b B.\n# TYPE b counter\n# EOF\n";
        assert_eq!(of(Format::Openmetrics), expected);
        let expected =
            "# HELP a_info A.\n# TYPE a_info gauge\n# HELP b_total B.\n# TYPE b_total counter\n";
        assert_eq!(of(Format::Prometheus), expected);
    }
}

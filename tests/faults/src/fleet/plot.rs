//! Registrations per second over time, as SVG.

use super::Outcome;
use std::fmt::Write;

/// The seconds that are drawn.
const SECONDS: usize = 40;
const WIDTH: f64 = 960.0;
const PANEL: f64 = 250.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 56.0;
const COLORS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];
const FONT: &str = "font-family=\"sans-serif\" font-size=\"13\"";

/// One panel below the other, all to the same scale.
pub fn plot(outcomes: &[&Outcome]) -> String {
    let most = outcomes.iter().map(|outcome| outcome.peak()).max().unwrap_or(0).max(1);
    let top = nice(most);
    let height = (PANEL + TOP) * f64::from(small(outcomes.len())) + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" {FONT}>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (index, outcome) in outcomes.iter().enumerate() {
        let y = (PANEL + TOP) * f64::from(small(index)) + TOP;
        panel(&mut svg, outcome, y, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, outcome: &Outcome, y: f64, top: u32) {
    let bottom = y + PANEL - 30.0;
    let width = WIDTH - LEFT - 20.0;
    let second = width / f64::from(small(SECONDS));
    let scale = (PANEL - 30.0) / f64::from(top);
    let title = match outcome.spread.as_secs() {
        0 => "at once".to_owned(),
        spread => format!("spread over {spread} s"),
    };
    put(
        svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{} clients, {} lost their witness; they \
         come back {title}: at most {} in a second at one witness</text>",
            y - 14.0,
            outcome.clients,
            outcome.concerned,
            outcome.peak()
        ),
    );
    for part in 0..=4 {
        let value = top / 4 * part;
        let line = bottom - f64::from(value) * scale;
        put(
            svg,
            format_args!(
                "<line x1=\"{LEFT}\" y1=\"{line}\" x2=\"{}\" y2=\"{line}\" stroke=\"#dddddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value}</text>",
                LEFT + width,
                LEFT - 8.0,
                line + 4.0
            ),
        );
    }
    for tick in (0..=SECONDS).step_by(5) {
        put(
            svg,
            format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                LEFT + f64::from(small(tick)) * second,
                bottom + 18.0
            ),
        );
    }
    put(
        svg,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">seconds since the death</text>",
            LEFT + width,
            bottom + 36.0
        ),
    );
    let bars = f64::from(small(outcome.per_second.len()).max(1));
    for (index, (node, counts)) in outcome.per_second.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        for (at, count) in counts.iter().take(SECONDS).enumerate().filter(|(_, n)| **n > 0) {
            let bar = second * 0.9 / bars;
            let x = LEFT + f64::from(small(at)) * second + bar * f64::from(small(index));
            let high = f64::from(*count) * scale;
            put(
                svg,
                format_args!(
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{high:.1}\" \
                 fill=\"{color}\"/>",
                    bottom - high
                ),
            );
        }
        let x = LEFT + width - 90.0;
        let line = y + 16.0 + 18.0 * f64::from(small(index));
        put(
            svg,
            format_args!(
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"{line}\">{node}</text>",
                line - 11.0,
                x + 18.0
            ),
        );
    }
}

fn put(svg: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(svg, "{what}").expect("a string takes all");
}

/// The next number above that divides well.
fn nice(most: u32) -> u32 {
    let mut step = 4;
    while step * 5 < most {
        step *= 10;
    }
    most.div_ceil(step) * step
}

/// Seconds, nodes and panels are few.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

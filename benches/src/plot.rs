//! Lines, as SVG.

use crate::report::{Series, number};
use crate::stats::float;
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 64.0;
const RIGHT: f64 = 30.0;
const BOTTOM: f64 = 60.0;
const COLORS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"];

/// One of the two axes.
#[derive(Debug)]
pub(crate) struct Axis {
    label: &'static str,
    logarithmic: bool,
}

impl Axis {
    pub(crate) fn new(label: &'static str, logarithmic: bool) -> Self {
        Self { label, logarithmic }
    }

    /// Where the axis begins and ends, and where its ticks are.
    fn ticks(&self, values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
        let most = values.clone().fold(f64::MIN, f64::max);
        if !self.logarithmic {
            // What is before zero has one tick, where it begins.
            let least = values.fold(0.0, f64::min).floor();
            let step = 10_f64.powf((most / 4.0).log10().floor());
            let step =
                [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * step).into_iter().find(|s| s * 5.0 >= most);
            let step = step.unwrap_or(most);
            let ticks = (0..=5).map(|n| f64::from(n) * step).take_while(|t| t - step < most);
            return (least < 0.0).then_some(least).into_iter().chain(ticks).collect();
        }
        let least = values.filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
        let mut ticks = vec![10_f64.powf(least.log10().floor())];
        while ticks[ticks.len() - 1] < most {
            let last = ticks[ticks.len() - 1];
            let decade = 10_f64.powf((last * 1.01).log10().floor());
            let next = [2.0, 5.0, 10.0].map(|n| n * decade).into_iter().find(|t| *t > last * 1.01);
            ticks.push(next.unwrap_or(most));
        }
        // What begins below the least is of no use.
        let below = ticks.iter().filter(|tick| **tick <= least).count();
        ticks.split_off(below.saturating_sub(1))
    }

    /// Where on the axis a value is, from 0 to 1.
    fn place(&self, value: f64, ticks: &[f64]) -> f64 {
        let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
        if self.logarithmic {
            (value.max(first) / first).ln() / (last / first).ln()
        } else {
            (value - first) / (last - first)
        }
    }
}

/// All series in one picture.
pub(crate) fn plot(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|series| &series.points);
    let x_ticks = x.ticks(all().map(|point| point.0));
    let y_ticks = y.ticks(all().map(|point| point.1));
    let at_x = |value| LEFT + x.place(value, &x_ticks) * (WIDTH - LEFT - RIGHT);
    let at_y = |value| HEIGHT - BOTTOM - y.place(value, &y_ticks) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n"
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in &y_ticks {
        let (at, text) = (at_y(*tick), number(*tick));
        put(
            &mut svg,
            &format!(
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>"
            ),
        );
        put(
            &mut svg,
            &format!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                plain(&text)
            ),
        );
    }
    for tick in &x_ticks {
        let (at, text) = (at_x(*tick), number(*tick));
        put(
            &mut svg,
            &format!(
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#eeeeee\"/>"
            ),
        );
        put(
            &mut svg,
            &format!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                plain(&text)
            ),
        );
    }
    let middle = (TOP + bottom) / 2.0;
    put(
        &mut svg,
        &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 18.0,
            x.label
        ),
    );
    put(
        &mut svg,
        &format!(
            "<text x=\"22\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 22 {middle})\">{}</text>",
            y.label
        ),
    );
    let mut legend = LEFT;
    for (index, series) in series.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points = series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y)));
        let points = points.collect::<Vec<_>>().join(" ");
        put(
            &mut svg,
            &format!(
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.5\"/>"
            ),
        );
        put(
            &mut svg,
            &format!(
                "<rect x=\"{legend}\" y=\"42\" width=\"14\" height=\"4\" fill=\"{color}\"/>\
                 <text x=\"{}\" y=\"49\">{}</text>",
                legend + 20.0,
                series.name
            ),
        );
        legend += 60.0 + 7.0 * float(series.name.len());
    }
    svg + "</svg>\n"
}

/// Several pictures as one, two in a row.
pub(crate) fn grid(pictures: &[String]) -> String {
    let rows = float(pictures.len().div_ceil(2));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\">\n",
        2.0 * WIDTH,
        rows * HEIGHT
    );
    for (index, picture) in pictures.iter().enumerate() {
        let (x, y) = (float(index % 2) * WIDTH, float(index / 2) * HEIGHT);
        let place = format!("<svg x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" ");
        svg += &picture.replacen("<svg ", &place, 1);
    }
    svg + "</svg>\n"
}

/// Without zeros behind the point.
fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn put(svg: &mut String, element: &str) {
    let _ = writeln!(svg, "{element}");
}

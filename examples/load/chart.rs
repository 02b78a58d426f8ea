//! Lines over seconds, as SVG.

use std::fmt::Write as _;
use std::time::Duration;

const WIDTH: usize = 900;
const HEIGHT: usize = 300;
const LEFT: usize = 40;
const TOP: usize = 20;
/// The height of a line of the legend.
const ROW: usize = 18;

/// One value a second.
pub(crate) struct Line {
    name: &'static str,
    colour: &'static str,
    values: Vec<u32>,
}

impl Line {
    pub(crate) fn new(name: &'static str, colour: &'static str, values: Vec<u32>) -> Self {
        Self { name, colour, values }
    }
}

/// The lines over a storm from one moment to another.
pub(crate) fn svg(lines: &[Line], (from, until): (Duration, Duration)) -> String {
    let seconds = lines.iter().map(|line| line.values.len()).max().unwrap_or(1).max(1);
    let most = lines.iter().flat_map(|line| &line.values).max().copied().unwrap_or(1).max(1);
    let x = |second: f64| LEFT as f64 + second * WIDTH as f64 / seconds as f64;
    let y = |value: u32| TOP as f64 + HEIGHT as f64 * (1.0 - f64::from(value) / f64::from(most));
    let (width, height) = (WIDTH + LEFT + 20, HEIGHT + TOP + 40 + ROW * lines.len());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let (begin, end) = (x(from.as_secs_f64()), x(until.as_secs_f64()));
    write!(
        svg,
        "<rect x=\"{begin:.0}\" y=\"{TOP}\" width=\"{:.0}\" height=\"{HEIGHT}\" fill=\"#f6e9e7\"/>\n\
         <text x=\"{:.0}\" y=\"{}\">storm</text>\n",
        end - begin,
        begin + 4.0,
        TOP + 14
    )
    .unwrap();
    let base = TOP + HEIGHT;
    for second in (0..=seconds).step_by(10) {
        let at = x(second as f64);
        writeln!(svg, "<text x=\"{at:.0}\" y=\"{}\">{second} s</text>", base + 16).unwrap();
    }
    for value in [0, most / 2, most] {
        writeln!(svg, "<text x=\"4\" y=\"{:.0}\">{value}</text>", y(value) + 4.0).unwrap();
    }
    for (number, line) in lines.iter().enumerate() {
        let point = |(second, value): (usize, &u32)| {
            format!("{:.1},{:.1}", x(second as f64 + 0.5), y(*value))
        };
        let points: Vec<String> = line.values.iter().enumerate().map(point).collect();
        let (name, colour, legend) = (line.name, line.colour, base + 40 + ROW * number);
        write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n\
             <text x=\"{LEFT}\" y=\"{legend}\" fill=\"{colour}\">{name}, per second</text>\n",
            points.join(" ")
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

//! The table as a picture: for each row one bar a contender, as long as its ratio to the floor.

use std::fmt::Write as _;

use crate::table::{Table, number};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 13.0;
const GAP: f64 = 12.0;
const TOP: f64 = 56.0;
/// Bars that would be longer than this many times the floor end in an arrow.
const LONGEST: f64 = 3.0;

/// Mid-tones that stand out from white and from black.
const COLOURS: [&str; 6] = [
    "#8b949e", "#b08800", "#d9730d", "#2f81f7", "#a371f7", "#3fb950",
];

/// Draws the rows of `table` whose key is in `keys` as an SVG for light and dark backgrounds.
#[must_use]
pub fn svg(table: &Table, keys: &[&str]) -> String {
    let mut body = String::new();
    legend(&mut body, table);
    let scale = (WIDTH - LEFT - RIGHT) / LONGEST;
    let mut y = TOP;
    for (row, summaries) in table.rows().filter(|(row, _)| keys.contains(&row.key())) {
        let begin = y;
        let mut bars = String::new();
        let columns = summaries
            .iter()
            .zip(table.advantages(row, &summaries))
            .zip(COLOURS);
        for ((summary, advantage), colour) in columns {
            let (Some(summary), Some(advantage)) = (summary, advantage) else {
                continue;
            };
            let shown = advantage.min(LONGEST);
            let end = if advantage > LONGEST { " »" } else { "" };
            let _ = writeln!(
                bars,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" class=\"n\">{advantage:.2}{end}  ({} {})</text>",
                shown * scale,
                BAR - 2.0,
                LEFT + shown * scale + 6.0,
                y + BAR - 3.0,
                number(summary.median),
                row.unit(),
            );
            y += BAR;
        }
        let middle = f64::midpoint(begin, y) + 3.0;
        let title = row.title().trim();
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{title}</text>",
            LEFT - 10.0
        );
        body.push_str(&bars);
        y += GAP;
    }
    let floor = LEFT + scale;
    let _ = writeln!(
        body,
        "<line x1=\"{floor}\" x2=\"{floor}\" y1=\"{}\" y2=\"{}\"/>",
        TOP - 6.0,
        y - GAP + 4.0
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" \
         aria-label=\"Ratios to {}\">\n<style>\n\
         text {{ font: 12px system-ui, sans-serif; fill: #57606a }}\n\
         .n {{ font-size: 10px }}\n\
         line {{ stroke: #57606a; stroke-dasharray: 3 3 }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #adbac7 }} line {{ stroke: #adbac7 }} }}\n\
         </style>\n{body}</svg>\n",
        table.floor()
    )
}

fn legend(body: &mut String, table: &Table) {
    let _ = writeln!(
        body,
        "<text x=\"{LEFT}\" y=\"14\">How many times better than {} (dashed line); longer is better</text>",
        table.floor()
    );
    let width = |name: &str| 34.0 + 7.0 * name.len() as f64;
    let all: f64 = table.contenders().iter().map(|name| width(name)).sum();
    let mut x = LEFT.min(WIDTH - all).max(0.0);
    for (name, colour) in table.contenders().iter().zip(COLOURS) {
        let _ = writeln!(
            body,
            "<rect x=\"{x}\" y=\"26\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"36\">{name}</text>",
            x + 16.0
        );
        x += width(name);
    }
}

//! One table of figures: rows of work, columns of contenders, and ratios to a floor.

use std::fmt::Write as _;

use crate::figures::Summary;

/// Whether more or less of something is an advantage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Better {
    /// More is better, as with bytes per second.
    Higher,
    /// Less is better, as with time.
    Lower,
}

/// What a row of the table stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    better: Better,
}

impl Row {
    /// A row with a `key` for programs and a `title` for people.
    #[must_use]
    pub const fn new(
        key: &'static str,
        title: &'static str,
        unit: &'static str,
        better: Better,
    ) -> Self {
        Self {
            key,
            title,
            unit,
            better,
        }
    }

    /// The key for programs.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The title for people.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The unit of the row's figures.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// How many times better `value` is than `floor`: above 1 is better, whichever way the row counts.
    #[must_use]
    pub fn advantage(&self, value: f64, floor: f64) -> f64 {
        match self.better {
            Better::Higher => value / floor,
            Better::Lower => floor / value,
        }
    }
}

/// The rounds of every row and contender.
#[derive(Clone, Debug)]
pub struct Table {
    contenders: Vec<&'static str>,
    floor: &'static str,
    rows: Vec<(Row, Vec<Vec<f64>>)>,
}

impl Table {
    /// An empty table with these columns, one of which is the `floor` that ratios refer to.
    #[must_use]
    pub fn new(contenders: Vec<&'static str>, floor: &'static str) -> Self {
        Self {
            contenders,
            floor,
            rows: Vec::new(),
        }
    }

    /// Adds what one round found.
    pub fn add(&mut self, row: Row, contender: &str, value: f64) {
        let Some(column) = self.contenders.iter().position(|name| *name == contender) else {
            return;
        };
        if !self.rows.iter().any(|(known, _)| known.key == row.key) {
            self.rows
                .push((row, vec![Vec::new(); self.contenders.len()]));
        }
        let known = self.rows.iter_mut().find(|(known, _)| known.key == row.key);
        if let Some(rounds) = known.and_then(|(_, columns)| columns.get_mut(column)) {
            rounds.push(value);
        }
    }

    /// The columns.
    #[must_use]
    pub fn contenders(&self) -> &[&'static str] {
        &self.contenders
    }

    /// The column that ratios refer to.
    #[must_use]
    pub fn floor(&self) -> &'static str {
        self.floor
    }

    /// The rows, each with one summary for each column that has rounds.
    pub fn rows(&self) -> impl Iterator<Item = (Row, Vec<Option<Summary>>)> + '_ {
        self.rows.iter().map(|(row, columns)| {
            (
                *row,
                columns.iter().map(|rounds| Summary::of(rounds)).collect(),
            )
        })
    }

    /// How many times better than the floor each column of a row is.
    #[must_use]
    pub fn advantages(&self, row: Row, summaries: &[Option<Summary>]) -> Vec<Option<f64>> {
        let floor = self.contenders.iter().position(|name| *name == self.floor);
        let floor = floor.and_then(|column| *summaries.get(column)?);
        let advantage = |summary: &Option<Summary>| {
            Some(row.advantage(summary.as_ref()?.median, floor.as_ref()?.median))
        };
        summaries.iter().map(advantage).collect()
    }

    /// The table as aligned text: median, spread, and the advantage over the floor in brackets.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{:40}{:>7}", "", "");
        for name in &self.contenders {
            let _ = write!(text, " {name:>24}");
        }
        text.push('\n');
        for (row, summaries) in self.rows() {
            let _ = write!(text, "{:40}{:>7}", row.title, row.unit);
            let advantages = self.advantages(row, &summaries);
            for (summary, advantage) in summaries.iter().zip(advantages) {
                let cell = summary
                    .map(|summary| cell(&summary, advantage))
                    .unwrap_or_default();
                let _ = write!(text, " {cell:>24}");
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "Medians of the rounds, half their range, and in brackets how many times better than `{}`.",
            self.floor
        );
        text
    }

    /// The table as JSON: an object with `contenders`, `floor` and `rows`.
    #[must_use]
    pub fn json(&self) -> String {
        let names: Vec<_> = self
            .contenders
            .iter()
            .map(|name| format!("{name:?}"))
            .collect();
        let mut rows = Vec::new();
        for (row, summaries) in self.rows() {
            let mut cells = Vec::new();
            let advantages = self.advantages(row, &summaries);
            for ((name, summary), advantage) in names.iter().zip(&summaries).zip(advantages) {
                let (Some(summary), Some(advantage)) = (summary, advantage) else {
                    continue;
                };
                cells.push(format!(
                    "{name}:{{\"median\":{},\"low\":{},\"high\":{},\"advantage\":{advantage:.4}}}",
                    summary.median, summary.low, summary.high
                ));
            }
            rows.push(format!(
                "  {{\"key\":{:?},\"title\":{:?},\"unit\":{:?},\"figures\":{{{}}}}}",
                row.key,
                row.title.trim(),
                row.unit,
                cells.join(",")
            ));
        }
        format!(
            "{{\"contenders\":[{}],\"floor\":{:?},\"rows\":[\n{}\n]}}\n",
            names.join(","),
            self.floor,
            rows.join(",\n")
        )
    }
}

fn cell(summary: &Summary, advantage: Option<f64>) -> String {
    let percent = summary.spread() * 100.0;
    let ratio = advantage
        .map(|advantage| format!(" ({advantage:.2})"))
        .unwrap_or_default();
    format!("{} ±{percent:.0}%{ratio}", number(summary.median))
}

/// A number with about three significant digits.
#[must_use]
pub fn number(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Row = Row::new("rate", "requests", "/s", Better::Higher);
    const TIME: Row = Row::new("time", "latency", "us", Better::Lower);

    #[test]
    fn advantage_above_one_is_better_whichever_way_the_row_counts() {
        assert_eq!(RATE.advantage(150.0, 100.0), 1.5);
        assert_eq!(TIME.advantage(50.0, 100.0), 2.0);
    }

    #[test]
    fn text_and_json_show_the_median_and_the_ratio_to_the_floor() {
        let mut table = Table::new(vec!["direct", "floor"], "floor");
        for round in [100.0, 110.0, 120.0] {
            table.add(RATE, "floor", round);
            table.add(RATE, "direct", 2.0 * round);
        }
        table.add(TIME, "direct", f64::NAN);
        table.add(TIME, "nobody", 1.0);
        let text = table.text();
        assert!(text.contains("220 ±9% (2.00)"), "{text}");
        assert!(text.contains("110 ±9% (1.00)"), "{text}");
        let json = table.json();
        let direct = r#""direct":{"median":220,"low":200,"high":240,"advantage":2.0000}"#;
        assert!(json.contains(direct), "{json}");
        assert!(
            json.contains(r#"{"key":"time","title":"latency","unit":"us","figures":{}}"#),
            "{json}"
        );
    }
}

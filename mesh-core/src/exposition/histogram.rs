//! How often values fell below each of a list of bounds.

use std::fmt::{self, Write};

use super::format::Format;

/// One histogram as it is written.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a histogram is")]
pub struct Buckets<'a> {
    /// Upper bounds, rising, each as the label `le` says it: `0.5`, `1`, ...; without `+Inf`.
    pub bounds: &'a [f64],
    /// How many values were in each bucket alone, not in those below it; the last are above all bounds.
    pub counts: &'a [u64],
    /// The sum of all values.
    pub sum: f64,
}

impl Buckets<'_> {
    pub(super) fn write(
        &self,
        name: &str,
        labels: &str,
        format: Format,
        to: &mut impl Write,
    ) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut counts = self.counts.iter();
        let mut below = 0_u64;
        for bound in self.bounds {
            below = below.saturating_add(counts.next().copied().unwrap_or(0));
            let bound = Bound(*bound, format);
            writeln!(to, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}")?;
        }
        let all = counts.fold(below, |sum, count| sum.saturating_add(*count));
        writeln!(to, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {all}")?;
        let (open, close) = if labels.is_empty() {
            ("", "")
        } else {
            ("{", "}")
        };
        writeln!(to, "{name}_sum{open}{labels}{close} {}", self.sum)?;
        writeln!(to, "{name}_count{open}{labels}{close} {all}")
    }
}

/// OpenMetrics wants bounds with a point, as floating point numbers are written canonically.
struct Bound(f64, Format);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Format::Prometheus => write!(f, "{}", self.0),
            Format::OpenMetrics => write!(f, "{:?}", self.0),
        }
    }
}

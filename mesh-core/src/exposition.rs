//! The two text formats that metrics are fetched in.
//!
//! Source: Prometheus' text-based format, version 0.0.4, and OpenMetrics 1.0.0.

mod format;
mod histogram;

use std::fmt::{self, Write};

pub use format::{Format, Kind};
pub use histogram::Buckets;

/// Writes metrics one after another. What the text cannot take is left out: a `String` takes all.
#[derive(Debug)]
pub struct Writer<W = String> {
    format: Format,
    text: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `text`.
    pub fn new(format: Format, text: W) -> Self {
        Self { format, text }
    }

    /// A metric with one sample per set of labels; nothing when there is none.
    ///
    /// `name` has no `_total`; labels come in their text form without braces, values escaped by
    /// [`Escaped`], and may be empty.
    pub fn metric<L: fmt::Display, V: fmt::Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (L, V)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let (word, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
        };
        // The Prometheus format describes the samples' name, OpenMetrics that of the family.
        let described = match self.format {
            Format::Prometheus => suffix,
            Format::OpenMetrics => "",
        };
        let text = &mut self.text;
        let _ = writeln!(text, "# HELP {name}{described} {help}");
        let _ = writeln!(text, "# TYPE {name}{described} {word}");
        for (labels, value) in samples {
            let labels = labels.to_string();
            let _ = if labels.is_empty() {
                writeln!(text, "{name}{suffix} {value}")
            } else {
                writeln!(text, "{name}{suffix}{{{labels}}} {value}")
            };
        }
    }

    /// A histogram with one set of buckets per set of labels; nothing when there is none. Labels are as
    /// in [`metric`](Self::metric).
    pub fn histogram<'a, L: fmt::Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, Buckets<'a>)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.text, "# HELP {name} {help}");
        let _ = writeln!(self.text, "# TYPE {name} histogram");
        for (labels, buckets) in samples {
            let _ = buckets.write(name, &labels.to_string(), self.format, &mut self.text);
        }
    }

    /// The text.
    pub fn finish(mut self) -> W {
        if self.format == Format::OpenMetrics {
            let _ = self.text.write_str("# EOF\n");
        }
        self.text
    }
}

/// The value of a label as both formats escape it.
///
/// ```
/// use mesh_core::exposition::Escaped;
///
/// assert_eq!(Escaped("a\"b\\\n").to_string(), "a\\\"b\\\\\\n");
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what it displays")]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let mut chars = from.chars();
            f.write_str(before)?;
            f.write_str(match chars.next() {
                Some('\n') => "\\n",
                Some('"') => "\\\"",
                _ => "\\\\",
            })?;
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests;

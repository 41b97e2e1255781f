//! The two text formats that metrics are fetched in.

use std::fmt::{self, Write as _};

/// Which text format to write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exposition {
    /// The Prometheus text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Exposition {
    /// The format that an `Accept` header asks for.
    pub(crate) fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of the `Content-Type` header.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes metrics one after another.
pub(super) struct Writer {
    format: Exposition,
    text: String,
}

impl Writer {
    pub(super) fn new(format: Exposition) -> Self {
        Self {
            format,
            text: String::new(),
        }
    }

    /// A metric with one sample per set of labels; nothing when there is none.
    ///
    /// `name` has no `_total`; labels come in their text form without braces and may be empty.
    pub(super) fn metric<L: fmt::Display, V: fmt::Display>(
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
            Exposition::Prometheus => suffix,
            Exposition::OpenMetrics => "",
        };
        let text = &mut self.text;
        // Writing to a String does not fail.
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

    pub(super) fn finish(mut self) -> String {
        if self.format == Exposition::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(format: Exposition) -> String {
        let mut writer = Writer::new(format);
        writer.metric(
            "a_bytes",
            Kind::Counter,
            "Bytes.",
            [("x=\"1\"", 7), ("x=\"2\"", 8)],
        );
        writer.metric("b", Kind::Gauge, "Things.", [("", 3)]);
        writer.metric("c", Kind::Gauge, "None.", [("", 3); 0]);
        writer.finish()
    }

    #[test]
    fn counters_end_in_total() {
        assert_eq!(
            write(Exposition::Prometheus),
            "# HELP a_bytes_total Bytes.\n# TYPE a_bytes_total counter\n\
             a_bytes_total{x=\"1\"} 7\na_bytes_total{x=\"2\"} 8\n\
             # HELP b Things.\n# TYPE b gauge\nb 3\n"
        );
        assert_eq!(
            write(Exposition::OpenMetrics),
            "# HELP a_bytes Bytes.\n# TYPE a_bytes counter\n\
             a_bytes_total{x=\"1\"} 7\na_bytes_total{x=\"2\"} 8\n\
             # HELP b Things.\n# TYPE b gauge\nb 3\n# EOF\n"
        );
    }

    #[test]
    fn openmetrics_is_written_when_asked_for() {
        for (accept, format) in [
            ("", Exposition::Prometheus),
            ("text/plain;version=0.0.4", Exposition::Prometheus),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                Exposition::OpenMetrics,
            ),
        ] {
            assert_eq!(Exposition::for_accept(accept), format, "{accept}");
        }
    }
}

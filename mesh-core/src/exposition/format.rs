//! The formats, and what a metric is.

/// Which text format to write.
///
/// ```
/// use mesh_core::exposition::{Format, Kind, Writer};
///
/// let format = Format::for_accept("application/openmetrics-text; version=1.0.0");
/// let mut writer = Writer::new(format, String::new());
/// writer.metric("requests", Kind::Counter, "Requests.", [("code=\"200\"", 7)]);
/// assert_eq!(
///     writer.finish(),
///     "# HELP requests Requests.\n# TYPE requests counter\nrequests_total{code=\"200\"} 7\n# EOF\n"
/// );
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the two that scrapers ask for")]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "histograms have their own method")]
pub enum Kind {
    /// Only grows; its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Format {
    /// The format that an `Accept` header asks for.
    #[must_use]
    pub fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

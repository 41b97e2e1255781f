//! How lines are written to the log.

/// How lines are written to the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum LogFormat {
    /// Fields separated by tabs, then `key=value`.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

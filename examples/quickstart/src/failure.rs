//! What goes wrong ends the program with one line.

/// The result of everything in this program.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

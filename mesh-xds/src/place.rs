//! Places in files that people write: what an editor needs to jump there.

use std::fmt;

/// A place in a file: what an editor needs to jump there.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Place {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1; 0 when it is not known.
    pub line: u64,
    /// The column, counted from 1 in characters; 0 when it is not known.
    pub column: u64,
    /// The path to the value, such as `workloads[0].workloadIps[1]`; empty for the whole file.
    pub field: String,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            ..Self::default()
        }
    }

    pub(crate) fn at(file: &str, line: u64, column: u64, field: String) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            field,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}

//! Why a local file was not accepted, and where.

use std::io;

use crate::place::Place;
use crate::watched_file::FileError;

/// Why a local file was not accepted. Nothing of such a file takes effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The file is not there, is not a file, or cannot be read as UTF-8.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is longer than [`MAX_BYTES`](super::MAX_BYTES).
    #[error(
        "{file} has {bytes} bytes, expected at most {}",
        super::config::MAX_BYTES
    )]
    TooLong {
        /// The file.
        file: String,
        /// Its length.
        bytes: u64,
    },
    /// The file has no content at all, as when it is read while it is being written. A mesh
    /// without workloads is written `{}`.
    #[error("{file} is empty, expected workloads and services (or {{}} for none)")]
    Empty {
        /// The file.
        file: String,
    },
    /// The text is not YAML, or a value is not what its field needs.
    #[error("{place}: {problem}")]
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong and what was expected.
        problem: String,
    },
    /// Two entries have the same key.
    #[error("{place}: {key} is already used at line {first_line}, expected a unique key")]
    Duplicate {
        /// Where the second one stands.
        place: Place,
        /// The key.
        key: String,
        /// Where the first one stands.
        first_line: u64,
    },
    /// The file has authorization policies, and whoever reads it has no store for them.
    #[error(
        "{file} has policies, and nothing here enforces them; a policy that is not enforced is \
         worse than none"
    )]
    Policies {
        /// The file.
        file: String,
    },
}

impl From<FileError> for LocalError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Read { file, source } => Self::Read { file, source },
            FileError::TooLong { file, bytes, .. } => Self::TooLong { file, bytes },
        }
    }
}

impl LocalError {
    /// Where the mistake is, for mistakes within the text.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Read { .. }
            | Self::TooLong { .. }
            | Self::Empty { .. }
            | Self::Policies { .. } => None,
            Self::Invalid { place, .. } | Self::Duplicate { place, .. } => Some(place),
        }
    }
}

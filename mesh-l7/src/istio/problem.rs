//! What is wrong with a field.

use std::fmt;

/// Something that is wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
#[expect(clippy::exhaustive_structs, reason = "a field and a text")]
pub struct Problem {
    /// The field, from the object's root: `spec.http[0].match[1].uri`.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl Problem {
    pub(super) fn new(field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            field: field.to_string(),
            problem: problem.to_string(),
        }
    }
}

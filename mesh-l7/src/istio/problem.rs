//! What is wrong with a field.

use std::fmt;

use mesh_core::name::Name;

use crate::severity::Severity;

/// Something that is wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct Problem {
    /// The field, from the object's root: `spec.http[0].match[1].uri`.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// What it means for the object.
    pub severity: Severity,
    /// Namespace and name of the delegate that the field is of; `None` for the object itself.
    pub delegate: Option<(Name, Name)>,
}

impl Problem {
    pub(super) fn new(field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            field: field.to_string(),
            problem: problem.to_string(),
            severity: Severity::Wrong,
            delegate: None,
        }
    }

    /// Something worth knowing about an object that is right in itself.
    pub(super) fn note(field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::new(field, problem)
        }
    }
}

//! What the API wants to be told about a route.

use std::fmt;

use super::rank::Ranked;
use crate::severity::Severity;

/// A route, compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compiled {
    /// Its rules, each with one alternative.
    pub rules: Vec<Ranked>,
    /// What the API wants to be told.
    pub status: Status,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// The conditions of a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two conditions of a route")]
pub struct Status {
    /// `Accepted`.
    pub accepted: Condition,
    /// `ResolvedRefs`.
    pub resolved_refs: Condition,
}

/// A condition: its reason, and by it whether it is true.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// `Accepted`, true.
    Accepted,
    /// `UnsupportedValue`, false: nothing of the route is used.
    UnsupportedValue,
    /// `ResolvedRefs`, true.
    ResolvedRefs,
    /// `RefNotPermitted`, false.
    RefNotPermitted,
    /// `InvalidKind`, false.
    InvalidKind,
    /// `BackendNotFound`, false.
    BackendNotFound,
    /// `UnsupportedProtocol`, false.
    UnsupportedProtocol,
}

/// Something that is wrong with a field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct Problem {
    /// The field, from the object's root: `spec.rules[0].matches[1].path.value`.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// What it means for the object.
    pub severity: Severity,
}

impl Condition {
    /// Whether the condition is true.
    #[must_use]
    pub fn is_true(self) -> bool {
        matches!(self, Self::Accepted | Self::ResolvedRefs)
    }
}

impl Status {
    /// All is well.
    pub(super) const GOOD: Self = Self {
        accepted: Condition::Accepted,
        resolved_refs: Condition::ResolvedRefs,
    };
}

impl Problem {
    pub(super) fn new(field: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            field: field.to_string(),
            problem: problem.to_string(),
            severity: Severity::Wrong,
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

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

//! What is wrong with a manifest, and where.

use std::fmt;

use crate::place::Place;

/// What is wrong in a manifest and what was expected, with the place.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// Where: file, line, column and field.
    pub place: Place,
    /// What is wrong and what was expected, without the place.
    pub text: String,
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn new(place: Place, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { place, text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl std::error::Error for Problem {}

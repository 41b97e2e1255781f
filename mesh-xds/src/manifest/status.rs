//! What became of each object.

use super::document::ObjectKey;
use super::problem::Problem;
use crate::place::Place;

/// What became of an object, and what was noticed about it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The object.
    pub key: ObjectKey,
    /// Where it stands.
    pub place: Place,
    /// What became of it.
    pub state: State,
    /// What was noticed, and does not keep it from being used: unknown fields among others.
    pub notes: Vec<Problem>,
}

impl Status {
    pub(super) fn new(key: ObjectKey, place: Place, state: State) -> Self {
        Self {
            key,
            place,
            state,
            notes: Vec::new(),
        }
    }

    /// Why it was not accepted.
    #[must_use]
    pub fn rejection(&self) -> Option<&Problem> {
        match &self.state {
            State::Rejected { problem, .. } => Some(problem),
            State::Accepted | State::Ignored => None,
        }
    }
}

/// What became of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// It is in force as it is written.
    Accepted,
    /// It is not in force as it is written.
    Rejected {
        /// Why.
        problem: Problem,
        /// Whether an earlier version of it is in force.
        earlier_stays: bool,
    },
    /// Nothing here reads its kind.
    Ignored,
}

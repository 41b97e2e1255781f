//! What a policy is made of.

use super::bytes::Reader;
use super::field::Field;
use crate::facts::Facts;
use crate::truth::Truth;

/// Matches when all clauses do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<'a>(pub(super) &'a [u8]);

/// Matches when one of the matches does, or when there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause<'a>(&'a [u8]);

/// Matches when there are fields and all of them agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match<'a>(&'a [u8]);

impl<'a> Rule<'a> {
    pub(crate) fn clauses(self) -> impl Iterator<Item = Clause<'a>> {
        Reader(self.0).map(Clause)
    }

    /// Whether the rule matches. `allows`: whether it is of a policy that allows.
    pub(crate) fn truth(self, facts: &Facts<'_>, allows: bool) -> Truth {
        Truth::all(self.clauses().map(|clause| clause.truth(facts, allows)))
    }
}

impl<'a> Clause<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(self) -> impl Iterator<Item = Match<'a>> {
        Reader(self.0).map(Match)
    }

    pub(crate) fn truth(self, facts: &Facts<'_>, allows: bool) -> Truth {
        if self.is_empty() {
            return Truth::True;
        }
        Truth::any(self.matches().map(|one| one.truth(facts, allows)))
    }
}

impl<'a> Match<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn fields(self) -> impl Iterator<Item = Field<'a>> {
        Reader(self.0).filter_map(Field::read)
    }

    pub(crate) fn truth(self, facts: &Facts<'_>, allows: bool) -> Truth {
        if self.is_empty() {
            return Truth::False;
        }
        Truth::all(self.fields().map(|field| field.truth(facts, allows)))
    }
}

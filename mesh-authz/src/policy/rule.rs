//! What a policy is made of.

use super::values::Values;
use crate::connection::Facts;
use crate::spec::{ClauseSpec, MatchSpec, RuleSpec};

/// Matches when all clauses do.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Rule(pub(super) Box<[Clause]>);

/// Matches when one of the matches does, or when there is none.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Clause(pub(super) Box<[Match]>);

/// Matches when there are fields and all of them agree.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Match(pub(super) Box<[Field]>);

/// One list of values of a match, never empty.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Field {
    /// Whether the values exclude.
    pub(crate) excludes: bool,
    pub(crate) values: Values,
}

impl Rule {
    pub(crate) fn clauses(&self) -> &[Clause] {
        &self.0
    }

    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.0.iter().all(|clause| clause.matches(facts))
    }

    pub(super) fn to_spec(&self) -> RuleSpec {
        RuleSpec {
            clauses: self.0.iter().map(Clause::to_spec).collect(),
        }
    }
}

impl Clause {
    pub(crate) fn alternatives(&self) -> &[Match] {
        &self.0
    }

    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.0.is_empty() || self.0.iter().any(|one| one.matches(facts))
    }

    fn to_spec(&self) -> ClauseSpec {
        ClauseSpec {
            matches: self.0.iter().map(Match::to_spec).collect(),
        }
    }
}

impl Match {
    pub(crate) fn fields(&self) -> &[Field] {
        &self.0
    }

    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        !self.0.is_empty() && self.0.iter().all(|field| field.agrees(facts))
    }

    fn to_spec(&self) -> MatchSpec {
        let mut spec = MatchSpec::default();
        for field in &self.0 {
            field.values.write_to(&mut spec, field.excludes);
        }
        spec
    }
}

impl Field {
    pub(crate) fn agrees(&self, facts: &Facts<'_>) -> bool {
        self.values.fit(facts) != self.excludes
    }
}

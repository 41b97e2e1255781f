//! A row of the sieve: a rule, or one way in which it may match.

use crate::index::slots::RuleId;
use crate::policy::{Clause, Field, Rule};

/// A rule together with one match of one of its clauses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) rule: RuleId,
    /// Which match of the clause with several matches it is about; 0 without such a clause.
    alternative: u32,
}

impl Row {
    /// The rows of a rule: it matches only when one of them does.
    pub(super) fn all(id: RuleId, rule: Rule<'_>) -> impl Iterator<Item = Self> + use<> {
        let alternatives = shortest(rule).map_or(1, |clause| clause.matches().count());
        let alternatives = u32::try_from(alternatives).unwrap_or(u32::MAX);
        (0..alternatives).map(move |alternative| Self {
            rule: id,
            alternative,
        })
    }

    /// The fields that must all agree; the rule may ask for more.
    pub(super) fn fields<'a>(&self, rule: Rule<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let alternative = self.alternative as usize;
        let chosen = shortest(rule).and_then(|clause| clause.matches().nth(alternative));
        let single = rule.clauses().filter_map(|clause| {
            let mut matches = clause.matches();
            let only = matches.next();
            only.filter(|_| matches.next().is_none())
        });
        single.chain(chosen).flat_map(|one| one.fields())
    }
}

/// The clause with the fewest matches of those that have several.
fn shortest(rule: Rule<'_>) -> Option<Clause<'_>> {
    let counted = rule
        .clauses()
        .map(|clause| (clause.matches().count(), clause));
    let several = counted.filter(|(matches, _)| *matches > 1);
    several.min_by_key(|(matches, _)| *matches).map(|(_, c)| c)
}

//! A row of the sieve: a rule, or one way in which it may match.

use std::sync::Arc;

use crate::connection::Facts;
use crate::decision::RuleRef;
use crate::policy::{Clause, Field, Policy, Rule};

/// A rule together with one match of one of its clauses.
#[derive(Clone)]
pub(super) struct Row {
    policy: Arc<Policy>,
    rule: u32,
    /// Which match of the clause with several matches it is about; 0 without such a clause.
    alternative: u32,
}

impl Row {
    /// The rows of a rule: it matches only when one of them does.
    pub(super) fn all(policy: &Arc<Policy>, rule: u32) -> impl Iterator<Item = Self> + '_ {
        let found = usize::try_from(rule).ok();
        let found = found.and_then(|rule| policy.rules().get(rule));
        let alternatives = found
            .and_then(shortest)
            .map_or(1, |c| c.alternatives().len());
        let alternatives = u32::try_from(alternatives).unwrap_or(u32::MAX);
        (0..alternatives).map(move |alternative| Self {
            policy: policy.clone(),
            rule,
            alternative,
        })
    }

    pub(super) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The rule, when it matches.
    pub(super) fn matches(&self, facts: &Facts<'_>) -> Option<RuleRef<'_>> {
        let matches = self.rule()?.matches(facts);
        matches.then(|| RuleRef::new(&self.policy, usize::try_from(self.rule).unwrap_or(0)))
    }

    /// The fields that must all agree; the rule may ask for more.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        let rule = self.rule();
        let several = rule.and_then(shortest);
        let alternative = usize::try_from(self.alternative).ok();
        let chosen = several.and_then(|clause| clause.alternatives().get(alternative?));
        let single = rule.into_iter().flat_map(|rule| rule.clauses());
        let single = single.filter_map(|clause| match clause.alternatives() {
            [only] => Some(only),
            _ => None,
        });
        single.chain(chosen).flat_map(|one| one.fields())
    }

    fn rule(&self) -> Option<&Rule> {
        self.policy.rules().get(usize::try_from(self.rule).ok()?)
    }
}

/// The clause with the fewest matches of those that have several.
fn shortest(rule: &Rule) -> Option<&Clause> {
    let several = rule.clauses().iter();
    let several = several.filter(|clause| clause.alternatives().len() > 1);
    several.min_by_key(|clause| clause.alternatives().len())
}

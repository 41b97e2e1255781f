//! Which external authorizers are to be asked, and which of several rules is reported.

use super::asked::Applying;
use super::scope::Kind;
use super::snapshot::PolicyIndex;
use crate::connection::Connection;
use crate::decision::RuleRef;
use crate::facts::Facts;
use crate::request::Request;
use crate::target::PolicyTarget;

/// The external authorizers that are to be asked about a request, by their names, each with a rule
/// that says so. Made by [`PolicyIndex::providers`].
#[must_use]
pub struct Providers<'a> {
    applying: Applying<'a>,
    facts: Facts<'a>,
    last: Option<&'a str>,
}

impl PolicyIndex {
    /// The external authorizers that are to be asked about a request: those of CUSTOM policies with
    /// a rule that matches, in the order of their names, each once.
    ///
    /// Each must be asked until one denies; what all of them allow is decided by
    /// [`decide_request`](Self::decide_request). Allocates as little as that.
    pub fn providers<'a>(
        &'a self,
        target: &PolicyTarget<'a>,
        connection: &'a Connection<'a>,
        request: &'a Request<'a>,
    ) -> Providers<'a> {
        Providers {
            applying: Applying::new(self, target),
            facts: Facts::of(connection, Some(request), self.semantics),
            last: None,
        }
    }

    /// Whether any CUSTOM policy applies; where none does, [`providers`](Self::providers) has nothing for any
    /// request.
    #[must_use]
    pub fn asks(&self, target: &PolicyTarget<'_>) -> bool {
        Applying::new(self, target).has(Kind::Custom)
    }

    /// The rule to report for a decision: of all rules that match and do the same as `rule`, the
    /// first by the order of [`Semantics`](crate::Semantics). Looks at all of them, and allocates.
    ///
    /// Istio's order is that of the texts `ns[NS]-policy[NAME]-rule[I]`, in which rule 10 comes
    /// before rule 2.
    #[must_use]
    pub fn reported<'i>(
        &'i self,
        target: &PolicyTarget<'i>,
        connection: &Connection<'_>,
        request: Option<&Request<'_>>,
        rule: RuleRef<'i>,
    ) -> RuleRef<'i> {
        let facts = Facts::of(connection, request, self.semantics);
        let applying = Applying::new(self, target);
        let mut first = rule;
        applying.each_match(Kind::of(rule.policy()), &facts, |other| {
            let is_before = if self.semantics.numeric_order {
                let order = |rule: &RuleRef<'i>| {
                    let policy = rule.policy();
                    (policy.namespace(), policy.name(), rule.rule())
                };
                order(&other) < order(&first)
            } else {
                other.id() < first.id()
            };
            if is_before {
                first = other;
            }
        });
        first
    }
}

impl<'a> Iterator for Providers<'a> {
    type Item = (&'a str, RuleRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut next: Option<Self::Item> = None;
        self.applying.each_match(Kind::Custom, &self.facts, |rule| {
            let provider = rule.policy().provider().unwrap_or_default();
            let order = (provider, rule.policy().key(), rule.rule());
            let is_later = self.last.is_none_or(|last| provider > last);
            let is_before = next.is_none_or(|(provider, rule)| {
                order < (provider, rule.policy().key(), rule.rule())
            });
            if is_later && is_before {
                next = Some((provider, rule));
            }
        });
        self.last = next.map(|(provider, _)| provider).or(self.last);
        next
    }
}

impl std::fmt::Debug for Providers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

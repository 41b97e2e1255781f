//! The rules of all policies of one scope and one action.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::choice::choose;
use super::keys::Keys;
use super::pivots::Pivots;
use super::sieve::Sieve;
use super::slots::{RuleId, Slots};
use crate::facts::Facts;
use crate::policy::{Policy, Rule};
use crate::truth::Truth;

/// Up to so many rules are looked at one by one: that is as fast as a look-up.
const FEW: usize = 16;

/// The rules of all policies of one scope and one action. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct RuleIndex {
    policies: usize,
    few: Arc<[RuleId]>,
    /// When there are more.
    many: Option<Arc<Filed>>,
}

/// Rules by what finds them.
#[derive(Clone, Default)]
struct Filed {
    rules: usize,
    /// By values that connections have.
    connection: Pivots,
    /// By values that requests have.
    request: Pivots,
    sieve: Sieve,
}

/// What rules are looked up with.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'i> {
    pub(super) keys: &'i Keys,
    pub(super) slots: &'i Slots,
}

impl<'i> Lookup<'i> {
    /// How true a rule is.
    pub(super) fn truth(&self, id: RuleId, facts: &Facts<'_>) -> Truth {
        let rule = self.slots.rule(id);
        rule.map_or(Truth::False, |(policy, rule)| {
            rule.truth(facts, policy.allows())
        })
    }
}

impl RuleIndex {
    /// The number of policies, with or without rules.
    pub(super) fn policies(&self) -> usize {
        self.policies
    }

    /// Calls `visit` with each rule that may match, perhaps more than once.
    pub(super) fn search(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.search_connection(keys, facts, visit)?;
        self.search_request(keys, facts, visit)
    }

    /// The part of [`search`](Self::search) that a connection is enough for.
    pub(super) fn search_connection(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.few.iter().try_for_each(|rule| visit(*rule))?;
        let Some(many) = &self.many else {
            return ControlFlow::Continue(());
        };
        many.connection.search(keys, facts, visit)?;
        many.sieve.search(keys, facts, visit)
    }

    /// The rest of [`search`](Self::search): rules that requests find. Without a request any of
    /// them may match.
    pub(super) fn search_request(
        &self,
        keys: &Keys,
        facts: &Facts<'_>,
        visit: &mut impl FnMut(RuleId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Some(many) = &self.many else {
            return ControlFlow::Continue(());
        };
        if facts.request.is_some() {
            return many.request.search(keys, facts, visit);
        }
        many.request.iter().try_for_each(visit)
    }

    /// Whether there are rules that requests find.
    pub(super) fn has_request_pivots(&self) -> bool {
        let many = self.many.as_ref();
        many.is_some_and(|many| many.request.iter().next().is_some())
    }

    /// A rule that is as true as any, and how true that is.
    pub(super) fn truest(&self, lookup: Lookup<'_>, facts: &Facts<'_>) -> Option<(Truth, RuleId)> {
        let mut truest: Option<(Truth, RuleId)> = None;
        let mut visit = |id| {
            let truth = lookup.truth(id, facts);
            if truth > truest.map_or(Truth::False, |(truth, _)| truth) {
                truest = Some((truth, id));
            }
            if truth == Truth::True {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let flow = self.search_connection(lookup.keys, facts, &mut visit);
        // What only requests find is no more than possible without one.
        let settled = flow.is_break() || facts.request.is_none() && truest.is_some();
        if !settled {
            let _ = self.search_request(lookup.keys, facts, &mut |id| {
                let truth = lookup.truth(id, facts);
                if truth > truest.map_or(Truth::False, |(truth, _)| truth) {
                    truest = Some((truth, id));
                }
                if truth == Truth::True || facts.request.is_none() && truth == Truth::Unknown {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
        }
        truest
    }

    pub(super) fn insert(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        self.policies += 1;
        let rules = policy.rules().map(|(place, _)| RuleId { slot, place });
        if self.many.is_none() && self.few.len() + policy.rule_count() <= FEW {
            if policy.rule_count() > 0 {
                self.few = self.few.iter().copied().chain(rules).collect();
            }
            return;
        }
        let few = std::mem::take(&mut self.few);
        let many = Arc::make_mut(self.many.get_or_insert_default());
        for id in few.iter() {
            if let Some((_, rule)) = lookup.slots.rule(*id) {
                many.insert(lookup.keys, *id, rule);
            }
        }
        for (place, rule) in policy.rules() {
            many.insert(lookup.keys, RuleId { slot, place }, rule);
        }
    }

    /// Removes a policy that is in the index, and still in its slot.
    pub(super) fn remove(&mut self, lookup: Lookup<'_>, slot: u32, policy: &Policy) {
        self.policies -= 1;
        if self.policies == 0 {
            *self = Self::default();
            return;
        }
        if self.few.iter().any(|id| id.slot == slot) {
            let few = self.few.iter().copied();
            self.few = few.filter(|id| id.slot != slot).collect();
        }
        if let Some(many) = &mut self.many {
            let many = Arc::make_mut(many);
            for (place, rule) in policy.rules() {
                many.remove(lookup, RuleId { slot, place }, rule);
            }
            if many.rules == 0 {
                self.many = None;
            } else if many.sieve.is_sparse() {
                many.gather(lookup);
            }
        }
    }
}

impl Filed {
    /// Files a rule under the values that find it, or into the sieve.
    fn insert(&mut self, keys: &Keys, id: RuleId, rule: Rule<'_>) {
        self.rules += 1;
        let Some(choices) = choose(keys, &self.connection, &self.request, rule) else {
            self.sieve.insert(keys, id, rule);
            return;
        };
        for (field, places) in choices {
            let pivots = if field.dimension.needs_request() {
                &mut self.request
            } else {
                &mut self.connection
            };
            pivots.insert(&field, &places, id);
        }
    }

    /// Removes a rule from wherever it may have been filed: what was the best place then need not
    /// be it now.
    fn remove(&mut self, lookup: Lookup<'_>, id: RuleId, rule: Rule<'_>) {
        self.rules -= 1;
        let matches = rule.clauses().flat_map(|clause| clause.matches());
        let fields = matches.flat_map(|one| one.fields());
        for field in fields.filter(|field| !field.excludes) {
            let pivots = if field.dimension.needs_request() {
                &mut self.request
            } else {
                &mut self.connection
            };
            pivots.remove(lookup.keys, &field, id);
        }
        self.sieve.remove(lookup.keys, lookup.slots, id);
    }

    /// Puts the rows of the sieve together.
    fn gather(&mut self, lookup: Lookup<'_>) {
        let mut rules: Vec<RuleId> = self.sieve.iter().collect();
        rules.sort_unstable();
        rules.dedup();
        let mut sieve = Sieve::default();
        for id in rules {
            if let Some((_, rule)) = lookup.slots.rule(id) {
                sieve.insert(lookup.keys, id, rule);
            }
        }
        self.sieve = sieve;
    }
}

impl fmt::Debug for RuleIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleIndex")
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

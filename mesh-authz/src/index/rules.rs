//! The rules of all policies of one scope and one action.

use std::sync::Arc;

use super::filter::Filter;
use super::keys::Keys;
use super::pivot::pivots;
use super::probe::{Probe, each_value};
use super::sieve::Sieve;
use crate::connection::Facts;
use crate::decision::RuleRef;
use crate::policy::{Policy, Rule};
use crate::trie::Trie;

/// Up to so many rules are looked at one by one: that is as fast as a look-up.
const FEW: usize = 16;

/// A rule that is looked at when its key is found.
#[derive(Clone)]
struct Candidate {
    policy: Arc<Policy>,
    rule: u32,
}

/// The rules of all policies of one scope and one action. Clones are cheap.
#[derive(Clone, Default)]
pub(super) struct RuleIndex {
    policies: usize,
    rules: usize,
    /// Whether rules are filed under pivots, and not all in the sieve.
    filed: bool,
    pivots: Trie<Candidate>,
    /// The keys of `pivots`.
    filter: Filter,
    /// The probes that find something, in order, each with the number of its keys.
    probes: Arc<Vec<(Probe, usize)>>,
    sieve: Sieve,
}

impl Candidate {
    fn matches(&self, facts: &Facts<'_>) -> Option<RuleRef<'_>> {
        let rule = usize::try_from(self.rule).ok()?;
        let matches = self.policy.rules().get(rule)?.matches(facts);
        matches.then(|| RuleRef::new(&self.policy, rule))
    }

    fn is(&self, policy: &Arc<Policy>, rule: u32) -> bool {
        self.rule == rule && Arc::ptr_eq(&self.policy, policy)
    }
}

impl RuleIndex {
    /// The number of policies, with or without rules.
    pub(super) fn policies(&self) -> usize {
        self.policies
    }

    /// A rule that matches.
    pub(super) fn find(&self, keys: &Keys, facts: &Facts<'_>) -> Option<RuleRef<'_>> {
        let filed = self.probes.iter().find_map(|(probe, _)| {
            let key = probe.key(keys, facts)?;
            if !self.filter.may_have(key) {
                return None;
            }
            self.pivots
                .get(key)
                .iter()
                .find_map(|candidate| candidate.matches(facts))
        });
        filed.or_else(|| self.sieve.find(keys, facts))
    }

    pub(super) fn insert(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        self.policies += 1;
        self.rules += policy.rules().len();
        if !self.filed && self.rules > FEW {
            self.filed = true;
            let few = std::mem::take(&mut self.sieve);
            for policy in few.policies() {
                self.file(keys, &policy);
            }
        }
        if self.filed {
            self.file(keys, policy);
        } else {
            for (number, _) in numbered(policy) {
                self.sieve.insert(keys, policy, number);
            }
        }
    }

    /// Files each rule under its pivots; those that have none go into the sieve.
    fn file(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        for (number, rule) in numbered(policy) {
            let Some(found) = pivots(keys, rule, |key| self.pivots.get(key).len()) else {
                self.sieve.insert(keys, policy, number);
                continue;
            };
            for (probe, key) in found {
                let policy = policy.clone();
                let candidate = Candidate {
                    policy,
                    rule: number,
                };
                self.pivots.insert(key, candidate);
                if self.filter.is_full() {
                    self.filter = Filter::of(self.pivots.hashes(), self.pivots.len());
                } else {
                    self.filter.insert(key);
                }
                self.count(probe);
            }
        }
    }

    /// Removes a policy that is in the index.
    pub(super) fn remove(&mut self, keys: &Keys, policy: &Arc<Policy>) {
        self.policies -= 1;
        self.rules -= policy.rules().len();
        if self.policies == 0 {
            *self = Self::default();
            return;
        }
        if self.filed {
            for (number, rule) in numbered(policy) {
                self.unfile(keys, policy, number, rule);
            }
        }
        self.sieve.remove(keys, policy);
    }

    /// Removes a rule from wherever it may have been filed: what was the best place then need not
    /// be it now.
    fn unfile(&mut self, keys: &Keys, policy: &Arc<Policy>, number: u32, rule: &Rule) {
        let matches = rule
            .clauses()
            .iter()
            .flat_map(|clause| clause.alternatives());
        let fields = matches.flat_map(|one| one.fields());
        for field in fields.filter(|field| !field.excludes) {
            each_value(keys, &field.values, |probe, key| {
                let same = |candidate: &Candidate| candidate.is(policy, number);
                if self.pivots.remove(key, same).is_some() {
                    self.discount(probe);
                }
            });
        }
    }

    fn count(&mut self, probe: Probe) {
        let probes = Arc::make_mut(&mut self.probes);
        match probes.binary_search_by_key(&probe, |(probe, _)| *probe) {
            Ok(at) => {
                if let Some((_, keys)) = probes.get_mut(at) {
                    *keys += 1;
                }
            }
            Err(at) => probes.insert(at, (probe, 1)),
        }
    }

    fn discount(&mut self, probe: Probe) {
        let probes = Arc::make_mut(&mut self.probes);
        if let Ok(at) = probes.binary_search_by_key(&probe, |(probe, _)| *probe)
            && let Some((_, keys)) = probes.get_mut(at)
        {
            *keys -= 1;
            if *keys == 0 {
                probes.remove(at);
            }
        }
    }
}

fn numbered(policy: &Policy) -> impl Iterator<Item = (u32, &Rule)> {
    (0..).zip(policy.rules())
}

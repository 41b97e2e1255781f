//! What the policies of each kind say about a connection or request.

use std::ops::ControlFlow;

use mesh_core::name::Name;

use super::rules::Lookup;
use super::scope::{Kind, Kinds, ScopeIndex};
use super::slots::RuleId;
use super::snapshot::PolicyIndex;
use crate::decision::RuleRef;
use crate::facts::Facts;
use crate::target::PolicyTarget;
use crate::truth::Truth;

/// The policies that apply to something.
#[derive(Clone, Copy)]
pub(super) struct Applying<'i> {
    pub(super) index: &'i PolicyIndex,
    scopes: [Option<&'i ScopeIndex>; Applying::SCOPES],
    /// What there is in the scopes.
    kinds: Kinds,
    named: &'i [Name],
}

/// What the policies of one kind say.
#[derive(Clone, Copy, Default)]
pub(super) struct Said {
    /// Whether there are any.
    pub(super) exist: bool,
    /// A rule that is as true as any, if one may match.
    pub(super) truest: Option<(Truth, RuleId)>,
}

impl Said {
    pub(super) fn matches(&self) -> Option<RuleId> {
        let matched = self.truest.filter(|(truth, _)| *truth == Truth::True);
        matched.map(|(_, rule)| rule)
    }

    /// The rule that matches or may match.
    pub(super) fn may_match(&self) -> Option<RuleId> {
        self.truest.map(|(_, rule)| rule)
    }

    fn add(&mut self, found: Option<(Truth, RuleId)>) {
        self.exist = true;
        if let Some((truth, _)) = found
            && truth > self.truth()
        {
            self.truest = found;
        }
    }

    fn truth(&self) -> Truth {
        self.truest.map_or(Truth::False, |(truth, _)| truth)
    }
}

impl Applying<'_> {
    /// How many scopes there are.
    pub(super) const SCOPES: usize = 2;
}

impl<'i> Applying<'i> {
    pub(super) fn new(index: &'i PolicyIndex, target: &PolicyTarget<'i>) -> Self {
        let scopes = match target.scopes {
            Some(namespace) => [Some(&index.global), index.namespace(namespace)],
            None => [None, None],
        };
        let of = |scope: Option<&ScopeIndex>| scope.map_or(Kinds::default(), |scope| scope.kinds);
        let [global, namespace] = scopes;
        Self {
            index,
            scopes,
            kinds: of(global).with(of(namespace)),
            named: target.named,
        }
    }

    pub(super) fn lookup(&self) -> Lookup<'i> {
        self.index.lookup()
    }

    /// The scopes that apply.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &'i ScopeIndex> + use<'i> {
        self.scopes.into_iter().flatten()
    }

    /// The scope with a number below [`SCOPES`](Self::SCOPES), if it applies.
    pub(super) fn scope(&self, at: usize) -> Option<&'i ScopeIndex> {
        *self.scopes.get(at)?
    }

    /// The keys of the policies that apply by name.
    pub(super) fn named(&self) -> &'i [Name] {
        self.named
    }

    /// The first key that is not known.
    pub(super) fn missing(&self) -> Option<&'i Name> {
        self.named
            .iter()
            .find(|key| self.index.policy(key).is_none())
    }

    /// Whether there are policies of a kind.
    pub(super) fn has(&self, kind: Kind) -> bool {
        let known = |key: &Name| self.index.known(key);
        let mut named = self.named.iter().filter_map(known);
        named.any(|known| Kind::of(known.policy) == kind) || self.kinds.has(kind)
    }

    /// What the policies of a kind say, looking no further than at the first rule that matches.
    pub(super) fn ask(&self, kind: Kind, facts: &Facts<'_>) -> Said {
        let mut said = Said::default();
        if self.named.is_empty() && !self.kinds.has(kind) {
            return said;
        }
        for key in self.named {
            let Some(known) = self.index.known(key) else {
                continue;
            };
            if Kind::of(known.policy) != kind {
                continue;
            }
            said.add(match known.rules {
                _ if said.truth() == Truth::True => None,
                Some(rules) => rules.truest(self.lookup(), facts),
                None => {
                    let (truth, place) = known.policy.truest(facts);
                    let slot = known.slot;
                    (truth > Truth::False).then_some((truth, RuleId { slot, place }))
                }
            });
        }
        for rules in self.scopes().filter_map(|scope| scope.rules(kind)) {
            said.add(match said.truth() {
                Truth::True => None,
                _ => rules.truest(self.lookup(), facts),
            });
        }
        said
    }

    /// Calls `visit` with each rule of a kind that matches, perhaps more than once.
    pub(super) fn each_match(
        &self,
        kind: Kind,
        facts: &Facts<'_>,
        mut visit: impl FnMut(RuleRef<'i>),
    ) {
        let lookup = self.lookup();
        let mut visit = |id: RuleId| {
            if lookup.truth(id, facts) == Truth::True
                && let Some(rule) = self.rule(id)
            {
                visit(rule);
            }
            ControlFlow::Continue(())
        };
        for key in self.named {
            let Some(known) = self.index.known(key) else {
                continue;
            };
            if Kind::of(known.policy) == kind {
                for (place, _) in known.policy.rules() {
                    let slot = known.slot;
                    let _ = visit(RuleId { slot, place });
                }
            }
        }
        for rules in self.scopes().filter_map(|scope| scope.rules(kind)) {
            let _ = rules.search(lookup.keys, facts, &mut visit);
        }
    }

    pub(super) fn rule(&self, id: RuleId) -> Option<RuleRef<'i>> {
        let policy = self.index.slots.get(id.slot)?;
        Some(RuleRef::new(policy, id.place))
    }
}

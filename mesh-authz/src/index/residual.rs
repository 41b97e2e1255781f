//! What is left to decide about requests once their connection is known.

use std::ops::ControlFlow;

use mesh_core::name::Name;

use super::asked::{Applying, Said};
use super::decide::conclude;
use super::rules::{Lookup, RuleIndex};
use super::scope::Kind;
use super::slots::RuleId;
use super::snapshot::PolicyIndex;
use crate::connection::Connection;
use crate::decision::Decision;
use crate::facts::Facts;
use crate::request::Request;
use crate::target::PolicyTarget;
use crate::truth::Truth;

/// More rules than this are looked up for each request, and not kept for a connection.
const MOST: usize = 64;

/// The policies that apply to a connection, without the rules that no request on it can match.
///
/// It is made once for a connection by [`PolicyIndex::residual`]; a request then only looks at what
/// is left. Its decisions are those of [`PolicyIndex::decide_request`].
#[derive(Debug)]
pub struct Residual<'i> {
    index: &'i PolicyIndex,
    target: PolicyTarget<'i>,
    connection: Connection<'i>,
    missing: Option<&'i Name>,
    kinds: [Left<'i>; KINDS.len()],
}

const KINDS: [Kind; 5] = [
    Kind::Deny,
    Kind::Allow,
    Kind::DryRunDeny,
    Kind::DryRunAllow,
    Kind::Audit,
];

/// What is left of the policies of one kind.
#[derive(Debug, Default)]
struct Left<'i> {
    exist: bool,
    /// A rule that matches whatever the request.
    certain: Option<RuleId>,
    /// Rules that may match.
    rules: Vec<RuleId>,
    /// Where others that may match are looked up.
    places: Vec<Place<'i>>,
}

#[derive(Clone, Copy, Debug)]
struct Place<'i> {
    rules: &'i RuleIndex,
    /// Whether rules are looked up that requests find alone, and not all.
    by_request: bool,
}

impl PolicyIndex {
    /// What is left to decide about requests on a connection. Allocates.
    pub fn residual<'i>(
        &'i self,
        target: &PolicyTarget<'i>,
        connection: &Connection<'i>,
    ) -> Residual<'i> {
        let applying = Applying::new(self, target);
        let facts = Facts::of(connection, None, self.semantics);
        Residual {
            index: self,
            target: *target,
            connection: *connection,
            missing: applying.missing(),
            kinds: KINDS.map(|kind| Left::of(&applying, kind, &facts)),
        }
    }
}

impl<'i> Residual<'i> {
    /// Decides about a request on the connection. Allocates as little as
    /// [`PolicyIndex::decide_request`].
    pub fn decide(&self, request: &Request<'_>) -> Decision<'i> {
        let facts = Facts::of(&self.connection, Some(request), self.index.semantics);
        let applying = Applying::new(self.index, &self.target);
        let lookup = self.index.lookup();
        conclude(&applying, self.missing, true, |kind| {
            let left = KINDS.iter().position(|one| *one == kind);
            let left = left.and_then(|at| self.kinds.get(at));
            left.map_or_else(Said::default, |left| left.ask(lookup, &facts))
        })
    }

    /// How many rules a request looks at one by one.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.kinds.iter().map(|left| left.rules.len()).sum()
    }
}

impl<'i> Left<'i> {
    fn of(applying: &Applying<'i>, kind: Kind, facts: &Facts<'_>) -> Self {
        let mut left = Self::default();
        let lookup = applying.lookup();
        for key in applying.named() {
            let known = applying.index.known(key);
            let Some(known) = known.filter(|known| Kind::of(known.policy) == kind) else {
                continue;
            };
            match known.rules {
                Some(rules) => left.add(rules, lookup, facts),
                None => {
                    left.exist = true;
                    for (place, _) in known.policy.rules() {
                        let slot = known.slot;
                        let _ = left.look_at(RuleId { slot, place }, lookup, facts);
                    }
                }
            }
        }
        for rules in applying.scopes().filter_map(|scope| scope.rules(kind)) {
            left.add(rules, lookup, facts);
        }
        if left.certain.is_some() {
            left.rules = Vec::new();
            left.places = Vec::new();
        }
        left.rules.sort_unstable();
        left.rules.dedup();
        left
    }

    fn add(&mut self, rules: &'i RuleIndex, lookup: Lookup<'_>, facts: &Facts<'_>) {
        self.exist = true;
        let before = self.rules.len();
        let flow = rules.search_connection(lookup.keys, facts, &mut |id| {
            self.look_at(id, lookup, facts)?;
            // One more than are kept says that there are too many.
            if self.rules.len() > before + MOST {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        let all = flow.is_break() && self.certain.is_none();
        if all {
            self.rules.truncate(before);
        }
        if all || rules.has_request_pivots() {
            let by_request = !all;
            self.places.push(Place { rules, by_request });
        }
    }

    fn look_at(&mut self, id: RuleId, lookup: Lookup<'_>, facts: &Facts<'_>) -> ControlFlow<()> {
        match lookup.truth(id, facts) {
            Truth::True => {
                self.certain = Some(id);
                return ControlFlow::Break(());
            }
            Truth::Unknown => self.rules.push(id),
            Truth::False => {}
        }
        ControlFlow::Continue(())
    }

    fn ask(&self, lookup: Lookup<'_>, facts: &Facts<'_>) -> Said {
        let matches = |id: &RuleId| lookup.truth(*id, facts) == Truth::True;
        let mut found = self.certain;
        found = found.or_else(|| self.rules.iter().copied().find(matches));
        for place in &self.places {
            let mut visit = |id| {
                if matches(&id) {
                    found = Some(id);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            };
            let flow = if place.by_request {
                place.rules.search_request(lookup.keys, facts, &mut visit)
            } else {
                place.rules.search(lookup.keys, facts, &mut visit)
            };
            if flow.is_break() {
                break;
            }
        }
        Said {
            exist: self.exist,
            truest: found.map(|id| (Truth::True, id)),
        }
    }
}

//! What is left to decide about requests once their connection is known.

use std::ops::ControlFlow;

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

/// More rules than this are looked up for each request, and not kept for a connection: to look at
/// them one by one takes longer.
const MOST: usize = 16;

/// The policies that apply to a connection, without the rules that no request on it can match.
///
/// It is made once for a connection by [`PolicyIndex::residual`]; a request then only looks at what
/// is left. Its decisions are those of [`PolicyIndex::decide_request`].
#[derive(Debug)]
pub struct Residual<'i> {
    index: &'i PolicyIndex,
    target: PolicyTarget<'i>,
    connection: Connection<'i>,
    remainder: Remainder,
}

/// A [`Residual`] that does not hold what it was made from. It means something only together with
/// the same index, target and connection.
#[derive(Debug)]
pub(crate) struct Remainder {
    /// The first name of the target that is not known.
    missing: Option<usize>,
    kinds: [Left; KINDS.len()],
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
struct Left {
    exist: bool,
    /// A rule that matches whatever the request.
    certain: Option<RuleId>,
    /// Rules that may match.
    rules: Vec<RuleId>,
    /// Where others that may match are looked up.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    at: At,
    /// Whether rules are looked up that requests find alone, and not all.
    by_request: bool,
}

/// Where rules are, in the policies that apply.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The scope with this number.
    Scope(usize),
    /// The policy that is named with this number.
    Named(usize),
}

impl PolicyIndex {
    /// What is left to decide about requests on a connection. Allocates.
    pub fn residual<'i>(
        &'i self,
        target: &PolicyTarget<'i>,
        connection: &Connection<'i>,
    ) -> Residual<'i> {
        Residual {
            index: self,
            target: *target,
            connection: *connection,
            remainder: Remainder::of(self, target, connection),
        }
    }
}

impl<'i> Residual<'i> {
    /// Decides about a request on the connection. Allocates as little as
    /// [`PolicyIndex::decide_request`].
    pub fn decide(&self, request: &Request<'_>) -> Decision<'i> {
        self.remainder
            .decide(self.index, &self.target, &self.connection, request)
    }

    /// How many rules a request looks at one by one.
    #[must_use]
    pub fn rules(&self) -> usize {
        let kinds = self.remainder.kinds.iter();
        kinds.map(|left| left.rules.len()).sum()
    }
}

impl Remainder {
    /// What is left to decide about requests on a connection. Allocates.
    pub(crate) fn of(
        index: &PolicyIndex,
        target: &PolicyTarget<'_>,
        connection: &Connection<'_>,
    ) -> Self {
        let applying = Applying::new(index, target);
        let facts = Facts::of(connection, None, index.semantics);
        let mut named = applying.named().iter();
        Self {
            missing: named.position(|key| index.policy(key).is_none()),
            kinds: KINDS.map(|kind| Left::of(&applying, kind, &facts)),
        }
    }

    /// Decides about a request, with what this was made from.
    pub(crate) fn decide<'i>(
        &self,
        index: &'i PolicyIndex,
        target: &PolicyTarget<'i>,
        connection: &Connection<'_>,
        request: &Request<'_>,
    ) -> Decision<'i> {
        let facts = Facts::of(connection, Some(request), index.semantics);
        let applying = Applying::new(index, target);
        let missing = self.missing.and_then(|at| applying.named().get(at));
        conclude(&applying, missing, true, |kind| {
            let left = KINDS.iter().position(|one| *one == kind);
            let left = left.and_then(|at| self.kinds.get(at));
            left.map_or_else(Said::default, |left| left.ask(&applying, kind, &facts))
        })
    }
}

impl At {
    fn rules<'i>(self, applying: &Applying<'i>, kind: Kind) -> Option<&'i RuleIndex> {
        match self {
            Self::Scope(at) => applying.scope(at)?.rules(kind),
            Self::Named(at) => applying.index.known(applying.named().get(at)?)?.rules,
        }
    }
}

impl Left {
    fn of(applying: &Applying<'_>, kind: Kind, facts: &Facts<'_>) -> Self {
        let mut left = Self::default();
        let lookup = applying.lookup();
        for (at, key) in applying.named().iter().enumerate() {
            let known = applying.index.known(key);
            let Some(known) = known.filter(|known| Kind::of(known.policy) == kind) else {
                continue;
            };
            match known.rules {
                Some(rules) => left.add(At::Named(at), rules, lookup, facts),
                None => {
                    left.exist = true;
                    for (place, _) in known.policy.rules() {
                        let slot = known.slot;
                        let _ = left.look_at(RuleId { slot, place }, lookup, facts);
                    }
                }
            }
        }
        for at in (0..Applying::SCOPES).map(At::Scope) {
            if let Some(rules) = at.rules(applying, kind) {
                left.add(at, rules, lookup, facts);
            }
        }
        if left.certain.is_some() {
            left.rules = Vec::new();
            left.places = Vec::new();
        }
        left.rules.sort_unstable();
        left.rules.dedup();
        left
    }

    fn add(&mut self, at: At, rules: &RuleIndex, lookup: Lookup<'_>, facts: &Facts<'_>) {
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
            self.places.push(Place { at, by_request });
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

    fn ask(&self, applying: &Applying<'_>, kind: Kind, facts: &Facts<'_>) -> Said {
        let lookup = applying.lookup();
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
            let Some(rules) = place.at.rules(applying, kind) else {
                continue;
            };
            let flow = if place.by_request {
                rules.search_request(lookup.keys, facts, &mut visit)
            } else {
                rules.search(lookup.keys, facts, &mut visit)
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

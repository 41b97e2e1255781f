//! Which of two rules comes first.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use mesh_core::name::Name;

use crate::route::{Rule, Rules};

/// The place of a rule among those of all routes with one parent: the lower comes first.
///
/// Source: `HTTPRouteRule.matches` and `GRPCRouteRule.matches`; expressions come after prefixes, as in
/// Istio.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rank {
    pub(super) specific: Specific,
    /// Time of creation; those without come last.
    pub(super) created: Option<String>,
    pub(super) namespace: Name,
    pub(super) name: Name,
    /// Place of the rule and of its alternative in the object.
    pub(super) place: (u32, u32),
}

/// How much a condition says, most important first; more comes first.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Specific {
    /// 3 exact, 2 prefix, 1 expression; of gRPC the length of the service.
    pub(super) path_kind: usize,
    /// Characters of the path; of gRPC those of the method.
    pub(super) path_length: usize,
    pub(super) has_method: bool,
    pub(super) headers: usize,
    pub(super) query: usize,
}

/// A rule with its rank.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ranked {
    /// Its place.
    pub rank: Rank,
    /// The rule, which may be one of several tables.
    pub rule: Arc<Rule>,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |rank: &Self| Reverse(rank.specific);
        let age = |rank: &Self| (rank.created.is_none(), rank.created.clone());
        key(self)
            .cmp(&key(other))
            .then_with(|| age(self).cmp(&age(other)))
            .then_with(|| (&self.namespace, &self.name).cmp(&(&other.namespace, &other.name)))
            .then_with(|| self.place.cmp(&other.place))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The rules of all routes with one parent, in their order.
#[must_use]
pub fn merge(rules: impl IntoIterator<Item = Ranked>) -> Rules {
    let mut rules: Vec<Ranked> = rules.into_iter().collect();
    rules.sort_by(|a, b| a.rank.cmp(&b.rank));
    Rules::new(rules.into_iter().map(|ranked| ranked.rule))
}

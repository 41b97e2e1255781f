//! Which endpoints are preferred.

use std::sync::Arc;

use crate::endpoints::{EndpointSet, Group, Scopes};
use crate::model::{
    HealthPolicy, LoadBalancing, LoadBalancingMode, Place, RoutingScope, Service, Workload,
};

/// The routing preferences of a service, seen from the place of the source.
pub(super) struct Ranking<'a> {
    /// Absent when all endpoints are equal.
    preferences: Option<&'a LoadBalancing>,
    scopes: Scopes,
    source: &'a Place,
}

/// The groups of the best rank.
pub(super) enum Tier<'t, 'a> {
    All(&'a EndpointSet),
    Group(&'a Arc<Group>),
    Rank(&'t Ranking<'t>, &'a EndpointSet, usize),
}

impl<'a> Ranking<'a> {
    pub(super) fn new(service: &'a Service, source: &'a Workload) -> Self {
        let balancing = service.spec().load_balancing.as_ref();
        let scopes = Scopes::of(balancing);
        Self {
            preferences: balancing.filter(|_| scopes != Scopes::default()),
            scopes,
            source: source.place(),
        }
    }

    /// Whether all endpoints of each group of the set have one rank.
    pub(super) fn fits(&self, endpoints: &EndpointSet) -> bool {
        self.preferences.is_none() || self.scopes == endpoints.scopes()
    }

    /// The rank of a place; `None` when it does not take part.
    ///
    /// It is the number of leading preferences that match. When the first is the network, each
    /// place in the same network ranks above all others, and those are still compared by the
    /// other preferences.
    pub(super) fn rank(&self, place: &Place) -> Option<usize> {
        let Some(balancing) = self.preferences else {
            return Some(0);
        };
        let preferences = &balancing.routing_preferences;
        let mut rank = 0;
        for (at, scope) in preferences.iter().enumerate() {
            let network_first = at == 0 && *scope == RoutingScope::Network;
            if place.scope(*scope) == self.source.scope(*scope) {
                rank += if network_first { preferences.len() } else { 1 };
            } else if balancing.mode == LoadBalancingMode::Strict {
                return None;
            } else if !network_first {
                break;
            }
        }
        Some(rank)
    }

    /// The best rank that has weight, and the weight. The set must fit.
    pub(super) fn best_tier<'t, 'e>(
        &'t self,
        endpoints: &'e EndpointSet,
        health: HealthPolicy,
    ) -> Option<(Tier<'t, 'e>, u64)> {
        let some = |(tier, weight)| (weight > 0).then_some((tier, weight));
        let Some(balancing) = self.preferences else {
            let weight = endpoints.groups().sum().under(health);
            return some((Tier::All(endpoints), weight));
        };
        // Nothing ranks above the group that matches in all.
        let same = endpoints.group_of(self.source);
        let same = same.map(|group| (Tier::Group(group), group.members().sum().under(health)));
        if let Some(tier) = same.and_then(some) {
            return Some(tier);
        }
        if balancing.mode == LoadBalancingMode::Strict {
            return None;
        }
        let mut best: Option<(usize, u64)> = None;
        endpoints.groups().find_map(|group| -> Option<()> {
            let weight = group.members().sum().under(health);
            let rank = self.rank(group.place()).filter(|_| weight > 0)?;
            match &mut best {
                Some((best, total)) if *best == rank => *total += weight,
                Some((best, _)) if *best > rank => {}
                _ => best = Some((rank, weight)),
            }
            None
        });
        best.map(|(rank, total)| (Tier::Rank(self, endpoints, rank), total))
    }
}

impl<'a> Tier<'_, 'a> {
    /// The endpoint at a position within the weight of the tier.
    pub(super) fn member(&self, at: u64, health: HealthPolicy) -> Option<&'a Arc<Workload>> {
        let (group, at) = match self {
            Self::All(endpoints) => endpoints.groups().select(at, |sum| sum.under(health))?,
            Self::Group(group) => (*group, at),
            Self::Rank(ranking, endpoints, rank) => {
                let mut at = at;
                endpoints.groups().find_map(|group| {
                    if ranking.rank(group.place()) != Some(*rank) {
                        return None;
                    }
                    match at.checked_sub(group.members().sum().under(health)) {
                        Some(rest) => {
                            at = rest;
                            None
                        }
                        None => Some((group, at)),
                    }
                })?
            }
        };
        let (member, _) = group.members().select(at, |sum| sum.under(health))?;
        Some(&member.0)
    }
}

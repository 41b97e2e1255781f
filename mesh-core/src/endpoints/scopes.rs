//! Sets of routing scopes.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;

use crate::model::{LoadBalancing, LoadBalancingMode, Place, RoutingScope};

/// Some of the properties that places are compared by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Scopes(u8);

const ALL: [RoutingScope; 6] = [
    RoutingScope::Region,
    RoutingScope::Zone,
    RoutingScope::Subzone,
    RoutingScope::Node,
    RoutingScope::Cluster,
    RoutingScope::Network,
];

fn bit(scope: RoutingScope) -> u8 {
    match scope {
        RoutingScope::Region => 1,
        RoutingScope::Zone => 2,
        RoutingScope::Subzone => 4,
        RoutingScope::Node => 8,
        RoutingScope::Cluster => 16,
        RoutingScope::Network => 32,
    }
}

impl Scopes {
    /// Those that matter to a service.
    pub(crate) fn of(balancing: Option<&LoadBalancing>) -> Self {
        balancing.map_or_else(Self::default, |balancing| match balancing.mode {
            LoadBalancingMode::Standard | LoadBalancingMode::Passthrough => Self::default(),
            LoadBalancingMode::Strict | LoadBalancingMode::Failover => {
                let preferences = balancing.routing_preferences.iter();
                Self(preferences.fold(0, |set, scope| set | bit(*scope)))
            }
        })
    }

    /// Whether two places are equal in each of these scopes.
    pub(crate) fn agree(self, a: &Place, b: &Place) -> bool {
        let mut scopes = self.iter();
        scopes.all(|scope| a.scope(scope) == b.scope(scope))
    }

    /// Equal for places that agree.
    pub(crate) fn key(self, place: &Place) -> u32 {
        // A fixed seed: the order of endpoints shall not differ from run to run. What it could be
        // abused for, many places with one key, costs the writer and no reader.
        let mut hasher = FixedState::default().build_hasher();
        for scope in self.iter() {
            place.scope(scope).hash(&mut hasher);
        }
        (hasher.finish() >> 32) as u32
    }

    fn iter(self) -> impl Iterator<Item = RoutingScope> {
        ALL.into_iter()
            .filter(move |scope| self.0 & bit(*scope) != 0)
    }
}

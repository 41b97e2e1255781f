//! What can be set for connections to a service.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::time::Duration;

use mesh_core::lb::{Algorithm, Balancing};
use mesh_core::limits::BucketSettings;
use mesh_core::model::NamespacedHostname;

/// What applies to connections to a port of a service. The default is what applies without a policy.
///
/// Source: Istio's `DestinationRule.trafficPolicy`, as far as it is about connections.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrafficSettings {
    /// How endpoints are chosen, and how those that cannot be connected to are taken out. What algorithms count
    /// as requests are connections here; an attempt that fails counts as an answer that did not come
    /// ([`Event::NoAnswer`](mesh_core::lb::Event::NoAnswer)), one that succeeds as a success. Default: by chance.
    pub balancing: Balancing,
    /// What algorithms by hash go by; default nothing, which makes them go by chance.
    pub hash_by: HashBy,
    /// Connections at once, to all endpoints together; default 2^32 - 1.
    pub max_connections: u32,
    /// The longest that connecting to one endpoint may take. Default as long as the dialer takes; it cannot be made
    /// longer than that.
    pub connect_timeout: Option<Duration>,
    /// Endpoints that are tried for one connection, each one once; default 3.
    pub attempts: NonZeroU8,
}

/// What algorithms by hash go by.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HashBy {
    /// Nothing that connections have.
    #[default]
    Nothing,
    /// The address that the client connects from.
    SourceAddress,
}

impl TrafficSettings {
    /// Endpoints that are tried for one connection by default.
    pub const DEFAULT_ATTEMPTS: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);
}

impl Default for TrafficSettings {
    fn default() -> Self {
        let mut balancing = Balancing::default();
        balancing.algorithm = Algorithm::Random;
        Self {
            balancing,
            hash_by: HashBy::default(),
            max_connections: u32::MAX,
            connect_timeout: None,
            attempts: Self::DEFAULT_ATTEMPTS,
        }
    }
}

/// What applies to connections to a service.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceSettings {
    /// The service.
    pub service: NamespacedHostname,
    /// For ports that have no settings of their own.
    pub settings: TrafficSettings,
    /// For ports that do: they have nothing from `settings`.
    pub ports: BTreeMap<u16, TrafficSettings>,
    /// New connections to all ports together in a time; default any number.
    pub connection_rate: Option<BucketSettings>,
}

impl ServiceSettings {
    /// The defaults for a service.
    #[must_use]
    pub fn new(service: NamespacedHostname) -> Self {
        Self {
            service,
            settings: TrafficSettings::default(),
            ports: BTreeMap::new(),
            connection_rate: None,
        }
    }

    /// What applies to a port.
    #[must_use]
    pub fn port(&self, port: u16) -> &TrafficSettings {
        self.ports.get(&port).unwrap_or(&self.settings)
    }
}

//! Settings of upstreams: those of destination rules, with what annotations say in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::target::ServiceTarget;
use mesh_l7::upstream::{ClusterSettings, LocalityPreference};
use mesh_xds::manifest::Routing;

use crate::annotations::Annotated;

/// Settings of upstreams: those of destination rules, with what annotations say in their place.
#[derive(Debug)]
pub(crate) struct Tuned {
    pub(crate) routing: Arc<Routing>,
    pub(crate) annotated: Arc<Annotated>,
    /// The mesh's.
    pub(crate) locality: Arc<LocalityPreference>,
}

impl UpstreamConfig for Tuned {
    fn settings(&self, target: &ServiceTarget) -> ClusterSettings {
        let mut settings = self.routing.settings(target);
        let Some(values) = self.annotated.of(&target.namespace, &target.hostname) else {
            return settings;
        };
        settings.hedge = values.hedge;
        let balancing = &mut settings.balancing;
        balancing.algorithm = values.algorithm.unwrap_or(balancing.algorithm);
        if let (Some(outlier), Some(fleet)) = (&mut balancing.outlier, values.small_fleet) {
            outlier.small_fleet = fleet;
        }
        settings
    }

    fn subset(&self, target: &ServiceTarget) -> Option<&BTreeMap<String, String>> {
        self.routing.subset(target)
    }

    fn labels(&self, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.routing.labels(uid)
    }

    fn protocol(&self, target: &ServiceTarget) -> PortProtocol {
        self.routing.protocol(target)
    }

    fn locality(&self) -> &LocalityPreference {
        &self.locality
    }
}

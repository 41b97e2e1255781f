//! What is needed to reach one endpoint of a service, or a workload.

use std::sync::Arc;

use mesh_core::model::{Service, Workload};
use mesh_core::resolve::Hop;

/// What is needed to reach one endpoint of a service, or a workload that is addressed itself.
///
/// Two are equal when connections to one can be used for the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// The workload.
    pub workload: Arc<Workload>,
    /// The service that it is an endpoint of; `None` for a workload that is addressed itself.
    pub service: Option<Arc<Service>>,
    /// How to get there.
    pub hop: Hop,
}

impl Endpoint {
    /// An endpoint, of a service where it is one's.
    #[must_use]
    pub fn new(workload: Arc<Workload>, service: Option<Arc<Service>>, hop: Hop) -> Self {
        Self {
            workload,
            service,
            hop,
        }
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let host = |one: &Self| Some(one.service.as_ref()?.spec().hostname.clone());
        self.hop == other.hop && host(self) == host(other)
    }
}

impl Eq for Endpoint {}

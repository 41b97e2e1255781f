//! What is needed to reach one endpoint of a service.

use std::sync::Arc;

use mesh_core::model::{Service, Workload};
use mesh_core::resolve::Hop;

/// What is needed to reach one endpoint of a service.
///
/// Two are equal when connections to one can be used for the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// The workload.
    pub workload: Arc<Workload>,
    /// The service that it is an endpoint of.
    pub service: Arc<Service>,
    /// How to get there.
    pub hop: Hop,
}

impl Endpoint {
    /// An endpoint.
    #[must_use]
    pub fn new(workload: Arc<Workload>, service: Arc<Service>, hop: Hop) -> Self {
        Self {
            workload,
            service,
            hop,
        }
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let host = |one: &Self| one.service.spec().hostname.clone();
        self.hop == other.hop && host(self) == host(other)
    }
}

impl Eq for Endpoint {}

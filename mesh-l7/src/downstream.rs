//! The connection that a request came on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Extensions;
use mesh_core::baggage::Baggage;
use mesh_core::identity::SpiffeId;
use mesh_core::model::Workload;

use crate::target::ServiceTarget;

/// What is known of the connection that requests come on. It travels with each request, as an
/// `Arc` in its extensions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Downstream {
    /// Where the client is.
    pub source: SocketAddr,
    /// Who the client is, as its certificate proved it.
    pub identity: Option<SpiffeId>,
    /// The client's workload; found by its address when it is not said.
    pub workload: Option<Arc<Workload>>,
    /// Labels of the client's workload, for routes that ask for them.
    pub labels: Option<Arc<BTreeMap<String, String>>>,
    /// What the client's proxy says about the client; for telemetry, where the workload is not known.
    pub baggage: Option<Arc<Baggage>>,
    /// Where the client connected to: the address of a service, or of a workload.
    pub destination: SocketAddr,
    /// The service that the address belongs to; routes are looked up by it. For a workload that is addressed
    /// itself, [`ServiceTarget::of_workload`]: it has no routes, and requests go to it.
    pub service: Option<ServiceTarget>,
}

impl Downstream {
    /// A connection without identity, to no service.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            identity: None,
            workload: None,
            labels: None,
            baggage: None,
            destination,
            service: None,
        }
    }

    /// With the client's identity.
    #[must_use]
    pub fn with_identity(mut self, identity: Option<SpiffeId>) -> Self {
        self.identity = identity;
        self
    }

    /// With the client's workload.
    #[must_use]
    pub fn with_workload(mut self, workload: Option<Arc<Workload>>) -> Self {
        self.workload = workload;
        self
    }

    /// With the labels of the client's workload.
    #[must_use]
    pub fn with_labels(mut self, labels: Option<Arc<BTreeMap<String, String>>>) -> Self {
        self.labels = labels;
        self
    }

    /// With what the client's proxy says about the client.
    #[must_use]
    pub fn with_baggage(mut self, baggage: Option<Arc<Baggage>>) -> Self {
        self.baggage = baggage;
        self
    }

    /// With the service or workload that the address belongs to.
    #[must_use]
    pub fn with_service(mut self, service: ServiceTarget) -> Self {
        self.service = Some(service);
        self
    }

    /// That of a request.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<&Arc<Self>> {
        extensions.get()
    }
}

//! The connection that a request came on.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Extensions;
use mesh_core::identity::SpiffeId;

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
    /// Where the client connected to: the address of a service, or of a workload.
    pub destination: SocketAddr,
    /// The service that the address belongs to; routes are looked up by it. `None` for a workload.
    pub service: Option<ServiceTarget>,
}

impl Downstream {
    /// A connection without identity, to no service.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            identity: None,
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

    /// With the service that the address belongs to.
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

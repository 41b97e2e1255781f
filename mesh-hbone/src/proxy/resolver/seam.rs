//! What the services ask of a resolver.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::balance::Picked;
use mesh_core::model::Workload;
use mesh_core::resolve::{
    HostnameTarget, InboundError, InboundRequest, InboundRoute, IpFamily, OutboundRequest,
    OutboundRoute, PassthroughRoute, ResolveError,
};

/// The local workload is not known, so nothing can be decided on its behalf.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the local workload {workload} is not known")]
#[non_exhaustive]
pub struct NoLocalWorkload {
    /// What was looked for.
    pub workload: Box<str>,
}

impl NoLocalWorkload {
    /// A local workload that is not known.
    #[must_use]
    pub fn new(workload: impl Into<Box<str>>) -> Self {
        Self {
            workload: workload.into(),
        }
    }
}

/// Decides where connections of one local workload go.
///
/// [`MeshResolver`](super::MeshResolver) decides by the pure functions of [`mesh_core::resolve`]. The functions here may
/// wait, so that an implementation can fetch what it does not know yet; those who call them bound
/// the time.
pub trait Resolver: Clone + Send + Sync + 'static {
    /// The local workload as it is known now.
    ///
    /// # Errors
    /// When it is not known, after waiting for a while.
    fn local(&self) -> impl Future<Output = Result<Arc<Workload>, NoLocalWorkload>> + Send;

    /// Where a connection goes that leaves the local workload. Called again for a connection whose
    /// next hop failed: an answer that is chosen by chance may then differ.
    ///
    /// # Errors
    /// See [`ResolveError`].
    fn outbound(
        &self,
        local: &Workload,
        request: &OutboundRequest,
    ) -> impl Future<Output = Result<OutboundRoute, ResolveError>> + Send;

    /// The same for a connection whose endpoint a [`TrafficPolicy`](super::super::TrafficPolicy) has chosen, of the service
    /// that [`outbound`](Self::outbound) found. What leads elsewhere by now, as through a waypoint, goes there.
    ///
    /// # Errors
    /// See [`ResolveError`].
    fn outbound_to(
        &self,
        local: &Workload,
        request: &OutboundRequest,
        chosen: Picked<'_>,
    ) -> impl Future<Output = Result<OutboundRoute, ResolveError>> + Send;

    /// What a host name stands for that the local workload asks for.
    fn hostname(
        &self,
        local: &Workload,
        name: &str,
        port: u16,
        prefer: IpFamily,
    ) -> impl Future<Output = HostnameTarget> + Send;

    /// Where a CONNECT request goes that reached the local workload.
    ///
    /// # Errors
    /// See [`InboundError`].
    fn inbound(
        &self,
        local: &Workload,
        request: &InboundRequest<'_>,
    ) -> impl Future<Output = Result<InboundRoute, InboundError>> + Send;

    /// Where a plain connection goes that reached the local workload.
    ///
    /// # Errors
    /// See [`ResolveError`].
    fn passthrough(
        &self,
        local: &Workload,
        peer: SocketAddr,
        destination: SocketAddr,
    ) -> impl Future<Output = Result<PassthroughRoute, ResolveError>> + Send;
}

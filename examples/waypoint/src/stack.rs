//! The layers that a request passes, for the connections of one worker.

use std::sync::Arc;

use http::uri::Scheme;
use mesh_authz::layer::{Authn, AuthnLayer, Authz, AuthzLayer, NoSink, RequestPolicies};
use mesh_core::clock::SystemClock;
use mesh_l7::client::{Client, ClientSettings};
use mesh_l7::limit::{RateLimit, RateLimitLayer};
use mesh_l7::mesh::{Endpoint, MeshUpstreams};
use mesh_l7::router::{Router, RouterSettings};
use mesh_l7::telemetry::{Telemetry, TelemetryLayer};
use tower_layer::Layer;

use crate::connector::Connector;
use crate::mesh::Mesh;
use crate::security::ServiceSecurity;

type Routing<A> = Router<Endpoint, Arc<MeshUpstreams>, A>;

/// What sends requests to endpoints.
pub(crate) type Upstream = Client<Endpoint, Connector>;

/// What serves the requests of one connection.
pub(crate) type Requests<A = Upstream> =
    Telemetry<Authn<Authz<RequestPolicies, RateLimit<Routing<A>>>>>;

/// The part of the layers that all connections of a worker share.
///
/// ```text
/// telemetry -> tokens -> policies -> rate limits -> router -> client -> connector
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Stack<A: Clone = Upstream> {
    telemetry: TelemetryLayer,
    limited: RateLimit<Routing<A>>,
}

impl Stack {
    pub(crate) fn new(mesh: &Mesh, telemetry: TelemetryLayer, connector: Connector) -> Self {
        let client = Client::new(connector, ClientSettings::default());
        Self::with_client(mesh, telemetry, client)
    }
}

impl<A: Clone> Stack<A> {
    /// With something else than connections at its end.
    pub(crate) fn with_client(mesh: &Mesh, telemetry: TelemetryLayer, client: A) -> Self {
        let mut routing = RouterSettings::default();
        routing.session_key = mesh.session_key;
        let upstreams = mesh.upstreams.clone();
        let router = Router::with_settings(mesh.routes.watch(), upstreams, client, routing);
        let limits = RateLimitLayer::new(mesh.limits.table.watch());
        Self {
            telemetry,
            limited: limits.layer(router),
        }
    }

    /// What serves the requests of a connection to a service.
    pub(crate) fn requests(
        &self,
        security: &ServiceSecurity,
        policies: RequestPolicies,
    ) -> Requests<A> {
        let authz = AuthzLayer::new(policies, Arc::new(NoSink)).layer(self.limited.clone());
        let authn = AuthnLayer::new(
            security.tokens.watch(),
            Arc::new(SystemClock),
            Scheme::HTTP,
            Arc::new(NoSink),
        );
        self.telemetry.layer(authn.layer(authz))
    }
}

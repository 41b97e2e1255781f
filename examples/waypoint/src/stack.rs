//! The layers that a request passes, for the connections of one worker.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::Scheme;
use mesh_authz::layer::{
    Authn, AuthnLayer, Authz, AuthzLayer, Custom, ExternalProvider, NoSink, RequestPolicies,
};
use mesh_core::clock::SystemClock;
use mesh_core::name::Name;
use mesh_core::watch::Watch;
use mesh_l7::client::{Client, ClientSettings};
use mesh_l7::limit::{RateLimit, RateLimitLayer};
use mesh_l7::mesh::{Endpoint, MeshUpstreams};
use mesh_l7::router::{Hedge, Router, RouterSettings};
use mesh_l7::telemetry::{Telemetry, TelemetryLayer};
use tower_layer::Layer;

use crate::claims::ClaimsToRoutes;
use crate::client_cert::WithClientCert;
use crate::connector::Connector;
use crate::denials::{NotesDenials, NotesRefusals};
use crate::external;
use crate::mesh::Mesh;
use crate::security::ServiceSecurity;

type Routing<A> = ClaimsToRoutes<RateLimit<Router<Endpoint, Arc<MeshUpstreams>, Hedge<A>>>>;

/// What sends requests to endpoints.
pub(crate) type Upstream = Client<Endpoint, Connector>;

/// External authorizers by their names.
type Authorizers = Watch<HashMap<Name, ExternalProvider>>;

/// What serves the requests of one connection.
pub(crate) type Requests<A = Upstream> =
    Telemetry<WithClientCert<Custom<Authn<Authz<NotesDenials<RequestPolicies>, Routing<A>>>>>>;

/// The part of the layers that all connections of a worker share.
///
/// ```text
/// telemetry -> client certificate -> external authorizers -> tokens -> policies -> claims -> rate limits -> router -> client -> connector
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Stack<A: Clone = Upstream> {
    telemetry: TelemetryLayer,
    authorizers: Authorizers,
    limited: Routing<A>,
}

impl Stack {
    /// For the runtime that this is called on.
    pub(crate) fn new(mesh: &Mesh, telemetry: TelemetryLayer, connector: Connector) -> Self {
        let client = Client::new(connector, ClientSettings::default());
        let ways = external::Ways {
            store: mesh.store.clone(),
            upstreams: mesh.upstreams.clone(),
            client: client.clone(),
        };
        let authorizers = external::follow(mesh.providers.watch(), ways);
        Self::with_client(mesh, telemetry, client, authorizers)
    }
}

impl<A: Clone> Stack<A> {
    /// With something else than connections at its end.
    pub(crate) fn with_client(
        mesh: &Mesh,
        telemetry: TelemetryLayer,
        client: A,
        authorizers: Authorizers,
    ) -> Self {
        let mut settings = RouterSettings::default();
        settings.target_rules = mesh.target_rules();
        settings.session_key = mesh.session_key;
        mesh.timeouts.of_requests(&mut settings);
        let (routes, upstreams) = (mesh.routes.watch(), mesh.upstreams.clone());
        let router = Router::with_settings(routes, upstreams, Hedge::new(client), settings);
        let limits = RateLimitLayer::new(mesh.limits.table.watch());
        Self {
            telemetry,
            authorizers,
            limited: ClaimsToRoutes(limits.layer(router)),
        }
    }

    /// What serves the requests of a connection to a service, which are told this about the client.
    pub(crate) fn requests(
        &self,
        security: &ServiceSecurity,
        policies: RequestPolicies,
        client_cert: Option<HeaderValue>,
    ) -> Requests<A> {
        let custom = AuthzLayer::new(policies.clone(), Arc::new(NotesRefusals));
        let custom = custom.custom(self.authorizers.clone());
        let authz = AuthzLayer::new(NotesDenials(policies), Arc::new(NoSink));
        let authz = authz.layer(self.limited.clone());
        let authn = AuthnLayer::new(
            security.tokens.watch(),
            Arc::new(SystemClock),
            Scheme::HTTP,
            Arc::new(NotesRefusals),
        );
        self.telemetry.layer(WithClientCert {
            value: client_cert,
            inner: custom.layer(authn.layer(authz)),
        })
    }
}

//! The layers of a waypoint without its connections.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use http::{Request, Response};
use mesh_authz::layer::{ConnectionFacts, RequestPolicies};
use mesh_core::identity::SpiffeId;
use mesh_core::watch::Watch;
use mesh_l7::attempt::{Attempt, AttemptError};
use mesh_l7::body::Body;
use mesh_l7::downstream::Downstream;
use mesh_l7::mesh::Endpoint;
use mesh_l7::target::ServiceTarget;
use process::env::Env;
use tower_service::Service;

use crate::app::{BoxError, telemetry};
use crate::config::Settings;
use crate::mesh::Mesh;
use crate::sources;
use crate::stack::Stack;

/// The layers that requests pass in a waypoint, with a client of one's own at their end: for measurements, and
/// for tests of manifests without sockets.
///
/// Manifests are read once.
pub struct Layers<A: Clone> {
    mesh: Mesh,
    stack: Stack<A>,
}

impl<A> Layers<A>
where
    A: Service<Attempt<Endpoint>, Response = Response<Body>, Error = AttemptError>,
    A: Clone + Send + 'static,
    A::Future: Send,
{
    /// Layers with the settings of a process, of which only those about requests count. What is logged of
    /// requests goes to `log`, where `MESH_ACCESS_LOG` says that something is.
    ///
    /// # Errors
    /// A setting or a manifest that is not right, or no thread for the log.
    pub fn load(env: &Env, client: A, log: impl Write + Send + 'static) -> Result<Self, BoxError> {
        let settings = Settings::from_env(env, NonZeroUsize::MIN)?;
        let mesh = Mesh::new(&settings)?;
        sources::read_once(&settings, &mesh)?;
        let (_, telemetry, _) = telemetry(&settings, &mesh, log)?;
        let stack = Stack::with_client(&mesh, telemetry, client, Watch::fixed(HashMap::new()));
        Ok(Self { mesh, stack })
    }

    /// A connection to a port of a service, by its namespace and host name; requests have it in their extensions.
    /// `None` when there is no such service.
    #[must_use]
    pub fn downstream(
        &self,
        (namespace, host): (&str, &str),
        port: u16,
        (caller, source): (&SpiffeId, SocketAddr),
    ) -> Option<Arc<Downstream>> {
        let snapshot = self.mesh.store.snapshot();
        let service = snapshot.service(namespace, host)?.spec();
        let destination = SocketAddr::new(service.vips.first()?.ip, port);
        let target = ServiceTarget {
            namespace: service.namespace.clone(),
            hostname: service.hostname.clone(),
            port,
            subset: None,
        };
        let downstream = Downstream::new(source, destination)
            .with_identity(Some(caller.clone()))
            .with_service(target);
        Some(Arc::new(downstream))
    }

    /// What serves the requests of a connection. `None` when they cannot be served, as their rules for tokens cannot
    /// be used.
    #[must_use]
    pub fn requests(
        &self,
        downstream: &Downstream,
    ) -> Option<
        impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + use<A>,
    > {
        let target = downstream.service.as_ref()?;
        let snapshot = self.mesh.store.snapshot();
        let service = snapshot.service(&target.namespace, &target.hostname)?;
        let security = self.mesh.security.of(service).ok()?;
        let facts = ConnectionFacts::new(downstream.source, downstream.destination);
        let facts = match &downstream.identity {
            Some(identity) => facts.with_identity(identity.clone()),
            None => facts,
        };
        let policies = self.mesh.security.policies.watch();
        let policies = RequestPolicies::new(policies, security.applies.watch(), facts);
        Some(self.stack.requests(&security, policies, None))
    }
}

impl<A: Clone> fmt::Debug for Layers<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").finish_non_exhaustive()
    }
}

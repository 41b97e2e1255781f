//! A waypoint inside of another process.

use std::num::NonZeroUsize;
use std::sync::Arc;

use http::HeaderMap;
use mesh_authz::layer::ConnectionFacts;
use mesh_authz::{Request, RequestExplanation};
use mesh_core::drain::{self, Trigger};
use mesh_core::identity::SpiffeId;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::target::Target;
use mesh_core::watch::Watch;
use process::env::Env;

use crate::app::{BoxError, end, keep_up, shared};
use crate::config::Settings;
use crate::mesh::Mesh;
use crate::sources;
use crate::workers::Workers;

/// Policies that an explanation tells of.
const MOST: usize = 16;

/// A running waypoint, without the pages for administration and without a say about signals.
#[derive(Debug)]
pub struct Waypoint {
    settings: Arc<Settings>,
    mesh: Arc<Mesh>,
    workers: Workers,
    trigger: Trigger,
}

impl Waypoint {
    /// Starts one with the settings of a process, on threads of its own. What is to be done from time to
    /// time is done on the runtime that this is called on.
    ///
    /// # Errors
    /// Why it cannot start: a setting, a manifest, an address that is taken.
    pub fn start(env: &Env) -> Result<Self, BoxError> {
        let settings = Arc::new(Settings::from_env(env, NonZeroUsize::MIN)?);
        let mesh = Arc::new(Mesh::new(&settings)?);
        sources::start(&settings, &mesh)?;
        let shared = shared(&settings, &mesh)?;
        keep_up(&mesh);
        let (trigger, drain) = drain::channel();
        let workers = Workers::start(&shared, &drain)?;
        Ok(Self {
            settings,
            mesh,
            workers,
            trigger,
        })
    }

    /// The mesh as the manifests describe it.
    #[must_use]
    pub fn snapshots(&self) -> Watch<MeshSnapshot> {
        self.mesh.store.watch()
    }

    /// What the policies say about a request without a token; `None` when there is no such service, or the
    /// path is none.
    #[must_use]
    pub fn explain(
        &self,
        (namespace, host): (&str, &str),
        caller: &SpiffeId,
        (method, path): (&str, &str),
    ) -> Option<RequestExplanation> {
        let snapshot = self.mesh.store.snapshot();
        let service = snapshot.service(namespace, host)?;
        let security = self.mesh.security.of(service).ok()?;
        let here = self.settings.listen.hbone;
        let facts = ConnectionFacts::new(here, here).with_identity(caller.clone());
        let target = Target::normalize(path.as_bytes(), self.mesh.target_rules()).ok()?;
        let headers = HeaderMap::new();
        let request = Request::new(method, host, &headers).with_target(&target);
        let applies = security.applies.load();
        let index = self.mesh.security.policies.index();
        Some(index.explain_request(&applies.target(), &facts.connection(), &request, MOST))
    }

    /// Takes nothing new, and ends what has not ended after the drain deadline.
    pub async fn stop(self) {
        end(&self.trigger, self.settings.drain_deadline).await;
        self.workers.stop();
    }
}

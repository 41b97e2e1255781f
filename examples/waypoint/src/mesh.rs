//! What the waypoint knows: the mesh, its routes, and who it is itself.

use std::sync::{Arc, OnceLock};

use mesh_authz::kube::GATEWAY_LABEL;
use mesh_core::model::{Workload, WorkloadSpec};
use mesh_core::name::Name;
use mesh_core::resolve::ResolveConfig;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::MeshStore;
use mesh_core::target::{PathNormalization, TargetRules};
use mesh_core::watch::{self, Publisher};
use mesh_l7::mesh::{MeshUpstreams, UpstreamConfig};
use mesh_l7::route::RouteTable;
use mesh_l7::router::SessionKey;
use mesh_l7::upstream::LocalityPreference;
use mesh_xds::manifest::{MeshOptions, Problem, Report, Routing};
use parking_lot::Mutex;

use crate::annotations::Annotated;
use crate::client_cert::ClientCert;
use crate::config::{Settings, Timeouts};
use crate::limits::Limits;
use crate::mesh_config::{MeshConfig, Provider};
use crate::pod_labels::{self, PodLabelsError};
use crate::security::Security;
use crate::tuned::Tuned;

/// What the waypoint knows, shared by all workers.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) store: Arc<MeshStore>,
    pub(crate) upstreams: Arc<MeshUpstreams>,
    pub(crate) session_key: SessionKey,
    pub(crate) timeouts: Timeouts,
    pub(crate) routes: Publisher<RouteTable>,
    pub(crate) routing: Publisher<Routing>,
    pub(crate) security: Security,
    pub(crate) limits: Limits,
    /// The annotations that are in force, and what is wrong with those that are not.
    pub(crate) annotated: Publisher<(Arc<Annotated>, Vec<Problem>)>,
    /// External authorizers.
    pub(crate) providers: Publisher<Vec<Provider>>,
    /// Whether applications are told who the client is.
    pub(crate) client_cert: Publisher<ClientCert>,
    /// How paths are normalised; as the mesh's configuration said at the start.
    paths: OnceLock<PathNormalization>,
    /// The mesh's `localityLbSetting`.
    locality: Publisher<LocalityPreference>,
    root_namespace: Name,
    /// Held while upstreams and routes are replaced.
    changing: Mutex<()>,
}

impl Mesh {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// [`PodLabelsError`] when the labels of the own pod cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, PodLabelsError> {
        let store = Arc::new(MeshStore::new());
        let nobody = Arc::new(Workload::new(WorkloadSpec::default()));
        let mut resolve = ResolveConfig::new();
        resolve.hbone_port = settings.listen.hbone.port();
        let upstreams = MeshUpstreams::new(store.snapshot(), Arc::new(()), nobody);
        Ok(Self {
            session_key: settings.session_key,
            timeouts: settings.timeouts,
            upstreams: Arc::new(upstreams.with_resolve_config(resolve)),
            store,
            routes: watch::channel(RouteTable::default()).0,
            routing: watch::channel(Routing::default()).0,
            security: Security::new(settings, pod_labels::read(&settings.pod_labels)?),
            limits: Limits::new(),
            annotated: watch::channel(Default::default()).0,
            providers: watch::channel(Vec::new()).0,
            client_cert: watch::channel(ClientCert::default()).0,
            paths: OnceLock::new(),
            locality: watch::channel(LocalityPreference::Unsaid).0,
            root_namespace: MeshOptions::new(settings.trust_domain.clone())
                .policies
                .root_namespace,
            changing: Mutex::default(),
        })
    }

    /// How paths are normalised, for policies, routes and what is forwarded.
    pub(crate) fn target_rules(&self) -> TargetRules {
        let paths = self.paths.get().copied();
        paths.unwrap_or(PathNormalization::Base).into()
    }

    /// Takes over what manifests say now. Those whom policies ask come first, then policies, and upstreams before the
    /// routes to them.
    pub(crate) fn take(&self, settings: &Settings, report: &Report) {
        let config = MeshConfig::of(&report.inventory, &self.root_namespace);
        // What is decided about paths and what is forwarded must agree: it stays as it was at the start.
        self.paths
            .get_or_init(|| config.paths.unwrap_or(PathNormalization::Base));
        self.providers.publish(config.providers);
        self.locality.publish(config.locality);
        let labels = self.security.labels(&report.inventory);
        let namespace = &settings.workload.namespace;
        let client_cert = ClientCert::of(&report.inventory, namespace, &labels);
        self.client_cert.publish(client_cert);
        self.security.take(&report.inventory);
        self.annotate(settings, report);
        let Some(routing) = &report.routing else {
            return;
        };
        let _changing = self.changing.lock();
        self.update(settings, routing);
        self.routing.publish(routing.clone());
        self.routes.publish(routing.table.clone());
    }

    /// Takes over annotations. One that is wrong keeps the last good value.
    fn annotate(&self, settings: &Settings, report: &Report) {
        let labels = self.security.labels(&report.inventory);
        let gateway = labels.get(GATEWAY_LABEL).map(String::as_str);
        let own = (&settings.workload, gateway);
        let (before, _) = &*self.annotated.load();
        let (next, problems) = before.next(&report.inventory, &settings.node.domain, own);
        for problem in &problems {
            tracing::error!(%problem, "annotation not accepted, the last good value stays in force");
        }
        self.limits.take(&next);
        self.annotated.publish((Arc::new(next), problems));
    }

    /// Takes over workloads and services as they are now.
    pub(crate) fn refresh(&self, settings: &Settings) {
        let _changing = self.changing.lock();
        self.update(settings, &self.routing.load());
    }

    fn update(&self, settings: &Settings, routing: &Arc<Routing>) {
        let snapshot = self.store.snapshot();
        let place = own(settings, &snapshot).unwrap_or_else(|| {
            Arc::new(Workload::new(WorkloadSpec {
                network: settings.network.clone(),
                ..WorkloadSpec::default()
            }))
        });
        let config: Arc<dyn UpstreamConfig> = Arc::new(Tuned {
            routing: routing.clone(),
            annotated: self.annotated.load().0.clone(),
            locality: self.locality.load().clone(),
        });
        self.upstreams.update(snapshot, config, place);
    }
}

/// The waypoint's own workload.
pub(crate) fn own(settings: &Settings, snapshot: &MeshSnapshot) -> Option<Arc<Workload>> {
    let own = &settings.workload;
    let found = snapshot.local_workload(&own.namespace, &own.name, &own.service_account, None);
    found.cloned()
}

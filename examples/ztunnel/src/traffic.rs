//! Traffic policy of connections to services: destination rules and annotations of services, as manifests have them.

mod annotations;
mod destinations;

use std::sync::Arc;

use mesh_core::model::NamespacedHostname;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::MeshTraffic;
use mesh_xds::manifest::{Inventory, Routing};
use parking_lot::Mutex;

use annotations::Annotated;
use destinations::Settings;

/// The traffic policy that is in force, shared by all workers.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) policy: Arc<MeshTraffic>,
    /// The annotations that are in force.
    annotated: Mutex<Annotated>,
}

impl Traffic {
    /// No settings yet.
    pub(crate) fn new(store: &MeshStore) -> Self {
        Self {
            policy: Arc::new(MeshTraffic::new(store.watch())),
            annotated: Mutex::default(),
        }
    }

    /// Takes over what manifests say now. An annotation that is wrong keeps the last good value.
    pub(crate) fn take(&self, inventory: &Inventory, routing: &Routing, domain: &str) {
        let mut settings = Settings::new();
        for (namespace, hostname, rule) in routing.destinations() {
            let service = NamespacedHostname::new(namespace.clone(), hostname.clone());
            let key = (namespace.to_string(), hostname.to_string());
            settings.insert(key, destinations::settings(service, rule));
        }
        let mut annotated = self.annotated.lock();
        let (next, problems) = annotated.next(inventory, domain);
        *annotated = next;
        for problem in problems {
            tracing::error!(%problem, "annotation not accepted, the last good value stays in force");
        }
        annotated.apply(&mut settings);
        self.policy.replace(settings.into_values().collect());
    }
}

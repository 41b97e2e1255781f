//! Counting the look-ups of host names that connections wait for.

use std::io;
use std::sync::Arc;

use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{Addresses, NameLookup, SystemLookup};

use super::metrics::Metrics;
use crate::config::Settings;

/// The host's resolver, with each look-up counted for the workload of this proxy.
#[derive(Clone, Debug)]
pub(crate) struct CountedLookup {
    inner: SystemLookup,
    store: Arc<MeshStore>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
}

impl CountedLookup {
    pub(crate) fn new(
        store: Arc<MeshStore>,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            inner: SystemLookup::default(),
            store,
            settings,
            metrics,
        }
    }
}

impl NameLookup for CountedLookup {
    async fn lookup(&self, name: &str) -> io::Result<Addresses> {
        let local = &self.settings.workload;
        let snapshot = self.store.snapshot();
        let node = self.settings.node.as_deref();
        let source =
            snapshot.local_workload(&local.namespace, &local.name, &local.service_account, node);
        self.metrics.lookups.count(source.map(Arc::as_ref), name);
        self.inner.lookup(name).await
    }
}

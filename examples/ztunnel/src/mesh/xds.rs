//! The mesh as a control plane describes it.

use std::sync::Arc;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use mesh_xds::ads::{AdsClient, AdsError, AdsObserver, Demand, Termination};
use mesh_xds::control::ControlError;
use mesh_xds::convert::{ADDRESS, Addresses, Policies};
use mesh_xds::delta::{Interest, Received, Subscription};
use mesh_xds::local::{Beside, Merger};
use tokio::sync::watch;

use super::problem::problem_with_local;
use crate::config::{Settings, XdsSettings};
use crate::control_plane::endpoint;
use crate::telemetry::Metrics;

/// Follows the control plane on the current runtime. The watch turns true when everything that
/// there is to know at first is known; what else there is can be demanded.
pub(super) fn start(
    xds: &XdsSettings,
    settings: &Arc<Settings>,
    (store, policies): (&Arc<MeshStore>, &Arc<PolicyStore>),
    merger: &Merger,
    metrics: &Arc<Metrics>,
) -> Result<(watch::Receiver<bool>, Option<Demand>), ControlError> {
    let endpoint = endpoint(&xds.server, settings)?;
    let (synced, is_synced) = watch::channel(false);
    let addresses = Subscription::new(Addresses::new(Beside::new(store.clone(), merger)));
    let addresses = if xds.on_demand {
        addresses.interest(Interest::OnDemand)
    } else {
        addresses
    };
    let client = AdsClient::builder(endpoint, settings.node_info.identity("ztunnel"))
        .subscribe(addresses)
        .subscribe(Subscription::new(Policies::new(Beside::new(
            policies.clone(),
            merger,
        ))))
        .observer(Observer {
            settings: settings.clone(),
            store: store.clone(),
            policies: policies.clone(),
            metrics: metrics.clone(),
            synced,
        })
        .build();
    let demand = xds.on_demand.then(|| client.demand(ADDRESS));
    tokio::spawn(client.run());
    Ok((is_synced, demand))
}

/// Counts and logs what the client does.
struct Observer {
    settings: Arc<Settings>,
    store: Arc<MeshStore>,
    policies: Arc<PolicyStore>,
    metrics: Arc<Metrics>,
    synced: watch::Sender<bool>,
}

impl AdsObserver for Observer {
    fn received(&self, received: &Received, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let rejected = u64::try_from(received.rejected.len()).unwrap_or(u64::MAX);
        self.metrics.xds().message(&received.type_url, bytes);
        self.metrics.xds().rejected(rejected);
    }

    fn synced(&self) {
        let mesh = self.store.snapshot();
        tracing::info!(
            workloads = mesh.workload_count(),
            services = mesh.service_count(),
            policies = self.policies.index().len(),
            "mesh synchronized"
        );
        let on_demand = self.settings.xds.as_ref().is_some_and(|xds| xds.on_demand);
        let problem = problem_with_local(&self.settings, &self.store);
        if let Some(problem) = problem.filter(|_| !on_demand) {
            tracing::warn!(problem, "the workload of this proxy cannot be served");
        }
        self.synced.send_replace(true);
    }

    fn terminated(&self, reason: Termination, _: Option<&AdsError>) {
        self.metrics.xds().ended(reason);
    }
}

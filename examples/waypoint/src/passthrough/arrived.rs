//! A connection that is to be carried, and who is told about it.

use std::sync::Arc;

use mesh_core::model::Service;
use mesh_l7::downstream::Downstream;
use mesh_l7::target::ServiceTarget;
use mesh_l7::telemetry::{AccessLog, MeshWorkloads, Metrics};

/// Who is told about connections.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Option<Arc<AccessLog>>,
    pub(crate) workloads: Arc<MeshWorkloads>,
}

/// A connection that is to be carried, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) downstream: Arc<Downstream>,
    /// `None` for a workload that is addressed itself.
    pub(crate) service: Option<Arc<Service>>,
    pub(crate) target: ServiceTarget,
}

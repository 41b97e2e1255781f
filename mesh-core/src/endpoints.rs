//! The endpoints of a service.

use std::sync::Arc;

use crate::model::{NamespacedHostname, PortMap, Workload, WorkloadStatus};

/// One endpoint of a service: a workload with its own port mapping for that service.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    workload: &'a Arc<Workload>,
    ports: &'a PortMap,
}

impl<'a> Endpoint<'a> {
    /// The workload.
    #[must_use]
    pub fn workload(&self) -> &'a Arc<Workload> {
        self.workload
    }

    /// The workload's own mapping from service ports to target ports; may be empty.
    #[must_use]
    pub fn ports(&self) -> &'a PortMap {
        self.ports
    }

    /// Whether it takes new connections.
    #[must_use]
    pub fn health(&self) -> WorkloadStatus {
        self.workload.status()
    }
}

/// All endpoints of one service, healthy and unhealthy, in no particular order.
#[derive(Clone, Debug, Default)]
pub struct EndpointSet {
    service: NamespacedHostname,
    workloads: Vec<Arc<Workload>>,
}

impl EndpointSet {
    pub(crate) fn new(service: NamespacedHostname) -> Self {
        Self {
            service,
            workloads: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, workload: Arc<Workload>) {
        self.workloads.push(workload);
    }

    /// The number of endpoints.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workloads.len()
    }

    /// Whether there is no endpoint.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workloads.is_empty()
    }

    /// All endpoints, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Endpoint<'_>> + '_ {
        self.workloads.iter().filter_map(|workload| {
            let ports = workload.ports_for(&self.service)?;
            Some(Endpoint { workload, ports })
        })
    }
}

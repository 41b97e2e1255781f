//! Workload entries: workloads that are not pods.

use mesh_core::model::WorkloadStatus;

use super::Builder;
use super::entries::{entry_ports, fill, merged};
use super::pods::tunnel_protocol;
use super::waypoints::Asking;
use crate::manifest::inventory::Object;
use crate::manifest::objects::{WorkloadEntrySpec, WorkloadEntryStatus};

type Entry = Object<WorkloadEntrySpec, WorkloadEntryStatus>;

impl Builder<'_> {
    pub(super) fn workload_entries(&mut self) {
        for entry in self.inventory.workload_entries.iter() {
            self.workload_entry(entry);
        }
    }

    fn workload_entry(&mut self, entry: &Entry) {
        let (namespace, name) = (entry.namespace(), entry.name());
        let cluster = &self.options.cluster_id;
        let uid = format!("{cluster}/networking.istio.io/WorkloadEntry/{namespace}/{name}");
        let labels = merged(entry.labels(), &entry.spec.labels);
        let mut workload = self.base(&entry.document, uid, &labels);
        if !fill(&mut workload, &entry.spec, &labels) {
            let address = &entry.spec.address;
            let text = format!("expected an IP address or a host name, got `{address}`");
            return self.note(&entry.document, "spec.address", text);
        }
        let annotations = &entry.metadata().annotations;
        (workload.tunnel_protocol, workload.native_tunnel) = tunnel_protocol(annotations, &labels);
        let mut conditions = entry.status.conditions.iter();
        if conditions.any(|one| one.kind == "Healthy" && one.status == "False") {
            workload.status = WorkloadStatus::Unhealthy;
        }
        workload.waypoint = self.waypoint(Asking::Workload, &entry.document, &labels);
        let selecting = self.selecting(namespace, &labels);
        workload.services = selecting
            .into_iter()
            .map(|draft| (draft.key(), entry_ports(draft, &entry.spec)))
            .collect();
        workload.authorization_policies = (self.policies)(namespace, &labels);
        self.workload(&entry.document, workload, &labels);
    }
}

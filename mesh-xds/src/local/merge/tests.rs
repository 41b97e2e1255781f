//! Tests of a file beside another source, which writes to the stores by itself.

use std::sync::Arc;

use mesh_authz::spec::{Action, PolicySpec, Scope};
use mesh_authz::store::PolicyStore;
use mesh_core::model::{ServiceSpec, WorkloadSpec};
use mesh_core::store::{Batch, MeshStore, Update};

use super::Merger;
use crate::apply::Apply;
use crate::local::{Beside, parse};

const FILE: &str = "
workloads: [{uid: w, name: of-file, namespace: ns, workloadIps: [10.0.0.1], services: {}}]
services: [{name: of-file, namespace: ns, hostname: s, vips: [/10.1.0.1], ports: {80: 80}}]
policies: [{name: p, namespace: ns, scope: Namespace, action: Allow, rules: []}]
";

struct Stores {
    mesh: Arc<MeshStore>,
    policies: Arc<PolicyStore>,
    merger: Merger,
}

impl Stores {
    fn new() -> Self {
        Self {
            mesh: Arc::default(),
            policies: Arc::default(),
            merger: Merger::default(),
        }
    }

    fn file(&mut self, text: &str) {
        let config = parse(text, "mesh.yaml").unwrap();
        let merged = self
            .merger
            .merge(&self.mesh, Some(&self.policies), config, "mesh.yaml");
        merged.unwrap();
    }

    /// The other source has the same keys.
    fn other(&self) {
        let policy = PolicySpec::new("ns", "p", Scope::Namespace, Action::Deny);
        let policies = Beside::new(self.policies.clone(), &self.merger);
        let rejected = policies.apply(vec![Update::Upsert(policy)]);
        assert_eq!(rejected, []);
        let mut batch = Batch::default();
        batch.services.push(Update::Upsert(ServiceSpec {
            name: "of-other".into(),
            namespace: "ns".into(),
            hostname: "s".into(),
            ..ServiceSpec::default()
        }));
        batch.workloads.push(Update::Upsert(WorkloadSpec {
            uid: "w".into(),
            name: "of-other".into(),
            ..WorkloadSpec::default()
        }));
        Beside::new(self.mesh.clone(), &self.merger).apply(batch);
    }

    /// The other source has them no more.
    fn other_removes(&self) {
        let policies = Beside::new(self.policies.clone(), &self.merger);
        policies.apply(vec![Update::Remove("ns/p".into())]);
        let mut batch = Batch::default();
        batch.removals = vec!["w".into(), "ns/s".into()];
        Beside::new(self.mesh.clone(), &self.merger).apply(batch);
    }

    /// Whose workload, service and policy are there.
    fn holds(&self) -> Option<[String; 3]> {
        let (mesh, policies) = (self.mesh.snapshot(), self.policies.index());
        Some([
            mesh.workload("w")?.name().to_string(),
            mesh.service("ns", "s")?.spec().name.to_string(),
            format!("{:?}", policies.policy("ns/p")?.action()),
        ])
    }
}

fn of_other() -> Option<[String; 3]> {
    Some(["of-other", "of-other", "Deny"].map(str::to_owned))
}

fn of_file() -> Option<[String; 3]> {
    Some(["of-file", "of-file", "Allow"].map(str::to_owned))
}

#[test]
fn what_the_file_brought_goes_with_it() {
    let mut stores = Stores::new();
    stores.file(FILE);
    assert_eq!(stores.holds(), of_file());
    stores.file(FILE);
    assert_eq!(stores.holds(), of_file());
    stores.file("{}");
    assert_eq!(stores.holds(), None);
    assert!(stores.policies.index().is_empty());
    assert_eq!(stores.mesh.snapshot().workload_count(), 0);
    assert_eq!(stores.mesh.snapshot().service_count(), 0);
}

#[test]
fn what_another_source_put_in_the_place_of_it_stays() {
    let mut stores = Stores::new();
    stores.file(FILE);
    stores.other();
    assert_eq!(stores.holds(), of_other());
    stores.file("{}");
    assert_eq!(stores.holds(), of_other());
}

#[test]
fn what_another_source_has_is_neither_replaced_nor_removed() {
    let mut stores = Stores::new();
    stores.other();
    stores.file(FILE);
    assert_eq!(stores.holds(), of_other());
    stores.file("{}");
    assert_eq!(stores.holds(), of_other());
}

#[test]
fn what_another_source_removes_and_the_file_has_is_that_of_the_file() {
    // Whoever was there first.
    for file_first in [true, false] {
        let mut stores = Stores::new();
        if file_first {
            stores.file(FILE);
            stores.other();
        } else {
            stores.other();
            stores.file(FILE);
        }
        assert_eq!(stores.holds(), of_other(), "{file_first}");
        stores.other_removes();
        assert_eq!(stores.holds(), of_file(), "{file_first}");
        // It is the file's own again: it changes and goes with it.
        stores.file(&FILE.replace("of-file", "changed"));
        let holds = stores.holds().unwrap();
        assert_eq!(holds, ["changed", "changed", "Allow"], "{file_first}");
        stores.other();
        stores.other_removes();
        stores.file("{}");
        assert_eq!(stores.holds(), None, "{file_first}");
        assert_eq!(stores.mesh.snapshot().workload_count(), 0);
    }
}

#[test]
fn what_only_another_source_has_goes_when_it_removes_it() {
    let mut stores = Stores::new();
    stores.file("{}");
    stores.other();
    stores.other_removes();
    assert_eq!(stores.holds(), None);
    assert_eq!(stores.mesh.snapshot().workload_count(), 0);
    assert_eq!(stores.mesh.snapshot().service_count(), 0);
    assert!(stores.policies.index().is_empty());
}

//! What the store must not remember.

use super::{Batch, MeshStore, Update};
use crate::model::{NamespacedHostname, PortMap, WorkloadSpec};

fn pod(generation: usize, index: usize) -> WorkloadSpec {
    let service = NamespacedHostname::new("default", format!("web-{generation}.example"));
    WorkloadSpec {
        uid: format!("cluster//Pod/default/web-{generation}-{index}").into(),
        name: format!("web-{generation}-{index}").into(),
        namespace: "default".into(),
        workload_name: format!("web-{generation}").into(),
        node: format!("node-{generation}").into(),
        services: vec![(service, PortMap::default())],
        ..WorkloadSpec::default()
    }
}

#[test]
fn names_and_records_are_forgotten_with_their_last_workload() {
    let store = MeshStore::new();
    // A reader that never lets go of the first generation.
    let mut reader = None;
    for generation in 0..50 {
        let pods = (0..20).map(|index| pod(generation, index)).collect();
        store.replace_all(pods, Vec::new());
        let kept = reader.get_or_insert_with(|| store.snapshot());
        assert_eq!(kept.workload_count(), 20);
        // Namespace, owner, node and host name; one deployment on one node.
        assert_eq!(
            store.state.lock().pool.sizes(),
            [4, 1, 1],
            "generation {generation}"
        );
    }
    let all = (0..20).map(|index| pod(49, index).uid).collect();
    store.apply(Batch {
        removals: all,
        ..Batch::default()
    });
    assert_eq!(store.state.lock().pool.sizes(), [0, 0, 0]);
}

#[test]
fn an_unchanged_workload_is_counted_once() {
    let store = MeshStore::new();
    for _ in 0..3 {
        let workloads = vec![Update::Upsert(pod(0, 0))];
        store.apply(Batch {
            workloads,
            ..Batch::default()
        });
    }
    store.apply(Batch {
        workloads: vec![Update::Remove(pod(0, 0).uid)],
        ..Batch::default()
    });
    assert_eq!(store.state.lock().pool.sizes(), [0, 0, 0]);
}

#[test]
fn pods_of_one_deployment_share_their_names() {
    let store = MeshStore::new();
    store.replace_all((0..2).map(|index| pod(0, index)).collect(), Vec::new());
    let mesh = store.snapshot();
    let mut all = mesh.workloads();
    let (a, b) = (all.next().unwrap(), all.next().unwrap());
    assert!(std::ptr::eq(
        a.workload_name().as_str(),
        b.workload_name().as_str()
    ));
    assert!(std::ptr::eq(a.node().as_str(), b.node().as_str()));
}

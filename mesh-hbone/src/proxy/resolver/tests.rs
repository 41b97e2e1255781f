//! Time is paused: it passes only where a test says so.

use std::sync::Arc;

use mesh_core::model::WorkloadSpec;
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use tokio::time::Instant;

use super::{LocalWorkload, MeshResolver, NoLocalWorkload, Resolver};

fn pod(uid: &str) -> WorkloadSpec {
    WorkloadSpec {
        uid: uid.into(),
        name: "web-1".into(),
        namespace: "default".into(),
        service_account: "web".into(),
        node: "n1".into(),
        ips: vec![[10, 0, 0, 1].into()],
        ..WorkloadSpec::default()
    }
}

fn by_pod() -> LocalWorkload {
    LocalWorkload::Pod {
        namespace: "default".into(),
        name: "web-1".into(),
        service_account: "web".into(),
        node: None,
    }
}

fn resolver(store: &MeshStore, local: LocalWorkload) -> MeshResolver {
    MeshResolver::new(store.watch(), ResolveConfig::new(), local)
}

#[tokio::test]
async fn the_local_workload_is_found_by_each_of_its_names() {
    let store = MeshStore::new();
    store.replace_all(vec![pod("a")], vec![]);
    let ways = [
        by_pod(),
        LocalWorkload::Uid("a".into()),
        LocalWorkload::Address {
            network: "".into(),
            ip: [10, 0, 0, 1].into(),
        },
    ];
    for way in ways {
        let resolver = resolver(&store, way.clone());
        for _ in 0..2 {
            assert_eq!(resolver.local().await.unwrap().uid(), "a", "{way}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_workload_that_appears_late_is_waited_for() {
    let store = Arc::new(MeshStore::new());
    let resolver = resolver(&store, by_pod());
    let waiting = tokio::spawn(async move { resolver.local().await });
    tokio::task::yield_now().await;
    store.replace_all(vec![pod("late")], vec![]);
    assert_eq!(waiting.await.unwrap().unwrap().uid(), "late");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_local_workload_ends_after_5_seconds() {
    let store = MeshStore::new();
    let began = Instant::now();
    let error = resolver(&store, by_pod()).local().await.unwrap_err();
    assert_eq!(error, NoLocalWorkload::new("default/web-1"));
    assert_eq!(began.elapsed(), MeshResolver::DEFAULT_WAIT);
}

#[tokio::test]
async fn a_pod_that_was_replaced_is_found_under_its_new_id() {
    let store = MeshStore::new();
    store.replace_all(vec![pod("old")], vec![]);
    let resolver = resolver(&store, by_pod());
    assert_eq!(resolver.local().await.unwrap().uid(), "old");
    let other = WorkloadSpec {
        name: "other".into(),
        ..pod("old")
    };
    store.replace_all(vec![other, pod("new")], vec![]);
    assert_eq!(resolver.local().await.unwrap().uid(), "new");
}

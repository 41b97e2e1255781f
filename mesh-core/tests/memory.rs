//! What a known workload costs, all indexes included, and that nothing stays behind.
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mesh_core::model::{
    Locality, NamespacedHostname, PortMap, ServiceSpec, TunnelProtocol, WorkloadSpec, WorkloadType,
};
use mesh_core::store::{Batch, MeshStore, Update};

/// Counts the bytes that are allocated now.
struct Counting;

static REQUESTED: AtomicUsize = AtomicUsize::new(0);
/// As an allocator hands them out: a header of 8 bytes, multiples of 16, at least 32.
static OCCUPIED: AtomicUsize = AtomicUsize::new(0);

fn occupied(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTED.fetch_add(layout.size(), Ordering::Relaxed);
        OCCUPIED.fetch_add(occupied(layout.size()), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        REQUESTED.fetch_sub(layout.size(), Ordering::Relaxed);
        OCCUPIED.fetch_sub(occupied(layout.size()), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts are of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn service(service: u32) -> NamespacedHostname {
    let namespace = format!("ns-{}", service % 50);
    let hostname = format!("web-{service}.{namespace}.svc.cluster.local");
    NamespacedHostname::new(namespace, hostname)
}

/// A pod as a control plane describes it: one address, in one service.
fn pod(index: u32) -> WorkloadSpec {
    let key = service(index % 500);
    let deployment = format!("web-{}", index % 500);
    let name = format!("{deployment}-5f7d8c9b6-{index:05x}");
    WorkloadSpec {
        uid: format!("Kubernetes//Pod/{}/{name}", key.namespace).into(),
        name: name.into(),
        namespace: key.namespace.clone(),
        trust_domain: "cluster.local".into(),
        service_account: deployment.as_str().into(),
        network: "network-1".into(),
        ips: vec![IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + index))],
        tunnel_protocol: TunnelProtocol::Hbone,
        node: format!("node-{}", index.wrapping_mul(7919) % 100).into(),
        canonical_name: deployment.as_str().into(),
        canonical_revision: "latest".into(),
        workload_type: WorkloadType::Pod,
        workload_name: deployment.into(),
        cluster_id: "Kubernetes".into(),
        services: vec![(key, [(80, 8080)].into_iter().collect::<PortMap>())],
        locality: Locality {
            region: "region-1".into(),
            zone: format!("zone-{}", index % 3).into(),
            subzone: "".into(),
        },
        ..WorkloadSpec::default()
    }
}

fn services() -> Vec<ServiceSpec> {
    let spec = |index| {
        let key = service(index);
        ServiceSpec {
            namespace: key.namespace,
            hostname: key.hostname,
            ports: [(80, 8080)].into_iter().collect(),
            ..ServiceSpec::default()
        }
    };
    (0..500).map(spec).collect()
}

#[test]
fn a_known_workload_costs_at_most_220_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let count = 100_000;
    let store = MeshStore::new();
    let before = (
        REQUESTED.load(Ordering::Relaxed),
        OCCUPIED.load(Ordering::Relaxed),
    );
    store.replace_all((0..10).map(pod).collect(), services());
    // In pieces: what is inserted at once is packed a little closer.
    for first in (10..count).step_by(1000) {
        let some = first..count.min(first + 1000);
        let mut batch = Batch::default();
        batch.workloads = some.map(pod).map(Update::Upsert).collect();
        store.apply(batch);
    }
    let requested = REQUESTED.load(Ordering::Relaxed) - before.0;
    let occupied = OCCUPIED.load(Ordering::Relaxed) - before.1;
    let count = usize::try_from(count).unwrap();
    println!(
        "{count} workloads: {} bytes each, {} with the allocator's rounding",
        requested / count,
        occupied / count
    );
    assert!(requested / count <= 220);
    assert_eq!(store.snapshot().workload_count(), count);
}

#[test]
fn churn_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let store = MeshStore::new();
    let mut after_first = None;
    for generation in 0..20_u32 {
        let first = generation * 2_000;
        let pods = (first..first + 2_000).map(pod);
        store.apply(Batch::default());
        let mut batch = Batch::default();
        batch.workloads = pods.map(Update::Upsert).collect();
        store.apply(batch);
        let mut batch = Batch::default();
        batch.removals = (first..first + 2_000).map(|index| pod(index).uid).collect();
        store.apply(batch);
        let now = REQUESTED.load(Ordering::Relaxed);
        let first = *after_first.get_or_insert(now);
        // Hash tables keep their size, which random seeds may double once.
        assert!(
            now < first + 100_000,
            "generation {generation}: {now} after {first}"
        );
    }
    assert_eq!(store.snapshot().workload_count(), 0);
}

//! First syncs of a node proxy: processor time beside that of plain decoding, and memory; then one
//! update and one look-up.
//!
//! `cargo bench -p mesh-xds --bench first_sync [-- WORKLOADS...]`; by default 10,000, 100,000 and
//! 1,000,000.
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::System;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mesh_core::model::{
    Locality, NamespacedHostname, NetworkAddress, PortMap, ServiceSpec, TunnelProtocol,
    WorkloadSpec, WorkloadType,
};
use mesh_core::store::MeshStore;
use mesh_xds::convert::{ADDRESS, Addresses, service_address, workload_address};
use mesh_xds::delta::{Delta, DeltaConfig, Subscription};
use mesh_xds::wire::discovery::{Any, DeltaDiscoveryResponse, Resource};
use mesh_xds::wire::workload::Address;
use prost::Message;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NETWORK: &str = "network-1";

/// Resources of one response; Istio sends all in one, which is then limited to 200 MiB.
const RESPONSE: u32 = 250_000;

/// Updates and look-ups that are timed together.
const TIMES: u32 = 2_000;

fn main() {
    let sizes = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok());
    let mut sizes: Vec<u32> = sizes.collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000, 1_000_000];
    }
    println!(
        "| workloads | bytes of responses | plain decode | first sync | per workload | heap | per \
         workload | update | look-up |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    sizes.into_iter().for_each(run);
}

/// Processor time of this thread, in nanoseconds.
fn processor() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Bytes on the heap; what a reallocation adds is among those allocated.
fn heap() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn run(workloads: u32) {
    let responses = responses(workloads);
    let bytes: usize = responses.iter().map(Bytes::len).sum();
    let start = processor();
    responses.iter().for_each(decode);
    let plain = processor() - start;

    let before = heap();
    let store = Arc::new(MeshStore::new());
    let subscription = Subscription::new(Addresses::new(store.clone()));
    let mut delta = Delta::new(DeltaConfig::default(), [subscription]);
    let now = Instant::now();
    delta.opened(now);
    let start = processor();
    for response in &responses {
        let response = DeltaDiscoveryResponse::decode(response.clone()).unwrap();
        let received = delta.receive(response, now);
        assert!(received.rejected.is_empty());
    }
    while delta.next_request(now).is_some() {}
    let sync = processor() - start;
    let grown = heap() - before;
    assert_eq!(store.snapshot().workload_count(), workloads as usize);

    let updates: Vec<_> = (0..TIMES.min(workloads))
        .map(|index| {
            let mut spec = pod(index, workloads);
            spec.node = "elsewhere".into();
            response(vec![workload(&spec)])
        })
        .collect();
    // A reader has the snapshot, as readers do.
    let reader = store.snapshot();
    let start = processor();
    for update in &updates {
        let response = DeltaDiscoveryResponse::decode(update.clone()).unwrap();
        delta.receive(response, now);
        black_box(delta.next_request(now));
    }
    let update = (processor() - start) / u64::from(TIMES.min(workloads));
    drop(reader);
    let mesh = store.snapshot();
    let start = processor();
    for index in 0..TIMES * 100 {
        let ip = ip(index.wrapping_mul(7919) % workloads);
        black_box(mesh.workload_at(NETWORK, black_box(ip)));
    }
    let lookup = (processor() - start) / u64::from(TIMES * 100);
    let each = |total: usize| total / workloads as usize;
    println!(
        "| {workloads} | {:.1} MB | {:.3} s | {:.3} s | {:.2} µs | {:.1} MB | {} B | {:.1} µs | {lookup} ns |",
        bytes as f64 / 1e6,
        plain as f64 / 1e9,
        sync as f64 / 1e9,
        sync as f64 / 1e3 / f64::from(workloads),
        grown as f64 / 1e6,
        each(grown),
        update as f64 / 1e3,
    );
}

fn decode(response: &Bytes) {
    let response = DeltaDiscoveryResponse::decode(response.clone()).unwrap();
    for resource in response.resources {
        black_box(Address::decode(resource.resource.unwrap().value).unwrap());
    }
}

fn responses(workloads: u32) -> Vec<Bytes> {
    let services = services(workloads);
    let mut all = vec![response((0..services).map(service).collect())];
    for first in (0..workloads).step_by(RESPONSE as usize) {
        let some = first..workloads.min(first + RESPONSE);
        let resources = some.map(|index| workload(&pod(index, workloads)));
        all.push(response(resources.collect()));
    }
    all
}

fn response(resources: Vec<Resource>) -> Bytes {
    let response = DeltaDiscoveryResponse {
        type_url: ADDRESS.into(),
        nonce: "1".into(),
        resources,
        ..DeltaDiscoveryResponse::default()
    };
    response.encode_to_vec().into()
}

fn resource(name: String, aliases: Vec<String>, body: Vec<u8>) -> Resource {
    // As long as the hashes that servers use.
    let version = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Resource {
        name,
        aliases,
        version: format!("{version:016x}"),
        resource: Some(Any {
            type_url: ADDRESS.into(),
            value: body.into(),
        }),
        ..Resource::default()
    }
}

fn workload(spec: &WorkloadSpec) -> Resource {
    let aliases = spec
        .ips
        .iter()
        .map(|ip| format!("{NETWORK}/{ip}"))
        .collect();
    resource(
        spec.uid.to_string(),
        aliases,
        workload_address(spec).encode_to_vec(),
    )
}

fn service(index: u32) -> Resource {
    let key = key(index);
    let spec = ServiceSpec {
        name: format!("web-{index}").into(),
        namespace: key.namespace.clone(),
        hostname: key.hostname.clone(),
        vips: vec![NetworkAddress::new(
            NETWORK,
            Ipv4Addr::from_bits(0xac10_0000 + index).into(),
        )],
        ports: [(80, 8080)].into_iter().collect(),
        ..ServiceSpec::default()
    };
    resource(
        key.to_string(),
        Vec::new(),
        service_address(&spec).encode_to_vec(),
    )
}

/// 200 pods in each service.
fn services(workloads: u32) -> u32 {
    (workloads / 200).max(5)
}

fn ip(index: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + index).into()
}

fn key(service: u32) -> NamespacedHostname {
    let namespace = format!("ns-{}", service % 50);
    let hostname = format!("web-{service}.{namespace}.svc.cluster.local");
    NamespacedHostname::new(namespace, hostname)
}

fn pod(index: u32, workloads: u32) -> WorkloadSpec {
    let service = index % services(workloads);
    let node = index.wrapping_mul(7919) % (workloads / 100).max(1);
    let key = key(service);
    let deployment = format!("web-{service}");
    let name = format!("{deployment}-5f7d8c9b6-{index:05x}");
    WorkloadSpec {
        uid: format!("Kubernetes//Pod/{}/{name}", key.namespace).into(),
        name: name.into(),
        namespace: key.namespace.clone(),
        trust_domain: "cluster.local".into(),
        service_account: deployment.as_str().into(),
        network: NETWORK.into(),
        ips: vec![ip(index)],
        tunnel_protocol: TunnelProtocol::Hbone,
        node: format!("node-{node}").into(),
        canonical_name: deployment.as_str().into(),
        canonical_revision: "latest".into(),
        workload_type: WorkloadType::Pod,
        workload_name: deployment.into(),
        cluster_id: "Kubernetes".into(),
        services: vec![(key, [(80, 8080)].into_iter().collect::<PortMap>())],
        locality: Locality {
            region: "region-1".into(),
            zone: format!("zone-{}", node % 3).into(),
            subzone: "".into(),
        },
        ..WorkloadSpec::default()
    }
}

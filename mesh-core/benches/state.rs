//! Look-ups in the mesh, choice of endpoints, updates.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::{Bencher, black_box, counter::ItemsCount};
use mesh_core::balance::{PickMode, pick};
use mesh_core::model::{
    LoadBalancing, LoadBalancingMode, Locality, NamespacedHostname, NetworkAddress, NetworkCidr,
    PortMap, RoutingScope, ServiceSpec, TunnelProtocol, WorkloadSpec, WorkloadStatus, WorkloadType,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Batch, MeshStore, Update};

const NETWORK: &str = "network-1";

fn main() {
    divan::main();
}

/// Pods are spread over this many services.
#[derive(Clone, Copy)]
struct Services(u32);

fn ip(base: u32, index: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(base + index))
}

fn key(service: u32) -> NamespacedHostname {
    let namespace = format!("ns-{}", service % 50);
    let hostname = format!("web-{service}.{namespace}.svc.cluster.local");
    NamespacedHostname::new(namespace, hostname)
}

impl Services {
    fn pod(self, index: u32) -> WorkloadSpec {
        let key = key(index % self.0);
        let deployment = format!("web-{}", index % self.0);
        let name = format!("{deployment}-5f7d8c9b6-{index:05x}");
        WorkloadSpec {
            uid: format!("Kubernetes//Pod/{}/{name}", key.namespace).into(),
            name: name.into(),
            namespace: key.namespace.clone(),
            trust_domain: "cluster.local".into(),
            service_account: deployment.as_str().into(),
            network: NETWORK.into(),
            ips: vec![ip(0x0a00_0000, index)],
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
                zone: format!("zone-{}", index.wrapping_mul(7919) % 100 % 3).into(),
                subzone: "".into(),
            },
            ..WorkloadSpec::default()
        }
    }

    fn specs(self, load_balancing: Option<&LoadBalancing>) -> Vec<ServiceSpec> {
        let spec = |index| {
            let key = key(index);
            ServiceSpec {
                namespace: key.namespace,
                hostname: key.hostname,
                vips: vec![NetworkAddress::new(NETWORK, ip(0xc0a8_0000, index))],
                cidr_vips: vec![NetworkCidr {
                    network: NETWORK.into(),
                    cidr: format!("172.{}.{}.0/24", 16 + index / 256, index % 256)
                        .parse()
                        .unwrap(),
                }],
                ports: [(80, 8080)].into_iter().collect(),
                load_balancing: load_balancing.cloned(),
                ..ServiceSpec::default()
            }
        };
        (0..self.0).map(spec).collect()
    }

    fn store(self, pods: u32, load_balancing: Option<&LoadBalancing>) -> MeshStore {
        let store = MeshStore::new();
        let pods = (0..pods).map(|index| self.pod(index)).collect();
        store.replace_all(pods, self.specs(load_balancing));
        store
    }
}

/// 200 pods in each service.
fn mesh(pods: u32) -> Arc<MeshSnapshot> {
    Services((pods / 200).max(5)).store(pods, None).snapshot()
}

/// Numbers that differ from call to call.
fn random() -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 27)
    }
}

fn below(random: &mut impl FnMut() -> u64, bound: u32) -> u32 {
    u32::try_from(random() % u64::from(bound)).unwrap()
}

const SIZES: [u32; 3] = [10, 1_000, 100_000];

#[divan::bench(args = SIZES)]
fn workload_at(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    bencher
        .with_inputs(|| ip(0x0a00_0000, below(&mut random, pods)))
        .bench_local_values(|ip| mesh.workload_at(NETWORK, ip).unwrap().ips().len());
}

/// The floor of the benchmark above: the same look-up without the mesh.
#[divan::bench(args = SIZES)]
fn workload_at_in_a_hash_map(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    let map: std::collections::HashMap<_, _> = mesh
        .workloads()
        .map(|w| {
            (
                (w.network().clone(), w.ips().first().copied().unwrap()),
                w.clone(),
            )
        })
        .collect();
    let network = mesh.workloads().next().unwrap().network().clone();
    bencher
        .with_inputs(|| ip(0x0a00_0000, below(&mut random, pods)))
        .bench_local_values(|ip| map.get(&(network.clone(), ip)).unwrap().ips().len());
}

#[divan::bench(args = SIZES)]
fn workload_by_uid(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    let uids: Vec<_> = mesh.workloads().map(|w| w.uid().to_owned()).collect();
    bencher
        .with_inputs(|| {
            let at = usize::try_from(below(&mut random, pods)).unwrap();
            uids.get(at).unwrap().as_str()
        })
        .bench_local_values(|uid| mesh.workload(uid).unwrap().ips().len());
}

#[divan::bench(args = SIZES)]
fn services_at(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    let services = u32::try_from(mesh.service_count()).unwrap();
    bencher
        .with_inputs(|| ip(0xc0a8_0000, below(&mut random, services)))
        .bench_local_values(|ip| mesh.services_at(NETWORK, ip).len());
}

#[divan::bench(args = SIZES)]
fn endpoints(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    let services = u32::try_from(mesh.service_count()).unwrap();
    bencher
        .with_inputs(|| {
            let at = ip(0xc0a8_0000, below(&mut random, services));
            mesh.services_at(NETWORK, at).first().unwrap()
        })
        .bench_local_values(|service| mesh.endpoints(service).len());
}

#[divan::bench(args = SIZES)]
fn cidr_services_at(bencher: Bencher<'_, '_>, pods: u32) {
    let (mesh, mut random) = (mesh(pods), random());
    let services = u32::try_from(mesh.service_count()).unwrap();
    bencher
        .with_inputs(|| ip(0xac10_0005, below(&mut random, services) * 256))
        .bench_local_values(|ip| mesh.cidr_services_at(NETWORK, ip).count());
}

fn pick_from(bencher: Bencher<'_, '_>, pods: u32, balancing: Option<&LoadBalancing>) {
    let mesh = Services(1).store(pods, balancing).snapshot();
    let source = mesh.workload_at(NETWORK, ip(0x0a00_0000, 3)).unwrap();
    let service = mesh.services().next().unwrap();
    let endpoints = mesh.endpoints(service);
    let mut random = random();
    bencher.bench_local(|| {
        pick(
            service,
            endpoints,
            source,
            80,
            PickMode::Standard,
            black_box(&mut random),
        )
        .unwrap()
        .port
    });
}

const ENDPOINTS: [u32; 3] = [10, 1_000, 10_000];

#[divan::bench(args = ENDPOINTS)]
fn pick_basic(bencher: Bencher<'_, '_>, pods: u32) {
    pick_from(bencher, pods, None);
}

/// `trafficDistribution: PreferSameZone`.
#[divan::bench(args = ENDPOINTS)]
fn pick_same_zone(bencher: Bencher<'_, '_>, pods: u32) {
    use RoutingScope::{Network, Region, Zone};
    let balancing = LoadBalancing {
        mode: LoadBalancingMode::Failover,
        routing_preferences: vec![Network, Region, Zone],
        ..LoadBalancing::default()
    };
    pick_from(bencher, pods, Some(&balancing));
}

/// Groups are ranked one by one: no endpoint is in the cluster of the source.
#[divan::bench(args = ENDPOINTS)]
fn pick_by_rank(bencher: Bencher<'_, '_>, pods: u32) {
    use RoutingScope::{Cluster, Network, Node, Region, Zone};
    let balancing = LoadBalancing {
        mode: LoadBalancingMode::Failover,
        routing_preferences: vec![Network, Region, Zone, Node, Cluster],
        ..LoadBalancing::default()
    };
    let mesh = Services(1).store(pods, Some(&balancing)).snapshot();
    let source = mesh_core::model::Workload::new(WorkloadSpec {
        cluster_id: "elsewhere".into(),
        ..Services(1).pod(3)
    });
    let service = mesh.services().next().unwrap();
    let endpoints = mesh.endpoints(service);
    let mut random = random();
    bencher.bench_local(|| {
        pick(
            service,
            endpoints,
            &source,
            80,
            PickMode::Standard,
            black_box(&mut random),
        )
        .unwrap()
        .port
    });
}

/// One pod's health changes among 100,000, while a reader holds the snapshot before.
fn update_one(bencher: Bencher<'_, '_>, services: Services) {
    let pods = 100_000;
    let store = services.store(pods, None);
    let (mut random, mut turn) = (random(), 0_u32);
    bencher
        .with_inputs(|| {
            turn += 1;
            let mut spec = services.pod(below(&mut random, pods));
            spec.status = WorkloadStatus::Unhealthy;
            spec.ips.push(ip(0x0b00_0000, turn));
            let mut batch = Batch::default();
            batch.workloads.push(Update::Upsert(spec));
            (store.snapshot(), batch)
        })
        .bench_local_values(|(before, batch)| {
            store.apply(batch);
            before
        });
}

#[divan::bench(sample_count = 1_000, sample_size = 1)]
fn update_one_of_200_endpoints(bencher: Bencher<'_, '_>) {
    update_one(bencher, Services(500));
}

#[divan::bench(sample_count = 1_000, sample_size = 1)]
fn update_one_of_10_000_endpoints(bencher: Bencher<'_, '_>) {
    update_one(bencher, Services(10));
}

/// A first sync: one batch.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn insert_100_000(bencher: Bencher<'_, '_>) {
    let services = Services(500);
    bencher
        .counter(ItemsCount::new(100_000_u32))
        .with_inputs(|| {
            let pods = (0..100_000).map(|index| services.pod(index)).collect();
            (MeshStore::new(), pods, services.specs(None))
        })
        .bench_local_values(|(store, pods, services)| {
            store.replace_all(pods, services);
            store
        });
}

//! Resolution over meshes of 10, 1,000 and 100,000 workloads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use divan::{Bencher, black_box};
use mesh_core::authority::ConnectAuthority;
use mesh_core::model::{
    GatewayAddress, GatewayDestination, NamespacedHostname, NetworkAddress, PortMap, ServiceSpec,
    TunnelProtocol, WorkloadSpec,
};
use mesh_core::resolve::{
    InboundRequest, OutboundRequest, ResolveConfig, inbound, outbound, passthrough,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::MeshStore;

const SIZES: [u32; 3] = [10, 1_000, 100_000];
/// Endpoints per service.
const ENDPOINTS: u32 = 10;

static MESHES: [(u32, LazyLock<Arc<MeshSnapshot>>); 3] = [
    (SIZES[0], LazyLock::new(|| mesh(SIZES[0]))),
    (SIZES[1], LazyLock::new(|| mesh(SIZES[1]))),
    (SIZES[2], LazyLock::new(|| mesh(SIZES[2]))),
];

fn main() {
    divan::main();
}

fn mesh_of(size: u32) -> &'static MeshSnapshot {
    let (_, snapshot) = MESHES.iter().find(|(of, _)| *of == size).unwrap();
    snapshot
}

fn pod_ip(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0001 + n).into()
}

fn vip(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0b00_0001 + n).into()
}

fn hostname(n: u32) -> String {
    format!("service-{n}.default.svc.cluster.local")
}

fn uid(n: u32) -> String {
    format!("Kubernetes//Pod/default/pod-{n}")
}

/// Services of ten pods each; every second one has a waypoint, which is the first service.
fn mesh(workloads: u32) -> Arc<MeshSnapshot> {
    let ports: PortMap = [(80, 8080), (15008, 15008)].into_iter().collect();
    let pods = (0..workloads).map(|n| WorkloadSpec {
        uid: uid(n).into(),
        name: format!("pod-{n}").into(),
        namespace: "default".into(),
        trust_domain: "cluster.local".into(),
        service_account: format!("account-{}", n / ENDPOINTS).into(),
        ips: vec![pod_ip(n)],
        tunnel_protocol: TunnelProtocol::Hbone,
        services: vec![(
            NamespacedHostname::new("default", hostname(n / ENDPOINTS)),
            PortMap::default(),
        )],
        ..WorkloadSpec::default()
    });
    let services = (0..workloads.div_ceil(ENDPOINTS)).map(|n| ServiceSpec {
        name: format!("service-{n}").into(),
        namespace: "default".into(),
        hostname: hostname(n).into(),
        vips: vec![NetworkAddress::new("", vip(n))],
        ports: ports.clone(),
        waypoint: (n % 2 == 1).then(|| GatewayAddress {
            destination: GatewayDestination::Hostname(NamespacedHostname::new(
                "default",
                hostname(0),
            )),
            hbone_mtls_port: 15008,
        }),
        ..ServiceSpec::default()
    });
    let store = MeshStore::new();
    store.replace_all(pods.collect(), services.collect());
    store.snapshot()
}

/// A cheap sequence that touches the whole mesh (xorshift64).
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Resolves connections of the first pod to destinations all over the mesh.
fn dial(bencher: Bencher<'_, '_>, size: u32, destination: impl Fn(u32) -> SocketAddr) {
    let snapshot = mesh_of(size);
    let source = snapshot.workload(&uid(0)).unwrap();
    let config = ResolveConfig::new();
    let (mut at, mut random) = (numbers(), numbers());
    bencher.bench_local(|| {
        let to = destination((at() % u64::from(size)) as u32);
        let request = OutboundRequest::new(pod_ip(0), to);
        outbound(snapshot, &config, source, black_box(&request), &mut random)
    });
}

#[divan::bench(args = SIZES)]
fn outbound_to_a_workload(bencher: Bencher<'_, '_>, size: u32) {
    dial(bencher, size, |n| (pod_ip(n), 8080).into());
}

#[divan::bench(args = SIZES)]
fn outbound_to_a_service(bencher: Bencher<'_, '_>, size: u32) {
    dial(bencher, size, |n| (vip(n / ENDPOINTS / 2 * 2), 80).into());
}

#[divan::bench(args = [1_000, 100_000])]
fn outbound_through_a_waypoint(bencher: Bencher<'_, '_>, size: u32) {
    dial(bencher, size, |n| {
        (vip(n / ENDPOINTS / 2 * 2 + 1), 80).into()
    });
}

#[divan::bench(args = SIZES)]
fn outbound_to_the_unknown(bencher: Bencher<'_, '_>, size: u32) {
    dial(bencher, size, |n| {
        (Ipv4Addr::from(0x0800_0000 + n), 443).into()
    });
}

/// Resolves CONNECT requests that clients all over the mesh make to a pod.
fn answer(bencher: Bencher<'_, '_>, size: u32, local: u32, authority: &str) {
    let snapshot = mesh_of(size);
    let authority: ConnectAuthority = authority.parse().unwrap();
    let config = ResolveConfig::new();
    let workload = snapshot.workload(&uid(local)).unwrap();
    let mut at = numbers();
    bencher.bench_local(|| {
        let peer = (pod_ip((at() % u64::from(size)) as u32), 40000).into();
        let destination = (pod_ip(local), 15008).into();
        let request = InboundRequest::new(peer, destination, black_box(&authority));
        inbound(snapshot, &config, workload, &request)
    });
}

#[divan::bench(args = SIZES)]
fn inbound_by_address(bencher: Bencher<'_, '_>, size: u32) {
    answer(
        bencher,
        size,
        size - 1,
        &format!("{}:8080", pod_ip(size - 1)),
    );
}

#[divan::bench(args = SIZES)]
fn inbound_by_host_name(bencher: Bencher<'_, '_>, size: u32) {
    let own = hostname((size - 1) / ENDPOINTS);
    answer(bencher, size, size - 1, &format!("{own}:80"));
}

#[divan::bench(args = [1_000, 100_000])]
fn inbound_to_a_waypoint(bencher: Bencher<'_, '_>, size: u32) {
    answer(bencher, size, 0, &format!("{}:80", vip(1)));
}

#[divan::bench(args = SIZES)]
fn inbound_plain_tcp(bencher: Bencher<'_, '_>, size: u32) {
    let snapshot = mesh_of(size);
    let config = ResolveConfig::new();
    let local = snapshot.workload(&uid(0)).unwrap();
    let mut at = numbers();
    bencher.bench_local(|| {
        let peer = (pod_ip((at() % u64::from(size)) as u32), 40000).into();
        passthrough(
            snapshot,
            &config,
            local,
            peer,
            black_box((pod_ip(0), 8080).into()),
        )
    });
}

#[divan::bench]
fn authority_from_text(bencher: Bencher<'_, '_>) {
    bencher.bench(|| black_box("10.244.13.37:8080").parse::<ConnectAuthority>());
}

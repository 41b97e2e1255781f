//! What a traffic policy costs connections: nothing those that it has no say in.
//!
//! `MESH_CONNECTIONS=20000 MESH_POLICY=none|other|web` makes so many connections instead of counting allocations, for
//! counting instructions (the difference of two runs with different numbers).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::alloc::System;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::lb::{Algorithm, OutlierDetection};
use mesh_core::model::{
    NamespacedHostname, NetworkAddress, PortMap, ServiceSpec, TunnelProtocol, WorkloadSpec,
};
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{
    Error, Leg, LocalWorkload, MeshResolver, MeshTraffic, NoLookup, Outbound, ServiceSettings,
    Upstream,
};
use mesh_hbone::server::Accepted;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{DuplexStream, duplex};
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connects at once with something that has ended.
#[derive(Clone)]
struct AtOnce;

impl Service<Leg> for AtOnce {
    type Response = Upstream<DuplexStream>;
    type Error = Error;
    type Future = Ready<Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Leg) -> Self::Future {
        ready(Ok(Upstream::Plain(duplex(1).0)))
    }
}

/// Which services have settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Policy {
    None,
    OfOther,
    OfWeb,
}

fn store() -> MeshStore {
    let web = NamespacedHostname::new("default", "web");
    let pod = |uid: &str, last: u8| WorkloadSpec {
        uid: uid.into(),
        name: uid.into(),
        namespace: "default".into(),
        trust_domain: "cluster.local".into(),
        service_account: uid.into(),
        ips: vec![[10, 0, 0, last].into()],
        tunnel_protocol: TunnelProtocol::Hbone,
        ..WorkloadSpec::default()
    };
    // One endpoint: what connections allocate must not depend on chance.
    let endpoint = WorkloadSpec {
        services: vec![(web.clone(), PortMap::default())],
        ..pod("b", 2)
    };
    let service = ServiceSpec {
        namespace: "default".into(),
        hostname: "web".into(),
        vips: vec![NetworkAddress::new("", [10, 96, 0, 1].into())],
        ports: [(80, 8080)].into_iter().collect(),
        ..ServiceSpec::default()
    };
    let store = MeshStore::new();
    store.replace_all(vec![pod("a", 1), endpoint], vec![service]);
    store
}

type Subject = Outbound<MeshResolver, AtOnce, NoLookup>;

fn outbound(policy: Policy) -> Subject {
    let store = store();
    let local = LocalWorkload::Uid("a".into());
    let resolver = MeshResolver::new(store.watch(), ResolveConfig::new(), local);
    let outbound = Outbound::new(resolver, AtOnce, NoLookup, Arc::new(()));
    let of = match policy {
        Policy::None => return outbound,
        Policy::OfOther => "other",
        Policy::OfWeb => "web",
    };
    let mut settings = ServiceSettings::new(NamespacedHostname::new("default", of));
    settings.settings.balancing.algorithm = Algorithm::LeastRequest { choices: 2 };
    settings.settings.balancing.outlier = Some(OutlierDetection::default());
    settings.settings.max_connections = 100;
    let traffic = MeshTraffic::new(store.watch());
    traffic.replace(vec![settings]);
    outbound.with_traffic_policy(Arc::new(traffic))
}

fn connect(outbound: &mut Subject, times: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    runtime.block_on(async {
        for _ in 0..times {
            let accepted = Accepted {
                io: duplex(1).0,
                peer: "10.0.0.1:40000".parse().unwrap(),
                local: "10.96.0.1:80".parse().unwrap(),
            };
            outbound.call(accepted).await.unwrap();
        }
    });
}

/// Allocations and bytes of one connection.
fn cost(policy: Policy) -> (usize, usize) {
    const TIMES: usize = 100;
    let mut outbound = outbound(policy);
    connect(&mut outbound, 10);
    let measure = |times, outbound: &mut Subject| {
        let region = Region::new(ALLOCATOR);
        connect(outbound, times);
        let change = region.change();
        (change.allocations, change.bytes_allocated)
    };
    // The difference is without what the runtime takes.
    let few = measure(TIMES, &mut outbound);
    let many = measure(2 * TIMES, &mut outbound);
    // Rounded: the test's main thread allocates now and then.
    let each = |few: usize, many: usize| (many - few + TIMES / 2) / TIMES;
    (each(few.0, many.0), each(few.1, many.1))
}

#[test]
fn services_without_settings_cost_no_allocation() {
    if let Ok(times) = std::env::var("MESH_CONNECTIONS") {
        let policy = match std::env::var("MESH_POLICY").as_deref() {
            Ok("other") => Policy::OfOther,
            Ok("web") => Policy::OfWeb,
            _ => Policy::None,
        };
        connect(&mut outbound(policy), times.parse().unwrap());
        return;
    }
    let none = cost(Policy::None);
    assert_eq!(cost(Policy::OfOther).0, none.0);
    let governed = cost(Policy::OfWeb);
    println!("without a policy {none:?}, with one {governed:?} (allocations, bytes)");
    // Endpoint resolved again, the admission, what is tried, what holds it, and the boxes of futures.
    assert!(governed.0 <= none.0 + 12, "{none:?} {governed:?}");
}

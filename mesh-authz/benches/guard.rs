//! Live connections that are decided again. `cargo bench -p mesh-authz --bench guard`
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use divan::Bencher;
use divan::counter::ItemsCount;
use mesh_authz::Connection;
use mesh_authz::guard::{Answer, Guard, Live, MissingPolicies, Timer};
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_authz::store::{PolicyStore, Update};
use mesh_core::identity::SpiffeId;
use mesh_core::model::WorkloadSpec;
use mesh_core::store::{Batch, MeshStore};

fn main() {
    divan::main();
}

const CONNECTIONS: u32 = 100_000;

#[derive(Debug)]
struct Never;

impl Timer for Never {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

struct World {
    policies: PolicyStore,
    redecider: Pin<Box<dyn Future<Output = ()> + Send>>,
    guard: Guard,
    lives: Vec<Live>,
}

fn policy(name: &str, one: MatchSpec) -> Update<PolicySpec> {
    let spec = PolicySpec::new("istio-system", name, Scope::Global, Action::Deny);
    Update::Upsert(PolicySpec {
        rules: vec![RuleSpec::of(one)],
        ..spec
    })
}

/// 100,000 connections of 1000 identities to 100 workloads, under 1000 policies.
fn world() -> World {
    let (policies, mesh) = (PolicyStore::new(), MeshStore::new());
    let batch = (0..1000).map(|at| {
        let text = format!("cluster.local/ns/other/sa/account-{at}");
        let principals = vec![StringMatch::exact(text).unwrap()];
        policy(
            &format!("policy-{at}"),
            MatchSpec {
                principals,
                ..MatchSpec::default()
            },
        )
    });
    assert!(policies.apply(batch.collect()).rejected.is_empty());
    let workloads = (0..100).map(|at| WorkloadSpec {
        uid: format!("cluster//Pod/shop/web-{at}").into(),
        namespace: "shop".into(),
        ..WorkloadSpec::default()
    });
    let mut batch = Batch::default();
    batch.workloads = workloads.map(Update::Upsert).collect();
    mesh.apply(batch);
    let missing = MissingPolicies::default();
    let (guard, redecider) = Guard::new(policies.watch(), mesh.watch(), missing, Arc::new(Never));
    let mesh = mesh.snapshot();
    let workloads: Vec<_> = mesh.workloads().collect();
    let ids = (0..1000).map(|at| format!("spiffe://cluster.local/ns/shop/sa/account-{at}"));
    let ids: Vec<SpiffeId> = ids.map(|id| id.parse().unwrap()).collect();
    let lives = (0..CONNECTIONS as usize).map(|at| {
        let id = ids.get(at % ids.len());
        let connection = Connection::new([10, 0, 0, 1].into(), id, ([10, 0, 0, 2], 80).into());
        let workload = workloads.get(at % workloads.len()).unwrap();
        let Answer::Allowed { mut live, .. } = guard.admit(workload, &connection).answer else {
            panic!("it is allowed");
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut live).poll(&mut cx).is_pending());
        live
    });
    let lives = lives.collect();
    let mut world = World {
        policies,
        redecider: Box::pin(redecider.run()),
        guard,
        lives,
    };
    world.run();
    world
}

impl World {
    /// Runs the redecider until it has looked at each connection.
    fn run(&mut self) {
        let before = self.guard.counts().decided_again;
        let mut cx = Context::from_waker(Waker::noop());
        // One turn for each chunk and group, and some more.
        for _ in 0..2000 {
            assert!(self.redecider.as_mut().poll(&mut cx).is_pending());
            if self.guard.counts().decided_again == before + u64::from(CONNECTIONS) {
                return;
            }
        }
    }
}

/// One policy changes, and all stay.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn decide_again(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let mut turn = 0_u16;
    bencher
        .counter(ItemsCount::new(CONNECTIONS))
        .bench_local(|| {
            turn += 1;
            let ports = MatchSpec {
                destination_ports: vec![1000 + turn],
                ..MatchSpec::default()
            };
            assert_eq!(
                world
                    .policies
                    .apply(vec![policy("changing", ports)])
                    .upserted,
                1
            );
            let before = world.guard.counts().decided_again;
            world.run();
            assert_eq!(
                world.guard.counts().decided_again,
                before + u64::from(CONNECTIONS)
            );
        });
}

/// One policy changes, and all are cut.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn cut_all(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(CONNECTIONS))
        .with_inputs(world)
        .bench_local_values(|mut world| {
            let ports = MatchSpec {
                destination_ports: vec![80],
                ..MatchSpec::default()
            };
            assert_eq!(
                world
                    .policies
                    .apply(vec![policy("changing", ports)])
                    .upserted,
                1
            );
            world.run();
            assert_eq!(world.guard.counts().cut, u64::from(CONNECTIONS));
            world
        });
}

/// A connection comes and goes.
#[divan::bench]
fn admit_and_leave(bencher: Bencher<'_, '_>) {
    let world = world();
    let workload = world.guard.counts();
    assert_eq!(workload.connections, world.lives.len());
    let local = Arc::new(mesh_core::model::Workload::new(WorkloadSpec {
        uid: "cluster//Pod/shop/web-1".into(),
        namespace: "shop".into(),
        ..WorkloadSpec::default()
    }));
    let id = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
    let connection = Connection::new([10, 0, 0, 1].into(), Some(&id), ([10, 0, 0, 2], 80).into());
    bencher.bench_local(|| world.guard.admit(&local, &connection));
}

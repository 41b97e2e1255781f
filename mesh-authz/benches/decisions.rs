//! Decisions per second beside the plain evaluator, changes, and memory. `cargo bench -p mesh-authz`
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, PolicyIndex, Verdict, plain};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};

fn main() {
    divan::main();
}

const RULES: u32 = 10;
const SIZES: [u32; 4] = [10, 1_000, 10_000, 100_000];

/// The rule of the bench `rbac` of the node proxy of Istio: three namespaces, three principals, a
/// range and a port, none of which match.
fn mixed(policy: u32, rule: u32) -> RuleSpec {
    let text = |what: &str| format!("{what}-{policy}-{rule}");
    let three = |what: &str| {
        let exact = StringMatch::exact(text(what));
        let prefix = StringMatch::prefix(text(&format!("prefix-{what}")));
        let suffix = StringMatch::suffix(text(&format!("suffix-{what}")));
        vec![exact.unwrap(), prefix.unwrap(), suffix.unwrap()]
    };
    RuleSpec::of(MatchSpec {
        namespaces: three("namespace"),
        principals: three("principal"),
        source_ips: vec![
            format!("172.{}.{rule}.0/24", 16 + policy % 16)
                .parse()
                .unwrap(),
        ],
        destination_ports: vec![u16::try_from(10_000 + rule).unwrap()],
        ..MatchSpec::default()
    })
}

/// Rules that only exclude, each of which excludes the connection by another value of its own.
fn excluding(policy: u32, rule: u32) -> RuleSpec {
    let at = policy * RULES + rule;
    RuleSpec::of(MatchSpec {
        not_principals: vec![
            StringMatch::exact(format!("nobody-{at}")).unwrap(),
            StringMatch::Presence,
        ],
        not_destination_ports: vec![u16::try_from(at % 60_000).unwrap()],
        ..MatchSpec::default()
    })
}

/// Rules that all ask for what the connection has, and exclude it by something else.
fn hot(policy: u32, rule: u32) -> RuleSpec {
    RuleSpec::of(MatchSpec {
        namespaces: vec![StringMatch::exact("shop").unwrap()],
        not_destination_ports: vec![80, u16::try_from((policy * RULES + rule) % 60_000).unwrap()],
        ..MatchSpec::default()
    })
}

/// One exact principal.
fn principal(policy: u32, rule: u32) -> RuleSpec {
    let text = format!("cluster.local/ns/shop/sa/account-{policy}-{rule}");
    RuleSpec::of(MatchSpec {
        principals: vec![StringMatch::exact(text).unwrap()],
        ..MatchSpec::default()
    })
}

fn policy(at: u32, rule: fn(u32, u32) -> RuleSpec) -> PolicySpec {
    PolicySpec {
        rules: (0..RULES).map(|number| rule(at, number)).collect(),
        ..PolicySpec::new(
            "istio-system",
            format!("policy-{at}"),
            Scope::Global,
            Action::Deny,
        )
    }
}

fn store(policies: u32, rule: fn(u32, u32) -> RuleSpec) -> PolicyStore {
    let store = PolicyStore::new();
    for start in (0..policies).step_by(1000) {
        let batch = start..policies.min(start + 1000);
        let applied = store.apply(batch.map(|at| Update::Upsert(policy(at, rule))).collect());
        assert!(applied.rejected.is_empty());
    }
    store
}

fn workload() -> Workload {
    Workload::new(WorkloadSpec {
        namespace: "shop".into(),
        ..WorkloadSpec::default()
    })
}

fn cart() -> SpiffeId {
    "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap()
}

fn connection(identity: &SpiffeId) -> Connection<'_> {
    Connection::new(
        [10, 0, 0, 1].into(),
        Some(identity),
        ([10, 0, 0, 2], 80).into(),
    )
}

fn decide(bencher: Bencher<'_, '_>, policies: u32, rule: fn(u32, u32) -> RuleSpec) {
    let index: Arc<PolicyIndex> = store(policies, rule).index();
    let (workload, identity) = (workload(), cart());
    let connection = connection(&identity);
    assert!(matches!(
        index.decide(&workload, &connection).verdict,
        Verdict::Allow(_)
    ));
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        matches!(
            index
                .decide(black_box(&workload), black_box(&connection))
                .verdict,
            Verdict::Allow(_)
        )
    });
}

#[divan::bench(args = SIZES)]
fn none_matching(bencher: Bencher<'_, '_>, policies: u32) {
    decide(bencher, policies, mixed);
}

/// Each decision about another peer: what is looked up is not what was looked up last.
#[divan::bench(args = SIZES, sample_size = 4096)]
fn none_matching_many_peers(bencher: Bencher<'_, '_>, policies: u32) {
    let index = store(policies, mixed).index();
    let ids = (0..4096).map(|at| format!("spiffe://cluster.local/ns/shop-{}/sa/{at}", at % 64));
    let ids: Vec<SpiffeId> = ids.map(|id| id.parse().unwrap()).collect();
    let (workload, mut turn) = (workload(), 0);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        turn += 1;
        let mut connection = connection(ids.get(turn % ids.len()).unwrap());
        connection.source = std::net::Ipv4Addr::from(0x0a00_0000 + (turn as u32 & 0xffff)).into();
        matches!(
            index.decide(&workload, black_box(&connection)).verdict,
            Verdict::Allow(_)
        )
    });
}

#[divan::bench(args = SIZES)]
fn none_matching_principals(bencher: Bencher<'_, '_>, policies: u32) {
    decide(bencher, policies, principal);
}

/// Adversarial: no rule has a value to be found by.
#[divan::bench(args = SIZES)]
fn only_excluding(bencher: Bencher<'_, '_>, policies: u32) {
    decide(bencher, policies, excluding);
}

/// Adversarial: every rule is found by the same value.
#[divan::bench(args = SIZES)]
fn same_hot_namespace(bencher: Bencher<'_, '_>, policies: u32) {
    decide(bencher, policies, hot);
}

/// The yardstick: policy by policy.
#[divan::bench(args = [10, 1_000, 10_000], sample_count = 20)]
fn none_matching_plain(bencher: Bencher<'_, '_>, policies: u32) {
    let specs: Vec<_> = (0..policies).map(|at| policy(at, mixed)).collect();
    let (workload, identity) = (workload(), cart());
    let connection = connection(&identity);
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| plain::decide(black_box(&specs), &workload, black_box(&connection)));
}

fn change(bencher: Bencher<'_, '_>, policies: u32, rule: fn(u32, u32) -> RuleSpec) {
    let store = store(policies, rule);
    let mut turn = 0_u32;
    bencher
        .with_inputs(|| {
            turn = turn.wrapping_add(7919);
            let mut changed = policy(turn % policies, rule);
            changed.rules.push(rule(turn, 1));
            (store.index(), vec![Update::Upsert(changed)])
        })
        .bench_local_values(|(before, batch)| (store.apply(batch), before));
}

/// One policy of ten rules, while a reader holds the index before.
#[divan::bench(args = [10_000, 100_000], sample_count = 300, sample_size = 1)]
fn change_one(bencher: Bencher<'_, '_>, policies: u32) {
    change(bencher, policies, mixed);
}

#[divan::bench(args = [10_000, 100_000], sample_count = 300, sample_size = 1)]
fn change_one_only_excluding(bencher: Bencher<'_, '_>, policies: u32) {
    change(bencher, policies, excluding);
}

/// A first sync. What it takes in memory is in `tests/memory.rs`.
#[divan::bench(args = [10_000], sample_count = 3, sample_size = 1)]
fn first_sync(bencher: Bencher<'_, '_>, policies: u32) {
    bencher
        .counter(ItemsCount::new(policies))
        .with_inputs(|| {
            (0..policies)
                .map(|at| Update::Upsert(policy(at, mixed)))
                .collect()
        })
        .bench_local_values(|batch: Vec<_>| {
            let store = PolicyStore::new();
            let applied = store.apply(batch);
            (store, applied)
        });
}

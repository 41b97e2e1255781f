//! What rules cost, and that nothing stays behind.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope};
use mesh_authz::store::{PolicyStore, Update};
use support::{texts, with_rules};

/// Counts the bytes that are allocated now.
struct Counting;

static REQUESTED: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        REQUESTED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts are of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn principal(policy: u32, rule: u32) -> RuleSpec {
    let text = format!("cluster.local/ns/shop/sa/account-{policy}-{rule}");
    RuleSpec::of(MatchSpec {
        principals: texts(&[&text]),
        ..MatchSpec::default()
    })
}

/// Eight values in four fields.
fn mixed(policy: u32, rule: u32) -> RuleSpec {
    let three = |what: &str| {
        let text = format!("{what}-{policy}-{rule}");
        texts(&[&text, &format!("{text}*"), &format!("*{text}")])
    };
    RuleSpec::of(MatchSpec {
        namespaces: three("namespace"),
        principals: three("principal"),
        source_ips: vec![format!("172.16.{rule}.0/24").parse().unwrap()],
        destination_ports: vec![u16::try_from(10_000 + rule).unwrap()],
        ..MatchSpec::default()
    })
}

fn excluding(policy: u32, rule: u32) -> RuleSpec {
    let text = format!("account-{policy}-{rule}");
    RuleSpec::of(MatchSpec {
        not_principals: texts(&["*", &text]),
        ..MatchSpec::default()
    })
}

fn batch(
    policies: std::ops::Range<u32>,
    rule: fn(u32, u32) -> RuleSpec,
) -> Vec<Update<PolicySpec>> {
    let policy = |at: u32| {
        let rules = (0..10).map(|number| rule(at, number)).collect();
        with_rules(
            &format!("istio-system/p{at}"),
            Scope::Global,
            Action::Deny,
            rules,
        )
    };
    policies.map(|at| Update::Upsert(policy(at))).collect()
}

/// Policies and index together; what was delivered is gone.
#[test]
fn rules_are_small() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, rule, limit) in [
        ("one principal", principal as fn(u32, u32) -> RuleSpec, 400),
        ("eight values in four fields", mixed, 1000),
        ("two excluded values", excluding, 700),
    ] {
        let store = PolicyStore::new();
        let before = REQUESTED.load(Ordering::Relaxed);
        for start in (0..2000).step_by(1000) {
            let applied = store.apply(batch(start..start + 1000, rule));
            assert_eq!(applied.upserted, 1000);
        }
        let each = (REQUESTED.load(Ordering::Relaxed) - before) / 20_000;
        println!("{name}: {each} bytes for each rule");
        assert!(each <= limit, "{name}: {each}");
    }
}

#[test]
fn churn_leaves_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for rule in [principal as fn(u32, u32) -> RuleSpec, mixed, excluding] {
        let store = PolicyStore::new();
        let keep = store.apply(batch(0..10, rule));
        assert_eq!(keep.upserted, 10);
        let mut after_first = None;
        for generation in 1..6_u32 {
            let names = generation * 1000..generation * 1000 + 100;
            assert_eq!(store.apply(batch(names.clone(), rule)).upserted, 100);
            let removals = names.map(|at| Update::Remove(format!("istio-system/p{at}").into()));
            assert_eq!(store.apply(removals.collect()).removed, 100);
            let now = REQUESTED.load(Ordering::Relaxed);
            let first = *after_first.get_or_insert(now);
            assert!(
                now < first + 20_000,
                "generation {generation}: {now} after {first}"
            );
        }
        assert_eq!(store.index().len(), 10);
    }
}

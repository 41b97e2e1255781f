//! A decision allocates nothing, whatever it finds.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mesh_authz::Verdict;
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope};
use support::{account, from, id, policy, store, texts, with_rules, workload};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of a thread.
struct Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn several(at: u16) -> MatchSpec {
    MatchSpec {
        namespaces: texts(&[&format!("n{at}"), &format!("p{at}*"), &format!("*s{at}")]),
        not_principals: texts(&[&format!("td/{at}*"), &format!("*/{at}"), "x"]),
        source_ips: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()],
        service_accounts: vec![account(&format!("n{at}/a")), account("shop/other")],
        destination_ports: vec![at],
        ..MatchSpec::default()
    }
}

fn policies(action: Action, count: u16) -> Vec<PolicySpec> {
    let rules = |at: u16| {
        let excluding = MatchSpec {
            not_namespaces: texts(&["*", "a*"]),
            ..MatchSpec::default()
        };
        vec![RuleSpec::of(several(at)), RuleSpec::of(excluding)]
    };
    let specs = (0..count)
        .map(|at| with_rules(&format!("shop/p{at}"), Scope::Namespace, action, rules(at)));
    specs.collect()
}

#[test]
fn a_decision_allocates_nothing() {
    let cart = id("shop", "cart");
    let selected = policy(
        "shop/selected",
        Scope::WorkloadSelector,
        Action::Deny,
        several(7),
    );
    let mut large = policies(Action::Deny, 1).remove(0);
    large.name = "large".into();
    large.scope = Scope::WorkloadSelector;
    large.rules = vec![RuleSpec::of(several(9)); 100];
    for (what, denied) in [("few", 3), ("many", 3000)] {
        for action in [Action::Deny, Action::Allow] {
            let mut specs = policies(action, denied);
            specs.extend([selected.clone(), large.clone()]);
            specs.push(PolicySpec {
                dry_run: true,
                name: "dry".into(),
                ..specs[0].clone()
            });
            let index = store(&specs).index();
            let local = workload(&["shop/selected", "shop/large", "shop/late"]);
            for identity in [Some(&cart), None] {
                let connection = from(identity);
                let before = ALLOCATIONS.with(Cell::get);
                let verdict = index.decide(&local, &connection).verdict;
                let after = ALLOCATIONS.with(Cell::get);
                assert_eq!(after - before, 0, "{what} {action:?} {verdict:?}");
                // The counter does count.
                assert!(matches!(verdict, Verdict::Undecided(_) | Verdict::Deny(_)));
                drop(std::hint::black_box(Box::new(1)));
                assert_eq!(ALLOCATIONS.with(Cell::get) - after, 1);
            }
        }
    }
}

use mesh_core::identity::SpiffeId;
use mesh_core::model::WorkloadSpec;

use super::*;
use crate::spec::{ClauseSpec, MatchSpec, PolicySpec, RuleSpec, StringMatch};
use crate::store::{PolicyStore, Update};

fn workload() -> Workload {
    Workload::new(WorkloadSpec {
        namespace: "shop".into(),
        authorization_policies: vec!["shop/late".into()],
        ..WorkloadSpec::default()
    })
}

fn policies() -> Vec<PolicySpec> {
    let from_batch = MatchSpec {
        namespaces: vec![StringMatch::prefix("batch").unwrap()],
        destination_ports: vec![80],
        ..MatchSpec::default()
    };
    let on_port = MatchSpec {
        not_destination_ports: vec![80, 81],
        ..MatchSpec::default()
    };
    let mut deny = PolicySpec::new("shop", "no-batch", Scope::Namespace, Action::Deny);
    deny.rules = vec![
        RuleSpec {
            clauses: vec![ClauseSpec {
                matches: vec![from_batch.clone(), on_port],
            }],
        },
        RuleSpec::of(MatchSpec::default()),
    ];
    let mut allow = PolicySpec::new("shop", "all", Scope::Namespace, Action::Allow);
    allow.rules = vec![RuleSpec::default()];
    let mut dry = PolicySpec::new("istio-system", "dry", Scope::Global, Action::Deny);
    dry.dry_run = true;
    dry.rules = vec![RuleSpec::of(from_batch)];
    let elsewhere = PolicySpec::new("other", "p", Scope::Namespace, Action::Deny);
    vec![deny, allow, dry, elsewhere]
}

fn explain(identity: Option<&SpiffeId>, limit: usize) -> Explanation {
    let store = PolicyStore::new();
    let applied = store.apply(policies().into_iter().map(Update::Upsert).collect());
    assert_eq!(applied.upserted, 4);
    let connection = Connection::new([10, 0, 0, 1].into(), identity, ([10, 0, 0, 2], 80).into());
    store.index().explain(&workload(), &connection, limit)
}

#[test]
fn every_policy_that_applies_is_listed_with_the_reason() {
    let cart = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
    let explanation = explain(Some(&cart), 10);
    assert_eq!(
        explanation.verdict,
        "undecided: policy shop/late has not arrived"
    );
    assert_eq!(explanation.missing, ["shop/late"]);
    assert!(!explanation.dry_run_would_deny);
    let keys: Vec<_> = explanation
        .policies
        .iter()
        .map(|policy| policy.key.as_str())
        .collect();
    assert_eq!(keys, ["istio-system/dry", "shop/no-batch", "shop/all"]);

    let [_, deny, allow] = explanation.policies.as_slice() else {
        panic!("three policies apply");
    };
    assert_eq!((deny.matched, allow.matched), (None, Some(0)));
    let [rule, never] = deny.rules.as_slice() else {
        panic!("two rules");
    };
    let failed: Vec<_> = rule
        .failed
        .iter()
        .map(|field| (&*field.place, &*field.found, &*field.expected))
        .collect();
    assert_eq!(
        failed,
        [
            ("clauses[0].matches[0].namespaces", "shop", "one of batch*"),
            (
                "clauses[0].matches[1].not_destination_ports",
                "80",
                "none of 80, 81"
            ),
        ]
    );
    let empty = never.failed.first().unwrap();
    assert_eq!(
        (&*empty.place, &*empty.found),
        ("clauses[0].matches[0]", "no field")
    );
}

#[test]
fn without_an_identity_nothing_is_found() {
    let explanation = explain(None, 10);
    let deny = explanation.policies.get(1).unwrap();
    let field = deny.rules.first().unwrap().failed.first().unwrap();
    assert_eq!(
        (&*field.place, &*field.found),
        ("clauses[0].matches[0].namespaces", "none")
    );
}

#[test]
fn a_denial_comes_first_and_the_list_is_bounded() {
    let batch = "spiffe://cluster.local/ns/batch-1/sa/job".parse().unwrap();
    let explanation = explain(Some(&batch), 1);
    assert_eq!(
        explanation.verdict,
        "denied: explicitly denied by: shop/no-batch"
    );
    assert!(explanation.dry_run_would_deny);
    assert_eq!((explanation.policies.len(), explanation.omitted), (1, 2));
}

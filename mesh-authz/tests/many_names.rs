//! Policies that name more headers than an index looks up deny and allow like any others.
#![allow(clippy::unwrap_used, missing_docs)]

use http::{HeaderMap, HeaderName};
use mesh_authz::spec::{
    Action, ClauseSpec, HeaderMatch, MatchSpec, PolicySpec, RuleSpec, Scope, StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, PolicyIndex, PolicyTarget, Request, Verdict};
use mesh_core::model::{Workload, WorkloadSpec};

const NAMES: usize = 600;

fn asks_for(name: usize) -> MatchSpec {
    MatchSpec {
        headers: vec![HeaderMatch {
            name: format!("x-{name}").into(),
            values: vec![StringMatch::exact("bad").unwrap()],
            not_values: vec![],
        }],
        ..MatchSpec::default()
    }
}

fn deny(name: &str, matches: Vec<MatchSpec>) -> PolicySpec {
    let clauses = vec![ClauseSpec { matches }];
    PolicySpec {
        rules: vec![RuleSpec { clauses }],
        ..PolicySpec::new("root", name, Scope::Global, Action::Deny)
    }
}

/// The header names with which a request is not denied.
fn let_through(index: &PolicyIndex) -> Vec<usize> {
    let workload = Workload::new(WorkloadSpec::default());
    let target = PolicyTarget::workload(&workload);
    let connection = Connection::new([10, 0, 0, 1].into(), None, ([10, 0, 0, 2], 80).into());
    let is_allowed = |name: &usize| {
        let mut headers = HeaderMap::new();
        let name: HeaderName = format!("x-{name}").parse().unwrap();
        headers.insert(name, "bad".parse().unwrap());
        let request = Request::new("GET", "shop.example", &headers);
        let decision = index.decide_request(&target, &connection, &request);
        !matches!(decision.verdict, Verdict::Deny(_))
    };
    (0..=NAMES).filter(is_allowed).collect()
}

#[test]
fn every_header_is_looked_at_however_many_there_are() {
    // Enough others that rules are not looked at one by one.
    let others = || (0..40).map(|at| deny(&format!("other-{at}"), vec![asks_for(10_000 + at)]));
    let as_policies = (0..NAMES).map(|name| deny(&format!("p-{name}"), vec![asks_for(name)]));
    let as_one = deny("one", (0..NAMES).map(asks_for).collect());
    let cases: [(&str, Vec<PolicySpec>); 2] = [
        ("a policy each", as_policies.collect()),
        ("alternatives of one rule", vec![as_one]),
    ];
    for (name, policies) in cases {
        let store = PolicyStore::new();
        let all: Vec<_> = others().chain(policies).map(Update::Upsert).collect();
        assert!(store.apply(all).rejected.is_empty(), "{name}");
        assert_eq!(let_through(&store.index()), [NAMES], "{name}");
    }
}

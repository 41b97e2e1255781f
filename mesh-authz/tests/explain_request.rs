//! Explanations of requests: what is reported to have failed is what has to change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use http::HeaderMap;
use mesh_authz::spec::{Action, ClauseSpec, MatchSpec, PathMatch, PolicySpec, RuleSpec, Scope};
use mesh_authz::{PolicyTarget, Request};
use mesh_core::target::{PathNormalization, Target};
use support::{from, id, store, texts, workload};

fn read_carts() -> PolicySpec {
    let from = MatchSpec {
        principals: texts(&["*/sa/cart"]),
        ..MatchSpec::default()
    };
    let to = MatchSpec {
        methods: texts(&["GET"]),
        paths: vec![PathMatch::parse("/carts/*").unwrap()],
        ..MatchSpec::default()
    };
    let clauses = [from, to].map(|one| ClauseSpec { matches: vec![one] });
    let far = MatchSpec {
        methods: texts(&["PATCH"]),
        hosts: texts(&["far.example"]),
        not_paths: vec![PathMatch::parse("*").unwrap()],
        ..MatchSpec::default()
    };
    PolicySpec {
        rules: vec![
            RuleSpec::of(far),
            RuleSpec {
                clauses: clauses.into(),
            },
        ],
        ..PolicySpec::new("shop", "read-carts", Scope::Namespace, Action::Allow)
    }
}

/// The one condition that fails is named, with what there is and what was expected; changing it
/// turns the answer.
#[test]
fn the_nearest_rule_says_what_has_to_change() {
    let index = store(&[read_carts()]).index();
    let (workload, cart, headers) = (workload(&[]), id("shop", "cart"), HeaderMap::new());
    let target = PolicyTarget::workload(&workload);
    let connection = from(Some(&cart));
    let path = Target::normalize(b"/carts/7", PathNormalization::None).unwrap();
    let put = Request::new("PUT", "shop.example", &headers).with_target(&path);
    let explanation = index.explain_request(&target, &connection, &put, 10);
    assert!(!explanation.allowed);
    let nearest = explanation.nearest.unwrap();
    assert_eq!(
        (nearest.policy.as_str(), nearest.rule),
        ("shop/read-carts", 1)
    );
    let failed: Vec<_> = nearest.failed.iter().collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].place, "rules[1].clauses[1].matches[0].methods");
    assert_eq!(
        (failed[0].found.as_str(), failed[0].expected.as_str()),
        ("PUT", "one of GET")
    );

    let get = Request::new("GET", "shop.example", &headers).with_target(&path);
    let explanation = index.explain_request(&target, &connection, &get, 10);
    assert!(explanation.allowed && explanation.nearest.is_none());
    assert_eq!(explanation.rule, Some(("shop/read-carts".into(), 1)));
    let tree = &explanation.policies[0];
    assert!(tree.matches && !tree.rules[0].matches && tree.rules[1].matches);
    let fields = &tree.rules[0].clauses[0].alternatives[0].fields;
    assert_eq!(fields.iter().filter(|field| field.agrees).count(), 0);
}

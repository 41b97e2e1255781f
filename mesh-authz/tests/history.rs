//! Mistakes that authorization of meshes has had, each with the test that keeps it away: the rows
//! of the security history that concern connections.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use mesh_authz::plain::PlainVerdict::{Allow, DenyExplicit, DenyNoneAllowed, Undecided};
use mesh_authz::spec::{Action, MatchSpec, Scope, StringMatch, cidr, port};
use mesh_authz::store::{PolicyStore, Update};
use mesh_core::identity::SpiffeId;
use support::{account, decide, from, id, policy, texts, workload};

fn deny(one: MatchSpec) -> Vec<mesh_authz::spec::PolicySpec> {
    vec![policy("shop/p", Scope::Namespace, Action::Deny, one)]
}

fn allow(one: MatchSpec) -> Vec<mesh_authz::spec::PolicySpec> {
    vec![policy("shop/p", Scope::Namespace, Action::Allow, one)]
}

/// CVE-2020-16844: a DENY for a suffix of the principal never matched on TCP.
#[test]
fn deny_by_suffix_and_presence_matches_connections() {
    let cart = id("shop", "cart");
    for pattern in ["*/sa/cart", "*cart", "*"] {
        let principals = MatchSpec {
            principals: texts(&[pattern]),
            ..MatchSpec::default()
        };
        assert_eq!(
            decide(&deny(principals), &workload(&[]), &from(Some(&cart))),
            DenyExplicit
        );
        let pattern = if pattern == "*" { "*" } else { "*op" };
        let namespaces = MatchSpec {
            namespaces: texts(&[pattern]),
            ..MatchSpec::default()
        };
        assert_eq!(
            decide(&deny(namespaces), &workload(&[]), &from(Some(&cart))),
            DenyExplicit
        );
    }
}

/// CVE-2026-39350 and the same for principals and namespaces (istio 59992): values are texts, not
/// expressions.
#[test]
fn values_are_no_expressions() {
    let dashed: SpiffeId = "spiffe://cluster.local/ns/my-ns/sa/a-b".parse().unwrap();
    let m = MatchSpec::default;
    for one in [
        MatchSpec {
            service_accounts: vec![account("my-ns/a.b")],
            ..m()
        },
        MatchSpec {
            service_accounts: vec![account("my.ns/a-b")],
            ..m()
        },
        MatchSpec {
            namespaces: texts(&["my.ns"]),
            ..m()
        },
        MatchSpec {
            namespaces: texts(&["my.*"]),
            ..m()
        },
        MatchSpec {
            namespaces: texts(&["*.ns"]),
            ..m()
        },
        MatchSpec {
            principals: texts(&["*/sa/a.b"]),
            ..m()
        },
        MatchSpec {
            principals: texts(&["cluster.local/ns/my.ns/sa/a-b"]),
            ..m()
        },
        MatchSpec {
            principals: texts(&["cluster-local*"]),
            ..m()
        },
        // Only the outermost star means anything.
        MatchSpec {
            principals: texts(&["cluster.local/ns/*/sa/a-b"]),
            ..m()
        },
    ] {
        let verdict = decide(&allow(one.clone()), &workload(&[]), &from(Some(&dashed)));
        assert_eq!(verdict, DenyNoneAllowed, "{one:?}");
    }
}

/// ISTIO-SECURITY-2021-004: excluding an identity says nothing about who has none. This is how
/// policies are defined, and the explanation shows it.
#[test]
fn excluded_identities_let_plain_connections_through() {
    let not_batch = allow(MatchSpec {
        not_namespaces: texts(&["batch"]),
        ..MatchSpec::default()
    });
    let job = id("batch", "job");
    assert_eq!(decide(&not_batch, &workload(&[]), &from(None)), Allow);
    assert_eq!(
        decide(&not_batch, &workload(&[]), &from(Some(&job))),
        DenyNoneAllowed
    );
    let index = support::store(&not_batch).index();
    let explanation = index.explain(&workload(&[]), &from(Some(&job)), 1);
    let field = &explanation.policies[0].rules[0].failed[0];
    assert_eq!(
        (field.found.as_str(), field.expected.as_str()),
        ("batch", "none of batch")
    );
    // What closes it: presence beside it.
    let verified = allow(MatchSpec {
        principals: texts(&["*"]),
        not_namespaces: texts(&["batch"]),
        ..MatchSpec::default()
    });
    assert_eq!(
        decide(&verified, &workload(&[]), &from(None)),
        DenyNoneAllowed
    );
}

/// CVE-2025-66220: a NUL in an identity.
#[test]
fn a_nul_makes_no_identity() {
    assert!(
        "spiffe://cluster.local/ns/shop/sa/cart\0"
            .parse::<SpiffeId>()
            .is_err()
    );
    assert!(
        "spiffe://cluster.local/ns/shop\0/sa/cart"
            .parse::<SpiffeId>()
            .is_err()
    );
}

/// An identity that is prepared to look like another one.
#[test]
fn parts_of_an_identity_do_not_run_into_each_other() {
    let odd: SpiffeId = "spiffe://ns/ns/sa/sa/ns".parse().unwrap();
    let m = MatchSpec::default;
    for (one, expected) in [
        (
            MatchSpec {
                namespaces: texts(&["sa"]),
                ..m()
            },
            DenyExplicit,
        ),
        (
            MatchSpec {
                namespaces: texts(&["ns"]),
                ..m()
            },
            Allow,
        ),
        (
            MatchSpec {
                service_accounts: vec![account("sa/ns")],
                ..m()
            },
            DenyExplicit,
        ),
        (
            MatchSpec {
                service_accounts: vec![account("ns/sa")],
                ..m()
            },
            Allow,
        ),
    ] {
        assert_eq!(
            decide(&deny(one), &workload(&[]), &from(Some(&odd))),
            expected
        );
    }
}

/// A value that cannot be read, left out of a list, made the list empty and so the policy wider
/// (D8); a port was cut to 16 bits (D9). Both reject the policy.
#[test]
fn a_value_that_cannot_be_read_rejects_the_policy() {
    assert!(cidr(&[10, 0], 8).is_err() && cidr(&[10, 0, 0, 0], 40).is_err());
    assert!(port(65_536 + 80).is_err());
    let store = PolicyStore::new();
    let empty = MatchSpec {
        namespaces: vec![StringMatch::Exact("".into())],
        ..MatchSpec::default()
    };
    let policies = allow(empty).into_iter().map(Update::Upsert);
    let applied = store.apply(policies.collect());
    assert_eq!((applied.upserted, applied.rejected.len()), (0, 1));
}

/// A policy that had not arrived was passed over (D10).
#[test]
fn a_policy_that_has_not_arrived_does_not_let_through() {
    assert_eq!(
        decide(&[], &workload(&["shop/late"]), &from(None)),
        Undecided
    );
}

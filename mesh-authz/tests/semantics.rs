//! Evaluation by the book: levels with nothing in them, precedence, scopes, dry-run, and what
//! Istio's control plane makes of its own resources. Every case is decided by the compiled index
//! and by the plain evaluator.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use mesh_authz::plain::PlainVerdict::{self, Allow, DenyExplicit, DenyNoneAllowed, Undecided};
use mesh_authz::spec::{Action, MatchSpec, PolicySpec, RuleSpec, Scope};
use mesh_authz::store::Update;
use mesh_authz::{AllowReason, DenyReason, DryRunAllow, Verdict};
use support::{decide, from, id, policy, rule, store, texts, with_rules, workload};

fn all() -> RuleSpec {
    RuleSpec::default()
}

fn never() -> RuleSpec {
    RuleSpec::of(MatchSpec::default())
}

fn principals(patterns: &[&str]) -> MatchSpec {
    MatchSpec {
        principals: texts(patterns),
        ..MatchSpec::default()
    }
}

fn not_principals(patterns: &[&str]) -> MatchSpec {
    MatchSpec {
        not_principals: texts(patterns),
        ..MatchSpec::default()
    }
}

fn ports(ports: &[u16]) -> MatchSpec {
    MatchSpec {
        destination_ports: ports.to_vec(),
        ..MatchSpec::default()
    }
}

fn not_ports(ports: &[u16]) -> MatchSpec {
    MatchSpec {
        not_destination_ports: ports.to_vec(),
        ..MatchSpec::default()
    }
}

/// Whether rules match, as an ALLOW and as a DENY policy of each scope.
fn matches(rules: Vec<RuleSpec>, port: u16) -> bool {
    let cart = id("shop", "cart");
    let mut connection = from(Some(&cart));
    connection.destination.set_port(port);
    let verdicts = [Scope::Global, Scope::Namespace, Scope::WorkloadSelector].map(|scope| {
        let deny = with_rules("shop/p", scope, Action::Deny, rules.clone());
        let allow = with_rules("shop/p", scope, Action::Allow, rules.clone());
        let workload = workload(if scope == Scope::WorkloadSelector {
            &["shop/p"]
        } else {
            &[]
        });
        let denied = decide(&[deny], &workload, &connection) == DenyExplicit;
        let allowed = decide(&[allow], &workload, &connection) == Allow;
        assert_eq!(denied, allowed);
        denied
    });
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]));
    verdicts[0]
}

#[test]
fn each_level_with_nothing_in_it() {
    assert!(!matches(vec![], 80), "a policy without rules never matches");
    assert!(
        matches(vec![all()], 80),
        "a rule without clauses matches everything"
    );
    assert!(
        matches(vec![rule(vec![vec![]])], 80),
        "a clause without matches is true"
    );
    assert!(
        !matches(vec![never()], 80),
        "a match without fields never matches"
    );
    assert!(!matches(
        vec![rule(vec![vec![ports(&[80])], vec![MatchSpec::default()]])],
        80
    ));
    assert!(matches(vec![rule(vec![vec![ports(&[80])], vec![]])], 80));
    assert!(matches(
        vec![rule(vec![vec![MatchSpec::default(), ports(&[80])]])],
        80
    ));
}

#[test]
fn rules_are_alternatives_clauses_add_up_matches_are_alternatives() {
    let two = || vec![RuleSpec::of(ports(&[80])), RuleSpec::of(ports(&[81]))];
    assert!(matches(two(), 80) && matches(two(), 81) && !matches(two(), 82));
    let both = || vec![rule(vec![vec![ports(&[80, 81])], vec![not_ports(&[81])]])];
    assert!(matches(both(), 80) && !matches(both(), 81));
    let either = || vec![rule(vec![vec![ports(&[80]), ports(&[81])]])];
    assert!(matches(either(), 80) && matches(either(), 81) && !matches(either(), 82));
}

#[test]
fn precedence_of_deny_and_allow() {
    use Action::{Allow as A, Deny as D};
    let hit = || vec![all()];
    let miss = || vec![never()];
    type Policies = Vec<(Action, Vec<RuleSpec>)>;
    let cases: [(&str, Policies, PlainVerdict); 10] = [
        ("nothing", vec![], Allow),
        ("deny hits", vec![(D, hit())], DenyExplicit),
        ("deny misses", vec![(D, miss())], Allow),
        ("allow hits", vec![(A, hit())], Allow),
        ("allow misses", vec![(A, miss())], DenyNoneAllowed),
        ("allow nothing", vec![(A, vec![])], DenyNoneAllowed),
        (
            "deny before allow",
            vec![(A, hit()), (D, hit())],
            DenyExplicit,
        ),
        (
            "deny misses, allow hits",
            vec![(D, miss()), (A, hit())],
            Allow,
        ),
        (
            "deny misses, allow misses",
            vec![(D, miss()), (A, miss())],
            DenyNoneAllowed,
        ),
        (
            "one allow of two is enough",
            vec![(A, miss()), (A, hit())],
            Allow,
        ),
    ];
    for (name, policies, expected) in cases {
        for scope in [Scope::Global, Scope::Namespace, Scope::WorkloadSelector] {
            let keys: Vec<_> = (0..policies.len())
                .map(|at| format!("shop/p{at}"))
                .collect();
            let specs: Vec<_> = policies
                .iter()
                .zip(&keys)
                .map(|((action, rules), key)| with_rules(key, scope, *action, rules.clone()))
                .collect();
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            assert_eq!(
                decide(&specs, &workload(&keys), &from(None)),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn policies_of_all_scopes_count_together() {
    let deny = policy("istio-system/d", Scope::Global, Action::Deny, ports(&[80]));
    let allow = policy(
        "shop/a",
        Scope::WorkloadSelector,
        Action::Allow,
        ports(&[80]),
    );
    let (workload, connection) = (workload(&["shop/a"]), from(None));
    assert_eq!(
        decide(&[deny, allow.clone()], &workload, &connection),
        DenyExplicit
    );
    let nothing = with_rules("shop/n", Scope::Namespace, Action::Allow, vec![]);
    assert_eq!(decide(&[nothing, allow], &workload, &connection), Allow);
}

#[test]
fn a_scope_reaches_its_workloads_only() {
    let deny = |key, scope| vec![with_rules(key, scope, Action::Deny, vec![all()])];
    let connection = from(None);
    let of = |policies: &[&str]| workload(policies);
    for (policies, names, expected) in [
        (deny("istio-system/p", Scope::Global), vec![], DenyExplicit),
        (deny("shop/p", Scope::Namespace), vec![], DenyExplicit),
        (deny("other/p", Scope::Namespace), vec![], Allow),
        (deny("shop/p", Scope::WorkloadSelector), vec![], Allow),
        (
            deny("shop/p", Scope::WorkloadSelector),
            vec!["shop/p"],
            DenyExplicit,
        ),
        // By reference every policy counts, as in the node proxy of Istio.
        (
            deny("other/p", Scope::Namespace),
            vec!["other/p"],
            DenyExplicit,
        ),
        (
            deny("shop/p", Scope::Namespace),
            vec!["shop/p"],
            DenyExplicit,
        ),
        (deny("shop/p", Scope::Global), vec!["shop/p"], DenyExplicit),
    ] {
        assert_eq!(
            decide(&policies, &of(&names), &connection),
            expected,
            "{policies:?} {names:?}"
        );
    }
}

#[test]
fn a_change_of_scope_moves_the_policy() {
    let at = |scope| with_rules("shop/p", scope, Action::Deny, vec![all()]);
    let store = store(&[]);
    let unnamed = workload(&[]);
    let named = workload(&["shop/p"]);
    let mut elsewhere = support::spec("cluster//Pod/other/web", &[]);
    elsewhere.namespace = "other".into();
    let elsewhere = mesh_core::model::Workload::new(elsewhere);
    let denied = |workload| {
        let index = store.index();
        matches!(
            index.decide(workload, &from(None)).verdict,
            Verdict::Deny(_)
        )
    };
    for (scope, expected) in [
        (Scope::Namespace, [true, true, false]),
        (Scope::Global, [true, true, true]),
        (Scope::WorkloadSelector, [false, true, false]),
        (Scope::Namespace, [true, true, false]),
        (Scope::WorkloadSelector, [false, true, false]),
        (Scope::Global, [true, true, true]),
    ] {
        assert_eq!(store.apply(vec![Update::Upsert(at(scope))]).upserted, 1);
        assert_eq!(
            [denied(&unnamed), denied(&named), denied(&elsewhere)],
            expected,
            "{scope:?}"
        );
    }
    assert_eq!(
        store.apply(vec![Update::Remove("shop/p".into())]).removed,
        1
    );
    assert_eq!([denied(&unnamed), denied(&elsewhere)], [false, false]);
}

#[test]
fn dry_run_is_reported_and_never_enforced() {
    let dry = |key, action, rules| PolicySpec {
        dry_run: true,
        ..with_rules(key, Scope::Namespace, action, rules)
    };
    let enforced = |action, rules| with_rules("shop/real", Scope::Namespace, action, rules);
    let (hit, miss) = (|| vec![all()], || vec![never()]);
    use Action::{Allow as A, Deny as D};
    for (name, policies, expected, would_deny) in [
        ("deny", vec![dry("shop/d", D, hit())], Allow, true),
        (
            "deny that misses",
            vec![dry("shop/d", D, miss())],
            Allow,
            false,
        ),
        (
            "allow that misses alone",
            vec![dry("shop/a", A, miss())],
            Allow,
            true,
        ),
        (
            "allow that hits alone",
            vec![dry("shop/a", A, hit())],
            Allow,
            false,
        ),
        (
            "allow beside an enforced one",
            vec![dry("shop/a", A, miss()), enforced(A, hit())],
            Allow,
            false,
        ),
        (
            "allow does not rescue",
            vec![dry("shop/a", A, hit()), enforced(A, miss())],
            DenyNoneAllowed,
            false,
        ),
        (
            "deny twice",
            vec![dry("shop/d", D, hit()), enforced(D, hit())],
            DenyExplicit,
            true,
        ),
    ] {
        let workload = workload(&[]);
        assert_eq!(
            decide(&policies, &workload, &from(None)),
            expected,
            "{name}"
        );
        let index = store(&policies).index();
        let decision = index.decide(&workload, &from(None));
        assert_eq!(decision.dry_run.would_deny(), would_deny, "{name}");
        if name == "deny" {
            let rule = decision.dry_run.deny.unwrap();
            assert_eq!((rule.policy().key(), rule.rule()), ("shop/d", 0));
        }
        if name == "allow that hits alone" {
            assert!(matches!(decision.dry_run.allow, DryRunAllow::Matched(_)));
        }
    }
}

#[test]
fn a_decision_names_policy_and_rule() {
    let rules = vec![RuleSpec::of(ports(&[81])), RuleSpec::of(ports(&[80]))];
    let workload = workload(&[]);
    let denying = store(&[with_rules(
        "shop/d",
        Scope::Global,
        Action::Deny,
        rules.clone(),
    )])
    .index();
    let Verdict::Deny(reason) = denying.decide(&workload, &from(None)).verdict else {
        panic!("it is denied");
    };
    assert_eq!(reason.to_string(), "explicitly denied by: shop/d");
    let DenyReason::Explicit(found) = reason else {
        panic!("by a policy")
    };
    assert_eq!((found.rule(), found.policy().key()), (1, "shop/d"));

    let allowing = store(&[with_rules("shop/a", Scope::Global, Action::Allow, rules)]).index();
    let Verdict::Allow(AllowReason::Matched(found)) =
        allowing.decide(&workload, &from(None)).verdict
    else {
        panic!("it is allowed by a policy");
    };
    assert_eq!((found.rule(), found.to_string().as_str()), (1, "shop/a"));
}

#[test]
fn a_policy_that_is_named_and_not_known_leaves_it_undecided_unless_denied() {
    let deny = with_rules("shop/d", Scope::Namespace, Action::Deny, vec![all()]);
    let allow = with_rules("shop/a", Scope::Namespace, Action::Allow, vec![all()]);
    let nothing = with_rules("shop/n", Scope::Namespace, Action::Allow, vec![]);
    let workload = workload(&["shop/late"]);
    for (policies, expected) in [
        (vec![], Undecided),
        (vec![allow], Undecided),
        (vec![nothing], Undecided),
        (vec![deny], DenyExplicit),
    ] {
        assert_eq!(decide(&policies, &workload, &from(None)), expected);
    }
    let index = store(&[]).index();
    let decision = index.decide(&workload, &from(None));
    assert_eq!(
        decision.verdict,
        Verdict::Undecided(mesh_authz::Undecided::MissingPolicy(&"shop/late".into()))
    );
}

/// `notPrincipals: [presence]`: what PeerAuthentication STRICT becomes.
#[test]
fn strict_peer_authentication() {
    let key = "istio-system/istio_converted_static_strict";
    let strict = [policy(
        key,
        Scope::WorkloadSelector,
        Action::Deny,
        not_principals(&["*"]),
    )];
    let cart = id("shop", "cart");
    assert_eq!(
        decide(&strict, &workload(&[key]), &from(None)),
        DenyExplicit
    );
    assert_eq!(
        decide(&strict, &workload(&[key]), &from(Some(&cart))),
        Allow
    );
    assert_eq!(decide(&strict, &workload(&[]), &from(None)), Allow);
}

#[test]
fn port_level_peer_authentication() {
    let key = "shop/converted_peer_authentication_web";
    let both = |one: MatchSpec, ports: &[u16]| MatchSpec {
        destination_ports: ports.to_vec(),
        ..one
    };
    // PERMISSIVE with port 80 STRICT: one rule for each strict port.
    let strict_port = rule(vec![vec![both(not_principals(&["*"]), &[80])]]);
    // STRICT with port 80 PERMISSIVE: the exception is a clause of its own.
    let permissive_port = rule(vec![vec![not_principals(&["*"])], vec![not_ports(&[80])]]);
    let cart = id("shop", "cart");
    for (rules, port, identity, expected) in [
        (&strict_port, 80, None, DenyExplicit),
        (&strict_port, 81, None, Allow),
        (&strict_port, 80, Some(&cart), Allow),
        (&permissive_port, 80, None, Allow),
        (&permissive_port, 81, None, DenyExplicit),
        (&permissive_port, 81, Some(&cart), Allow),
    ] {
        let policies = [with_rules(
            key,
            Scope::WorkloadSelector,
            Action::Deny,
            vec![rules.clone()],
        )];
        let mut connection = from(identity);
        connection.destination.set_port(port);
        assert_eq!(
            decide(&policies, &workload(&[key]), &connection),
            expected,
            "{rules:?} {port}"
        );
    }
}

/// A DENY for HTTP attributes arrives with an empty match where they were.
#[test]
fn converted_l7_policies() {
    let cart = id("shop", "cart");
    let connection = from(Some(&cart));
    let workload = workload(&[]);
    let deny = |clauses| {
        vec![with_rules(
            "shop/d",
            Scope::Namespace,
            Action::Deny,
            vec![rule(clauses)],
        )]
    };
    // Only HTTP attributes: no effect.
    assert_eq!(
        decide(
            &deny(vec![vec![MatchSpec::default()]]),
            &workload,
            &connection
        ),
        Allow
    );
    // L4 in one clause, only HTTP in another: no effect.
    let mixed = deny(vec![
        vec![MatchSpec::default()],
        vec![principals(&["*/sa/cart"])],
    ]);
    assert_eq!(decide(&mixed, &workload, &connection), Allow);
    // Both in one source: the L4 part stays and denies more than was written.
    assert_eq!(
        decide(
            &deny(vec![vec![principals(&["*/sa/cart"])]]),
            &workload,
            &connection
        ),
        DenyExplicit
    );
    // An ALLOW whose rules all need HTTP attributes arrives without rules.
    let allow = [with_rules(
        "shop/a",
        Scope::Namespace,
        Action::Allow,
        vec![],
    )];
    assert_eq!(decide(&allow, &workload, &connection), DenyNoneAllowed);
}

#[test]
fn waypoint_policy_admits_the_waypoint_only() {
    let exact = "cluster.local/ns/shop/sa/waypoint";
    let policies = [policy(
        "shop/istio_allow_waypoint_shop_waypoint",
        Scope::Namespace,
        Action::Allow,
        principals(&[exact]),
    )];
    let (waypoint, cart) = (id("shop", "waypoint"), id("shop", "cart"));
    assert_eq!(
        decide(&policies, &workload(&[]), &from(Some(&waypoint))),
        Allow
    );
    assert_eq!(
        decide(&policies, &workload(&[]), &from(Some(&cart))),
        DenyNoneAllowed
    );
    assert_eq!(
        decide(&policies, &workload(&[]), &from(None)),
        DenyNoneAllowed
    );
}

#[test]
fn a_rejected_policy_leaves_the_last_good_one_in_force() {
    let good = with_rules("shop/d", Scope::Namespace, Action::Deny, vec![all()]);
    let store = store(std::slice::from_ref(&good));
    let empty = mesh_authz::spec::StringMatch::Exact("".into());
    let bad = policy(
        "shop/d",
        Scope::Namespace,
        Action::Deny,
        MatchSpec {
            principals: vec![empty],
            ..MatchSpec::default()
        },
    );
    let other = with_rules("shop/other", Scope::Namespace, Action::Allow, vec![all()]);
    let applied = store.apply(vec![Update::Upsert(bad), Update::Upsert(other)]);
    assert_eq!((applied.upserted, applied.removed), (1, 0));
    let rejected: Vec<_> = applied.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(
        rejected,
        ["policy shop/d: rules[0].clauses[0].matches[0].principals[0]: a text to match is empty"]
    );
    assert_eq!(store.index().policy("shop/d").unwrap().to_spec(), good);
    assert!(store.index().policy("shop/other").is_some());
}

#[test]
fn what_changes_nothing_publishes_nothing() {
    let deny = with_rules(
        "shop/d",
        Scope::Namespace,
        Action::Deny,
        vec![RuleSpec::of(ports(&[80, 81]))],
    );
    let store = store(std::slice::from_ref(&deny));
    let before = store.index();
    let same = with_rules(
        "shop/d",
        Scope::Namespace,
        Action::Deny,
        vec![RuleSpec::of(ports(&[81, 80, 80]))],
    );
    assert_eq!(
        store.apply(vec![Update::Upsert(same), Update::Remove("shop/x".into())]),
        Default::default()
    );
    assert_eq!(store.replace_all(vec![deny]), Default::default());
    assert!(std::sync::Arc::ptr_eq(&before, &store.index()));
}

//! What is left of a policy at a node proxy.

use mesh_authz::kube::{Exactness, L4Projection, Profile, project_l4};
use mesh_authz::spec::{
    Action, HeaderMatch, MatchSpec, PathMatch, PolicySpec, RuleSpec, Scope, StringMatch,
};
use mesh_authz::store::{PolicyStore, Update};
use mesh_authz::{Connection, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::model::{Workload, WorkloadSpec};
use serde_json::{Value, json};

use crate::support::{accepted, convert_as};

fn project(profile: Profile, spec: Value) -> L4Projection {
    accepted(spec).project_l4(profile)
}

/// Whether a peer of namespace `a` gets to port 80 of a workload of `foo`.
fn passes(projection: &L4Projection) -> bool {
    passes_with(projection, "spiffe://td/ns/a/sa/b")
}

fn passes_with(projection: &L4Projection, id: &str) -> bool {
    let store = PolicyStore::new();
    let batch = projection.policy.clone().map(Update::Upsert);
    assert!(store.apply(batch.into_iter().collect()).rejected.is_empty());
    let here = WorkloadSpec {
        namespace: "foo".into(),
        ..WorkloadSpec::default()
    };
    let id: SpiffeId = id.parse().unwrap();
    let from = "10.0.0.1".parse().unwrap();
    let connection = Connection::new(from, Some(&id), "10.0.0.2:80".parse().unwrap());
    matches!(
        store
            .index()
            .decide(&Workload::new(here), &connection)
            .verdict,
        Verdict::Allow(_)
    )
}

fn unenforceable(fields: &[&str]) -> Exactness {
    Exactness::Unenforceable(fields.iter().map(|field| (*field).into()).collect())
}

fn namespace_a() -> Value {
    json!([{ "source": { "namespaces": ["a"] } }])
}

fn path() -> Value {
    json!([{ "operation": { "paths": ["/p"] } }])
}

/// The rules that are left keep the numbers under which operators find them in the object (1.3.7).
#[test]
fn what_is_left_out_does_not_hide_the_numbers_of_the_other_rules() {
    let rules = json!([
        { "to": path() }, { "from": namespace_a() }, { "to": path() }, { "from": namespace_a() },
    ]);
    for (action, numbers) in [("ALLOW", vec![1, 3]), ("DENY", vec![0, 1, 2, 3])] {
        let spec = json!({ "action": action, "rules": rules });
        for profile in [Profile::Strict, Profile::Compat] {
            let left = project(profile, spec.clone());
            assert_eq!(left.rules, numbers, "{action} {profile:?}");
            assert_eq!(left.policy.unwrap().rules.len(), numbers.len());
        }
    }
    let unsent = json!({ "action": "AUDIT", "rules": rules });
    assert!(project(Profile::Compat, unsent).rules.is_empty());
}

/// S9: Istio ignores an authorizer that is asked by HTTP where there is only TCP. Here no kind of authorizer is
/// ignored: a connection that a CUSTOM rule is about waits for a request, and at a node proxy it is denied.
#[test]
fn tcp_that_an_authorizer_guards_is_never_let_through_unasked() {
    let about_port = |port: &str| {
        json!({ "action": "CUSTOM", "provider": { "name": "by-http" },
                "rules": [{ "to": [{ "operation": { "ports": [port] } }] }] })
    };
    for (port, guarded) in [("80", true), ("81", false)] {
        let left = project(Profile::Strict, about_port(port));
        assert_eq!(passes(&left), !guarded, "{port}");
        let store = PolicyStore::new();
        let whole = accepted(about_port(port)).policy;
        assert_eq!(store.apply(vec![Update::Upsert(whole)]).rejected, []);
        let here = Workload::new(WorkloadSpec {
            namespace: "foo".into(),
            ..WorkloadSpec::default()
        });
        let from = "10.0.0.1".parse().unwrap();
        let connection = Connection::new(from, None, "10.0.0.2:80".parse().unwrap());
        let index = store.index();
        let allowed = matches!(index.decide(&here, &connection).verdict, Verdict::Allow(_));
        assert_eq!(allowed, !guarded, "{port}");
    }
}

/// The table of what ztunnel does with a policy about requests, and what we do: does a connection
/// from `a` to port 80 pass, and how exact is it.
#[test]
#[rustfmt::skip]
fn the_table_of_policies_about_requests() {
    let l7_from = json!([{ "source": { "requestPrincipals": ["i/s"] } }]);
    let mixed_from = json!([{ "source": { "namespaces": ["a"], "requestPrincipals": ["i/s"] } }]);
    let mixed_to = json!([{ "operation": { "ports": ["80"], "methods": ["GET"] } }]);
    let when = json!([{ "key": "request.headers[X-Y]", "values": ["z"] }]);
    let either = json!([{ "source": { "namespaces": ["x"] } }, { "source": { "requestPrincipals": ["i/s"] } }]);
    let exact = || Exactness::Exact;
    let (narrower, wider) = (|| Exactness::Narrower, || Exactness::Wider);
    type Row = (&'static str, Value, (bool, Exactness), (bool, Exactness));
    let cases: Vec<Row> = vec![
        ("ALLOW, only about connections", json!({ "rules": [{ "from": namespace_a() }] }), (true, exact()), (true, exact())),
        ("ALLOW, no rules", json!({}), (false, exact()), (false, exact())),
        ("ALLOW, all rules need a request", json!({ "rules": [{ "to": path() }] }), (false, narrower()), (false, narrower())),
        ("ALLOW, some rules need a request", json!({ "rules": [{ "to": path() }, { "from": namespace_a() }] }), (true, narrower()), (true, narrower())),
        ("ALLOW, one source of two needs a request",
            json!({ "rules": [{ "from": [{ "source": { "namespaces": ["a"] } }, { "source": { "requestPrincipals": ["i/s"] } }] }] }),
            (false, narrower()), (false, narrower())),
        ("DENY, only about connections", json!({ "action": "DENY", "rules": [{ "from": namespace_a() }] }), (false, exact()), (false, exact())),
        ("DENY, an empty rule", json!({ "action": "DENY", "rules": [{}] }), (false, exact()), (false, exact())),
        ("DENY, both in one source", json!({ "action": "DENY", "rules": [{ "from": mixed_from }] }), (false, wider()), (false, wider())),
        ("DENY, both in one operation", json!({ "action": "DENY", "rules": [{ "to": mixed_to }] }), (false, wider()), (false, wider())),
        ("DENY, only an operation that needs a request", json!({ "action": "DENY", "rules": [{ "to": path() }] }),
            (true, unenforceable(&["paths"])), (false, unenforceable(&["paths"]))),
        ("DENY, only a source that needs a request", json!({ "action": "DENY", "rules": [{ "from": l7_from }] }),
            (true, unenforceable(&["requestPrincipals"])), (false, unenforceable(&["requestPrincipals"]))),
        ("DENY, a source, and an operation that needs a request", json!({ "action": "DENY", "rules": [{ "from": namespace_a(), "to": path() }] }),
            (true, unenforceable(&["paths"])), (false, unenforceable(&["paths"]))),
        ("DENY, a source, and a condition that needs a request", json!({ "action": "DENY", "rules": [{ "from": namespace_a(), "when": when }] }),
            (true, unenforceable(&["request.headers[X-Y]"])), (false, unenforceable(&["request.headers[X-Y]"]))),
        ("DENY, one source of two needs a request", json!({ "action": "DENY", "rules": [{ "from": either }] }),
            (true, unenforceable(&["requestPrincipals"])), (false, unenforceable(&["requestPrincipals"]))),
        ("CUSTOM, about connections", json!({ "action": "CUSTOM", "provider": { "name": "p" }, "rules": [{ "to": [{ "operation": { "ports": ["80"] } }] }] }),
            (true, unenforceable(&[])), (false, wider())),
        ("CUSTOM, about another port", json!({ "action": "CUSTOM", "provider": { "name": "p" }, "rules": [{ "to": [{ "operation": { "ports": ["81"] } }] }] }),
            (true, unenforceable(&[])), (true, wider())),
    ];
    for (name, spec, compat, strict) in cases {
        for (profile, (expected, exactness)) in [(Profile::Compat, compat), (Profile::Strict, strict)] {
            let projection = project(profile, spec.clone());
            assert_eq!(projection.exactness, exactness, "{name} {profile:?}");
            assert_eq!(passes(&projection), expected, "{name} {profile:?}");
        }
    }
}

#[test]
fn audit_is_not_sent_by_istiod_and_kept_where_it_is_exact() {
    let spec = json!({ "action": "AUDIT", "rules": [{ "to": path() }, { "from": namespace_a() }] });
    let compat = project(Profile::Compat, spec.clone());
    assert_eq!(compat.policy, None);
    assert_eq!(
        compat.status.as_deref(),
        Some("ztunnel does not support the AUDIT action")
    );
    let strict = project(Profile::Strict, spec);
    let policy = strict.policy.unwrap();
    assert_eq!((policy.action, policy.rules.len()), (Action::Audit, 1));
    assert_eq!(strict.exactness, Exactness::Narrower);
}

#[test]
fn a_dry_run_is_not_sent_by_istiod_and_stays_one_otherwise() {
    let metadata = json!({ "annotations": { "istio.io/dry-run": "true" } });
    let spec = json!({ "action": "DENY", "rules": [{ "to": path() }] });
    let policy = convert_as(Profile::Strict, metadata, spec).unwrap();
    assert_eq!(policy.project_l4(Profile::Compat).policy, None);
    let strict = policy.project_l4(Profile::Strict);
    assert!(strict.policy.as_ref().unwrap().dry_run);
    assert!(passes(&strict), "a dry run denies nothing");
}

/// The texts of istiod, which tools look for.
#[test]
fn the_status_of_istiod() {
    let status = |spec: Value| project(Profile::Compat, spec).status;
    let before = "ztunnel does not support HTTP attributes (found: ";
    let waypoint = "). In ambient mode you must use a waypoint proxy to enforce HTTP rules. ";
    let allow = json!({ "rules": [
        { "to": [{ "operation": { "methods": ["GET"], "notPaths": ["/a"] } }] },
        { "when": [{ "key": "request.headers[X-Y]", "values": ["z"] }] },
    ] });
    assert_eq!(
        status(allow).unwrap().to_string(),
        format!(
            "{before}methods, notPaths, request.headers[X-Y]{waypoint}Within an ALLOW policy, rules \
             matching HTTP attributes are omitted. This will be more restrictive than requested."
        ),
    );
    let mixed = json!({ "action": "DENY", "rules": [{ "to": path() }, { "from": namespace_a() }] });
    assert_eq!(
        status(mixed).unwrap().to_string(),
        format!(
            "{before}paths{waypoint}DENY policy with HTTP attributes is enforced without the HTTP \
             rules. This will be more restrictive than requested."
        ),
    );
    let none = json!({ "action": "DENY", "rules": [{ "from": namespace_a(), "to": path() }] });
    assert_eq!(
        status(none).unwrap().to_string(),
        format!(
            "{before}paths{waypoint}After omitting unsupported HTTP attributes, this DENY policy has \
             no enforceable rules at ztunnel and will have no effect. Deploy a waypoint proxy and use \
             a targetRef to enforce this policy."
        ),
    );
    let custom = json!({ "action": "CUSTOM", "provider": { "name": "p" }, "rules": [{}] });
    assert_eq!(
        status(custom).as_deref(),
        Some("ztunnel does not support the CUSTOM action")
    );
    assert_eq!(
        status(json!({ "rules": [{ "from": namespace_a() }] })),
        None
    );
}

/// Every attribute that a node proxy does not know is named as the object names it.
#[test]
fn everything_that_a_node_proxy_does_not_know_is_named() {
    let source = json!({
        "requestPrincipals": ["a"], "notRequestPrincipals": ["a"], "remoteIpBlocks": ["1.2.3.4"],
        "notRemoteIpBlocks": ["1.2.3.4"], "trustDomains": ["a"], "notTrustDomains": ["a"],
    });
    let operation = json!({
        "hosts": ["a"], "notHosts": ["a"], "methods": ["a"], "notMethods": ["a"], "paths": ["a"], "notPaths": ["a"],
    });
    let keys = [
        "request.headers[A]",
        "remote.ip",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "request.auth.claims[a][b]",
        "connection.sni",
        "experimental.envoy.filters.a[b]",
        "source.serviceAccount",
        "source.trustDomain",
    ];
    let value = |key: &str| if key == "remote.ip" { "1.2.3.4" } else { "a" };
    let when = keys.map(|key| json!({ "key": key, "values": [value(key)] }));
    let spec = json!({ "rules": [
        { "from": [{ "source": source }], "to": [{ "operation": operation }], "when": when },
    ] });
    let mut expected: Vec<&str> = source
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    expected.extend(operation.as_object().unwrap().keys().map(String::as_str));
    expected.extend(keys);
    expected.sort_unstable();
    assert_eq!(project(Profile::Compat, spec.clone()).unsupported, expected);
    let known = [
        "source.serviceAccount",
        "source.trustDomain",
        "trustDomains",
        "notTrustDomains",
    ];
    expected.retain(|name| !known.contains(name));
    assert_eq!(project(Profile::Strict, spec).unsupported, expected);
}

/// A policy that comes from no object is named by the fields of sources and operations.
#[test]
fn a_policy_of_the_wire_is_projected_too() {
    let mut policy = PolicySpec::new("foo", "p", Scope::Namespace, Action::Deny);
    let header = HeaderMatch {
        name: "x-y".into(),
        values: vec![StringMatch::Presence],
        not_values: vec![],
    };
    policy.rules.push(RuleSpec::of(MatchSpec {
        paths: vec![PathMatch::parse("/a").unwrap()],
        headers: vec![header],
        snis: vec![StringMatch::Presence],
        destination_ports: vec![80],
        ..MatchSpec::default()
    }));
    let projection = project_l4(&policy, Profile::Strict);
    assert_eq!(
        projection.unsupported,
        ["connection.sni", "paths", "request.headers[x-y]"]
    );
    assert_eq!(projection.exactness, Exactness::Wider);
    let left = MatchSpec {
        destination_ports: vec![80],
        ..MatchSpec::default()
    };
    assert_eq!(projection.policy.unwrap().rules, [RuleSpec::of(left)]);
}

/// istiod's golden case `deny-groups`: what is left of each rule, from the rules of its conversion.
#[test]
fn the_golden_case_deny_groups() {
    let rules = json!([
        { "from": [{ "source": { "principals": ["mix"], "requestPrincipals": ["r"], "namespaces": ["n"] } }],
          "to": [{ "operation": { "ports": ["80"] } }] },
        { "from": [{ "source": { "principals": ["mix"], "namespaces": ["n"] } }],
          "to": [{ "operation": { "ports": ["80"], "methods": ["m"] } }] },
        { "from": [{ "source": { "principals": ["l4"], "namespaces": ["n"] } }],
          "to": [{ "operation": { "ports": ["80"] } }] },
        { "from": [{ "source": { "requestPrincipals": ["r"] } }],
          "to": [{ "operation": { "paths": ["/p"], "methods": ["m"] } }] },
        { "when": [{ "key": "source.namespace", "values": ["n"] }, { "key": "connection.sni", "values": ["s"] }] },
        { "when": [{ "key": "source.namespace", "values": ["n"] },
                   { "key": "source.ip", "values": ["10.10.10.10"], "notValues": ["20.20.20.20"] }] },
        { "when": [{ "key": "connection.sni", "values": ["s"] }, { "key": "request.headers[X-header]", "values": ["h"] }] },
    ]);
    let left = |profile| {
        let policy = project(profile, json!({ "action": "DENY", "rules": rules }))
            .policy
            .unwrap();
        let rules = policy.rules.iter().map(|rule| {
            let clauses = rule.clauses.iter().map(|clause| {
                let [only] = clause.matches.as_slice() else {
                    panic!("one alternative")
                };
                let mut fields = Vec::new();
                fields.extend((!only.principals.is_empty()).then_some("principals"));
                fields.extend((!only.namespaces.is_empty()).then_some("namespaces"));
                fields.extend((!only.destination_ports.is_empty()).then_some("ports"));
                fields.extend((!only.source_ips.is_empty()).then_some("ips"));
                fields.extend((!only.not_source_ips.is_empty()).then_some("!ips"));
                if fields.is_empty() {
                    "never".to_owned()
                } else {
                    fields.join(",")
                }
            });
            clauses.collect::<Vec<_>>().join(" & ")
        });
        rules.collect::<Vec<_>>()
    };
    let full = "principals,namespaces & ports";
    let expected = [
        full,
        full,
        full,
        "never & never",
        "namespaces & never",
        "namespaces & ips,!ips",
        "never & never",
    ];
    assert_eq!(left(Profile::Compat), expected);
    // Ours: a clause that cannot be told is left out, so that its rule denies more and not less.
    let expected = [
        full,
        full,
        full,
        "",
        "namespaces",
        "namespaces & ips,!ips",
        "",
    ];
    assert_eq!(left(Profile::Strict), expected);
}

/// Trust domains have no place in the wire form: a source with them and namespaces must not become
/// one with namespaces alone.
#[test]
fn d2_trust_domains_are_never_lost() {
    let spec = json!({ "rules": [{ "from": [{ "source": { "trustDomains": ["other"], "namespaces": ["a"] } }] }] });
    let compat = project(Profile::Compat, spec.clone());
    assert_eq!(compat.exactness, Exactness::Narrower);
    assert!(compat.policy.unwrap().rules.is_empty());
    let strict = project(Profile::Strict, spec);
    assert_eq!(strict.exactness, Exactness::Exact);
    assert!(!passes_with(&strict, "spiffe://td/ns/a/sa/b"));
    assert!(passes_with(&strict, "spiffe://other/ns/a/sa/b"));
}

/// Conditions on trust domains and service accounts are about connections; istiod takes them for
/// HTTP.
#[test]
fn d3_conditions_on_identities_are_known_in_strict() {
    for (key, value) in [
        ("source.trustDomain", "td"),
        ("source.serviceAccount", "a/b"),
    ] {
        let spec = |action: &str| json!({ "action": action, "rules": [{ "when": [{ "key": key, "values": [value] }] }] });
        assert!(!passes(&project(Profile::Compat, spec("ALLOW"))), "{key}");
        assert!(passes(&project(Profile::Strict, spec("ALLOW"))), "{key}");
        assert!(passes(&project(Profile::Compat, spec("DENY"))), "{key}");
        assert!(!passes(&project(Profile::Strict, spec("DENY"))), "{key}");
    }
    // The same as a field of a source is known to both.
    let spec = json!({ "rules": [{ "from": [{ "source": { "serviceAccounts": ["a/b"] } }] }] });
    assert!(passes(&project(Profile::Compat, spec)));
}

#[test]
fn d5_remote_addresses_and_server_names_are_not_known_to_a_node_proxy() {
    for profile in [Profile::Compat, Profile::Strict] {
        for condition in [
            json!({ "key": "remote.ip", "values": ["10.0.0.1"] }),
            json!({ "key": "remote.ip", "notValues": ["10.0.0.9"] }),
            json!({ "key": "connection.sni", "notValues": ["x"] }),
        ] {
            let spec = json!({ "rules": [{ "when": [condition] }] });
            assert!(!passes(&project(profile, spec)), "{profile:?} {condition}");
        }
    }
}

/// P9: with `Strict`, what a policy denies is denied by what is left of it. A policy is about two
/// things, of which a node proxy sees one; whatever the other one is, nothing more is let through.
#[test]
fn p9_nothing_that_is_denied_is_let_through() {
    let known = [
        json!(null),
        json!({ "namespaces": ["a"] }),
        json!({ "namespaces": ["x"] }),
        json!({ "notNamespaces": ["a"] }),
    ];
    let unknown = [
        json!(null),
        json!({ "requestPrincipals": ["*"] }),
        json!({ "notRequestPrincipals": ["*"] }),
    ];
    let sources: Vec<Value> = known
        .iter()
        .flat_map(|known| unknown.iter().map(move |unknown| merged(known, unknown)))
        .filter(|source| *source != json!({}))
        .collect();
    let mut cases = 0;
    for action in ["ALLOW", "DENY"] {
        for first in &sources {
            for second in &sources {
                let from = json!([{ "source": first }, { "source": second }]);
                let spec = json!({ "action": action, "rules": [{ "from": from }] });
                let projection = project(Profile::Strict, spec);
                // A node proxy may let pass only what is let pass with a token and without.
                let lets = |token: bool| {
                    let matched = fits(first, token) || fits(second, token);
                    matched == (action == "ALLOW")
                };
                let all = lets(true) && lets(false);
                let left = passes(&projection);
                assert!(!left || all, "{action} {first} {second}");
                if projection.exactness == Exactness::Exact {
                    assert_eq!(left, all, "{action} {first} {second}");
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 2 * 11 * 11);
}

fn merged(one: &Value, other: &Value) -> Value {
    let all = [one, other]
        .into_iter()
        .filter_map(Value::as_object)
        .flatten();
    Value::Object(
        all.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

/// Whether a source fits a peer of namespace `a`, by the words of its fields.
fn fits(source: &Value, token: bool) -> bool {
    source
        .as_object()
        .unwrap()
        .iter()
        .all(|(field, values)| match field.as_str() {
            "namespaces" => values[0] == "a",
            "notNamespaces" => values[0] != "a",
            "requestPrincipals" => token,
            "notRequestPrincipals" => !token,
            other => panic!("{other}"),
        })
}

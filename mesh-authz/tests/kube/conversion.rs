//! What an `AuthorizationPolicy` becomes.

use mesh_authz::kube::{
    Attachment, Authorization, AuthorizationPolicy, Origin, Profile, Provenance, RuleId, Settings,
};
use mesh_authz::spec::{
    Action, ClaimMatch, ClauseSpec, HeaderMatch, MatchSpec, MetadataMatch, PathMatch, PathTemplate,
    RequestPrincipalMatch, Scope, ServiceAccountMatch, StringMatch,
};
use serde_json::{Value, json};

use crate::support::{accepted, convert_as, object};

fn exact(text: &str) -> StringMatch {
    StringMatch::exact(text).unwrap()
}

fn texts(all: &[&str]) -> Vec<StringMatch> {
    all.iter()
        .map(|text| StringMatch::parse(text).unwrap())
        .collect()
}

fn ranges(all: &[&str]) -> Vec<ipnet::IpNet> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

fn accounts(all: &[(&str, &str)]) -> Vec<ServiceAccountMatch> {
    all.iter()
        .map(|(namespace, name)| ServiceAccountMatch::new(*namespace, *name).unwrap())
        .collect()
}

fn subjects(all: &[&str]) -> Vec<RequestPrincipalMatch> {
    all.iter()
        .map(|text| RequestPrincipalMatch::parse(text).unwrap())
        .collect()
}

/// The one clause of the one rule.
fn clause(policy: &Authorization) -> &[MatchSpec] {
    assert_eq!(policy.policy.rules.len(), 1);
    assert_eq!(policy.policy.rules[0].clauses.len(), 1);
    &policy.policy.rules[0].clauses[0].matches
}

#[test]
fn every_field_of_a_source_is_compared() {
    let policy = accepted(json!({ "rules": [{ "from": [
        { "source": {
            "principals": ["p", "p*", "*p", "*"], "notPrincipals": ["q"],
            "requestPrincipals": ["i/s"], "notRequestPrincipals": ["*"],
            "namespaces": ["n"], "notNamespaces": ["m*"],
            "ipBlocks": ["1.2.3.4", "10.0.0.0/8", "2001:db8::/32"], "notIpBlocks": ["10.1.2.3/16"],
            "remoteIpBlocks": ["5.6.7.8"], "notRemoteIpBlocks": ["::1"],
            "trustDomains": ["td", "td*", "*td"], "notTrustDomains": ["*"],
        } },
        { "source": { "serviceAccounts": ["a", "ns/b"], "notServiceAccounts": ["c"] } },
    ] }] }));
    let expected = [
        MatchSpec {
            principals: texts(&["p", "p*", "*p", "*"]),
            not_principals: texts(&["q"]),
            request_principals: subjects(&["i/s"]),
            not_request_principals: subjects(&["*"]),
            namespaces: texts(&["n"]),
            not_namespaces: texts(&["m*"]),
            source_ips: ranges(&["1.2.3.4/32", "10.0.0.0/8", "2001:db8::/32"]),
            not_source_ips: ranges(&["10.1.2.3/16"]),
            remote_ips: ranges(&["5.6.7.8/32"]),
            not_remote_ips: ranges(&["::1/128"]),
            trust_domains: texts(&["td", "td*", "*td"]),
            not_trust_domains: texts(&["*"]),
            ..MatchSpec::default()
        },
        MatchSpec {
            service_accounts: accounts(&[("foo", "a"), ("ns", "b")]),
            not_service_accounts: accounts(&[("foo", "c")]),
            ..MatchSpec::default()
        },
    ];
    assert_eq!(clause(&policy), expected);
}

#[test]
fn every_field_of_an_operation_is_compared() {
    let policy = accepted(json!({ "rules": [{ "to": [{ "operation": {
        "hosts": ["a.com:80"], "notHosts": ["*.b.com"],
        "ports": ["0", "80", "65535"], "notPorts": ["443"],
        "methods": ["GET"], "notMethods": ["P*"],
        "paths": ["/a", "/b*", "*/c", "*", "/d/{*}", "/e{f}"], "notPaths": ["/{**}"],
    } }] }] }));
    let template = |text: &str| PathMatch::Template(PathTemplate::parse(text).unwrap());
    let text = |text: &str| PathMatch::Text(StringMatch::parse(text).unwrap());
    let expected = [MatchSpec {
        hosts: texts(&["a.com:80"]),
        not_hosts: texts(&["*.b.com"]),
        destination_ports: vec![0, 80, 65535],
        not_destination_ports: vec![443],
        methods: texts(&["GET"]),
        not_methods: texts(&["P*"]),
        paths: vec![
            text("/a"),
            text("/b*"),
            text("*/c"),
            text("*"),
            template("/d/{*}"),
            text("/e{f}"),
        ],
        not_paths: vec![template("/{**}")],
        ..MatchSpec::default()
    }];
    assert_eq!(clause(&policy), expected);
}

/// Every key of Istio's reference of conditions, with values and excluded values.
#[test]
fn every_key_of_a_condition_is_compared() {
    let (v, n) = (texts(&["v*"]), texts(&["n"]));
    let spec = MatchSpec::default;
    let header = |name: &str| MatchSpec {
        headers: vec![HeaderMatch {
            name: name.into(),
            values: v.clone(),
            not_values: n.clone(),
        }],
        ..spec()
    };
    let claim = |path: &[&str]| MatchSpec {
        claims: vec![ClaimMatch {
            path: path.iter().map(|name| (*name).into()).collect(),
            values: v.clone(),
            not_values: n.clone(),
        }],
        ..spec()
    };
    let text_cases = [
        (
            "source.namespace",
            MatchSpec {
                namespaces: v.clone(),
                not_namespaces: n.clone(),
                ..spec()
            },
        ),
        (
            "source.principal",
            MatchSpec {
                principals: v.clone(),
                not_principals: n.clone(),
                ..spec()
            },
        ),
        (
            "source.trustDomain",
            MatchSpec {
                trust_domains: v.clone(),
                not_trust_domains: n.clone(),
                ..spec()
            },
        ),
        (
            "request.auth.principal",
            MatchSpec {
                request_principals: subjects(&["v*"]),
                not_request_principals: subjects(&["n"]),
                ..spec()
            },
        ),
        ("request.auth.audiences", claim(&["aud"])),
        ("request.auth.presenter", claim(&["azp"])),
        ("request.auth.claims[a]", claim(&["a"])),
        ("request.auth.claims[a][b]", claim(&["a", "b"])),
        (
            "request.auth.claims[foo.com/name]",
            claim(&["foo.com/name"]),
        ),
        ("request.auth.claims[a[b]", claim(&["a[b"])),
        ("request.headers[X-Name]", header("x-name")),
        ("request.headers[:method]", header(":method")),
        (
            "connection.sni",
            MatchSpec {
                snis: v.clone(),
                not_snis: n.clone(),
                ..spec()
            },
        ),
        (
            "experimental.envoy.filters.a.b[c]",
            MatchSpec {
                metadata: vec![
                    MetadataMatch {
                        filter: "envoy.filters.a.b".into(),
                        key: "c".into(),
                        element: false,
                        values: v.clone(),
                        not_values: vec![],
                    },
                    MetadataMatch {
                        filter: "envoy.filters.a.b".into(),
                        key: "c".into(),
                        element: false,
                        values: vec![],
                        not_values: n.clone(),
                    },
                ],
                ..spec()
            },
        ),
    ];
    for (key, expected) in text_cases {
        check_condition(key, "v*", "n", expected);
    }
    let (one, two) = (ranges(&["10.0.0.0/8"]), ranges(&["10.1.0.0/16"]));
    for (key, expected) in [
        (
            "source.ip",
            MatchSpec {
                source_ips: one.clone(),
                not_source_ips: two.clone(),
                ..spec()
            },
        ),
        (
            "remote.ip",
            MatchSpec {
                remote_ips: one.clone(),
                not_remote_ips: two.clone(),
                ..spec()
            },
        ),
        (
            "destination.ip",
            MatchSpec {
                destination_ips: one.clone(),
                not_destination_ips: two.clone(),
                ..spec()
            },
        ),
    ] {
        check_condition(key, "10.0.0.0/8", "10.1.0.0/16", expected);
    }
    let ports = MatchSpec {
        destination_ports: vec![80],
        not_destination_ports: vec![443],
        ..spec()
    };
    check_condition("destination.port", "80", "443", ports);
    let accounts = MatchSpec {
        service_accounts: accounts(&[("foo", "a")]),
        not_service_accounts: accounts(&[("b", "c")]),
        ..spec()
    };
    check_condition("source.serviceAccount", "a", "b/c", accounts);
}

fn check_condition(key: &str, value: &str, not_value: &str, expected: MatchSpec) {
    let condition = json!({ "key": key, "values": [value], "notValues": [not_value] });
    let policy = accepted(json!({ "rules": [{ "when": [condition] }] }));
    assert_eq!(clause(&policy), [expected], "{key}");
}

/// `[v]` asks for an element of a list, `v` for a text: with both, either will do.
#[test]
fn metadata_of_both_forms_is_two_alternatives() {
    let policy = accepted(json!({ "rules": [{ "when": [{
        "key": "experimental.envoy.filters.a[b]", "values": ["x", "[y]", "z*"], "notValues": ["[n]"],
    }] }] }));
    let entry = |element, values: &[&str], not_values: &[&str]| MetadataMatch {
        filter: "envoy.filters.a".into(),
        key: "b".into(),
        element,
        values: texts(values),
        not_values: texts(not_values),
    };
    let either = |wanted| MatchSpec {
        metadata: vec![wanted, entry(true, &[], &["n"])],
        ..MatchSpec::default()
    };
    let expected = [
        either(entry(false, &["x", "z*"], &[])),
        either(entry(true, &["y"], &[])),
    ];
    assert_eq!(clause(&policy), expected);
}

#[test]
fn a_rule_is_a_clause_of_sources_one_of_operations_and_one_for_each_condition() {
    let policy = accepted(json!({ "rules": [
        {
            "from": [{ "source": { "namespaces": ["a"] } }, { "source": { "namespaces": ["b"] } }],
            "to": [{ "operation": { "ports": ["80"] } }],
            "when": [
                { "key": "source.namespace", "values": ["c"] },
                { "key": "request.headers[X-Y]", "values": ["d"] },
            ],
        },
        {},
    ] }));
    let namespaces = |text| MatchSpec {
        namespaces: vec![exact(text)],
        ..MatchSpec::default()
    };
    let [first, second] = policy.policy.rules.as_slice() else {
        panic!("there are two rules")
    };
    assert_eq!(first.clauses.len(), 4);
    assert_eq!(
        first.clauses[0],
        ClauseSpec {
            matches: vec![namespaces("a"), namespaces("b")]
        }
    );
    assert_eq!(first.clauses[1].matches[0].destination_ports, [80]);
    assert_eq!(
        first.clauses[2],
        ClauseSpec {
            matches: vec![namespaces("c")]
        }
    );
    assert_eq!(first.clauses[3].matches[0].headers[0].name, "x-y");
    assert!(
        second.clauses.is_empty(),
        "an empty rule matches everything"
    );
    let when = |key: &str| Origin::When(key.into());
    let origins = vec![
        Origin::From,
        Origin::To,
        when("source.namespace"),
        when("request.headers[X-Y]"),
    ];
    assert_eq!(policy.origins, [origins, vec![]]);
}

#[test]
fn the_scope_follows_namespace_selector_and_targets() {
    let of = |namespace: &str, spec: Value| {
        let policy = convert_as(Profile::Strict, json!({ "namespace": namespace }), spec).unwrap();
        (policy.policy.scope, policy.attachment)
    };
    let labels = |of: &[(&str, &str)]| {
        Attachment::Labels(of.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    };
    assert_eq!(of("foo", json!({})), (Scope::Namespace, Attachment::Scope));
    assert_eq!(
        of("istio-system", json!({})),
        (Scope::Global, Attachment::Scope)
    );
    let selector = json!({ "selector": { "matchLabels": { "a": "b" } } });
    assert_eq!(
        of("foo", selector.clone()),
        (Scope::WorkloadSelector, labels(&[("a", "b")]))
    );
    assert_eq!(
        of("istio-system", selector),
        (Scope::WorkloadSelector, labels(&[("a", "b")]))
    );
    // Without labels it selects all, but is not of the namespace's scope.
    assert_eq!(
        of("foo", json!({ "selector": {} })),
        (Scope::WorkloadSelector, labels(&[]))
    );
    let targets = json!({ "targetRefs": [{ "kind": "Service", "name": "a" }] });
    assert_eq!(of("foo", targets).0, Scope::WorkloadSelector);
}

#[test]
fn action_and_provider_are_kept() {
    let of = |spec: Value| {
        let policy = accepted(spec).policy;
        (policy.action, policy.provider)
    };
    assert_eq!(of(json!({})), (Action::Allow, None));
    assert_eq!(
        of(json!({ "action": "DENY", "rules": [{}] })),
        (Action::Deny, None)
    );
    assert_eq!(
        of(json!({ "action": "AUDIT", "rules": [{}] })),
        (Action::Audit, None)
    );
    let custom = json!({ "action": "CUSTOM", "provider": { "name": "p" }, "rules": [{}] });
    assert_eq!(of(custom), (Action::Custom, Some("p".into())));
}

/// Bits behind the length are ignored when addresses are compared; IPv4 in IPv6 is IPv4.
#[test]
fn ranges_are_read_as_go_reads_them() {
    let read = |text: &str| {
        let spec = json!({ "rules": [{ "from": [{ "source": { "ipBlocks": [text] } }] }] });
        crate::support::convert(spec).map(|policy| clause(&policy)[0].source_ips[0].to_string())
    };
    for (text, expected) in [
        ("1.2.3.4", "1.2.3.4/32"),
        ("1.2.3.4/0", "1.2.3.4/0"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:1.2.3.4/120", "::ffff:1.2.3.4/120"),
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
    for text in [
        "1.2.3.4/33",
        "1.2.3.4/-1",
        "1.2.3.4/+8",
        "1.2.3.4/08",
        "1.2.3.4/",
        "1.2.3",
        "01.2.3.4",
        "::/129",
        "a",
        "1.2.3.4 ",
        "1.2.3.4/8/8",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

/// P11: what is written is what was read.
#[test]
fn an_object_that_is_written_reads_back_as_itself() {
    let spec = json!({
        "selector": { "matchLabels": { "app": "a" } }, "action": "DENY",
        "rules": [{}, {
            "from": [{ "source": { "notPrincipals": ["*"], "ipBlocks": ["1.2.3.4"] } }],
            "to": [{ "operation": { "paths": ["/{*}"], "notPorts": ["80"] } }],
            "when": [{ "key": "source.ip", "notValues": ["1.2.3.4"] }],
        }],
    });
    let metadata = json!({ "creationTimestamp": "2026-11-23T03:44:13Z", "labels": { "a": "b" } });
    let whole = object("AuthorizationPolicy", metadata, spec);
    let read = AuthorizationPolicy::read(whole.clone()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(AuthorizationPolicy::read(written.clone()).unwrap(), read);
    assert_eq!(written, whole);
}

#[test]
fn provenance_names_the_object_and_its_line() {
    let read =
        AuthorizationPolicy::read(object("AuthorizationPolicy", json!({}), json!({}))).unwrap();
    let at = Provenance::of(&read.metadata).at("shop.yaml", 12);
    assert_eq!(at.to_string(), "shop.yaml:12: foo/name");
    let policy = read.convert(&Settings::default(), at.clone()).unwrap();
    assert_eq!(
        (policy.provenance.key(), policy.policy.key()),
        ("foo/name".into(), "foo/name".into())
    );
    let nowhere = json!({ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": { "name": "a" } });
    let read = AuthorizationPolicy::read(nowhere).unwrap();
    assert_eq!(Provenance::of(&read.metadata).key(), "default/a");
}

/// The texts of Istio's logs and Envoy configuration.
#[test]
fn rules_have_the_identifiers_of_istio() {
    let id = RuleId::new("foo", "bar", 10);
    assert_eq!(id.to_string(), "ns[foo]-policy[bar]-rule[10]");
    assert_eq!(
        id.of_provider("p").to_string(),
        "istio-ext-authz-p-ns[foo]-policy[bar]-rule[10]"
    );
    let bad = "ns[foo]-policy[bar]-rule[10]-deny-due-to-bad-CUSTOM-action";
    assert_eq!(id.of_bad_provider().to_string(), bad);
}

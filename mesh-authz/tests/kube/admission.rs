//! What Istio's admission webhook and the schemas of the resources reject, with the field.
//!
//! Source of the cases of `AuthorizationPolicy`: the names and inputs of Istio's own table for its
//! webhook (`TestValidateAuthorizationPolicy`), and the limits of the schema in istio/api.

use mesh_authz::kube::{AuthorizationPolicy, PeerAuthentication, Profile, Unreadable};
use serde_json::{Value, json};

use crate::support::{convert_as, faults, object, peer, tokens, told};

/// A name, annotations, a spec, and where it is wrong.
type Case = (&'static str, Value, Value, &'static [&'static str]);

fn from(source: Value) -> Value {
    json!({ "rules": [{ "from": [{ "source": source }] }] })
}

fn to(operation: Value) -> Value {
    json!({ "rules": [{ "to": [{ "operation": operation }] }] })
}

fn when(condition: Value) -> Value {
    json!({ "rules": [{ "when": [condition] }] })
}

fn custom(rule: Value) -> Value {
    json!({ "action": "CUSTOM", "provider": { "name": "my-authz" }, "rules": [rule] })
}

#[test]
fn the_table_of_the_admission_webhook() {
    let cases = webhook();
    for (name, metadata, spec, expected) in &cases {
        assert_eq!(faults(metadata.clone(), spec.clone()), *expected, "{name}");
    }
    println!("{} cases", cases.len());
}

#[rustfmt::skip]
fn webhook() -> Vec<Case> {
    let none = || json!({});
    let dry_run = |value: &str| json!({ "annotations": { "istio.io/dry-run": value } });
    let labels = |key: &str, value: &str| json!({ "selector": { "matchLabels": { key: value } } });
    vec![
        ("good", none(), json!({
            "selector": { "matchLabels": { "app": "httpbin", "version": "v1" } },
            "rules": [{
                "from": [{ "source": { "principals": ["sa1"] } }, { "source": { "principals": ["sa2"] } }],
                "to": [{ "operation": { "methods": ["GET"] } }, { "operation": { "methods": ["POST"] } }],
                "when": [
                    { "key": "source.ip", "values": ["1.2.3.4", "5.6.7.0/24"] },
                    { "key": "request.headers[:authority]", "values": ["v1", "v2"] },
                ],
            }],
        }), &[]),
        ("custom-good", none(), custom(json!({})), &[]),
        ("custom-empty-provider", none(),
            json!({ "action": "CUSTOM", "provider": { "name": "" }, "rules": [{}] }),
            &["spec.provider.name ProviderName"]),
        ("custom-nil-provider", none(), json!({ "action": "CUSTOM", "rules": [{}] }),
            &["spec.provider Missing"]),
        ("custom-no-rules", none(), json!({ "action": "CUSTOM", "provider": { "name": "a" } }),
            &["spec.rules NoRules"]),
        ("custom-invalid-rule", none(), custom(json!({
            "from": [{ "source": {
                "namespaces": ["ns"], "notNamespaces": ["ns"], "principals": ["id"],
                "notPrincipals": ["id"], "requestPrincipals": ["req"], "notRequestPrincipals": ["req"],
            } }],
            "when": [
                { "key": "source.namespace", "values": ["a"], "notValues": ["b"] },
                { "key": "source.principal", "values": ["a"], "notValues": ["b"] },
                { "key": "request.auth.claims[a]", "values": ["a"], "notValues": ["b"] },
            ],
        })), &[
            "spec.rules[0].from[0].source.namespaces NotWithCustom",
            "spec.rules[0].from[0].source.notNamespaces NotWithCustom",
            "spec.rules[0].from[0].source.principals NotWithCustom",
            "spec.rules[0].from[0].source.notPrincipals NotWithCustom",
            "spec.rules[0].from[0].source.requestPrincipals NotWithCustom",
            "spec.rules[0].from[0].source.notRequestPrincipals NotWithCustom",
            "spec.rules[0].when[0].key NotWithCustom",
            "spec.rules[0].when[1].key NotWithCustom",
            "spec.rules[0].when[2].key NotWithCustom",
        ]),
        ("custom-service-accounts", none(), custom(json!({
            "from": [{ "source": { "serviceAccounts": ["a"] } }, { "source": { "notServiceAccounts": ["a"] } }],
            "when": [{ "key": "source.serviceAccount", "values": ["a"] }],
        })), &[
            "spec.rules[0].from[0].source.serviceAccounts NotWithCustom",
            "spec.rules[0].from[1].source.notServiceAccounts NotWithCustom",
            "spec.rules[0].when[0].key NotWithCustom",
        ]),
        ("custom-trust-domains", none(), custom(json!({
            "from": [{ "source": { "trustDomains": ["a"], "notTrustDomains": ["b"] } }],
            "when": [{ "key": "source.trustDomain", "values": ["a"] }],
        })), &[
            "spec.rules[0].from[0].source.trustDomains NotWithCustom",
            "spec.rules[0].from[0].source.notTrustDomains NotWithCustom",
            "spec.rules[0].when[0].key NotWithCustom",
        ]),
        ("custom-request-auth-keys", none(), custom(json!({ "when": [
            { "key": "request.auth.principal", "values": ["a"] },
            { "key": "request.auth.audiences", "values": ["a"] },
            { "key": "request.auth.presenter", "values": ["a"] },
        ] })), &[
            "spec.rules[0].when[0].key NotWithCustom",
            "spec.rules[0].when[1].key NotWithCustom",
            "spec.rules[0].when[2].key NotWithCustom",
        ]),
        ("custom-other-conditions", none(), custom(json!({
            "from": [{ "source": { "ipBlocks": ["10.0.0.0/8"], "notRemoteIpBlocks": ["1.2.3.4"] } }],
            "to": [{ "operation": { "paths": ["/admin*"], "ports": ["80"] } }],
            "when": [{ "key": "request.headers[x]", "values": ["a"] }, { "key": "connection.sni", "values": ["a"] }],
        })), &[]),
        ("provider-wrong-action", none(),
            json!({ "action": "ALLOW", "provider": { "name": "" }, "rules": [{}] }),
            &["spec.provider Provider"]),
        ("allow-rules-nil", none(), json!({ "action": "ALLOW" }), &[]),
        ("spec-empty", none(), none(), &[]),
        ("dry-run-valid-allow", dry_run("true"), json!({ "action": "ALLOW" }), &[]),
        ("dry-run-valid-deny", dry_run("false"), json!({ "action": "DENY", "rules": [{}] }), &[]),
        ("dry-run-invalid-action-custom", dry_run("true"), custom(json!({})),
            &["metadata.annotations[istio.io/dry-run] DryRunAction"]),
        ("dry-run-invalid-action-audit", dry_run("true"), json!({ "action": "AUDIT" }),
            &["metadata.annotations[istio.io/dry-run] DryRunAction"]),
        ("deny-rules-nil", none(), json!({ "action": "DENY" }), &["spec.rules NoRules"]),
        ("deny-rules-empty", none(), json!({ "action": "DENY", "rules": [] }), &["spec.rules NoRules"]),
        ("selector-empty-value", none(), labels("app", ""), &[]),
        ("selector-empty", none(), json!({ "selector": {} }), &[]),
        ("selector-empty-key", none(), labels("", "v1"), &["spec.selector.matchLabels[] EmptyText"]),
        ("selector-wildcard-value", none(), labels("app", "httpbin-*"),
            &["spec.selector.matchLabels[app] LabelWildcard"]),
        ("selector-wildcard-key", none(), labels("app-*", "httpbin"),
            &["spec.selector.matchLabels[app-*] LabelWildcard"]),
        ("selector-long-value", none(), labels("app", &"a".repeat(64)),
            &["spec.selector.matchLabels[app] TooLong"]),
        ("from-empty", none(), json!({ "rules": [{ "from": [] }] }), &["spec.rules[0].from EmptyList"]),
        ("source-nil", none(), json!({ "rules": [{ "from": [{}] }] }), &["spec.rules[0].from[0] Missing"]),
        ("source-empty", none(), from(json!({})), &["spec.rules[0].from[0].source NoFields"]),
        ("to-empty", none(), json!({ "rules": [{ "to": [] }] }), &["spec.rules[0].to EmptyList"]),
        ("operation-nil", none(), json!({ "rules": [{ "to": [{}] }] }), &["spec.rules[0].to[0] Missing"]),
        ("operation-empty", none(), to(json!({})), &["spec.rules[0].to[0].operation NoFields"]),
        ("Principals-empty", none(), from(json!({ "principals": ["p1", ""] })),
            &["spec.rules[0].from[0].source.principals[1] EmptyText"]),
        ("NotPrincipals-empty", none(), from(json!({ "notPrincipals": ["p1", ""] })),
            &["spec.rules[0].from[0].source.notPrincipals[1] EmptyText"]),
        ("RequestPrincipals-empty", none(), from(json!({ "requestPrincipals": ["p1", ""] })),
            &["spec.rules[0].from[0].source.requestPrincipals[1] EmptyText"]),
        ("NotRequestPrincipals-empty", none(), from(json!({ "notRequestPrincipals": ["p1", ""] })),
            &["spec.rules[0].from[0].source.notRequestPrincipals[1] EmptyText"]),
        ("Namespaces-empty", none(), from(json!({ "namespaces": ["ns", ""] })),
            &["spec.rules[0].from[0].source.namespaces[1] EmptyText"]),
        ("NotNamespaces-empty", none(), from(json!({ "notNamespaces": ["ns", ""] })),
            &["spec.rules[0].from[0].source.notNamespaces[1] EmptyText"]),
        ("IpBlocks-empty", none(), from(json!({ "ipBlocks": ["1.2.3.4", ""] })),
            &["spec.rules[0].from[0].source.ipBlocks[1] EmptyText"]),
        ("NotIpBlocks-empty", none(), from(json!({ "notIpBlocks": ["1.2.3.4", ""] })),
            &["spec.rules[0].from[0].source.notIpBlocks[1] EmptyText"]),
        ("RemoteIpBlocks-empty", none(), from(json!({ "remoteIpBlocks": ["1.2.3.4", ""] })),
            &["spec.rules[0].from[0].source.remoteIpBlocks[1] EmptyText"]),
        ("NotRemoteIpBlocks-empty", none(), from(json!({ "notRemoteIpBlocks": ["1.2.3.4", ""] })),
            &["spec.rules[0].from[0].source.notRemoteIpBlocks[1] EmptyText"]),
        ("Hosts-empty", none(), to(json!({ "hosts": ["host", ""] })),
            &["spec.rules[0].to[0].operation.hosts[1] EmptyText"]),
        ("NotHosts-empty", none(), to(json!({ "notHosts": ["host", ""] })),
            &["spec.rules[0].to[0].operation.notHosts[1] EmptyText"]),
        ("Ports-empty", none(), to(json!({ "ports": ["80", ""] })),
            &["spec.rules[0].to[0].operation.ports[1] EmptyText"]),
        ("NotPorts-empty", none(), to(json!({ "notPorts": ["80", ""] })),
            &["spec.rules[0].to[0].operation.notPorts[1] EmptyText"]),
        ("Methods-empty", none(), to(json!({ "methods": ["GET", ""] })),
            &["spec.rules[0].to[0].operation.methods[1] EmptyText"]),
        ("NotMethods-empty", none(), to(json!({ "notMethods": ["GET", ""] })),
            &["spec.rules[0].to[0].operation.notMethods[1] EmptyText"]),
        ("Paths-empty", none(), to(json!({ "paths": ["/path", ""] })),
            &["spec.rules[0].to[0].operation.paths[1] EmptyText"]),
        ("NotPaths-empty", none(), to(json!({ "notPaths": ["/path", ""] })),
            &["spec.rules[0].to[0].operation.notPaths[1] EmptyText"]),
        ("value-empty", none(), when(json!({ "key": "request.headers[:authority]", "values": ["v1", ""] })),
            &["spec.rules[0].when[0].values[1] EmptyText"]),
        ("invalid ip and port in ipBlocks", none(), json!({ "rules": [{
            "from": [{ "source": { "ipBlocks": ["1.2.3.4", "ip1"], "notIpBlocks": ["5.6.7.8", "ip2"] } }],
            "to": [{ "operation": { "ports": ["80", "port1"], "notPorts": ["90", "port2"] } }],
        }] }), &[
            "spec.rules[0].from[0].source.ipBlocks[1] Address",
            "spec.rules[0].from[0].source.notIpBlocks[1] Address",
            "spec.rules[0].to[0].operation.ports[1] Port",
            "spec.rules[0].to[0].operation.notPorts[1] Port",
        ]),
        ("invalid ip and port in remoteIpBlocks", none(), json!({ "rules": [{
            "from": [{ "source": { "remoteIpBlocks": ["1.2.3.4", "ip1"], "notRemoteIpBlocks": ["5.6.7.8", "ip2"] } }],
            "to": [{ "operation": { "ports": ["80", "65536"], "notPorts": ["90", "+80"] } }],
        }] }), &[
            "spec.rules[0].from[0].source.remoteIpBlocks[1] Address",
            "spec.rules[0].from[0].source.notRemoteIpBlocks[1] Address",
            "spec.rules[0].to[0].operation.ports[1] Port",
            "spec.rules[0].to[0].operation.notPorts[1] Port",
        ]),
        ("condition-key-missing", none(), when(json!({ "values": ["v1", "v2"] })),
            &["spec.rules[0].when[0].key EmptyText"]),
        ("condition-key-empty", none(), when(json!({ "key": "", "values": ["v1", "v2"] })),
            &["spec.rules[0].when[0].key EmptyText"]),
        ("condition-value-missing", none(), when(json!({ "key": "source.principal" })),
            &["spec.rules[0].when[0] NoValues"]),
        ("condition-value-invalid", none(), when(json!({ "key": "source.ip", "values": ["a.b.c.d"] })),
            &["spec.rules[0].when[0].values[0] Address"]),
        ("condition-notValue-invalid", none(), when(json!({ "key": "source.ip", "notValues": ["a.b.c.d"] })),
            &["spec.rules[0].when[0].notValues[0] Address"]),
        ("condition-unknown", none(), when(json!({ "key": "key1", "values": ["v1"] })),
            &["spec.rules[0].when[0].key UnknownKey"]),
        ("condition-remote-ip-invalid", none(), when(json!({ "key": "remote.ip", "values": ["10.0.0.0/33"] })),
            &["spec.rules[0].when[0].values[0] Address"]),
        ("condition-destination-ip-invalid", none(), when(json!({ "key": "destination.ip", "values": ["10.0.0"] })),
            &["spec.rules[0].when[0].values[0] Address"]),
        ("condition-port-invalid", none(), when(json!({ "key": "destination.port", "notValues": ["http"] })),
            &["spec.rules[0].when[0].notValues[0] Port"]),
        ("condition-service-account-invalid", none(),
            when(json!({ "key": "source.serviceAccount", "values": ["a/b/c"], "notValues": ["a*"] })),
            &["spec.rules[0].when[0].values[0] ServiceAccount", "spec.rules[0].when[0].notValues[0] ServiceAccount"]),
        ("condition-trust-domain-invalid", none(),
            when(json!({ "key": "source.trustDomain", "values": ["a/b"], "notValues": ["a*b"] })),
            &["spec.rules[0].when[0].values[0] TrustDomain", "spec.rules[0].when[0].notValues[0] TrustDomain"]),
        ("condition-header-shape", none(), when(json!({ "key": "request.headers", "values": ["a"] })),
            &["spec.rules[0].when[0].key BracketKey"]),
        ("condition-header-unnamed", none(), when(json!({ "key": "request.headers[]", "values": ["a"] })),
            &["spec.rules[0].when[0].key BracketKey"]),
        ("condition-claim-shape", none(), when(json!({ "key": "request.auth.claims[a", "values": ["a"] })),
            &["spec.rules[0].when[0].key BracketKey"]),
        ("condition-experimental-shape", none(), when(json!({ "key": "experimental.envoy.filters.a", "values": ["a"] })),
            &["spec.rules[0].when[0].key BracketKey"]),
        ("condition-destination-namespace", none(), when(json!({ "key": "destination.namespace", "values": ["a"] })),
            &["spec.rules[0].when[0].key FormerKey"]),
        ("condition-destination-labels", none(), when(json!({ "key": "destination.labels[app]", "values": ["a"] })),
            &["spec.rules[0].when[0].key FormerKey"]),
        ("condition-destination-name", none(), when(json!({ "key": "destination.name", "values": ["a"] })),
            &["spec.rules[0].when[0].key FormerKey"]),
        ("condition-destination-user", none(), when(json!({ "key": "destination.user", "values": ["a"] })),
            &["spec.rules[0].when[0].key FormerKey"]),
        ("target-ref-good", none(), json!({ "targetRef": {
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint" } }), &[]),
        ("target-refs-good", none(), json!({ "targetRefs": [
            { "kind": "Service", "name": "a" },
            { "group": "core", "kind": "Service", "name": "b" },
            { "group": "networking.istio.io", "kind": "ServiceEntry", "name": "c" },
            { "group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint" },
        ] }), &[]),
        ("target-ref-and-selector", none(), json!({
            "selector": { "matchLabels": { "app": "a" } }, "targetRef": { "kind": "Service", "name": "a" },
        }), &["spec SelectorAndTargets"]),
        ("target-refs-and-selector", none(), json!({
            "selector": { "matchLabels": { "app": "a" } }, "targetRefs": [{ "kind": "Service", "name": "a" }],
        }), &["spec SelectorAndTargets"]),
        ("target-ref-and-target-refs", none(), json!({
            "targetRef": { "kind": "Service", "name": "a" }, "targetRefs": [{ "kind": "Service", "name": "a" }],
        }), &["spec SelectorAndTargets"]),
        ("target-ref-without-name", none(), json!({ "targetRefs": [{ "kind": "Service", "name": "" }] }),
            &["spec.targetRefs[0].name EmptyText"]),
        ("target-ref-with-namespace", none(),
            json!({ "targetRefs": [{ "kind": "Service", "name": "a", "namespace": "b" }] }),
            &["spec.targetRefs[0].namespace TargetNamespace"]),
        ("target-ref-unknown-kind", none(), json!({ "targetRefs": [
            { "group": "apps", "kind": "Deployment", "name": "a" },
            { "group": "networking.istio.io", "kind": "Gateway", "name": "a" },
            { "group": "gateway.networking.k8s.io", "kind": "Service", "name": "a" },
        ] }), &[
            "spec.targetRefs[0] TargetKind", "spec.targetRefs[1] TargetKind", "spec.targetRefs[2] TargetKind",
        ]),
        ("path-template-good", none(), to(json!({ "paths": ["/a/{*}/b", "/a/{**}"], "notPaths": ["/{*}"] })), &[]),
        ("path-template-invalid", none(), to(json!({
            "paths": ["/{*}/foo/{bar}", "/a/{*}/bar/*", "/{**}/a/{**}"], "notPaths": ["/a{*}"],
        })), &[
            "spec.rules[0].to[0].operation.paths[0] PathTemplate",
            "spec.rules[0].to[0].operation.paths[1] PathTemplate",
            "spec.rules[0].to[0].operation.paths[2] PathTemplate",
            "spec.rules[0].to[0].operation.notPaths[0] PathTemplate",
        ]),
        ("service-accounts-good", none(), from(json!({ "serviceAccounts": ["a", "ns/a"], "notServiceAccounts": ["b"] })), &[]),
        ("service-accounts-invalid", none(),
            from(json!({ "serviceAccounts": ["a/b/c", "/a", "a/", "a*", ""], "notServiceAccounts": ["*"] })), &[
            "spec.rules[0].from[0].source.serviceAccounts[0] ServiceAccount",
            "spec.rules[0].from[0].source.serviceAccounts[1] ServiceAccount",
            "spec.rules[0].from[0].source.serviceAccounts[2] ServiceAccount",
            "spec.rules[0].from[0].source.serviceAccounts[3] ServiceAccount",
            "spec.rules[0].from[0].source.serviceAccounts[4] EmptyText",
            "spec.rules[0].from[0].source.notServiceAccounts[0] ServiceAccount",
        ]),
        ("service-accounts-beside-principals", none(),
            from(json!({ "serviceAccounts": ["a"], "principals": ["p"] })),
            &["spec.rules[0].from[0].source.serviceAccounts ServiceAccounts"]),
        ("service-accounts-beside-not-namespaces", none(),
            from(json!({ "notServiceAccounts": ["a"], "notNamespaces": ["p"] })),
            &["spec.rules[0].from[0].source.notServiceAccounts ServiceAccounts"]),
        ("trust-domains-good", none(), from(json!({ "trustDomains": ["td", "td*", "*td", "*"], "notTrustDomains": ["a"] })), &[]),
        ("trust-domains-invalid", none(), from(json!({ "trustDomains": ["a/b", "a*b", "*a*", "**"] })), &[
            "spec.rules[0].from[0].source.trustDomains[0] TrustDomain",
            "spec.rules[0].from[0].source.trustDomains[1] TrustDomain",
            "spec.rules[0].from[0].source.trustDomains[2] TrustDomain",
            "spec.rules[0].from[0].source.trustDomains[3] TrustDomain",
        ]),
        ("several-faults-in-one-object", none(), json!({
            "action": "DENY", "provider": { "name": "x" },
            "rules": [{ "from": [{ "source": { "ipBlocks": ["x"] } }] }, { "to": [] }],
        }), &[
            "spec.rules[0].from[0].source.ipBlocks[0] Address",
            "spec.rules[1].to EmptyList",
            "spec.provider Provider",
        ]),
    ]
}

/// Each limit: what is at it is taken, one more is not.
#[test]
fn what_there_is_too_much_of_is_rejected() {
    let many = |count: usize, each: Value| Value::from(vec![each; count]);
    let rules = |count| json!({ "rules": many(count, json!({})) });
    let sources = |count| json!({ "rules": [{ "from": many(count, json!({ "source": { "namespaces": ["a"] } })) }] });
    let targets =
        |count| json!({ "targetRefs": many(count, json!({ "kind": "Service", "name": "a" })) });
    let accounts = |count| from(json!({ "serviceAccounts": many(count, json!("a")) }));
    let not_accounts = |count| from(json!({ "notServiceAccounts": many(count, json!("a")) }));
    let long_account = |count: usize| from(json!({ "serviceAccounts": ["a".repeat(count)] }));
    let long_name =
        |count: usize| json!({ "targetRefs": [{ "kind": "Service", "name": "a".repeat(count) }] });
    let provider = |count: usize| json!({ "action": "CUSTOM", "provider": { "name": "a".repeat(count) }, "rules": [{}] });
    type Limit<'f> = (
        &'static str,
        &'f dyn Fn(usize) -> Value,
        usize,
        &'static str,
    );
    let cases: [Limit<'_>; 8] = [
        ("rules", &rules, 512, "spec.rules TooMany"),
        ("sources", &sources, 512, "spec.rules[0].from TooMany"),
        ("targets", &targets, 16, "spec.targetRefs TooMany"),
        (
            "accounts",
            &accounts,
            16,
            "spec.rules[0].from[0].source.serviceAccounts TooMany",
        ),
        (
            "not accounts",
            &not_accounts,
            16,
            "spec.rules[0].from[0].source.notServiceAccounts TooMany",
        ),
        (
            "account",
            &long_account,
            320,
            "spec.rules[0].from[0].source.serviceAccounts[0] TooLong",
        ),
        (
            "target name",
            &long_name,
            253,
            "spec.targetRefs[0].name TooLong",
        ),
        ("provider", &provider, 63, "spec.provider.name ProviderName"),
    ];
    for (name, spec, limit, fault) in cases {
        assert_eq!(
            faults(json!({}), spec(limit)),
            Vec::<String>::new(),
            "{name} at the limit"
        );
        assert_eq!(
            faults(json!({}), spec(limit + 1)),
            [fault],
            "{name} above the limit"
        );
    }
}

/// Each message names the field and what is expected there.
#[test]
fn a_fault_says_what_is_expected() {
    let invalid = convert_as(
        Profile::Strict,
        json!({ "name": "p" }),
        from(json!({ "ipBlocks": ["10.0.0.0/8", "10.0.0.0/33"] })),
    );
    assert_eq!(
        invalid.unwrap_err().to_string(),
        "foo/p: spec.rules[0].from[0].source.ipBlocks[1]: \"10.0.0.0/33\": \
         an IP address or a range such as 10.0.0.0/8 is expected",
    );
}

/// However many faults an object has, what is told about it is bounded.
#[test]
fn at_most_a_hundred_faults_are_told() {
    let texts = vec![json!("x"); 5_000];
    assert_eq!(
        faults(json!({}), from(json!({ "ipBlocks": texts }))).len(),
        100
    );
}

/// A field that is not known could be a condition: without it an ALLOW would be wider.
#[test]
fn fields_and_words_that_are_not_known_are_errors() {
    let read = |spec: Value| {
        AuthorizationPolicy::read(object("AuthorizationPolicy", json!({}), spec)).map(|_| ())
    };
    for (spec, field) in [
        (json!({ "rule": [] }), "spec.rule"),
        (json!({ "rules": [{ "form": [] }] }), "spec.rules[0].form"),
        (
            json!({ "rules": [{ "from": [{ "sources": {} }] }] }),
            "spec.rules[0].from[0].sources",
        ),
        (
            json!({ "rules": [{ "from": [{ "source": { "user": [] } }] }] }),
            "spec.rules[0].from[0].source.user",
        ),
        (
            json!({ "rules": [{ "to": [{ "operation": { "path": [] } }] }] }),
            "spec.rules[0].to[0].operation.path",
        ),
        (
            json!({ "rules": [{ "when": [{ "key": "a", "value": [] }] }] }),
            "spec.rules[0].when[0].value",
        ),
        (
            json!({ "selector": { "matchExpressions": [] } }),
            "spec.selector.matchExpressions",
        ),
        (
            json!({ "targetRefs": [{ "kind": "Service", "name": "a", "sectionName": "b" }] }),
            "spec.targetRefs[0].sectionName",
        ),
        (
            json!({ "provider": { "name": "a", "url": "b" } }),
            "spec.provider.url",
        ),
        (json!({ "action": "LOG" }), "spec.action"),
        (json!({ "action": "allow" }), "spec.action"),
        (json!({ "rules": [null] }), "spec.rules[0]"),
        (
            json!({ "rules": [{ "from": [null] }] }),
            "spec.rules[0].from[0]",
        ),
        (
            json!({ "rules": [{ "to": [{ "operation": { "ports": [80] } }] }] }),
            "spec.rules[0].to[0].operation.ports[0]",
        ),
    ] {
        let Unreadable { field: found, .. } = read(spec.clone()).expect_err(&spec.to_string());
        assert_eq!(&*found, field, "{spec}");
    }
    assert_eq!(read(json!({ "rules": null })), Ok(()));
    let mut unknown = object("AuthorizationPolicy", json!({}), json!({}));
    unknown["data"] = json!({});
    assert_eq!(
        &*AuthorizationPolicy::read(unknown).unwrap_err().field,
        "data"
    );
}

/// What comes from a cluster has more metadata and a status.
#[test]
fn other_metadata_and_the_status_are_read_over() {
    let mut whole = object(
        "AuthorizationPolicy",
        json!({
            "uid": "1", "resourceVersion": "2", "generation": 3, "managedFields": [{}],
            "creationTimestamp": "2026-11-23T03:44:13Z", "labels": { "a": "b" }, "annotations": null,
        }),
        json!({}),
    );
    whole["status"] = json!({ "conditions": [] });
    whole["apiVersion"] = json!("security.istio.io/v1beta1");
    let read = AuthorizationPolicy::read(whole).unwrap();
    assert_eq!(
        read.metadata.creation_timestamp,
        "2026-11-23T03:44:13Z".parse().ok()
    );
}

#[test]
fn other_types_and_names_are_rejected() {
    let told_of = |change: &dyn Fn(&mut Value)| {
        let mut whole = object("AuthorizationPolicy", json!({}), json!({}));
        change(&mut whole);
        let read = AuthorizationPolicy::read(whole).unwrap();
        let provenance = mesh_authz::kube::Provenance::of(&read.metadata);
        told(
            &read
                .convert(&mesh_authz::kube::Settings::default(), provenance)
                .unwrap_err()
                .faults,
        )
    };
    assert_eq!(
        told_of(&|whole| whole["apiVersion"] = json!("security.istio.io/v2")),
        ["apiVersion ApiVersion"]
    );
    assert_eq!(
        told_of(&|whole| whole["kind"] = json!("PeerAuthentication")),
        ["kind Kind"]
    );
    assert_eq!(
        told_of(&|whole| whole["metadata"]["name"] = json!("")),
        ["metadata.name Name"]
    );
    assert_eq!(
        told_of(&|whole| whole["metadata"]["name"] = json!("a/b")),
        ["metadata.name Name"]
    );
}

/// Go's `strconv.ParseBool`. What is none (`dry-run-invalid-value` of the webhook's table) enforces
/// the policy, as istiod does with what the webhook has not seen; rejecting it would leave a DENY out.
#[test]
fn a_dry_run_is_asked_for_by_a_boolean_of_go() {
    let policy = |value: &str| {
        let metadata = json!({ "annotations": { "istio.io/dry-run": value } });
        convert_as(Profile::Strict, metadata, json!({ "rules": [{}] })).unwrap()
    };
    for value in ["1", "t", "T", "TRUE", "true", "True"] {
        assert!(policy(value).policy.dry_run, "{value}");
    }
    for value in ["0", "f", "F", "FALSE", "false", "False"] {
        assert!(!policy(value).policy.dry_run, "{value}");
        assert!(policy(value).cautions.is_empty(), "{value}");
    }
    for value in ["", "foo", "yes", "tRUE", " true", "2"] {
        assert!(!policy(value).policy.dry_run, "{value}");
        let cautions = told(&policy(value).cautions);
        assert_eq!(
            cautions,
            ["metadata.annotations[istio.io/dry-run] DryRunValue"]
        );
    }
}

/// The test of the webhook: sources without a TCP field and no operation, or operations without
/// ports.
#[test]
fn a_deny_rule_of_http_attributes_alone_is_questionable() {
    let http = json!({ "source": { "requestPrincipals": ["a/b"] } });
    let tcp = json!({ "source": { "namespaces": ["a"] } });
    let account = json!({ "source": { "serviceAccounts": ["a"] } });
    let path = json!({ "operation": { "paths": ["/a"] } });
    let port = json!({ "operation": { "paths": ["/a"], "ports": ["80"] } });
    for (name, rule, questionable) in [
        ("only http sources", json!({ "from": [http] }), true),
        (
            "one source about tcp",
            json!({ "from": [http, tcp] }),
            false,
        ),
        ("a service account", json!({ "from": [account] }), false),
        ("only http operations", json!({ "to": [path] }), true),
        (
            "tcp source, http operation",
            json!({ "from": [tcp], "to": [path] }),
            true,
        ),
        (
            "one operation with a port",
            json!({ "to": [path, port] }),
            false,
        ),
        (
            "http source, operation with a port",
            json!({ "from": [http], "to": [port] }),
            false,
        ),
        ("everything", json!({}), false),
    ] {
        let of = |action: &str| {
            let spec = json!({ "action": action, "rules": [rule] });
            told(
                &convert_as(Profile::Strict, json!({}), spec)
                    .unwrap()
                    .cautions,
            )
        };
        let expected: &[&str] = if questionable {
            &["spec.rules[0] DeniesAllTcp"]
        } else {
            &[]
        };
        assert_eq!(of("DENY"), expected, "{name}");
        assert_eq!(of("ALLOW"), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn selectors_without_labels_and_inner_wildcards_are_questionable() {
    let cautions = |spec| {
        told(
            &convert_as(Profile::Strict, json!({}), spec)
                .unwrap()
                .cautions,
        )
    };
    assert_eq!(
        cautions(json!({ "selector": {} })),
        ["spec.selector EmptySelector"]
    );
    assert_eq!(
        cautions(json!({ "selector": { "matchLabels": null } })),
        ["spec.selector EmptySelector"]
    );
    assert_eq!(
        cautions(from(
            json!({ "namespaces": ["ns.*.prod", "a*", "*a", "*a*", "*"], "notNamespaces": ["*b*"] })
        )),
        [
            "spec.rules[0].from[0].source.namespaces[0] InnerWildcard",
            "spec.rules[0].from[0].source.namespaces[3] InnerWildcard",
            "spec.rules[0].from[0].source.notNamespaces[0] InnerWildcard",
        ],
    );
}

#[test]
fn what_a_peer_authentication_may_not_say_is_rejected() {
    let selector = json!({ "matchLabels": { "app": "a" } });
    let ports = |ports: Value| json!({ "selector": selector, "portLevelMtls": ports });
    let strict = json!({ "mode": "STRICT" });
    for (name, spec, expected) in [
        ("nothing", json!({}), vec![]),
        ("a mode", json!({ "mtls": strict }), vec![]),
        (
            "a selector and ports",
            ports(json!({ "80": strict, "65535": {} })),
            vec![],
        ),
        (
            "port 0",
            ports(json!({ "0": strict })),
            vec!["spec.portLevelMtls[0] WorkloadPort"],
        ),
        (
            "port 65536",
            ports(json!({ "65536": strict })),
            vec!["spec.portLevelMtls[65536] WorkloadPort"],
        ),
        (
            "ports without selector",
            json!({ "portLevelMtls": { "80": strict } }),
            vec!["spec.portLevelMtls PortsWithoutSelector"],
        ),
        (
            "ports with an empty selector",
            json!({ "selector": {}, "portLevelMtls": { "80": strict } }),
            vec!["spec.portLevelMtls PortsWithoutSelector"],
        ),
        (
            "no ports",
            ports(json!({})),
            vec!["spec.portLevelMtls EmptyList"],
        ),
        (
            "a wildcard",
            json!({ "selector": { "matchLabels": { "app": "*" } } }),
            vec!["spec.selector.matchLabels[app] LabelWildcard"],
        ),
    ] {
        let found = peer(json!({}), spec).map_or_else(|invalid| told(&invalid.faults), |_| vec![]);
        assert_eq!(found, expected, "{name}");
    }
    for (spec, field) in [
        (json!({ "mtls": { "mode": "MUTUAL" } }), "spec.mtls.mode"),
        (json!({ "mtls": { "mode": 3 } }), "spec.mtls.mode"),
        (json!({ "targetRef": {} }), "spec.targetRef"),
        (json!({ "targetRefs": [] }), "spec.targetRefs"),
        (ports(json!({ "http": strict })), "spec.portLevelMtls.http"),
        (ports(json!({ "-1": strict })), "spec.portLevelMtls.-1"),
    ] {
        let read = PeerAuthentication::read(object("PeerAuthentication", json!({}), spec.clone()));
        assert_eq!(&*read.expect_err(&spec.to_string()).field, field, "{spec}");
    }
}

#[test]
fn keys_that_are_there_twice_are_errors() {
    let read = |spec: &str| {
        let text = format!(
            r#"{{ "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
                 "metadata": {{ "name": "a" }}, "spec": {spec} }}"#
        );
        PeerAuthentication::read(&mut serde_json::Deserializer::from_str(&text)).map(|_| ())
    };
    let ports = r#"{ "portLevelMtls": { "80": {}, "080": {} } }"#;
    assert!(
        read(ports)
            .unwrap_err()
            .to_string()
            .contains("port 80 is there twice")
    );
    let labels = r#"{ "selector": { "matchLabels": { "a": "b", "a": "c" } } }"#;
    assert!(
        read(labels)
            .unwrap_err()
            .to_string()
            .contains("a is there twice")
    );
}

#[test]
fn questionable_peer_authentications_are_accepted_with_a_caution() {
    let disable = json!({ "mode": "DISABLE" });
    let selector = json!({ "matchLabels": { "app": "a" } });
    let spec = json!({ "selector": selector, "mtls": disable, "portLevelMtls": { "80": disable } });
    let found = peer(json!({}), spec).unwrap();
    assert_eq!(
        told(&found.cautions),
        ["spec.mtls Disable", "spec.portLevelMtls[80] Disable"]
    );
    let root = peer(
        json!({ "namespace": "istio-system" }),
        json!({ "selector": selector }),
    )
    .unwrap();
    assert_eq!(told(&root.cautions), ["spec.selector SelectorInRoot"]);
}

#[test]
fn what_a_request_authentication_may_not_say_is_rejected() {
    let keys = r#"{ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] }"#;
    let rule = |rule: Value| json!({ "jwtRules": [rule] });
    let header = |header: &str| json!({ "header": header, "claim": "sub" });
    let cases = [
        ("nothing", json!({}), vec![]),
        ("an issuer", json!({ "issuer": "a" }), vec![]),
        ("keys without issuer", json!({ "jwks": keys }), vec![]),
        (
            "an address without issuer",
            json!({ "jwksUri": "https://idp.example/keys" }),
            vec![],
        ),
        (
            "no issuer and no keys",
            json!({ "audiences": ["a"] }),
            vec!["spec.jwtRules[0] NoIssuer"],
        ),
        (
            "two sources of keys",
            json!({ "jwks": keys, "jwksUri": "https://a/b" }),
            vec!["spec.jwtRules[0] TwoKeySources"],
        ),
        (
            "another scheme",
            json!({ "jwksUri": "file:///etc/passwd" }),
            vec!["spec.jwtRules[0].jwksUri JwksUri"],
        ),
        (
            "no scheme",
            json!({ "jwksUri": "idp.example/keys" }),
            vec!["spec.jwtRules[0].jwksUri JwksUri"],
        ),
        (
            "no host",
            json!({ "jwksUri": "https:///keys" }),
            vec!["spec.jwtRules[0].jwksUri JwksUri"],
        ),
        (
            "a long address",
            json!({ "jwksUri": format!("https://a/{}", "a".repeat(2039)) }),
            vec!["spec.jwtRules[0].jwksUri TooLong"],
        ),
        (
            "keys that are no JSON",
            json!({ "jwks": "abc" }),
            vec!["spec.jwtRules[0].jwks Jwks"],
        ),
        (
            "keys that are none",
            json!({ "jwks": "{}" }),
            vec!["spec.jwtRules[0].jwks Jwks"],
        ),
        (
            "keys that are no list",
            json!({ "jwks": r#"{ "keys": 1 }"# }),
            vec!["spec.jwtRules[0].jwks Jwks"],
        ),
        (
            "a key without type",
            json!({ "jwks": r#"{ "keys": [{}] }"# }),
            vec!["spec.jwtRules[0].jwks Jwks"],
        ),
        (
            "an empty audience",
            json!({ "issuer": "a", "audiences": ["a", ""] }),
            vec!["spec.jwtRules[0].audiences[1] EmptyText"],
        ),
        (
            "an empty parameter",
            json!({ "issuer": "a", "fromParams": [""] }),
            vec!["spec.jwtRules[0].fromParams[0] EmptyText"],
        ),
        (
            "an empty cookie",
            json!({ "issuer": "a", "fromCookies": [""] }),
            vec!["spec.jwtRules[0].fromCookies[0] EmptyText"],
        ),
        (
            "a header without name",
            json!({ "issuer": "a", "fromHeaders": [{ "prefix": "x" }] }),
            vec!["spec.jwtRules[0].fromHeaders[0].name EmptyText"],
        ),
        (
            "an output without claim",
            json!({ "issuer": "a", "outputClaimToHeaders": [{ "header": "x" }] }),
            vec!["spec.jwtRules[0].outputClaimToHeaders[0].claim EmptyText"],
        ),
        (
            "an output without header",
            json!({ "issuer": "a", "outputClaimToHeaders": [{ "claim": "x" }] }),
            vec!["spec.jwtRules[0].outputClaimToHeaders[0].header OutputHeader"],
        ),
        (
            "an output to no header",
            json!({ "issuer": "a", "outputClaimToHeaders": [header("x y")] }),
            vec!["spec.jwtRules[0].outputClaimToHeaders[0].header OutputHeader"],
        ),
        (
            "a payload to no header",
            json!({ "issuer": "a", "outputPayloadToHeader": ":path" }),
            vec!["spec.jwtRules[0].outputPayloadToHeader OutputHeader"],
        ),
        (
            "two outputs to one header",
            json!({ "issuer": "a", "outputClaimToHeaders": [header("x-a"), header("X-A")] }),
            vec!["spec.jwtRules[0].outputClaimToHeaders[1].header SameHeader"],
        ),
        (
            "payload and claim to one header",
            json!({ "issuer": "a", "outputPayloadToHeader": "x-a", "outputClaimToHeaders": [header("x-a")] }),
            vec!["spec.jwtRules[0].outputClaimToHeaders[0].header SameHeader"],
        ),
        (
            "no duration",
            json!({ "issuer": "a", "timeout": "5" }),
            vec!["spec.jwtRules[0].timeout Duration"],
        ),
        (
            "a short duration",
            json!({ "issuer": "a", "timeout": "999us" }),
            vec!["spec.jwtRules[0].timeout Duration"],
        ),
        (
            "the shortest duration",
            json!({ "issuer": "a", "timeout": "1ms" }),
            vec![],
        ),
        (
            "64 lists of words",
            json!({ "issuer": "a", "spaceDelimitedClaims": vec!["c"; 64] }),
            vec![],
        ),
        (
            "65 lists of words",
            json!({ "issuer": "a", "spaceDelimitedClaims": vec!["c"; 65] }),
            vec!["spec.jwtRules[0].spaceDelimitedClaims TooMany"],
        ),
    ];
    for (name, one, expected) in cases {
        let spec = if name == "nothing" { one } else { rule(one) };
        let found =
            tokens(json!({}), spec).map_or_else(|invalid| told(&invalid.faults), |_| vec![]);
        assert_eq!(found, expected, "{name}");
    }
    let many = |count: usize| json!({ "jwtRules": vec![json!({ "issuer": "a" }); count] });
    assert!(tokens(json!({}), many(4096)).is_ok());
    assert_eq!(
        told(&tokens(json!({}), many(4097)).unwrap_err().faults),
        ["spec.jwtRules TooMany"]
    );
    let both = json!({ "selector": {}, "targetRefs": [{ "kind": "Service", "name": "a" }] });
    assert_eq!(
        told(&tokens(json!({}), both).unwrap_err().faults),
        ["spec SelectorAndTargets"]
    );
}

#[test]
fn private_parts_of_keys_are_questionable() {
    for member in ["d", "p", "q", "k"] {
        let keys = json!({ "keys": [{ "kty": "oct", member: "AQAB" }] }).to_string();
        let found = tokens(
            json!({}),
            json!({ "jwtRules": [{ "issuer": "a", "jwks": keys }] }),
        );
        assert_eq!(
            told(&found.unwrap().cautions),
            ["spec.jwtRules[0].jwks PrivateKey"],
            "{member}"
        );
    }
}

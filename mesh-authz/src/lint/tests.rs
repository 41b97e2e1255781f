//! Each rule on a mesh that breaks it, and a mesh that breaks none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::kube::{
    AuthorizationPolicy, GATEWAY_LABEL, Labels, PeerAuthentication, Provenance,
    RequestAuthentication, ServiceKind, Settings, TrustDomains,
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn workload(name: &str, behind_waypoint: bool) -> Workload {
    Workload {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        labels: labels(&[("app", name)]),
        identity: Some(format!("spiffe://td/ns/shop/sa/{name}").parse().unwrap()),
        behind_waypoint,
    }
}

/// `cart` behind a waypoint, `store` without one, a service with a waypoint and one without.
fn mesh() -> Inventory {
    let mut mesh = Inventory::new(Settings::default());
    mesh.workload(workload("cart", true));
    mesh.workload(workload("store", false));
    mesh.workload(Workload {
        labels: labels(&[(GATEWAY_LABEL, "waypoint")]),
        ..workload("waypoint", false)
    });
    for (name, waypoint) in [("cart", true), ("store", false)] {
        mesh.service(Service {
            kind: ServiceKind::Service,
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            selector: labels(&[("app", name)]),
            waypoint: waypoint.then(|| "spiffe://td/ns/shop/sa/waypoint".parse().unwrap()),
        });
    }
    mesh.set_providers([
        (
            "http".to_owned(),
            Provider {
                kind: ProviderKind::Http,
                fail_open: false,
            },
        ),
        (
            "open".to_owned(),
            Provider {
                kind: ProviderKind::Grpc,
                fail_open: true,
            },
        ),
    ]);
    mesh
}

fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "security.istio.io/v1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

fn add(mesh: &mut Inventory, namespace: &str, name: &str, spec: Value) {
    let dry_run = spec.get("dryRun").cloned();
    let mut value = object("AuthorizationPolicy", namespace, name, spec);
    if let Some(text) = dry_run {
        value["spec"].as_object_mut().unwrap().remove("dryRun");
        value["metadata"]["annotations"] = json!({"istio.io/dry-run": text});
    }
    let policy = AuthorizationPolicy::read(value).unwrap();
    mesh.policy(policy, Provenance::new(namespace, name))
        .unwrap();
}

fn add_tokens(mesh: &mut Inventory, rules: Value) {
    let spec = json!({"selector": {"matchLabels": {"app": "cart"}}, "jwtRules": rules});
    let object = RequestAuthentication::read(object("RequestAuthentication", "shop", "jwt", spec));
    mesh.token(&object.unwrap(), Provenance::new("shop", "jwt"))
        .unwrap();
}

fn add_mtls(mesh: &mut Inventory, mode: &str) {
    let spec = json!({"mtls": {"mode": mode}});
    let object =
        PeerAuthentication::read(object("PeerAuthentication", "istio-system", "mtls", spec));
    mesh.peer(&object.unwrap(), Provenance::new("istio-system", "mtls"))
        .unwrap();
}

fn found(mesh: &Inventory) -> BTreeSet<LintRule> {
    lint(mesh).into_iter().map(|lint| lint.rule).collect()
}

/// A policy of `cart`, of `store` or of the service `cart`.
fn of(target: &str, action: &str, rules: Value) -> Value {
    let mut spec = json!({"action": action, "rules": rules});
    match target {
        "service" => spec["targetRefs"] = json!([{"kind": "Service", "name": "cart"}]),
        app => spec["selector"] = json!({"matchLabels": {"app": app}}),
    }
    spec
}

fn from(source: Value) -> Value {
    json!([{"from": [{"source": source}]}])
}

fn to(operation: Value) -> Value {
    json!([{"to": [{"operation": operation}]}])
}

/// Policies that break a rule, and the same without what breaks it.
#[test]
fn each_rule_is_found_where_it_is_broken_and_only_there() {
    use LintRule as L;
    let deny_path = || to(json!({"paths": ["/admin/*"], "ports": ["80"]}));
    let cases: Vec<(L, Value, Value)> = vec![
        (
            L::DenyNeedsWaypoint,
            of("store", "DENY", deny_path()),
            of("service", "DENY", deny_path()),
        ),
        (
            L::DeniesAllTcp,
            of("service", "DENY", to(json!({"methods": ["PUT"]}))),
            of(
                "service",
                "DENY",
                to(json!({"methods": ["PUT"], "ports": ["80"]})),
            ),
        ),
        (
            L::AllowsWithoutToken,
            of(
                "service",
                "ALLOW",
                from(json!({"notRequestPrincipals": ["a/b"]})),
            ),
            of(
                "service",
                "ALLOW",
                from(json!({"notRequestPrincipals": ["a/b"], "requestPrincipals": ["*"]})),
            ),
        ),
        (
            L::AllowsPlaintext,
            of("store", "ALLOW", from(json!({"notNamespaces": ["shop"]}))),
            of(
                "store",
                "ALLOW",
                from(json!({"notNamespaces": ["shop"], "principals": ["*"]})),
            ),
        ),
        (
            L::FirstAllow,
            of("store", "ALLOW", from(json!({"namespaces": ["shop"]}))),
            of("store", "DENY", from(json!({"namespaces": ["shop"]}))),
        ),
        (
            L::WaypointBypass,
            of("service", "DENY", deny_path()),
            of("store", "DENY", from(json!({"namespaces": ["shop"]}))),
        ),
        (
            L::AddressBehindProxy,
            of("cart", "DENY", from(json!({"ipBlocks": ["10.0.0.0/8"]}))),
            of("store", "DENY", from(json!({"ipBlocks": ["10.0.0.0/8"]}))),
        ),
        (
            L::AddressBehindProxy,
            of(
                "service",
                "DENY",
                from(json!({"remoteIpBlocks": ["10.0.0.0/8"]})),
            ),
            of("service", "DENY", from(json!({"ipBlocks": ["10.0.0.0/8"]}))),
        ),
        (
            L::HostChosenByClient,
            of("service", "ALLOW", to(json!({"hosts": ["a.example"]}))),
            of(
                "service",
                "ALLOW",
                to(json!({"hosts": ["a.example", "a.example:*"]})),
            ),
        ),
        (
            L::HostChosenByClient,
            of(
                "service",
                "DENY",
                to(json!({"hosts": ["a.example", "a.example:*"], "ports": ["80"]})),
            ),
            of(
                "service",
                "DENY",
                to(json!({"notHosts": ["a.example", "a.example:*"], "ports": ["80"]})),
            ),
        ),
        (
            L::NotAPattern,
            of("store", "DENY", from(json!({"namespaces": ["sh*op"]}))),
            of("store", "DENY", from(json!({"namespaces": ["sh*"]}))),
        ),
        (
            L::NotAPattern,
            of(
                "service",
                "DENY",
                to(json!({"paths": ["^/admin.*$"], "ports": ["80"]})),
            ),
            of(
                "service",
                "DENY",
                to(json!({"paths": ["/admin/{*}/x"], "ports": ["80"]})),
            ),
        ),
        (
            L::PseudoHeader,
            of(
                "service",
                "ALLOW",
                json!([{"when": [{"key": "request.headers[:path]", "values": ["/a"]}]}]),
            ),
            of(
                "service",
                "ALLOW",
                json!([{"when": [{"key": "request.headers[x-path]", "values": ["/a"]}]}]),
            ),
        ),
        (
            L::Unreachable,
            of(
                "store",
                "DENY",
                json!([{"from": [{"source": {"principals": ["td/ns/shop/sa/cart"]}}],
                "when": [{"key": "source.principal", "values": ["td/ns/shop/sa/store"]}]}]),
            ),
            of(
                "store",
                "DENY",
                json!([{"from": [{"source": {"principals": ["td/ns/shop/sa/cart"]}}],
                "when": [{"key": "source.principal", "values": ["td/ns/shop/*"]}]}]),
            ),
        ),
        (
            L::Unreachable,
            of(
                "store",
                "DENY",
                to(json!({"ports": ["80"], "notPorts": ["80", "81"]})),
            ),
            of(
                "store",
                "DENY",
                to(json!({"ports": ["80", "82"], "notPorts": ["80", "81"]})),
            ),
        ),
        (
            L::Shadowed,
            of(
                "store",
                "DENY",
                json!([{"to": [{"operation": {"ports": ["80"]}}]},
                {"to": [{"operation": {"ports": ["80"]}}], "from": [{"source": {"namespaces": ["shop"]}}]}]),
            ),
            of(
                "store",
                "DENY",
                json!([{"to": [{"operation": {"ports": ["80"]}}]},
                {"to": [{"operation": {"ports": ["81"]}}], "from": [{"source": {"namespaces": ["shop"]}}]}]),
            ),
        ),
        (
            L::ListHeader,
            of(
                "service",
                "DENY",
                json!([{"to": [{"operation": {"ports": ["80"]}}],
                "when": [{"key": "request.headers[x-forwarded-for]", "values": ["10.0.0.1"]}]}]),
            ),
            of(
                "service",
                "DENY",
                json!([{"to": [{"operation": {"ports": ["80"]}}],
                "when": [{"key": "request.headers[x-forwarded-for]", "notValues": ["10.0.0.1"]}]}]),
            ),
        ),
        (
            L::PathReadOtherwise,
            of(
                "service",
                "DENY",
                to(json!({"paths": ["/admin*"], "ports": ["80"]})),
            ),
            of(
                "service",
                "DENY",
                to(json!({"paths": ["/admin", "/admin/*"], "ports": ["80"]})),
            ),
        ),
        (
            L::NeedlessTemplate,
            of(
                "service",
                "DENY",
                to(json!({"paths": ["/admin/{**}"], "ports": ["80"]})),
            ),
            of(
                "service",
                "DENY",
                to(json!({"paths": ["/{*}/admin"], "ports": ["80"]})),
            ),
        ),
        (
            L::UnknownIdentity,
            of(
                "store",
                "DENY",
                from(json!({"principals": ["td/ns/shop/sa/nobody"]})),
            ),
            of(
                "store",
                "DENY",
                from(json!({"principals": ["cluster.local/ns/shop/sa/cart"]})),
            ),
        ),
        (
            L::AppliesToNothing,
            of("nobody", "DENY", from(json!({"namespaces": ["shop"]}))),
            of("store", "DENY", from(json!({"namespaces": ["shop"]}))),
        ),
        (
            L::NotADryRun,
            json!({"action": "DENY", "rules": to(json!({"ports": ["1"]})), "dryRun": "yes"}),
            json!({"action": "DENY", "rules": to(json!({"ports": ["1"]})), "dryRun": "true"}),
        ),
        (
            L::TrustDomainAtNode,
            of("store", "DENY", from(json!({"trustDomains": ["td"]}))),
            of("service", "DENY", from(json!({"trustDomains": ["td"]}))),
        ),
        (
            L::FailsOpen,
            json!({"action": "CUSTOM", "provider": {"name": "open"}, "rules": deny_path(),
                "targetRefs": [{"kind": "Service", "name": "cart"}]}),
            json!({"action": "CUSTOM", "provider": {"name": "http"}, "rules": deny_path(),
                "targetRefs": [{"kind": "Service", "name": "cart"}]}),
        ),
        (
            L::AuthorizerNotAsked,
            json!({"action": "CUSTOM", "provider": {"name": "unknown"}, "rules": deny_path(),
                "targetRefs": [{"kind": "Service", "name": "cart"}]}),
            json!({"action": "CUSTOM", "provider": {"name": "http"}, "rules": deny_path(),
                "targetRefs": [{"kind": "Service", "name": "cart"}]}),
        ),
    ];
    for (rule, broken, whole) in cases {
        let with = |spec: &Value| {
            let mut mesh = mesh();
            add(&mut mesh, "shop", "policy", spec.clone());
            found(&mesh)
        };
        assert!(
            with(&broken).contains(&rule),
            "{} is not found in {broken}",
            rule.id()
        );
        assert!(
            !with(&whole).contains(&rule),
            "{} is found in {whole}",
            rule.id()
        );
    }
}

#[test]
fn strict_mutual_tls_takes_away_callers_without_identity() {
    for (mode, open) in [("PERMISSIVE", true), ("STRICT", false)] {
        let mut mesh = mesh();
        add_mtls(&mut mesh, mode);
        add(
            &mut mesh,
            "shop",
            "p",
            of("store", "ALLOW", from(json!({"notNamespaces": ["shop"]}))),
        );
        assert_eq!(
            found(&mesh).contains(&LintRule::AllowsPlaintext),
            open,
            "{mode}"
        );
    }
}

#[test]
fn rules_of_several_policies_are_compared() {
    let port = || to(json!({"ports": ["80"]}));
    let mut denied = mesh();
    add(&mut denied, "shop", "allow", of("store", "ALLOW", port()));
    add(&mut denied, "shop", "deny", of("store", "DENY", port()));
    assert!(found(&denied).contains(&LintRule::DeniedAnyway));
    let mut twins = mesh();
    add(&mut twins, "shop", "one", of("store", "DENY", port()));
    add(&mut twins, "shop", "two", of("store", "DENY", port()));
    let rules = found(&twins);
    assert!(rules.contains(&LintRule::Duplicate));
    assert!(!rules.contains(&LintRule::Shadowed), "it is told once");
    let mut apart = mesh();
    add(&mut apart, "shop", "one", of("store", "DENY", port()));
    add(&mut apart, "shop", "two", of("cart", "DENY", port()));
    let rules = found(&apart);
    assert!(!rules.contains(&LintRule::Duplicate) && !rules.contains(&LintRule::Shadowed));
}

#[test]
fn names_without_namespace_and_domains_depend_on_the_mesh() {
    let accounts = || from(json!({"serviceAccounts": ["cart"]}));
    let mut root = mesh();
    add(
        &mut root,
        "istio-system",
        "p",
        json!({"action": "DENY", "rules": accounts()}),
    );
    assert!(found(&root).contains(&LintRule::BareServiceAccount));
    let mut own = mesh();
    add(
        &mut own,
        "shop",
        "p",
        json!({"action": "DENY", "rules": accounts()}),
    );
    assert!(!found(&own).contains(&LintRule::BareServiceAccount));
    assert!(!found(&own).contains(&LintRule::AnyTrustDomain));
    let domain = |text: &str| text.parse().unwrap();
    own.set_trust_domains(TrustDomains::new(domain("td"), [domain("old")]));
    assert!(found(&own).contains(&LintRule::AnyTrustDomain));
}

#[test]
fn targets_must_be_there_and_have_a_waypoint() {
    let of_service = |name: &str| json!({"action": "DENY", "rules": to(json!({"ports": ["80"]})), "targetRefs": [{"kind": "Service", "name": name}]});
    for (name, nothing) in [("cart", false), ("store", true), ("missing", true)] {
        let mut mesh = mesh();
        add(&mut mesh, "shop", "p", of_service(name));
        assert_eq!(
            found(&mesh).contains(&LintRule::AppliesToNothing),
            nothing,
            "{name}"
        );
    }
}

#[test]
fn token_rules_that_accept_too_much_are_found() {
    let keys = r#"{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}"#;
    let symmetric = r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#;
    let good =
        json!({"issuer": "a", "audiences": ["x"], "jwks": keys, "fromHeaders": [{"name": "x-a"}]});
    let other =
        json!({"issuer": "b", "audiences": ["x"], "jwks": keys, "fromHeaders": [{"name": "x-b"}]});
    let change = |field: &str, value: Value| {
        let mut rule = good.clone();
        rule[field] = value;
        rule
    };
    let same_place =
        json!({"issuer": "b", "audiences": ["x"], "jwks": keys, "fromHeaders": [{"name": "X-A"}]});
    let cases = [
        ("good", json!([good, other]), false),
        (
            "no audiences",
            json!([change("audiences", json!([]))]),
            true,
        ),
        ("no issuer", json!([change("issuer", json!(""))]), true),
        ("symmetric", json!([change("jwks", json!(symmetric))]), true),
        ("one place", json!([good, same_place]), true),
    ];
    for (name, rules, bad) in cases {
        let mut mesh = mesh();
        add_tokens(&mut mesh, rules);
        assert_eq!(found(&mesh).contains(&LintRule::TokenRules), bad, "{name}");
    }
}

/// A mesh as it is meant to be: strict, denied by default, with what is needed allowed.
#[test]
fn a_clean_mesh_is_silent() {
    let mut mesh = mesh();
    add_mtls(&mut mesh, "STRICT");
    add(&mut mesh, "istio-system", "nothing", json!({}));
    add(
        &mut mesh,
        "shop",
        "store-from-cart",
        of(
            "store",
            "ALLOW",
            json!([{
        "from": [{"source": {"principals": ["cluster.local/ns/shop/sa/cart"]}}],
        "to": [{"operation": {"ports": ["8080"]}}]}]),
        ),
    );
    add(
        &mut mesh,
        "shop",
        "cart-from-waypoint",
        of(
            "cart",
            "ALLOW",
            from(json!({
        "principals": ["cluster.local/ns/shop/sa/waypoint"]})),
        ),
    );
    add(
        &mut mesh,
        "shop",
        "cart-reads",
        of(
            "service",
            "ALLOW",
            json!([{
        "from": [{"source": {"principals": ["cluster.local/ns/shop/sa/store"]}}],
        "to": [{"operation": {"methods": ["GET"], "paths": ["/carts/*"]}}]}]),
        ),
    );
    let lints: Vec<String> = lint(&mesh).iter().map(ToString::to_string).collect();
    assert_eq!(lints, [""; 0]);
}

#[test]
fn every_rule_has_a_number_of_its_own() {
    let ids: BTreeSet<_> = LintRule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), 26);
    assert_eq!(LintRule::ALL.len(), 26);
}

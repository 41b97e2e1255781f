//! Which policies apply: section by section of Istio's rules for selectors and targets.

use mesh_authz::kube::{
    Detached, GATEWAY_LABEL, Labels, Profile, Served, ServiceKind, Settings, Subject,
};
use serde_json::{Value, json};

use crate::support::{convert_as, settings, tokens};

const ROOT: &str = "istio-system";

fn labels(of: &[(&str, &str)]) -> Labels {
    of.iter()
        .map(|(key, value)| (String::from(*key), String::from(*value)))
        .collect()
}

/// What a policy of a namespace says of a subject.
fn applies(namespace: &str, spec: &Value, subject: &Subject<'_>) -> Result<(), Detached> {
    applies_in(&settings(Profile::Strict), namespace, spec, subject)
}

fn applies_in(
    settings: &Settings,
    namespace: &str,
    spec: &Value,
    subject: &Subject<'_>,
) -> Result<(), Detached> {
    let metadata = json!({ "namespace": namespace });
    let policy = convert_as(Profile::Strict, metadata.clone(), spec.clone()).unwrap();
    let of_policy = subject.applies(&policy, settings);
    // Both kinds of objects are attached alike.
    let of_tokens = subject.applies(&tokens(metadata, spec.clone()).unwrap(), settings);
    assert_eq!(of_policy, of_tokens);
    of_policy
}

fn selector(key: &str, value: &str) -> Value {
    json!({ "selector": { "matchLabels": { key: value } } })
}

fn target(group: &str, kind: &str, name: &str) -> Value {
    json!({ "targetRefs": [{ "group": group, "kind": kind, "name": name }] })
}

#[test]
fn a_workload_is_selected_by_namespace_and_labels() {
    let app = labels(&[("app", "a"), ("version", "v1")]);
    let workload = Subject::new("foo", &app);
    let both = json!({ "selector": { "matchLabels": { "app": "a", "version": "v1" } } });
    let other = json!({ "selector": { "matchLabels": { "app": "a", "version": "v2" } } });
    for (name, namespace, spec, expected) in [
        ("own namespace", "foo", json!({}), Ok(())),
        ("root namespace", ROOT, json!({}), Ok(())),
        (
            "another namespace",
            "bar",
            json!({}),
            Err(Detached::Namespace),
        ),
        ("a label", "foo", selector("app", "a"), Ok(())),
        (
            "a label, from the root namespace",
            ROOT,
            selector("app", "a"),
            Ok(()),
        ),
        ("all labels", "foo", both, Ok(())),
        ("one label too many", "foo", other, Err(Detached::Labels)),
        (
            "another value",
            "foo",
            selector("app", "b"),
            Err(Detached::Labels),
        ),
        (
            "another label",
            "foo",
            selector("tier", "a"),
            Err(Detached::Labels),
        ),
        (
            "a label, from another namespace",
            "bar",
            selector("app", "a"),
            Err(Detached::Namespace),
        ),
        (
            "a selector without labels",
            "foo",
            json!({ "selector": {} }),
            Ok(()),
        ),
        (
            "a service",
            "foo",
            target("", "Service", "a"),
            Err(Detached::Targets),
        ),
        (
            "a gateway",
            "foo",
            target("gateway.networking.k8s.io", "Gateway", "a"),
            Err(Detached::Targets),
        ),
    ] {
        assert_eq!(applies(namespace, &spec, &workload), expected, "{name}");
        // What is no gateway is none, whatever it is said to serve.
        assert_eq!(
            applies(namespace, &spec, &workload.waypoint(&[])),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_gateway_is_selected_by_labels_and_named_by_targets() {
    let instance = labels(&[(GATEWAY_LABEL, "gw"), ("app", "a")]);
    let gateway = Subject::new("foo", &instance);
    let api = "gateway.networking.k8s.io";
    for (name, namespace, spec, expected) in [
        ("own namespace", "foo", json!({}), Ok(())),
        ("a label", "foo", selector("app", "a"), Ok(())),
        (
            "another label",
            "foo",
            selector("app", "b"),
            Err(Detached::Labels),
        ),
        ("itself", "foo", target(api, "Gateway", "gw"), Ok(())),
        (
            "another gateway",
            "foo",
            target(api, "Gateway", "gw2"),
            Err(Detached::OtherTargets),
        ),
        (
            "its name, from the root namespace",
            ROOT,
            target(api, "Gateway", "gw"),
            Err(Detached::OtherTargets),
        ),
        (
            "its name, from another namespace",
            "bar",
            target(api, "Gateway", "gw"),
            Err(Detached::Namespace),
        ),
        (
            "a service of its name",
            "foo",
            target("", "Service", "gw"),
            Err(Detached::OtherTargets),
        ),
        (
            "the class of waypoints",
            ROOT,
            target(api, "GatewayClass", "istio-waypoint"),
            Err(Detached::OtherTargets),
        ),
    ] {
        assert_eq!(applies(namespace, &spec, &gateway), expected, "{name}");
    }
    let without = settings(Profile::Strict).without_gateway_selectors();
    let apart = |spec| applies_in(&without, "foo", &spec, &gateway);
    assert_eq!(apart(json!({})), Err(Detached::Gateway));
    assert_eq!(apart(selector("app", "a")), Err(Detached::Gateway));
    assert_eq!(apart(target(api, "Gateway", "gw")), Ok(()));
}

#[test]
fn a_waypoint_is_reached_by_targets_only() {
    let instance = labels(&[(GATEWAY_LABEL, "wp"), ("app", "a")]);
    let service = |kind, namespace, name| Served {
        kind,
        namespace,
        name,
    };
    let services = [
        service(ServiceKind::Service, "foo", "svc"),
        service(ServiceKind::ServiceEntry, "foo", "entry"),
        service(ServiceKind::Service, "far", "svc"),
    ];
    let waypoint = Subject::new("foo", &instance).waypoint(&services);
    let api = "gateway.networking.k8s.io";
    let istio = "networking.istio.io";
    let several = json!({ "targetRefs": [
        { "kind": "Service", "name": "none" }, { "kind": "Service", "name": "svc" },
    ] });
    let single = json!({ "targetRef": { "kind": "Service", "name": "svc" } });
    for (name, namespace, spec, expected) in [
        ("own namespace", "foo", json!({}), Err(Detached::Waypoint)),
        ("root namespace", ROOT, json!({}), Err(Detached::Waypoint)),
        (
            "a label",
            "foo",
            selector("app", "a"),
            Err(Detached::Waypoint),
        ),
        ("itself", "foo", target(api, "Gateway", "wp"), Ok(())),
        (
            "another waypoint",
            "foo",
            target(api, "Gateway", "wp2"),
            Err(Detached::OtherTargets),
        ),
        ("a service", "foo", target("", "Service", "svc"), Ok(())),
        (
            "a service, core",
            "foo",
            target("core", "Service", "svc"),
            Ok(()),
        ),
        (
            "a service of another namespace",
            "far",
            target("", "Service", "svc"),
            Ok(()),
        ),
        (
            "a service from the root namespace",
            ROOT,
            target("", "Service", "svc"),
            Err(Detached::OtherTargets),
        ),
        (
            "another service",
            "foo",
            target("", "Service", "svc2"),
            Err(Detached::OtherTargets),
        ),
        (
            "a service entry",
            "foo",
            target(istio, "ServiceEntry", "entry"),
            Ok(()),
        ),
        (
            "a service entry of a service's name",
            "foo",
            target(istio, "ServiceEntry", "svc"),
            Err(Detached::OtherTargets),
        ),
        (
            "a service of an entry's name",
            "foo",
            target("", "Service", "entry"),
            Err(Detached::OtherTargets),
        ),
        (
            "a namespace without service",
            "bar",
            target("", "Service", "svc"),
            Err(Detached::Namespace),
        ),
        ("one of several", "foo", several, Ok(())),
        ("the older field", "foo", single, Ok(())),
        (
            "the class, from the root namespace",
            ROOT,
            target(api, "GatewayClass", "istio-waypoint"),
            Ok(()),
        ),
        (
            "the class, from its own namespace",
            "foo",
            target(api, "GatewayClass", "istio-waypoint"),
            Err(Detached::OtherTargets),
        ),
        (
            "another class",
            ROOT,
            target(api, "GatewayClass", "istio"),
            Err(Detached::OtherTargets),
        ),
    ] {
        assert_eq!(applies(namespace, &spec, &waypoint), expected, "{name}");
    }
    let idle = Subject::new("foo", &instance).waypoint(&[]);
    assert_eq!(
        applies("foo", &target("", "Service", "svc"), &idle),
        Err(Detached::OtherTargets)
    );
}

#[test]
fn what_applies_is_ordered_by_namespace_and_age() {
    let none = Labels::new();
    let policies: Vec<_> = [
        ("foo", "young", Some("2026-02-01T00:00:00Z")),
        ("foo", "b", Some("2026-01-01T00:00:00Z")),
        ("foo", "a", Some("2026-01-01T00:00:00Z")),
        ("foo", "timeless", None),
        ("bar", "other", None),
        (ROOT, "mesh", Some("2026-03-01T00:00:00Z")),
    ]
    .into_iter()
    .map(|(namespace, name, created)| {
        let metadata =
            json!({ "namespace": namespace, "name": name, "creationTimestamp": created });
        convert_as(Profile::Strict, metadata, json!({})).unwrap()
    })
    .collect();
    let selected = Subject::new("foo", &none).select(&policies, &settings(Profile::Strict));
    let names: Vec<_> = selected
        .iter()
        .map(|policy| policy.policy.name.as_str())
        .collect();
    assert_eq!(names, ["mesh", "timeless", "a", "b", "young"]);
}

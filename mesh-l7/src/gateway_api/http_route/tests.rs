//! Routes in, rules out: by the Gateway API's documents and conformance tests.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::super::merge;
use super::*;
use crate::filter::PathChange;
use crate::matching::Head;
use crate::route::{
    BackendTarget, InvalidBackend, RetryOn, Rules, SessionCarrier, SessionPersistence,
};
use crate::target::ServiceTarget;

/// Services whose names begin with `v`; namespace `open` lets others refer to it.
struct World;

impl References for World {
    fn service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<ServiceTarget, InvalidBackend> {
        if !name.starts_with('v') {
            return Err(InvalidBackend::NotFound);
        }
        Ok(ServiceTarget {
            namespace: namespace.into(),
            hostname: format!("{name}.{namespace}").into(),
            port,
            subset: None,
        })
    }

    fn is_granted(&self, kind: &str, from: &str, to: &str, _service: &str) -> bool {
        (kind, from, to) == ("HTTPRoute", "shop", "open")
    }
}

fn compile(spec: Value) -> Compiled {
    let spec = serde_json::from_value(spec).unwrap();
    compile_http(&RouteObject::new("shop", "route", spec), &World)
}

fn fields(compiled: &Compiled) -> Vec<&str> {
    compiled
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect()
}

/// A rule with one backend, named like it.
fn to(name: &str, matches: Value) -> Value {
    json!({"name": name, "matches": matches, "backendRefs": [{"name": name, "port": 80}]})
}

fn chosen(
    rules: &Rules,
    method: &str,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Option<String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let matched = rules.select(&Head::new(method, "any", target, &map))?;
    Some(matched.rule.name.to_string())
}

/// `HTTPRouteMatching` and `HTTPRouteMatchingAcrossRoutes` of the conformance tests, in the shape of
/// one route.
#[test]
fn the_most_specific_condition_counts_in_whatever_order_they_are_written() {
    let rules = json!([
        to("v-root", json!([{"path": {"value": "/"}}])),
        to(
            "v-header",
            json!([{"headers": [{"name": "Version", "value": "two"}]}])
        ),
        to(
            "v-v2",
            json!([{"path": {"type": "PathPrefix", "value": "/v2"}}])
        ),
        to("v-long", json!([{"path": {"value": "/v2/example"}}])),
        to(
            "v-exact",
            json!([{"path": {"type": "Exact", "value": "/v2"}}])
        ),
        to(
            "v-regex",
            json!([{"path": {"type": "RegularExpression", "value": "/v[0-9]+/very/long/one"}}])
        ),
        to(
            "v-post",
            json!([{"path": {"value": "/v3"}, "method": "POST"}])
        ),
        to(
            "v-v3",
            json!([{"path": {"value": "/v3"}, "headers": [{"name": "a", "value": "1"}]}])
        ),
        to(
            "v-query",
            json!([{"path": {"value": "/v3"}, "queryParams": [{"name": "q", "value": "1"}]}])
        ),
    ]);
    let compiled = compile(json!({"rules": rules}));
    assert_eq!(fields(&compiled), [""; 0]);
    let rules = merge(compiled.rules);
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: [Case; 13] = [
        ("GET", "/", &[], "v-root"),
        ("GET", "/example", &[], "v-root"),
        ("GET", "/", &[("version", "two")], "v-header"),
        ("GET", "/v2", &[], "v-exact"),
        ("GET", "/v2/", &[], "v-v2"),
        ("GET", "/v2example", &[], "v-root"),
        ("GET", "/v2/example/x", &[("version", "two")], "v-long"),
        ("GET", "/v2/very/long/one", &[], "v-v2"),
        ("GET", "/v9/very/long/one", &[], "v-root"),
        ("POST", "/v3", &[("a", "1")], "v-post"),
        ("GET", "/v3?q=1", &[("a", "1")], "v-v3"),
        ("GET", "/v3?q=1", &[], "v-query"),
        ("GET", "/v3?q=2&q=1", &[], "v-root"),
    ];
    for (method, target, headers, name) in cases {
        assert_eq!(
            chosen(&rules, method, target, headers).as_deref(),
            Some(name),
            "{method} {target}"
        );
    }
}

#[test]
fn among_equals_the_older_route_counts_then_the_name_then_the_place() {
    let route = |namespace: &str, name: &str, created: Option<&str>| {
        let spec = json!({"rules": [
            to(&format!("v-{namespace}-{name}"), json!([])),
            to("v-second-rule", json!([])),
        ]});
        RouteObject {
            created: created.map(Into::into),
            ..RouteObject::new(namespace, name, serde_json::from_value(spec).unwrap())
        }
    };
    let winner = |routes: Vec<RouteObject<HttpRouteSpec>>| {
        let rules = merge(
            routes
                .iter()
                .flat_map(|route| compile_http(route, &World).rules),
        );
        chosen(&rules, "GET", "/", &[]).unwrap()
    };
    let (old, new) = (Some("2026-01-01T00:00:00Z"), Some("2026-02-01T00:00:00Z"));
    assert_eq!(
        winner(vec![route("a", "a", new), route("b", "b", old)]),
        "v-b-b"
    );
    assert_eq!(
        winner(vec![route("a", "a", None), route("b", "b", old)]),
        "v-b-b"
    );
    assert_eq!(
        winner(vec![route("b", "a", old), route("a", "b", old)]),
        "v-a-b"
    );
    assert_eq!(
        winner(vec![route("a", "b", None), route("a", "a", None)]),
        "v-a-a"
    );
}

#[test]
fn a_route_without_rules_takes_all_and_has_nowhere_to_go() {
    let compiled = compile(json!({}));
    let [only] = compiled.rules.as_slice() else {
        panic!("one rule");
    };
    assert_eq!(
        only.rule.action,
        Action::respond(StatusCode::INTERNAL_SERVER_ERROR)
    );
}

#[test]
fn backends_that_cannot_be_used_keep_their_share() {
    let cases = [
        (
            json!({"name": "missing", "port": 80}),
            InvalidBackend::NotFound,
            Condition::BackendNotFound,
        ),
        (
            json!({"name": "v1"}),
            InvalidBackend::NotFound,
            Condition::BackendNotFound,
        ),
        (
            json!({"name": "v1", "port": 80, "kind": "Bucket"}),
            InvalidBackend::Kind,
            Condition::InvalidKind,
        ),
        (
            json!({"name": "v1", "port": 80, "group": "x"}),
            InvalidBackend::Kind,
            Condition::InvalidKind,
        ),
        (
            json!({"name": "v1", "port": 80, "namespace": "shut"}),
            InvalidBackend::NotPermitted,
            Condition::RefNotPermitted,
        ),
    ];
    for (reference, reason, condition) in cases {
        let mut bad = reference.clone();
        bad["weight"] = json!(3);
        let rules = json!([{"backendRefs": [{"name": "v1", "port": 80}, bad]}]);
        let compiled = compile(json!({"rules": rules}));
        let Action::Forward(backends) = &compiled.rules[0].rule.action else {
            panic!("it forwards");
        };
        let [good, bad] = backends.entries() else {
            panic!("both are there");
        };
        assert!(matches!(good.target, BackendTarget::Service(_)));
        assert_eq!(
            (&bad.target, bad.weight),
            (&BackendTarget::Invalid(reason), 3),
            "{reference}"
        );
        assert_eq!(compiled.status.resolved_refs, condition);
        assert_eq!(fields(&compiled), ["spec.rules[0].backendRefs[1]"]);
    }
    let granted = json!([{"backendRefs": [{"name": "v1", "port": 80, "namespace": "open"}]}]);
    assert_eq!(compile(json!({"rules": granted})).status, Status::GOOD);
}

#[test]
fn a_condition_that_is_wrong_makes_the_route_unusable() {
    let cases = [
        (
            json!({"path": {"type": "Exact", "value": "a"}}),
            "path.value",
        ),
        (
            json!({"path": {"type": "Glob", "value": "/a"}}),
            "path.type",
        ),
        (
            json!({"path": {"type": "RegularExpression", "value": "("}}),
            "path.value",
        ),
        (json!({"method": "get"}), "method"),
        (
            json!({"headers": [{"name": "a b", "value": "x"}]}),
            "headers[0].name",
        ),
        (
            json!({"headers": [{"name": "a", "type": "Glob", "value": "x"}]}),
            "headers[0].type",
        ),
        (
            json!({"queryParams": [{"name": "a", "type": "RegularExpression", "value": "["}]}),
            "queryParams[0].value",
        ),
    ];
    for (one, field) in cases {
        let compiled = compile(json!({"rules": [to("v1", json!([])), to("v2", json!([{}, one]))]}));
        assert_eq!(
            compiled.status.accepted,
            Condition::UnsupportedValue,
            "{field}"
        );
        assert!(compiled.rules.is_empty(), "{field}");
        assert_eq!(
            fields(&compiled),
            [format!("spec.rules[1].matches[1].{field}")]
        );
    }
}

#[test]
fn bounds_of_the_api_are_kept() {
    let many = |count: usize, one: Value| vec![one; count];
    let cases = [
        (json!({"rules": many(17, json!({}))}), "spec.rules"),
        (json!({"hostnames": many(17, json!("a"))}), "spec.hostnames"),
        (
            json!({"rules": [{"matches": many(65, json!({}))}]}),
            "spec.rules[0].matches",
        ),
        (
            json!({"rules": many(3, json!({"matches": many(43, json!({}))}))}),
            "spec.rules[].matches",
        ),
        (
            json!({"rules": [{"matches": [{"headers": many(17, json!({"name": "a", "value": "1"}))}]}]}),
            "spec.rules[0].matches[0].headers",
        ),
    ];
    for (spec, field) in cases {
        let compiled = compile(spec);
        assert_eq!(fields(&compiled), [field]);
        assert!(compiled.rules.is_empty(), "{field}");
    }
}

#[test]
fn filters_become_parts_of_the_rule() {
    let compiled = compile(json!({"rules": [{
        "matches": [{"path": {"value": "/a"}}],
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                "set": [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}], "remove": ["x-b"]}},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x-c", "value": "3"}]}},
            {"type": "URLRewrite", "urlRewrite": {"hostname": "other", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}},
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v9", "port": 80}, "percent": 20}},
            {"type": "CORS", "cors": {"allowOrigins": ["*"]}},
        ],
        "timeouts": {"request": "10s", "backendRequest": "2s"},
        "retry": {"codes": [503], "attempts": 3, "backoff": "100ms"},
        "backendRefs": [{"name": "v1", "port": 80, "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x-d", "value": "4"}]}}]}],
    }]}));
    assert_eq!(fields(&compiled), [""; 0]);
    let rule = &compiled.rules[0].rule;
    assert_eq!(
        rule.request_headers.set.len(),
        1,
        "the first entry of a name counts"
    );
    assert_eq!(rule.request_headers.set[0].1, "1");
    assert_eq!(rule.request_headers.remove, ["x-b"]);
    assert_eq!(rule.response_headers.add.len(), 1);
    let rewrite = rule.rewrite.as_ref().unwrap();
    assert_eq!(rewrite.path, Some(PathChange::Below("/b".into())));
    assert_eq!(rule.mirrors[0].share.per_million(), 200_000);
    assert_eq!(
        rule.timeouts.attempt,
        Some(std::time::Duration::from_secs(2))
    );
    let retry = rule.retry.as_ref().unwrap();
    assert_eq!(
        (retry.retries, retry.statuses.as_slice()),
        (3, [StatusCode::SERVICE_UNAVAILABLE].as_slice())
    );
    assert!(
        retry.on.contains(
            RetryOn::RESET
                .and(RetryOn::ATTEMPT_TIMEOUT)
                .and(RetryOn::CONNECT_FAILURE)
        )
    );
    assert!(retry.backoff.bound(1) >= std::time::Duration::from_millis(100));
    let Action::Forward(backends) = &rule.action else {
        panic!("it forwards");
    };
    assert_eq!(backends.entries()[0].request_headers.add.len(), 1);
    assert!(rule.cors.is_some());
}

/// An extension that is not known may be what guards a backend: a rule must not go on without it.
#[test]
fn a_filter_that_is_not_understood_answers_500() {
    let cases = [
        (
            json!([{"type": "ExtensionRef", "extensionRef": {}}]),
            "filters[0]",
        ),
        (
            json!([{"type": "RequestRedirect"}]),
            "filters[0].requestRedirect",
        ),
        (
            json!([{"type": "RequestRedirect", "requestRedirect": {"statusCode": 305}}]),
            "filters[0].requestRedirect.statusCode",
        ),
        (
            json!([{"type": "RequestRedirect", "requestRedirect": {"scheme": "ftp"}}]),
            "filters[0].requestRedirect.scheme",
        ),
        (
            json!([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "X"}}}]),
            "filters[0].path",
        ),
        (
            json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a b", "value": ""}]}}]),
            "filters[0].requestHeaderModifier.set[0].name",
        ),
    ];
    for (filters, field) in cases {
        let compiled = compile(json!({"rules": [{"filters": filters, "backendRefs": []}]}));
        let problem = format!("spec.rules[0].{field}");
        assert_eq!(fields(&compiled), [problem.as_str()]);
        assert_eq!(
            compiled.rules[0].rule.action,
            Action::respond(StatusCode::INTERNAL_SERVER_ERROR),
            "{field}"
        );
        assert_eq!(
            compiled.status.accepted,
            Condition::Accepted,
            "other rules go on"
        );
    }
    let mixed = compile(json!({"rules": [{
        "filters": [
            {"type": "RequestRedirect", "requestRedirect": {}},
            {"type": "URLRewrite", "urlRewrite": {}}],
    }]}));
    assert_eq!(fields(&mixed), ["spec.rules[0].filters"]);
}

#[test]
fn a_mirror_that_has_nowhere_to_go_is_left_out() {
    let compiled = compile(json!({"rules": [{
        "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "missing", "port": 80}}}],
        "backendRefs": [{"name": "v1", "port": 80}],
    }]}));
    assert_eq!(
        fields(&compiled),
        ["spec.rules[0].filters[0].requestMirror.backendRef"]
    );
    assert!(matches!(compiled.rules[0].rule.action, Action::Forward(_)));
}

#[test]
fn a_mirror_with_a_wrong_share_makes_the_rule_answer_500() {
    let compiled = compile(json!({"rules": [{
        "filters": [{
            "type": "RequestMirror",
            "requestMirror": {"backendRef": {"name": "v9", "port": 80}, "percent": 101},
        }],
        "backendRefs": [{"name": "v1", "port": 80}],
    }]}));
    assert_eq!(
        fields(&compiled),
        ["spec.rules[0].filters[0].requestMirror"]
    );
    assert!(matches!(compiled.rules[0].rule.action, Action::Respond(_)));
}

/// l7.md 1.7; the last three have the names of older versions.
#[test]
fn sessions_are_kept_as_they_are_written() {
    let cookie = |name: &str, path: &str, permanent, lifetime| SessionPersistence {
        carrier: SessionCarrier::Cookie {
            name: name.into(),
            path: path.into(),
            permanent,
        },
        lifetime,
    };
    let hour = Some(Duration::from_hours(1));
    let header = |name| SessionPersistence {
        carrier: SessionCarrier::Header(HeaderName::from_static(name)),
        lifetime: None,
    };
    let cases = [
        (json!({}), cookie("mesh-session", "/", false, None)),
        (
            json!({"type": "Cookie", "absoluteTimeout": "1h", "cookie":
                {"name": "s", "path": "/p", "lifetimeType": "Permanent"}}),
            cookie("s", "/p", true, hour),
        ),
        (
            json!({"type": "Header", "header": {"name": "X-Session"}}),
            header("x-session"),
        ),
        (
            json!({"sessionName": "s", "idleTimeout": "1h"}),
            cookie("s", "/", false, hour),
        ),
        (
            json!({"sessionName": "s", "cookieConfig": {"lifetimeType": "Session"}}),
            cookie("s", "/", false, None),
        ),
        (
            json!({"type": "Header", "sessionName": "x-s"}),
            header("x-s"),
        ),
    ];
    for (spec, expected) in cases {
        let rule = json!({"sessionPersistence": spec.clone(), "backendRefs": [{"name": "v1", "port": 80}]});
        let compiled = compile(json!({"rules": [rule]}));
        assert_eq!(fields(&compiled), Vec::<String>::new(), "{spec}");
        assert_eq!(
            compiled.rules[0].rule.session.as_deref(),
            Some(&expected),
            "{spec}"
        );
    }
}

#[test]
fn times_and_retries_that_are_wrong_are_told() {
    let cases = [
        (json!({"timeouts": {"request": "1.5s"}}), "timeouts.request"),
        (
            json!({"timeouts": {"request": "1s", "backendRequest": "2s"}}),
            "timeouts.backendRequest",
        ),
        (json!({"retry": {"codes": [399]}}), "retry.codes[0]"),
        (json!({"retry": {"backoff": "x"}}), "retry.backoff"),
        (
            json!({"sessionPersistence": {"type": "Url"}}),
            "sessionPersistence.type",
        ),
        (
            json!({"sessionPersistence": {"absoluteTimeout": "100ms"}}),
            "sessionPersistence.absoluteTimeout",
        ),
        (
            json!({"sessionPersistence": {"cookie": {"lifetimeType": "Permanent"}}}),
            "sessionPersistence.absoluteTimeout",
        ),
        (
            json!({"sessionPersistence": {"cookie": {"name": "a b"}}}),
            "sessionPersistence.cookie.name",
        ),
        (
            json!({"sessionPersistence": {"cookie": {"path": "/a; Domain=x"}}}),
            "sessionPersistence.cookie.path",
        ),
        (
            json!({"sessionPersistence": {"type": "Header", "header": {"name": ""}}}),
            "sessionPersistence.header.name",
        ),
    ];
    for (rule, field) in cases {
        let compiled = compile(json!({"rules": [rule]}));
        assert_eq!(fields(&compiled), [format!("spec.rules[0].{field}")]);
    }
    let off = compile(json!({"rules": [{"timeouts": {"request": "0s", "backendRequest": "2s"}}]}));
    assert_eq!(off.rules[0].rule.timeouts.request, None);
    assert!(off.problems.is_empty(), "0 is no limit to be below of");
}

//! Conditions of roots and delegates, by Istio's reference of `HTTPRoute.delegate`: those of the delegate must be narrower.

use serde_json::{Value, json};

use super::*;

fn route(spec: Value) -> HttpRoute {
    serde_json::from_value(spec).unwrap()
}

fn conditions_of(root: Value, own: Value) -> Option<Vec<HttpMatch>> {
    let merged = merged(
        &route(json!({ "match": root })),
        &route(json!({ "match": own })),
    );
    merged.map(|merged| merged.matches)
}

#[test]
fn conditions_hold_together_or_the_rule_is_left_out() {
    let uri = |kind: &str, text: &str| json!([{"uri": {kind: text}}]);
    // Name, the root's, the delegate's, and how many alternatives there are together; none for a conflict.
    let cases = [
        ("neither asks", json!([]), json!([]), Some(0)),
        ("the root asks", uri("prefix", "/a"), json!([]), Some(1)),
        ("the delegate asks", json!([]), uri("prefix", "/a"), Some(1)),
        ("below", uri("prefix", "/a"), uri("prefix", "/a/b"), Some(1)),
        ("above", uri("prefix", "/a/b"), uri("prefix", "/a"), None),
        (
            "one below",
            uri("prefix", "/a"),
            uri("exact", "/a/b"),
            Some(1),
        ),
        ("one beside", uri("prefix", "/a"), uri("exact", "/b"), None),
        (
            "the same one",
            uri("exact", "/a"),
            uri("exact", "/a"),
            Some(1),
        ),
        ("another one", uri("exact", "/a"), uri("exact", "/b"), None),
        (
            "wider than one",
            uri("exact", "/a"),
            uri("prefix", "/a"),
            None,
        ),
        (
            "an expression of the root",
            uri("regex", "/a.*"),
            uri("exact", "/a"),
            None,
        ),
        (
            "an expression of the delegate",
            uri("prefix", "/a"),
            uri("regex", "/a.*"),
            None,
        ),
        ("expressions", uri("regex", "/a"), uri("regex", "/a"), None),
        (
            "an expression about something else",
            uri("regex", "/a"),
            json!([{"method": {"exact": "GET"}}]),
            Some(1),
        ),
        (
            "upper and lower case",
            json!([{"uri": {"prefix": "/A"}, "ignoreUriCase": true}]),
            json!([{"uri": {"prefix": "/a/b"}, "ignoreUriCase": true}]),
            Some(1),
        ),
        (
            "upper and lower case of one only",
            json!([{"uri": {"prefix": "/a"}, "ignoreUriCase": true}]),
            json!([{"uri": {"prefix": "/a/b"}}]),
            None,
        ),
        (
            "a header of each",
            json!([{"headers": {"a": {"exact": "1"}}}]),
            json!([{"headers": {"b": {"exact": "2"}}}]),
            Some(1),
        ),
        (
            "a header of both",
            json!([{"headers": {"a": {"exact": "1"}}}]),
            json!([{"headers": {"a": {"exact": "2"}}}]),
            None,
        ),
        (
            "a header that is there",
            json!([{"headers": {"a": {}}}]),
            json!([{"headers": {"a": {"exact": "2"}}}]),
            Some(1),
        ),
        (
            "other parameters",
            json!([{"queryParams": {"a": {"exact": "1"}}}]),
            json!([{"queryParams": {"a": {"exact": "2"}}}]),
            None,
        ),
        ("ports", json!([{"port": 80}]), json!([{"port": 81}]), None),
        (
            "namespaces",
            json!([{"sourceNamespace": "a"}]),
            json!([{"sourceNamespace": "b"}]),
            None,
        ),
        (
            "labels",
            json!([{"sourceLabels": {"app": "a"}}]),
            json!([{"sourceLabels": {"app": "b"}}]),
            None,
        ),
        (
            "gateways of the root only",
            json!([{"gateways": ["mesh", "in"]}]),
            json!([{"gateways": ["mesh"]}]),
            Some(1),
        ),
        (
            "further gateways",
            json!([{"gateways": ["mesh"]}]),
            json!([{"gateways": ["mesh", "in"]}]),
            None,
        ),
        (
            "each with each",
            json!([{"uri": {"prefix": "/a"}}, {"method": {"exact": "GET"}}]),
            json!([{"uri": {"prefix": "/a/b"}}, {"method": {"exact": "GET"}}]),
            Some(4),
        ),
        (
            "each with one",
            json!([{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}]),
            json!([{"uri": {"exact": "/a/1"}}, {"uri": {"exact": "/b/1"}}]),
            Some(2),
        ),
        (
            "one that has none",
            json!([{"uri": {"prefix": "/a"}}]),
            json!([{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/c"}}]),
            None,
        ),
    ];
    for (name, root, own, expected) in cases {
        let got = conditions_of(root, own).map(|matches| matches.len());
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn both_conditions_are_kept() {
    let root = json!([{"name": "r", "uri": {"prefix": "/A"}, "ignoreUriCase": true, "headers": {"a": {"exact": "1"}}, "sourceLabels": {"app": "x"}}]);
    let own = json!([{"name": "o", "method": {"exact": "GET"}, "headers": {"b": {"exact": "2"}}, "port": 80}]);
    let all = conditions_of(root, own).unwrap();
    let [one] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(one.name, "r-o");
    assert_eq!(one.uri.as_ref().unwrap().prefix.as_deref(), Some("/A"));
    assert!(one.ignore_uri_case);
    assert_eq!(one.method.as_ref().unwrap().exact.as_deref(), Some("GET"));
    let headers: Vec<&String> = one.headers.keys().collect();
    assert_eq!(headers, ["a", "b"]);
    assert_eq!((one.port, one.source_labels.len()), (Some(80), 1));
}

#[test]
fn what_the_delegate_does_not_say_the_root_says() {
    let root = route(json!({
        "name": "root", "timeout": "5s", "retries": {"attempts": 3}, "rewrite": {"uri": "/r"},
        "headers": {"request": {"set": {"a": "root"}}}, "mirror": {"host": "m"}, "mirrorPercentage": {"value": 5},
        "fault": {"delay": {"fixedDelay": "1s"}}, "corsPolicy": {"maxAge": "1s"}}));
    let own = route(json!({"route": [{"destination": {"host": "v"}}]}));
    let merged_with = |own: &HttpRoute| merged(&root, own).unwrap();
    let all = merged_with(&own);
    assert_eq!(
        (all.name.as_str(), all.timeout.as_deref()),
        ("root", Some("5s"))
    );
    assert_eq!(all.retries.unwrap().attempts, 3);
    assert_eq!(all.rewrite.unwrap().uri.as_deref(), Some("/r"));
    assert_eq!(all.headers.unwrap().request.set["a"], "root");
    assert_eq!(all.mirror.unwrap().host, "m");
    assert_eq!(all.mirror_percentage.unwrap().value, 5.0);
    assert!(all.fault.is_some() && all.cors_policy.is_some());
    assert_eq!(all.route.len(), 1);
    let own = route(
        json!({"name": "own", "timeout": "1s", "headers": {"request": {"set": {"b": "own"}}}, "retries": {"attempts": 1}}),
    );
    let all = merged_with(&own);
    assert_eq!(
        (all.name.as_str(), all.timeout.as_deref()),
        ("root-own", Some("1s"))
    );
    assert_eq!(all.retries.unwrap().attempts, 1);
    // Headers are one thing that is said or not.
    assert_eq!(all.headers.unwrap().request.set.len(), 1);
}

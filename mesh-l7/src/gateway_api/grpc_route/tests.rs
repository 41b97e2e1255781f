//! Calls in, rules out: by the Gateway API's documents.

use http::HeaderMap;
use serde_json::{Value, json};

use super::super::merge;
use super::*;
use crate::matching::Head;
use crate::route::InvalidBackend;
use crate::target::ServiceTarget;

struct World;

impl References for World {
    fn service(
        &self,
        namespace: &str,
        name: &str,
        port: u16,
    ) -> Result<ServiceTarget, InvalidBackend> {
        Ok(ServiceTarget {
            namespace: namespace.into(),
            hostname: name.into(),
            port,
            subset: None,
        })
    }

    fn is_granted(&self, _: &str, _: &str, _: &str, _: &str) -> bool {
        false
    }
}

fn compile(spec: Value) -> Compiled {
    let spec = serde_json::from_value(spec).unwrap();
    compile_grpc(&RouteObject::new("shop", "route", spec), &World)
}

fn to(name: &str, matches: Value) -> Value {
    json!({"name": name, "matches": matches, "backendRefs": [{"name": name, "port": 80}]})
}

#[test]
fn the_longer_service_counts_then_the_longer_method_then_more_headers() {
    let compiled = compile(json!({"rules": [
        to("all", json!([])),
        to("headers", json!([{"headers": [{"name": "version", "value": "two"}]}])),
        to("method", json!([{"method": {"method": "Echo"}}])),
        to("service", json!([{"method": {"service": "com.example.User"}}])),
        to("both", json!([{"method": {"service": "com.example.User", "method": "Login"}}])),
        to("expression", json!([{"method": {"type": "RegularExpression", "service": "com\\.[a-z]+", "method": "L.*"}}])),
    ]}));
    assert!(compiled.problems.is_empty(), "{:?}", compiled.problems);
    let rules = merge(compiled.rules);
    let cases = [
        ("/com.example.User/Login", "", "both"),
        ("/com.example.User/Logout", "", "service"),
        ("/com.example.Users/Login", "", "all"),
        ("/other/Echo", "", "method"),
        ("/other/EchoTwo", "", "all"),
        ("/other/x/Echo", "", "all"),
        ("/com.foo/List", "", "expression"),
        ("/com-foo/List", "", "all"),
        ("/other/List", "two", "headers"),
        ("/other/Echo", "two", "method"),
    ];
    for (path, version, name) in cases {
        let mut headers = HeaderMap::new();
        headers.insert("version", version.parse().unwrap());
        let matched = rules
            .select(&Head::new("POST", "any", path, &headers))
            .unwrap();
        assert_eq!(matched.rule.name.as_str(), name, "{path} {version}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    let cases = [
        (json!({"method": {}}), "spec.rules[0].matches[0].method"),
        (
            json!({"method": {"service": "a/b"}}),
            "spec.rules[0].matches[0].method",
        ),
        (
            json!({"method": {"type": "Glob", "service": "a"}}),
            "spec.rules[0].matches[0].method",
        ),
        (
            json!({"method": {"type": "RegularExpression", "service": "("}}),
            "spec.rules[0].matches[0].method",
        ),
        (
            json!({"headers": [{"name": "", "value": "x"}]}),
            "spec.rules[0].matches[0].headers[0].name",
        ),
    ];
    for (one, field) in cases {
        let compiled = compile(json!({"rules": [to("v", json!([one]))]}));
        let fields: Vec<_> = compiled
            .problems
            .iter()
            .map(|problem| problem.field.as_str())
            .collect();
        assert_eq!(fields, [field]);
        assert!(compiled.rules.is_empty());
    }
}

#[test]
fn filters_that_calls_do_not_have_answer_500() {
    let rewrite = json!({"type": "URLRewrite", "urlRewrite": {"hostname": "x"}});
    let rule = json!({"filters": [rewrite], "backendRefs": [{"name": "v", "port": 80}]});
    let compiled = compile(json!({"rules": [rule]}));
    assert_eq!(compiled.problems[0].field, "spec.rules[0].filters");
    let error = Action::respond(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(compiled.rules[0].rule.action, error);
}

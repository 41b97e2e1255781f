//! Virtual services in, rules out: by Istio's documents.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::filter::{PathChange, RedirectPort};
use crate::matching::{Claims, Head};
use crate::route::{RetryOn, RetryPolicy};
use mesh_core::name::Name;

/// Services whose names begin with `v`, with subsets that begin with `s`.
struct World;

impl Destinations for World {
    fn destination(
        &self,
        namespace: &str,
        host: &str,
        port: Option<u16>,
        subset: Option<&str>,
    ) -> Result<ServiceTarget, InvalidBackend> {
        if !host.starts_with('v') {
            return Err(InvalidBackend::NotFound);
        }
        if subset.is_some_and(|subset| !subset.starts_with('s')) {
            return Err(InvalidBackend::Subset);
        }
        Ok(ServiceTarget {
            namespace: namespace.into(),
            hostname: host.into(),
            port: port.unwrap_or(80),
            subset: subset.map(Into::into),
        })
    }
}

fn compile(http: Value) -> CompiledService {
    let spec = serde_json::from_value(json!({"hosts": ["v"], "http": http})).unwrap();
    compile_virtual_service("shop", "routes", &spec, &World)
}

fn fields(compiled: &CompiledService) -> Vec<&str> {
    compiled
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect()
}

/// A route with a name, to a destination.
fn to(name: &str, matches: Value) -> Value {
    json!({"name": name, "match": matches, "route": [{"destination": {"host": "v"}}]})
}

fn only(route: Value) -> Rule {
    let compiled = compile(json!([route]));
    assert_eq!(fields(&compiled), [""; 0]);
    (*compiled.rules.rules()[0]).clone()
}

struct Groups;

impl Claims for Groups {
    fn any(&self, path: &[Name], test: &mut dyn FnMut(&str) -> bool) -> bool {
        path == ["groups"] && ["admin", "dev"].into_iter().any(test)
    }
}

#[test]
fn the_first_rule_that_matches_counts() {
    let compiled = compile(json!([
        to(
            "prefix",
            json!([{"uri": {"prefix": "/a"}, "method": {"exact": "POST"}}])
        ),
        to(
            "case",
            json!([{"uri": {"prefix": "/Case"}, "ignoreUriCase": true}])
        ),
        to("regex", json!([{"uri": {"regex": "/v[0-9]+"}}])),
        to(
            "headers",
            json!([{"headers": {"x-user": {"exact": "jason"}}}, {"headers": {"x-any": {}}}])
        ),
        to(
            "without",
            json!([{"uri": {"prefix": "/w"}, "withoutHeaders": {"x-skip": {}}}])
        ),
        to(
            "query",
            json!([{"queryParams": {"debug": {"exact": "true"}}}])
        ),
        to(
            "claim",
            json!([{"headers": {"@request.auth.claims.groups": {"exact": "dev"}}}])
        ),
        to("namespace", json!([{"sourceNamespace": "other"}])),
        to("port", json!([{"port": 8443}])),
        to("rest", json!([])),
    ]));
    assert_eq!(fields(&compiled), [""; 0]);
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: [Case; 14] = [
        ("POST", "/abc", &[], "prefix"),
        ("GET", "/abc", &[], "rest"),
        ("GET", "/cAsE/x", &[], "case"),
        ("GET", "/v12", &[], "regex"),
        ("GET", "/v12/x", &[], "rest"),
        ("GET", "/", &[("x-user", "jason")], "headers"),
        ("GET", "/", &[("x-user", "jasons")], "rest"),
        ("GET", "/", &[("x-any", "")], "headers"),
        ("GET", "/w", &[], "without"),
        ("GET", "/w", &[("x-skip", "1")], "rest"),
        ("GET", "/?debug=true", &[], "query"),
        ("GET", "/", &[("claim", "yes")], "claim"),
        ("GET", "/", &[("@source", "other")], "namespace"),
        ("GET", "/", &[("@port", "8443")], "port"),
    ];
    for (method, target, headers, name) in cases {
        let mut map = HeaderMap::new();
        let plain = headers
            .iter()
            .filter(|(name, _)| !name.starts_with('@') && *name != "claim");
        for (name, value) in plain {
            map.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let special = |key: &str| {
            headers
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        let mut head = Head::new(method, "any", target, &map);
        head.claims = special("claim").map(|_| &Groups as &dyn Claims);
        head.source_namespace = special("@source");
        head.port = special("@port").map_or(80, |port| port.parse().unwrap());
        let matched = compiled.rules.select(&head).unwrap();
        assert_eq!(
            matched.rule.name.as_str(),
            name,
            "{method} {target} {headers:?}"
        );
    }
}

#[test]
fn what_is_for_other_gateways_is_left_out() {
    let compiled = compile(json!([
        to("gateway", json!([{"gateways": ["ingress"]}])),
        to(
            "both",
            json!([{"gateways": ["ingress"]}, {"gateways": ["mesh"], "uri": {"exact": "/a"}}])
        ),
    ]));
    let names: Vec<_> = compiled
        .rules
        .rules()
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(names, ["both"]);
    assert_eq!(compiled.rules.rules()[0].matches.len(), 1);
    assert_eq!(fields(&compiled), [""; 0]);
    let spec = json!({"gateways": ["ingress"], "http": [to("a", json!([]))]});
    let spec = serde_json::from_value(spec).unwrap();
    assert!(
        compile_virtual_service("shop", "r", &spec, &World)
            .rules
            .rules()
            .is_empty()
    );
}

#[test]
fn a_rule_that_is_wrong_answers_500_and_lets_nobody_by() {
    let cases = [
        (
            json!({"match": [{"uri": {"regex": "("}}], "route": [{"destination": {"host": "v"}}]}),
            "match[0].uri.regex",
        ),
        (
            json!({"match": [{"uri": {"exact": "/a", "prefix": "/b"}}], "route": [{"destination": {"host": "v"}}]}),
            "match[0].uri",
        ),
        (
            json!({"match": [{"headers": {"a b": {"exact": "x"}}}], "route": [{"destination": {"host": "v"}}]}),
            "match[0].headers.a b",
        ),
        (json!({"route": []}), ""),
        (
            json!({"route": [{"destination": {"host": "v"}}], "redirect": {}}),
            "",
        ),
        (json!({"delegate": {"name": "x"}}), "delegate"),
        (
            json!({"redirect": {"redirectCode": 305}}),
            "redirect.redirectCode",
        ),
        (
            json!({"directResponse": {"status": 100}}),
            "directResponse.status",
        ),
        (
            json!({"route": [{"destination": {"host": "v"}}], "timeout": "x"}),
            "timeout",
        ),
        (
            json!({"route": [{"destination": {"host": "v"}}], "retries": {"attempts": 1, "retryOn": "nonsense"}}),
            "retries.retryOn",
        ),
        (
            json!({"route": [{"destination": {"host": "v"}}], "rewrite": {"uri": "/a", "uriRegexRewrite": {"match": "a"}}}),
            "rewrite",
        ),
    ];
    for (route, field) in cases {
        let compiled = compile(json!([route]));
        let expected = format!("spec.http[0].{field}");
        assert_eq!(
            fields(&compiled),
            [expected.trim_end_matches('.')],
            "{route}"
        );
        let rule = &compiled.rules.rules()[0];
        assert_eq!(
            rule.action,
            Action::respond(StatusCode::INTERNAL_SERVER_ERROR),
            "{route}"
        );
        if field.starts_with("match") {
            assert!(rule.matches.is_empty(), "{route}");
        }
    }
}

#[test]
fn weights_are_shares_and_nothing_of_several_gets_nothing() {
    let Action::Forward(backends) = only(json!({"route": [
        {"destination": {"host": "v", "subset": "s1"}, "weight": 90},
        {"destination": {"host": "v", "subset": "s2", "port": {"number": 8080}}, "weight": 10},
        {"destination": {"host": "v", "subset": "s3"}},
    ]}))
    .action
    else {
        panic!("it forwards");
    };
    let weights: Vec<_> = backends
        .entries()
        .iter()
        .map(|backend| backend.weight)
        .collect();
    assert_eq!(weights, [90, 10]);
    let Action::Forward(alone) = only(to("a", json!([]))).action else {
        panic!("it forwards");
    };
    assert_eq!(
        alone.entries()[0].weight,
        1,
        "alone it gets all, whatever it says"
    );
}

#[test]
fn destinations_that_do_not_exist_are_told_and_answered_for() {
    let cases = [
        (json!({"host": "missing"}), InvalidBackend::NotFound),
        (json!({"host": "v", "subset": "x"}), InvalidBackend::Subset),
    ];
    for (destination, reason) in cases {
        let compiled = compile(json!([{"route": [{"destination": destination}]}]));
        assert_eq!(fields(&compiled), ["spec.http[0].route[0].destination"]);
        let Action::Forward(backends) = &compiled.rules.rules()[0].action else {
            panic!("it forwards");
        };
        assert_eq!(backends.entries()[0].target, BackendTarget::Invalid(reason));
    }
}

#[test]
fn retries_are_istios_default_unless_something_is_said() {
    let retry = |retries: Value| {
        let mut route = to("a", json!([]));
        if !retries.is_null() {
            route["retries"] = retries;
        }
        only(route)
    };
    let default = retry(Value::Null).retry.unwrap();
    assert_eq!(
        (default.retries, default.on),
        (2, RetryPolicy::default().on)
    );
    assert_eq!(retry(json!({"attempts": 0})).retry, None);
    assert_eq!(retry(json!({"attempts": -1})).retry, None);
    let own = retry(
        json!({"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,reset,418", "backoff": "10ms"}),
    );
    assert_eq!(own.timeouts.attempt, Some(Duration::from_secs(2)));
    let own = own.retry.unwrap();
    assert_eq!(
        own.on,
        RetryOn::SERVER_ERROR
            .and(RetryOn::RESET)
            .and(RetryOn::STATUSES)
    );
    assert_eq!(own.statuses, [StatusCode::IM_A_TEAPOT]);
    assert_eq!(own.backoff.bound(1), Duration::from_millis(10));
    let repeat = retry(json!({"attempts": 1, "retryIgnorePreviousHosts": false}))
        .retry
        .unwrap();
    assert_eq!(repeat.hosts.reselections, 0);
}

#[test]
fn redirects_rewrites_and_answers_say_what_they_said() {
    let redirect = |spec: Value| {
        let Action::Redirect(redirect) = only(json!({"redirect": spec})).action else {
            panic!("it redirects");
        };
        redirect
    };
    let plain = redirect(json!({"uri": "/new", "authority": "other"}));
    assert_eq!(
        (plain.status.as_u16(), plain.port),
        (301, RedirectPort::OfRequest)
    );
    assert_eq!(plain.path, Some(PathChange::Full("/new".into())));
    let derived = redirect(
        json!({"scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT", "redirectCode": 308}),
    );
    assert_eq!(
        (derived.status.as_u16(), derived.port),
        (308, RedirectPort::OfScheme)
    );
    let mut route = to("a", json!([{"uri": {"prefix": "/old"}}]));
    route["rewrite"] = json!({"uri": "/new", "authority": "host"});
    let rewrite = only(route).rewrite.unwrap();
    assert_eq!(rewrite.path, Some(PathChange::Prefix("/new".into())));
    assert_eq!(rewrite.host.as_deref(), Some("host"));
    let answer = only(json!({"directResponse": {"status": 503, "body": {"string": "no"}}}));
    let Action::Respond(answer) = answer.action else {
        panic!("it answers");
    };
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (503, b"no".as_slice())
    );
}

#[test]
fn the_rules_own_host_goes_before_that_of_a_destination() {
    let host = |text: &str| json!({"request": {"set": {"Host": text}}});
    let mut route = to("a", json!([]));
    route["route"][0]["headers"] = host("destination");
    assert_eq!(
        only(route.clone()).rewrite.unwrap().host.as_deref(),
        Some("destination")
    );
    route["headers"] = host("rule");
    let rule = only(route);
    assert_eq!(rule.rewrite.unwrap().host.as_deref(), Some("rule"));
    assert!(rule.request_headers.is_empty());
}

#[test]
fn faults_and_mirrors_have_shares() {
    let mut route = to("a", json!([]));
    route["fault"] = json!({
        "delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}},
        "abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}});
    route["mirror"] = json!({"host": "v2"});
    route["mirrors"] = json!([{"destination": {"host": "v3"}, "percentage": {"value": 1.5}}]);
    let rule = only(route.clone());
    let fault = rule.fault.unwrap();
    let delay = fault.delay.unwrap();
    assert_eq!(
        (delay.time, delay.share.per_million()),
        (Duration::from_secs(5), 1_000)
    );
    assert_eq!(fault.abort.unwrap().grpc, Some(14));
    let shares: Vec<_> = rule
        .mirrors
        .iter()
        .map(|mirror| mirror.share.per_million())
        .collect();
    assert_eq!(shares, [1_000_000, 15_000]);
    route["fault"] = json!({"abort": {"httpStatus": 500}});
    route["mirror"] = json!({"host": "missing"});
    let compiled = compile(json!([route]));
    assert_eq!(
        fields(&compiled),
        ["spec.http[0].fault.abort", "spec.http[0].mirror"]
    );
    let rule = &compiled.rules.rules()[0];
    assert!(
        matches!(rule.action, Action::Forward(_)),
        "neither breaks the rule"
    );
    assert_eq!(
        rule.fault
            .as_ref()
            .unwrap()
            .abort
            .unwrap()
            .share
            .per_million(),
        0
    );
}

#[test]
fn clients_are_told_apart_by_the_labels_of_their_workloads() {
    let compiled = compile(json!([
        to(
            "x",
            json!([{"sourceLabels": {"app": "x", "tier": "a"}}, {"uri": {"exact": "/all"}}])
        ),
        to("others", json!([])),
    ]));
    assert_eq!(fields(&compiled), [""; 0]);
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (all, some) = (
        labels(&[("app", "x"), ("tier", "a"), ("more", "")]),
        labels(&[("app", "x")]),
    );
    let cases = [
        (Some(&all), "/", "x"),
        (Some(&some), "/", "others"),
        (None, "/", "others"),
        (None, "/all", "x"),
    ];
    let headers = HeaderMap::new();
    for (labels, path, expected) in cases {
        let mut head = Head::new("GET", "any", path, &headers);
        head.source_labels = labels;
        let matched = compiled.rules.select(&head).unwrap();
        assert_eq!(matched.rule.name.as_str(), expected, "{labels:?} {path}");
    }
}

/// Virtual services by namespace and name, and the services of [`World`].
struct Delegates(Vec<(&'static str, &'static str, VirtualServiceSpec)>);

impl Destinations for Delegates {
    fn destination(
        &self,
        namespace: &str,
        host: &str,
        port: Option<u16>,
        subset: Option<&str>,
    ) -> Result<ServiceTarget, InvalidBackend> {
        World.destination(namespace, host, port, subset)
    }

    fn delegate(
        &self,
        from: &str,
        namespace: &str,
        name: &str,
    ) -> Result<&VirtualServiceSpec, NoDelegate> {
        assert_eq!(from, "shop");
        let mut all = self.0.iter();
        let found = all.find(|(of, known, _)| (*of, *known) == (namespace, name));
        found.map(|(_, _, spec)| spec).ok_or(NoDelegate::NotFound)
    }
}

fn delegating(http: Value, delegates: &[(&'static str, &'static str, Value)]) -> CompiledService {
    let delegates = delegates.iter().map(|(namespace, name, http)| {
        let spec = serde_json::from_value(json!({ "http": http })).unwrap();
        (*namespace, *name, spec)
    });
    let delegates = Delegates(delegates.collect());
    let spec = serde_json::from_value(json!({"hosts": ["v"], "http": http})).unwrap();
    compile_virtual_service("shop", "root", &spec, &delegates)
}

/// Istio's reference, `HTTPRoute.delegate`: the example of productpage and reviews.
#[test]
fn the_rules_of_a_delegate_take_the_place_of_the_rule() {
    let delegate = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace});
    let compiled = delegating(
        json!([
            {"name": "product", "match": [{"uri": {"prefix": "/productpage"}}], "delegate": delegate("productpage", "nsA"), "timeout": "5s"},
            {"match": [{"uri": {"prefix": "/reviews"}}], "delegate": delegate("reviews", "")},
            {"route": [{"destination": {"host": "v"}}]},
        ]),
        &[
            (
                "nsA",
                "productpage",
                json!([
                    {"name": "v1", "match": [{"uri": {"prefix": "/productpage/v1/"}}], "route": [{"destination": {"host": "v1"}}], "timeout": "1s"},
                    {"route": [{"destination": {"host": "v2"}}]},
                ]),
            ),
            (
                "shop",
                "reviews",
                json!([{"route": [{"destination": {"host": "v3"}}]}]),
            ),
        ],
    );
    assert_eq!(fields(&compiled), [""; 0]);
    let headers = HeaderMap::new();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    // Path; name and origin of the rule, where it leads to, and its timeout.
    let cases = [
        (
            "/productpage/v1/a",
            "product-v1",
            "nsA/productpage[0]",
            "nsA/v1",
            seconds(1),
        ),
        (
            "/productpage/v2/a",
            "product",
            "nsA/productpage[1]",
            "nsA/v2",
            seconds(5),
        ),
        (
            "/reviews",
            "shop/reviews[0]",
            "shop/reviews[0]",
            "shop/v3",
            None,
        ),
        ("/else", "shop/root[2]", "shop/root[2]", "shop/v", None),
    ];
    for (path, name, origin, to, timeout) in cases {
        let head = Head::new("GET", "any", path, &headers);
        let rule = compiled.rules.select(&head).unwrap().rule;
        assert_eq!(rule.name.as_str(), name, "{path}");
        assert_eq!(
            rule.origin.to_string(),
            format!("VirtualService {origin}"),
            "{path}"
        );
        assert_eq!(rule.timeouts.request, timeout, "{path}");
        let Action::Forward(backends) = &rule.action else {
            panic!("{path}: {:?}", rule.action);
        };
        let BackendTarget::Service(target) = &backends.entries()[0].target else {
            panic!("{path}");
        };
        assert_eq!(
            format!("{}/{}", target.namespace, target.hostname),
            to,
            "{path}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_delegate_is_told_at_both_and_lets_nobody_by() {
    let root = |delegate: Value| json!([{"match": [{"uri": {"prefix": "/a"}}], "delegate": delegate}, {"route": [{"destination": {"host": "v"}}]}]);
    // The delegate's rules; the status of /a and the fields that are told, of the delegate's with its name.
    let cases = [
        ("not there", None, 500, vec!["spec.http[0].delegate"]),
        (
            "a conflict",
            Some(
                json!([{"match": [{"uri": {"prefix": "/b"}}], "directResponse": {"status": 201}}, {"directResponse": {"status": 202}}]),
            ),
            202,
            vec!["shop/child spec.http[0]", "spec.http[0].delegate"],
        ),
        (
            "it delegates itself",
            Some(json!([{"delegate": {"name": "other"}}])),
            500,
            vec!["shop/child spec.http[0].delegate"],
        ),
        (
            "a wrong rule",
            Some(
                json!([{"match": [{"uri": {"prefix": "/a"}, "method": {"regex": "("}}], "directResponse": {"status": 201}}]),
            ),
            500,
            vec!["shop/child spec.http[0].match[0].method.regex"],
        ),
    ];
    for (name, child, status, told) in cases {
        let delegates: Vec<_> = child
            .map(|http| ("shop", "child", http))
            .into_iter()
            .collect();
        let compiled = delegating(root(json!({"name": "child"})), &delegates);
        let headers = HeaderMap::new();
        let head = Head::new("GET", "any", "/a", &headers);
        let rule = compiled.rules.select(&head).unwrap().rule;
        let Action::Respond(response) = &rule.action else {
            panic!("{name}: {:?}", rule.action);
        };
        assert_eq!(response.status.as_u16(), status, "{name}");
        let fields: Vec<String> = compiled
            .problems
            .iter()
            .map(|problem| match &problem.delegate {
                Some((namespace, name)) => format!("{namespace}/{name} {}", problem.field),
                None => problem.field.clone(),
            })
            .collect();
        assert_eq!(fields, told, "{name}");
    }
    let wrong = delegating(
        json!([{"match": [{"uri": {"regex": "("}}], "delegate": {"name": "child"}}]),
        &[(
            "shop",
            "child",
            json!([{"directResponse": {"status": 202}}]),
        )],
    );
    assert_eq!(fields(&wrong), ["spec.http[0].match[0].uri.regex"]);
    assert_eq!(wrong.rules.rules().len(), 1, "it answers 500 to all");
    let both = delegating(
        json!([{"delegate": {"name": "child"}, "route": [{"destination": {"host": "v"}}]}]),
        &[(
            "shop",
            "child",
            json!([{"directResponse": {"status": 202}}]),
        )],
    );
    assert_eq!(fields(&both), ["spec.http[0]"]);
}

#[test]
fn delegates_have_no_more_conditions_than_there_is_room_for() {
    let matches = (0..256).map(|at| json!({"uri": {"exact": format!("/{at}")}}));
    let matches: Vec<Value> = matches.collect();
    let child = json!([{"match": matches, "directResponse": {"status": 201}}]);
    let root = |count: usize| {
        let matches = (0..count).map(|at| json!({"headers": {format!("h{at}"): {}}}));
        let matches: Vec<Value> = matches.collect();
        let rule = json!({"match": matches, "delegate": {"name": "child"}});
        delegating(
            json!([rule.clone(), rule]),
            &[("shop", "child", child.clone())],
        )
    };
    let most = root(128);
    assert_eq!(fields(&most), [""; 0]);
    let conditions: Vec<usize> = most
        .rules
        .rules()
        .iter()
        .map(|rule| rule.matches.len())
        .collect();
    assert_eq!(conditions, [128 * 256; 2]);
    let more = root(129);
    assert_eq!(fields(&more), ["spec.http[1].delegate"]);
    let [_, last] = more.rules.rules() else {
        panic!("two rules");
    };
    let Action::Respond(response) = &last.action else {
        panic!("{:?}", last.action);
    };
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(last.matches.len(), 129);
}

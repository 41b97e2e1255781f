//! Destination rules in, settings out: by Istio's documents.

use std::time::Duration;

use mesh_core::lb::{Algorithm, RingSize};
use serde_json::{Value, json};

use super::*;
use crate::route::HashInput;
use crate::upstream::{LabelPreference, LocalityPattern, LocalityPreference, Passthrough};

fn compile(spec: Value) -> CompiledDestination {
    compile_destination_rule(&serde_json::from_value(spec).unwrap())
}

fn policy(policy: Value) -> CompiledDestination {
    compile(json!({"host": "v", "trafficPolicy": policy}))
}

fn fields(compiled: &CompiledDestination) -> Vec<&str> {
    compiled
        .problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect()
}

#[test]
fn algorithms_are_those_of_the_names() {
    let cases = [
        (json!({}), Algorithm::LeastRequest { choices: 2 }),
        (
            json!({"simple": "UNSPECIFIED"}),
            Algorithm::LeastRequest { choices: 2 },
        ),
        (
            json!({"simple": "LEAST_CONN"}),
            Algorithm::LeastRequest { choices: 2 },
        ),
        (json!({"simple": "ROUND_ROBIN"}), Algorithm::RoundRobin),
        (json!({"simple": "RANDOM"}), Algorithm::Random),
        (
            json!({"consistentHash": {"useSourceIp": true, "ringHash": {"minimumRingSize": 64}}}),
            Algorithm::RingHash(RingSize {
                min: 64,
                ..RingSize::default()
            }),
        ),
        (
            json!({"consistentHash": {"useSourceIp": true, "maglev": {}}}),
            Algorithm::Maglev(Default::default()),
        ),
    ];
    for (spec, algorithm) in cases {
        let compiled = policy(json!({"loadBalancer": spec}));
        assert_eq!(compiled.settings.balancing.algorithm, algorithm, "{spec}");
        assert_eq!(fields(&compiled), [""; 0]);
    }
    let passthrough = policy(json!({"loadBalancer": {"simple": "PASSTHROUGH"}}));
    assert_eq!(passthrough.settings.passthrough, Passthrough::Original);
}

#[test]
fn a_hash_has_one_input() {
    let input = |spec: Value| policy(json!({"loadBalancer": {"consistentHash": spec}}));
    let header = input(json!({"httpHeaderName": "X-User"}))
        .settings
        .hashing
        .inputs;
    assert_eq!(header, [HashInput::Header("x-user".parse().unwrap())]);
    let cookie = input(json!({"httpCookie": {"name": "user", "ttl": "0s"}}))
        .settings
        .hashing
        .inputs;
    let [HashInput::Cookie(cookie)] = cookie.as_slice() else {
        panic!("a cookie");
    };
    assert_eq!(cookie.lifetime, Some(Duration::ZERO));
    for spec in [
        json!({}),
        json!({"useSourceIp": true, "httpHeaderName": "a"}),
    ] {
        assert_eq!(
            fields(&input(spec)),
            ["spec.trafficPolicy.loadBalancer.consistentHash"]
        );
    }
    let size = input(json!({"useSourceIp": true, "maglev": {"tableSize": 8}}));
    assert_eq!(
        fields(&size),
        ["spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize"]
    );
}

#[test]
fn pools_and_outliers_have_istios_defaults() {
    let none = policy(json!({})).settings;
    assert_eq!(none.breaker, Default::default());
    assert_eq!(none.balancing.outlier, None);
    let set = policy(json!({
        "connectionPool": {
            "tcp": {"maxConnections": 10, "connectTimeout": "30ms", "idleTimeout": "0s"},
            "http": {"http1MaxPendingRequests": 1, "http2MaxRequests": 2, "maxRetries": 3, "maxRequestsPerConnection": 4}},
        "outlierDetection": {"consecutive5xxErrors": 7, "consecutiveGatewayErrors": 0, "interval": "5m", "baseEjectionTime": "15m",
            "maxEjectionPercent": 50, "minHealthPercent": 30, "splitExternalLocalOriginErrors": true},
        "retryBudget": {"percent": {"value": 25}, "minRetryConcurrency": 5}}));
    assert_eq!(fields(&set), [""; 0]);
    let set = set.settings;
    let breaker = &set.breaker;
    assert_eq!(
        (
            breaker.connections,
            breaker.pending,
            breaker.requests,
            breaker.retries
        ),
        (10, 1, 2, 3)
    );
    assert_eq!(breaker.budget.unwrap().allowed(100), 25);
    assert_eq!(set.connect_timeout, Some(Duration::from_millis(30)));
    assert_eq!(set.idle_timeout, Some(Duration::ZERO));
    assert_eq!(set.max_requests_per_connection, 4);
    let outlier = set.balancing.outlier.unwrap();
    assert_eq!(
        (
            outlier.consecutive_5xx,
            outlier.consecutive_gateway,
            outlier.consecutive_local
        ),
        (Some(7), None, Some(5))
    );
    assert_eq!(
        (outlier.interval, outlier.base_ejection),
        (Duration::from_secs(300), Duration::from_secs(900))
    );
    assert_eq!((outlier.max_percent, set.balancing.panic_percent), (50, 30));
}

#[test]
fn a_subset_replaces_blocks_and_a_port_replaces_all() {
    let compiled = compile(json!({"host": "v",
        "trafficPolicy": {
            "loadBalancer": {"simple": "ROUND_ROBIN"},
            "connectionPool": {"tcp": {"maxConnections": 1}},
            "portLevelSettings": [{"port": {"number": 9000}, "connectionPool": {"tcp": {"maxConnections": 2}}}]},
        "subsets": [
            {"name": "plain", "labels": {"version": "v1"}},
            {"name": "own", "trafficPolicy": {
                "loadBalancer": {"simple": "RANDOM"},
                "portLevelSettings": [{"port": {"number": 9000}, "loadBalancer": {"simple": "RANDOM"}}]}}]}));
    assert_eq!(fields(&compiled), [""; 0]);
    let of = |port: u16, subset: Option<&str>| {
        let settings = compiled.settings(port, subset);
        (settings.balancing.algorithm, settings.breaker.connections)
    };
    let default = Algorithm::default();
    let cases = [
        (80, None, (Algorithm::RoundRobin, 1)),
        (9000, None, (default, 2)),
        (80, Some("plain"), (Algorithm::RoundRobin, 1)),
        (9000, Some("plain"), (default, 2)),
        (80, Some("own"), (Algorithm::Random, 1)),
        (9000, Some("own"), (Algorithm::Random, u32::MAX)),
        (80, Some("missing"), (Algorithm::RoundRobin, 1)),
    ];
    for (port, subset, settings) in cases {
        assert_eq!(of(port, subset), settings, "{port} {subset:?}");
    }
    assert_eq!(compiled.subsets["plain"].labels["version"], "v1");
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    let cases = [
        (
            json!({"loadBalancer": {"simple": "BEST"}}),
            "loadBalancer.simple",
        ),
        (
            json!({"loadBalancer": {"simple": "RANDOM", "consistentHash": {"useSourceIp": true}}}),
            "loadBalancer",
        ),
        (
            json!({"connectionPool": {"tcp": {"connectTimeout": "x"}}}),
            "connectionPool.tcp.connectTimeout",
        ),
        (
            json!({"outlierDetection": {"maxEjectionPercent": 101}}),
            "outlierDetection.maxEjectionPercent",
        ),
        (
            json!({"outlierDetection": {"interval": "-1s"}}),
            "outlierDetection.interval",
        ),
        (
            json!({"retryBudget": {"percent": {"value": 101}}}),
            "retryBudget.percent",
        ),
    ];
    for (spec, field) in cases {
        assert_eq!(
            fields(&policy(spec)),
            [format!("spec.trafficPolicy.{field}")]
        );
    }
    let twins = compile(json!({"subsets": [{"name": "a"}, {"name": "a"}, {"name": ""}]}));
    assert_eq!(
        fields(&twins),
        ["spec.subsets[1].name", "spec.subsets[2].name"]
    );
}

/// Source: Istio's reference of `LocalityLoadBalancerSetting`, and what its validation refuses.
#[test]
fn localities_have_shares_or_an_order() {
    let of = |spec: Value, outlier: bool| {
        let mut whole = json!({"loadBalancer": {"localityLbSetting": spec}});
        if outlier {
            whole["outlierDetection"] = json!({});
        }
        policy(whole)
    };
    let field = "spec.trafficPolicy.loadBalancer.localityLbSetting";
    let at = |below: &str| format!("{field}{below}");
    let shares = json!({"distribute": [{"from": "eu/1/*", "to": {"eu/1/*": 80, "us": 20}}]});
    let LocalityPreference::Shares(entries) = of(shares, false).settings.locality else {
        panic!("shares");
    };
    let pattern = |text| LocalityPattern::parse(text).unwrap();
    assert_eq!(entries[0].from, pattern("eu/1"));
    assert_eq!(
        entries[0].to,
        [(pattern("eu/1/*"), 80), (pattern("us"), 20)]
    );
    let order = json!({"failover": [{"from": "eu", "to": "us"}], "failoverPriority": ["zone", "version=v1"]});
    let LocalityPreference::Failover(failover) = of(order.clone(), true).settings.locality else {
        panic!("an order");
    };
    assert_eq!(failover.regions, [("eu".into(), "us".into())]);
    let labels = [("zone", None), ("version", Some("v1"))].map(|(name, value)| LabelPreference {
        name: name.into(),
        value: value.map(Into::into),
    });
    assert_eq!(failover.labels, labels);
    assert_eq!(
        policy(json!({})).settings.locality,
        LocalityPreference::Unsaid
    );
    let off = of(
        json!({"enabled": false, "failover": [{"from": "eu", "to": "us"}]}),
        true,
    );
    assert_eq!(off.settings.locality, LocalityPreference::Ignored);
    let wrong = [
        ("nothing fails over", order, false, vec![at("")]),
        (
            "sum",
            json!({"distribute": [{"from": "eu", "to": {"eu": 80}}]}),
            false,
            vec![at(".distribute[0].to")],
        ),
        (
            "no place",
            json!({"distribute": [{"from": "/1", "to": {"eu": 100}}]}),
            false,
            vec![at(".distribute[0].from")],
        ),
        (
            "both",
            json!({"distribute": [{"from": "eu", "to": {"eu": 100}}], "failover": [{"from": "eu", "to": "us"}]}),
            true,
            vec![at("")],
        ),
        (
            "a zone",
            json!({"failover": [{"from": "eu/1", "to": "us"}]}),
            true,
            vec![at(".failover[0].from")],
        ),
        (
            "itself",
            json!({"failover": [{"from": "eu", "to": "eu"}]}),
            true,
            vec![at(".failover[0]")],
        ),
        (
            "a value alone",
            json!({"failoverPriority": ["=v1"]}),
            true,
            vec![at(".failoverPriority[0]")],
        ),
    ];
    for (name, spec, outlier, expected) in wrong {
        assert_eq!(fields(&of(spec, outlier)), expected, "{name}");
    }
}

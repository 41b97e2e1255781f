//! Destination rules as settings of connections.

use std::collections::BTreeMap;

use mesh_core::model::NamespacedHostname;
use mesh_hbone::proxy::{HashBy, ServiceSettings, TrafficSettings};
use mesh_l7::istio::CompiledDestination;
use mesh_l7::route::HashInput;
use mesh_l7::upstream::ClusterSettings;

/// Settings of services by namespace and host name.
pub(super) type Settings = BTreeMap<(String, String), ServiceSettings>;

/// What a destination rule says about connections. What is about requests, and subsets, which only routes of
/// requests name, are of no concern.
pub(super) fn settings(service: NamespacedHostname, rule: &CompiledDestination) -> ServiceSettings {
    let mut settings = ServiceSettings::new(service);
    settings.settings = connections(&rule.settings);
    let ports = rule.ports.iter();
    settings.ports = ports
        .map(|(port, settings)| (*port, connections(settings)))
        .collect();
    settings
}

fn connections(cluster: &ClusterSettings) -> TrafficSettings {
    let mut settings = TrafficSettings::default();
    settings.balancing = cluster.balancing.clone();
    if cluster.hashing.inputs.contains(&HashInput::SourceAddress) {
        settings.hash_by = HashBy::SourceAddress;
    }
    settings.max_connections = cluster.breaker.connections;
    settings.connect_timeout = cluster.connect_timeout;
    settings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use mesh_core::lb::{Algorithm, OutlierDetection, RingSize, SmallFleet};
    use mesh_l7::istio::{DestinationRuleSpec, compile_destination_rule};

    fn of(policy: &str) -> ServiceSettings {
        let spec = format!("{{\"host\": \"web\", \"trafficPolicy\": {policy}}}");
        let spec: DestinationRuleSpec = serde_json::from_str(&spec).unwrap();
        let rule = compile_destination_rule(&spec);
        assert!(rule.problems.is_empty(), "{:?}", rule.problems);
        settings(NamespacedHostname::new("ns", "web"), &rule)
    }

    /// Source: Istio's DestinationRule.
    #[test]
    fn what_a_rule_says_about_connections_is_taken_over() {
        let mut least = TrafficSettings::default();
        least.balancing = mesh_core::lb::Balancing::default();
        type Change = fn(&mut TrafficSettings);
        let cases: [(&str, Change); 8] = [
            ("{}", |_| {}),
            (r#"{"loadBalancer": {"simple": "ROUND_ROBIN"}}"#, |it| {
                it.balancing.algorithm = Algorithm::RoundRobin;
            }),
            (r#"{"loadBalancer": {"simple": "RANDOM"}}"#, |it| {
                it.balancing.algorithm = Algorithm::Random;
            }),
            (
                r#"{"loadBalancer": {"consistentHash": {"useSourceIp": true}}}"#,
                |it| {
                    it.balancing.algorithm = Algorithm::RingHash(RingSize::default());
                    it.hash_by = HashBy::SourceAddress;
                },
            ),
            (
                r#"{"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}}"#,
                |it| it.balancing.algorithm = Algorithm::RingHash(RingSize::default()),
            ),
            (
                r#"{"connectionPool": {"tcp": {"maxConnections": 7, "connectTimeout": "250ms"}}}"#,
                |it| {
                    it.max_connections = 7;
                    it.connect_timeout = Some(Duration::from_millis(250));
                },
            ),
            (
                r#"{"connectionPool": {"http": {"http2MaxRequests": 7}}}"#,
                |_| {},
            ),
            (r#"{"outlierDetection": {}}"#, |it| {
                it.balancing.outlier = Some(OutlierDetection::default());
            }),
        ];
        for (policy, change) in cases {
            let mut expected = least.clone();
            change(&mut expected);
            assert_eq!(of(policy).settings, expected, "{policy}");
        }
    }

    #[test]
    fn ports_with_settings_of_their_own_have_nothing_of_the_others() {
        let settings = of(r#"{
            "connectionPool": {"tcp": {"maxConnections": 7}},
            "portLevelSettings": [{"port": {"number": 81}, "loadBalancer": {"simple": "ROUND_ROBIN"}}]
        }"#);
        assert_eq!(settings.port(80).max_connections, 7);
        assert_eq!(settings.port(81).max_connections, u32::MAX);
        assert_eq!(settings.port(81).balancing.algorithm, Algorithm::RoundRobin);
        let outlier = &settings.port(80).balancing.outlier;
        assert!(
            outlier
                .as_ref()
                .is_none_or(|it| it.small_fleet == SmallFleet::Never)
        );
    }
}

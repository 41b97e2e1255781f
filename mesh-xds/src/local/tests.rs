//! Tests of parsing: values from the documented table of fields and defaults.

use mesh_core::model::{
    ApplicationProtocol, ApplicationTunnel, GatewayAddress, GatewayDestination, HealthPolicy,
    IpFamilies, LoadBalancing, LoadBalancingMode, Locality, NamespacedHostname, NetworkAddress,
    NetworkCidr, NetworkMode, PortMap, RoutingScope, ServiceSpec, TunnelProtocol, Visibility,
    WeightedWaypoint, WorkloadSpec, WorkloadStatus, WorkloadType,
};

use super::{LocalError, parse};

const FULL: &str = "
workloads:
- uid: cluster1//Pod/default/web-1
  name: web-1
  namespace: default
  trustDomain: example.org
  serviceAccount: web
  network: net1
  workloadIps: [10.0.0.2, '::ffff:10.0.0.3', '2001:db8::2']
  hostname: web-1.example.org
  workloadName: web
  workloadType: pod
  canonicalName: web
  canonicalRevision: v2
  node: node-1
  clusterId: cluster1
  protocol: HBONE
  networkMode: HostNetwork
  nativeTunnel: true
  applicationTunnel: {protocol: PROXY, port: 15088}
  waypoint: {destination: net1/10.9.0.1, hboneMtlsPort: 15008}
  networkGateway: {destination: istio-system/gateway.example.org, hboneMtlsPort: 15009}
  authorizationPolicies: [ns/selected, istio-system/strict]
  status: Unhealthy
  locality: {region: eu, zone: eu-1, subzone: a}
  capacity: 0
  services:
    default/web.example.org: {80: 8080, 443: 0}
services:
- name: web
  namespace: default
  hostname: web.example.org
  vips: [/10.1.0.1, net2/2001:db8::1]
  cidrVips: [{network: net1, cidr: 10.2.0.0/16}]
  ports: {80: 8080, 443: 0}
  endpoints:
    cluster1//Pod/default/web-1:
      workloadUid: cluster1//Pod/default/web-1
      port: {80: 8080, 443: 0}
      status: Unhealthy
  subjectAltNames: [spiffe://example.org/ns/default/sa/web]
  waypoint: {destination: /10.9.0.1, hboneMtlsPort: 15008}
  weightedWaypoints:
  - destination: {destination: default/waypoint.example.org, hboneMtlsPort: 15008}
    weight: 7
  loadBalancer: {routingPreferences: [Network, Region, Zone, Subzone, Node, Cluster],
                 mode: Failover, healthPolicy: AllowAll}
  ipFamilies: Dual
  canonical: true
  visibility: Namespace
policies: []
";

fn gateway(destination: GatewayDestination, hbone_mtls_port: u16) -> GatewayAddress {
    GatewayAddress {
        destination,
        hbone_mtls_port,
    }
}

fn full_workload() -> WorkloadSpec {
    WorkloadSpec {
        uid: "cluster1//Pod/default/web-1".into(),
        name: "web-1".into(),
        namespace: "default".into(),
        trust_domain: "example.org".into(),
        service_account: "web".into(),
        network: "net1".into(),
        ips: ["10.0.0.2", "10.0.0.3", "2001:db8::2"]
            .map(|ip| ip.parse().unwrap())
            .to_vec(),
        hostname: "web-1.example.org".into(),
        tunnel_protocol: TunnelProtocol::Hbone,
        network_mode: NetworkMode::HostNetwork,
        native_tunnel: true,
        waypoint: Some(gateway(
            GatewayDestination::Address(NetworkAddress::new("net1", [10, 9, 0, 1].into())),
            15008,
        )),
        network_gateway: Some(gateway(
            GatewayDestination::Hostname(NamespacedHostname::new(
                "istio-system",
                "gateway.example.org",
            )),
            15009,
        )),
        node: "node-1".into(),
        canonical_name: "web".into(),
        canonical_revision: "v2".into(),
        workload_type: WorkloadType::Pod,
        workload_name: "web".into(),
        authorization_policies: vec!["ns/selected".into(), "istio-system/strict".into()],
        status: WorkloadStatus::Unhealthy,
        cluster_id: "cluster1".into(),
        services: vec![(
            NamespacedHostname::new("default", "web.example.org"),
            PortMap::from_iter([(80, 8080), (443, 0)]),
        )],
        application_tunnel: Some(ApplicationTunnel {
            protocol: ApplicationProtocol::Proxy,
            port: 15088.try_into().ok(),
        }),
        locality: Locality {
            region: "eu".into(),
            zone: "eu-1".into(),
            subzone: "a".into(),
        },
        capacity: 0,
    }
}

fn full_service() -> ServiceSpec {
    ServiceSpec {
        name: "web".into(),
        namespace: "default".into(),
        hostname: "web.example.org".into(),
        vips: vec![
            NetworkAddress::new("", [10, 1, 0, 1].into()),
            NetworkAddress::new("net2", "2001:db8::1".parse().unwrap()),
        ],
        cidr_vips: vec![NetworkCidr {
            network: "net1".into(),
            cidr: "10.2.0.0/16".parse().unwrap(),
        }],
        ports: PortMap::from_iter([(80, 8080), (443, 0)]),
        subject_alt_names: vec!["spiffe://example.org/ns/default/sa/web".parse().unwrap()],
        waypoint: Some(gateway(
            GatewayDestination::Address(NetworkAddress::new("", [10, 9, 0, 1].into())),
            15008,
        )),
        weighted_waypoints: vec![WeightedWaypoint {
            waypoint: gateway(
                GatewayDestination::Hostname(NamespacedHostname::new(
                    "default",
                    "waypoint.example.org",
                )),
                15008,
            ),
            weight: 7,
        }],
        load_balancing: Some(LoadBalancing {
            routing_preferences: vec![
                RoutingScope::Network,
                RoutingScope::Region,
                RoutingScope::Zone,
                RoutingScope::Subzone,
                RoutingScope::Node,
                RoutingScope::Cluster,
            ],
            mode: LoadBalancingMode::Failover,
            health_policy: HealthPolicy::AllowAll,
        }),
        ip_families: IpFamilies::Dual,
        canonical: true,
        visibility: Visibility::Namespace,
    }
}

#[test]
fn every_documented_field_is_read() {
    let config = parse(FULL, "mesh.yaml").unwrap();
    assert_eq!(config.workloads, [full_workload()]);
    assert_eq!(config.services, [full_service()]);
}

#[test]
fn absent_fields_have_the_documented_defaults() {
    let config = parse(
        "{workloads: [{name: a, namespace: ns, workloadIps: [10.0.0.1], services: {},
            trustDomain: '', serviceAccount: ''}],
          services: [{name: s, namespace: ns, hostname: s.ns, vips: [], ports: {}}]}",
        "mesh.yaml",
    )
    .unwrap();
    let workload = WorkloadSpec {
        uid: "Kubernetes//Pod/ns/a".into(),
        name: "a".into(),
        namespace: "ns".into(),
        trust_domain: "cluster.local".into(),
        service_account: "default".into(),
        ips: vec![[10, 0, 0, 1].into()],
        ..WorkloadSpec::default()
    };
    let service = ServiceSpec {
        name: "s".into(),
        namespace: "ns".into(),
        hostname: "s.ns".into(),
        ..ServiceSpec::default()
    };
    assert_eq!(config.workloads, [workload]);
    assert_eq!(config.services, [service]);
    assert_eq!(
        parse("{}", "mesh.yaml").unwrap(),
        super::LocalConfig::default()
    );
}

#[test]
fn an_endpoint_of_a_service_is_kept_by_its_workload() {
    let config = parse(
        "workloads: [{uid: w, namespace: ns, workloadIps: [], services: {}}]\n\
         services:\n\
         - {name: s, namespace: ns, hostname: s.ns, vips: [], ports: {80: 0},\n   \
            endpoints: {w: {workloadUid: w, port: {80: 8080}}}}\n",
        "mesh.yaml",
    )
    .unwrap();
    assert_eq!(
        config.workloads[0].services,
        [(
            NamespacedHostname::new("ns", "s.ns"),
            PortMap::from_iter([(80, 8080)])
        )]
    );
}

/// A workload entry with one more line; that line is line 6.
fn workload_with(line: &str) -> String {
    format!(
        "workloads:\n- name: a\n  namespace: ns\n  workloadIps: [10.0.0.1]\n  services: {{}}\n{line}\n"
    )
}

/// A service entry with one more line; that line is line 7.
fn service_with(line: &str) -> String {
    format!(
        "services:\n- name: s\n  namespace: ns\n  hostname: s.ns\n  vips: []\n  ports: {{}}\n{line}\n"
    )
}

struct Mistake {
    name: &'static str,
    text: String,
    line: u64,
    field: &'static str,
    says: &'static str,
}

fn mistake(
    name: &'static str,
    text: impl Into<String>,
    line: u64,
    field: &'static str,
    says: &'static str,
) -> Mistake {
    Mistake {
        name,
        text: text.into(),
        line,
        field,
        says,
    }
}

fn mistakes() -> Vec<Mistake> {
    vec![
        mistake("not YAML", "workloads: [\n", 1, "workloads", "unclosed"),
        mistake("a list", "- a\n", 1, "", "expected mapping"),
        mistake(
            "unknown top level field",
            "workload: []\n",
            1,
            "workload",
            "unknown field",
        ),
        mistake("two documents", "{}\n---\n{}\n", 2, "", ""),
        mistake(
            "unknown workload field",
            workload_with("  protocal: HBONE"),
            6,
            "workloads[0].protocal",
            "unknown field `protocal`, expected one of",
        ),
        mistake(
            "missing field",
            "workloads:\n- name: a\n  namespace: ns\n  services: {}\n",
            // Where the entry ends without it.
            4,
            "workloads[0]",
            "missing field `workloadIps`",
        ),
        mistake(
            "bad IP address",
            "workloads:\n- workloadIps:\n  - 10.0.0.1\n  - 10.0.0\n",
            4,
            "workloads[0].workloadIps[1]",
            "expected an IP address, got `10.0.0`",
        ),
        mistake(
            "bad protocol",
            workload_with("  protocol: UDP"),
            6,
            "workloads[0].protocol",
            "expected one of TCP, HBONE",
        ),
        mistake(
            "bad trust domain",
            workload_with("  trustDomain: Exa mple"),
            6,
            "workloads[0].trustDomain",
            "expected a trust domain",
        ),
        mistake(
            "unusable service account",
            workload_with("  serviceAccount: a/b"),
            2,
            "workloads[0].serviceAccount",
            "no usable identity",
        ),
        mistake(
            "empty namespace",
            "workloads:\n- {name: a, namespace: '', workloadIps: [], services: {}}\n",
            2,
            "workloads[0].namespace",
            "no usable identity",
        ),
        mistake(
            "nothing to make a uid from",
            "workloads:\n- {namespace: ns, workloadIps: [], services: {}}\n",
            2,
            "workloads[0].uid",
            "expected a uid, a name or an IP address",
        ),
        mistake(
            "incomplete locality",
            workload_with("  locality: {region: eu}"),
            6,
            "workloads[0].locality",
            "missing field `zone`",
        ),
        mistake(
            "negative capacity",
            workload_with("  capacity: -1"),
            6,
            "workloads[0].capacity",
            "",
        ),
        mistake(
            "host name that is a misspelt IP address",
            workload_with("  hostname: 10.0.0.300"),
            2,
            "workloads[0].hostname",
            "expected a host name",
        ),
        mistake(
            "bad gateway",
            workload_with("  waypoint: {destination: 10.0.0.1, hboneMtlsPort: 15008}"),
            6,
            "workloads[0].waypoint.destination",
            "expected network/ip or namespace/hostname, got `10.0.0.1`",
        ),
        mistake(
            "gateway with a misspelt IP address",
            workload_with("  waypoint: {destination: net/10.0.0.300, hboneMtlsPort: 15008}"),
            6,
            "workloads[0].waypoint.destination",
            "expected network/ip or namespace/hostname",
        ),
        mistake(
            "HBONE port 0",
            workload_with("  waypoint: {destination: /10.0.0.1, hboneMtlsPort: 0}"),
            6,
            "workloads[0].waypoint.hboneMtlsPort",
            "expected a port from 1 to 65535, got `0`",
        ),
        mistake(
            "service key without namespace",
            "workloads:\n- services:\n    web.example.org: {}\n",
            3,
            "workloads[0].services.web.example.org",
            "expected namespace/hostname",
        ),
        mistake(
            "service port 0",
            "workloads:\n- services:\n    ns/web:\n      0: 80\n",
            4,
            "workloads[0].services.ns/web.0",
            "expected a port from 1 to 65535, got `0`",
        ),
        mistake(
            "target port out of range",
            "workloads:\n- services:\n    ns/web:\n      80: 65536\n",
            4,
            "workloads[0].services.ns/web.80",
            "expected a port from 0 to 65535, got `65536`",
        ),
        mistake(
            "bad VIP",
            "services:\n- vips: [10.0.0.1]\n",
            2,
            "services[0].vips[0]",
            "expected network/ip such as /10.0.0.1",
        ),
        mistake(
            "bad range",
            service_with("  cidrVips: [{network: n, cidr: 10.0.0.0/40}]"),
            7,
            "services[0].cidrVips[0].cidr",
            "expected a range of IP addresses",
        ),
        mistake(
            "bad subject alternative name",
            service_with("  subjectAltNames: [web.example.org]"),
            7,
            "services[0].subjectAltNames[0]",
            "expected a SPIFFE ID",
        ),
        mistake(
            "incomplete load balancer",
            service_with("  loadBalancer: {mode: Strict, routingPreferences: []}"),
            7,
            "services[0].loadBalancer",
            "missing field `healthPolicy`",
        ),
        mistake(
            "endpoint of an unknown workload",
            service_with("  endpoints: {w: {workloadUid: w, port: {}}}"),
            7,
            "services[0].endpoints.w",
            "expected the uid of a workload of this file",
        ),
        mistake(
            "repeated field",
            workload_with("  name: b"),
            6,
            "workloads[0]",
            "duplicate",
        ),
    ]
}

#[test]
fn each_mistake_is_named_with_line_and_field() {
    let mut wrong = Vec::new();
    for Mistake {
        name,
        text,
        line,
        field,
        says,
    } in mistakes()
    {
        let error = parse(&text, "mesh.yaml").expect_err(name);
        let place = error.place().expect(name);
        let right = (place.line, place.field.as_str()) == (line, field)
            && error.to_string().contains(says)
            && error.to_string().starts_with("mesh.yaml:");
        if !right {
            wrong.push(format!("{name}: {error}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn repeated_keys_name_both_places() {
    let same_uid = "workloads:\n- {uid: w, namespace: ns, workloadIps: [], services: {}}\n\
                    - {uid: w, namespace: ns, workloadIps: [], services: {}}\n";
    let same_service = "services:\n- {name: a, namespace: ns, hostname: s.ns, vips: [], ports: {}}\n\
                        - {name: b, namespace: ns, hostname: s.ns, vips: [], ports: {}}\n";
    for (text, says) in [
        (
            same_uid,
            "mesh.yaml:3:3: workloads[1].uid: w is already used at line 2",
        ),
        (
            same_service,
            "mesh.yaml:3:3: services[1].hostname: ns/s.ns is already used at line 2",
        ),
    ] {
        let error = parse(text, "mesh.yaml").unwrap_err();
        assert!(matches!(error, LocalError::Duplicate { .. }));
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_file_without_content_is_refused() {
    for text in ["", "\n", "# comment\n", "---\n", "~\n"] {
        let error = parse(text, "mesh.yaml").unwrap_err();
        assert!(
            matches!(error, LocalError::Empty { .. }),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn a_large_file_is_within_the_budget() {
    use std::fmt::Write as _;
    let mut text = "workloads:\n".to_owned();
    for i in 0..20_000 {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + i);
        writeln!(
            text,
            "- {{name: w-{i}, namespace: ns, protocol: HBONE, workloadIps: [{ip}], \
             services: {{ns/s.ns.svc.cluster.local: {{80: 8080}}}}}}"
        )
        .unwrap();
    }
    assert_eq!(parse(&text, "mesh.yaml").unwrap().workloads.len(), 20_000);
}

mod policies;

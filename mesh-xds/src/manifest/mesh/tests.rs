//! Tests of what objects mean, from the documents of Kubernetes and Istio, and from what Istio's
//! control plane sends for them.

use mesh_core::model::{
    ApplicationProtocol, GatewayDestination, HealthPolicy, IpFamilies, LoadBalancingMode,
    NetworkMode, PortMap, RoutingScope, ServiceSpec, TunnelProtocol, Visibility, WorkloadSpec,
    WorkloadStatus, WorkloadType,
};
use mesh_core::resolve::{Hop, HopAddress, OutboundRequest, ResolveConfig, outbound};
use mesh_core::store::MeshStore;

use super::{Mesh, MeshOptions, build};
use crate::manifest::Catalog;

fn mesh(text: &str) -> Mesh {
    let mut catalog = Catalog::new();
    catalog.set_file("mesh.yaml", text);
    catalog.settle();
    assert!(
        catalog.file_problems().is_empty(),
        "{:?}",
        catalog.file_problems()
    );
    for status in catalog.statuses() {
        assert!(status.rejection().is_none(), "{status:?}");
        assert!(status.notes.is_empty(), "{status:?}");
    }
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    build(&catalog.inventory(), &options, &|_, _| Vec::new())
}

fn clean(text: &str) -> Mesh {
    let mesh = mesh(text);
    assert!(mesh.notes.is_empty(), "{:?}", mesh.notes);
    mesh
}

fn workload<'m>(mesh: &'m Mesh, uid: &str) -> &'m WorkloadSpec {
    mesh.workloads
        .get(uid)
        .unwrap_or_else(|| panic!("no {uid} in {:?}", mesh.workloads.keys()))
}

fn service<'m>(mesh: &'m Mesh, key: &str) -> &'m ServiceSpec {
    mesh.services
        .get(key)
        .unwrap_or_else(|| panic!("no {key} in {:?}", mesh.services.keys()))
}

fn notes(mesh: &Mesh) -> Vec<String> {
    mesh.notes
        .iter()
        .map(|(_, note)| note.to_string())
        .collect()
}

fn waypoint_of(service: &ServiceSpec) -> Option<String> {
    let waypoint = service.waypoint.as_ref()?;
    Some(match &waypoint.destination {
        GatewayDestination::Hostname(name) => format!("{name}:{}", waypoint.hbone_mtls_port),
        GatewayDestination::Address(address) => format!("{address}:{}", waypoint.hbone_mtls_port),
        other => panic!("{other:?}"),
    })
}

/// As `kubectl get pods -o yaml` prints it, with much left out that is not read.
const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  annotations:
    ambient.istio.io/redirection: enabled
  creationTimestamp: \"2026-01-31T12:00:00Z\"
  generateName: web-7d4b9c6f5-
  labels:
    app: web
    pod-template-hash: 7d4b9c6f5
    version: v2
  name: web-7d4b9c6f5-x2x9k
  namespace: shop
  ownerReferences:
  - apiVersion: apps/v1
    blockOwnerDeletion: true
    controller: true
    kind: ReplicaSet
    name: web-7d4b9c6f5
    uid: 0b5f
  resourceVersion: \"1234\"
  uid: 5a6b
spec:
  containers:
  - image: web:2
    name: web
    ports:
    - containerPort: 8080
      name: http
      protocol: TCP
    - {containerPort: 9000, name: metrics, protocol: UDP}
  nodeName: node-1
  serviceAccount: web
  serviceAccountName: web
  tolerations: []
status:
  conditions:
  - lastProbeTime: null
    status: \"True\"
    type: Ready
  phase: Running
  podIP: 10.0.0.1
  podIPs:
  - ip: 10.0.0.1
  - ip: fd00::1
---
apiVersion: v1
kind: Node
metadata:
  name: node-1
  labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.1
  clusterIPs: [10.96.0.1, 'fd01::1']
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  ports:
  - {name: http, port: 80, protocol: TCP, targetPort: http}
  - {name: admin, port: 81, protocol: TCP, targetPort: 8081}
  - {name: same, port: 82}
  - {name: none, port: 83, targetPort: metrics}
  - {name: dns, port: 53, protocol: UDP}
  selector: {app: web}
  sessionAffinity: None
  type: LoadBalancer
status:
  loadBalancer:
    ingress: [{ip: 192.0.2.1, ipMode: VIP}, {ip: 192.0.2.2, ipMode: Proxy}]
";

const UID: &str = "Kubernetes//Pod/shop/web-7d4b9c6f5-x2x9k";

#[test]
fn a_pod_is_the_workload_that_the_control_plane_makes_of_it() {
    let mesh = clean(POD);
    let web = workload(&mesh, UID);
    let key = ("shop", "web.shop.svc.cluster.local");
    let expected = WorkloadSpec {
        uid: UID.into(),
        name: "web-7d4b9c6f5-x2x9k".into(),
        namespace: "shop".into(),
        trust_domain: "cluster.local".into(),
        service_account: "web".into(),
        ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        tunnel_protocol: TunnelProtocol::Hbone,
        node: "node-1".into(),
        canonical_name: "web".into(),
        canonical_revision: "v2".into(),
        workload_type: WorkloadType::Deployment,
        workload_name: "web".into(),
        cluster_id: "Kubernetes".into(),
        locality: mesh_core::model::Locality {
            region: "eu".into(),
            zone: "eu-1".into(),
            subzone: "".into(),
        },
        services: vec![(
            mesh_core::model::NamespacedHostname::new(key.0, key.1),
            // The port whose name no container has for TCP is left out.
            PortMap::from_iter([(80, 8080), (81, 8081), (82, 82)]),
        )],
        ..WorkloadSpec::default()
    };
    assert_eq!(*web, expected);
}

#[test]
fn a_service_has_the_ports_and_addresses_that_clients_use() {
    let mesh = clean(POD);
    let web = service(&mesh, "shop/web.shop.svc.cluster.local");
    let vips: Vec<_> = web.vips.iter().map(|vip| vip.to_string()).collect();
    assert_eq!(vips, ["/10.96.0.1", "/fd01::1", "/192.0.2.1"]);
    assert_eq!(
        web.ports,
        PortMap::from_iter([(80, 0), (81, 8081), (82, 82), (83, 0)])
    );
    assert_eq!(web.ip_families, IpFamilies::Dual);
    assert!(web.canonical);
    assert_eq!(web.load_balancing, None);
    assert_eq!(web.visibility, Visibility::Public);
}

/// A pod with these lines of metadata, spec and status.
fn pod(metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, {metadata}}}\nspec: {{{spec}}}\n\
         status: {{podIP: 10.0.0.1, {status}}}\n---\n"
    )
}

const A: &str = "Kubernetes//Pod/default/a";

#[test]
fn pods_that_cannot_be_reached_are_no_workloads() {
    let cases = [
        ("it has ended", pod("", "", "phase: Succeeded")),
        ("it has failed", pod("", "", "phase: Failed")),
        (
            "it has no address",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {phase: Pending}\n".to_owned(),
        ),
    ];
    for (name, text) in cases {
        assert!(clean(&text).workloads.is_empty(), "{name}");
    }
    let wrong = mesh(&pod("", "", "podIPs: [{ip: 10.0.0.300}]"));
    assert!(wrong.workloads.is_empty());
    assert_eq!(
        notes(&wrong),
        ["mesh.yaml:5:35: status.podIPs: expected an IP address, got `10.0.0.300`"]
    );
}

/// Kubernetes, `PodCondition`: ready means the condition `Ready` is `True`.
#[test]
fn readiness_is_that_of_the_pod() {
    let ready = "phase: Running, conditions: [{type: Ready, status: 'True'}]";
    let not = "phase: Running, conditions: [{type: Ready, status: 'False'}]";
    let cases = [
        ("ready", "uid: x", ready, true),
        ("not ready", "uid: x", not, false),
        (
            "pending, with an address",
            "uid: x",
            "phase: Pending",
            false,
        ),
        (
            "seen by a server, without a condition",
            "uid: x",
            "phase: Running",
            false,
        ),
        (
            "being deleted",
            "uid: x, deletionTimestamp: '2026-01-31T12:00:00Z'",
            ready,
            false,
        ),
        ("written by hand", "", "", true),
        ("written by hand as pending", "", "phase: Pending", false),
    ];
    for (name, metadata, status, ready) in cases {
        let mesh = clean(&pod(metadata, "", status));
        let healthy = workload(&mesh, A).status == WorkloadStatus::Healthy;
        assert_eq!(healthy, ready, "{name}");
    }
}

#[test]
fn hbone_is_spoken_by_pods_that_are_redirected() {
    let annotated = "annotations: {ambient.istio.io/redirection: enabled}";
    let ambient = "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, \
                   labels: {istio.io/dataplane-mode: ambient}}\n---\n";
    let cases = [
        ("annotated", "", format!("uid: x, {annotated}"), "", true),
        (
            "annotated otherwise",
            "",
            "annotations: {ambient.istio.io/redirection: disabled}".to_owned(),
            "",
            false,
        ),
        ("plain", "", "uid: x".to_owned(), "", false),
        (
            "not annotated, in an ambient namespace",
            ambient,
            "uid: x".to_owned(),
            "",
            false,
        ),
        (
            "by hand, in an ambient namespace",
            ambient,
            String::new(),
            "",
            true,
        ),
        (
            "by hand, by its own label",
            "",
            "labels: {istio.io/dataplane-mode: ambient}".to_owned(),
            "",
            true,
        ),
        (
            "by hand, opted out",
            ambient,
            "labels: {istio.io/dataplane-mode: none}".to_owned(),
            "",
            false,
        ),
        (
            "by hand, on the host's network",
            ambient,
            String::new(),
            "hostNetwork: true",
            false,
        ),
        (
            "by hand, with a sidecar",
            ambient,
            "annotations: {sidecar.istio.io/status: x}".to_owned(),
            "",
            false,
        ),
        (
            "speaks it itself",
            "",
            "uid: x, labels: {networking.istio.io/tunnel: http}".to_owned(),
            "",
            true,
        ),
    ];
    for (name, before, metadata, spec, hbone) in cases {
        let mesh = clean(&format!("{before}{}", pod(&metadata, spec, "")));
        let found = workload(&mesh, A);
        assert_eq!(
            found.tunnel_protocol == TunnelProtocol::Hbone,
            hbone,
            "{name}"
        );
        assert_eq!(found.native_tunnel, name == "speaks it itself", "{name}");
        let host = found.network_mode == NetworkMode::HostNetwork;
        assert_eq!(host, spec.contains("hostNetwork"), "{name}");
    }
}

#[test]
fn names_for_telemetry_come_from_labels_and_owners() {
    let owner = |kind: &str, name: &str| {
        format!("ownerReferences: [{{kind: {kind}, name: {name}, controller: true}}]")
    };
    let deployment = owner("ReplicaSet", "web-abc") + ", labels: {pod-template-hash: abc}";
    let cases = [
        (deployment, "web", WorkloadType::Deployment, "web", "latest"),
        (owner("ReplicaSet", "web-abc"), "web-abc", WorkloadType::Pod, "web-abc", "latest"),
        (owner("Job", "sum-29000000"), "sum", WorkloadType::CronJob, "sum", "latest"),
        (owner("Job", "sum"), "sum", WorkloadType::Job, "sum", "latest"),
        (owner("StatefulSet", "db"), "db", WorkloadType::Pod, "db", "latest"),
        (String::new(), "a", WorkloadType::Pod, "a", "latest"),
        (
            "labels: {app: x, app.kubernetes.io/name: shop, app.kubernetes.io/version: v1, version: v2}"
                .to_owned(),
            "a",
            WorkloadType::Pod,
            "shop",
            "v1",
        ),
        (
            "labels: {service.istio.io/canonical-name: z, app: x, \
             service.istio.io/canonical-revision: v3}"
                .to_owned(),
            "a",
            WorkloadType::Pod,
            "z",
            "v3",
        ),
    ];
    for (metadata, name, kind, canonical, revision) in cases {
        let mesh = clean(&pod(&metadata, "", ""));
        let found = workload(&mesh, A);
        let names = (
            &*found.workload_name,
            &*found.canonical_name,
            &*found.canonical_revision,
        );
        assert_eq!(names, (name, canonical, revision), "{metadata}");
        assert_eq!(found.workload_type, kind, "{metadata}");
    }
}

fn spec_of(spec: &str) -> ServiceSpec {
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec: {{{spec}}}\n");
    service(&clean(&text), "default/s.default.svc.cluster.local").clone()
}

/// node-proxy.md 2.12: what the control plane makes of the fields of a service.
#[test]
fn traffic_policies_become_routing_preferences() {
    use RoutingScope::{Network, Node, Region, Subzone, Zone};
    let balancing = |spec: &str| {
        let balancing = spec_of(spec).load_balancing?;
        Some((
            balancing.mode,
            balancing.routing_preferences,
            balancing.health_policy,
        ))
    };
    let healthy = HealthPolicy::OnlyHealthy;
    let close = Some((
        LoadBalancingMode::Failover,
        vec![Network, Region, Zone],
        healthy,
    ));
    let node = vec![Network, Region, Zone, Subzone, Node];
    let cases = [
        ("internalTrafficPolicy: Cluster", None),
        (
            "internalTrafficPolicy: Local",
            Some((LoadBalancingMode::Strict, vec![Node], healthy)),
        ),
        ("trafficDistribution: PreferClose", close.clone()),
        ("trafficDistribution: PreferSameZone", close),
        (
            "trafficDistribution: PreferSameNode",
            Some((LoadBalancingMode::Failover, node, healthy)),
        ),
        (
            "publishNotReadyAddresses: true",
            Some((LoadBalancingMode::Standard, vec![], HealthPolicy::AllowAll)),
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(balancing(spec), expected, "{spec}");
    }
}

#[test]
fn headless_services_have_endpoints_and_no_address() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n\
                spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 80}], selector: {app: a}}\n---\n";
    let mesh = clean(&format!("{text}{}", pod("labels: {app: a}", "", "")));
    assert!(
        service(&mesh, "default/s.default.svc.cluster.local")
            .vips
            .is_empty()
    );
    assert_eq!(workload(&mesh, A).services.len(), 1);
    // An empty selector selects nothing, and an external name is no service.
    let mesh = clean(&format!(
        "{}{}",
        text.replace("{app: a}", "{}"),
        pod("labels: {app: a}", "", "")
    ));
    assert!(workload(&mesh, A).services.is_empty());
    let external = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n\
                    spec: {type: ExternalName, externalName: example.org}\n";
    assert!(clean(external).services.is_empty());
}

#[test]
fn slices_are_for_services_without_a_selector() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}, {name: other, port: 1}]
endpoints:
- addresses: [192.0.2.10]
  conditions: {ready: true, serving: true}
  zone: eu-2
- addresses: [192.0.2.11]
  conditions: {ready: false}
- addresses: [10.0.0.1]
  targetRef: {kind: Pod, name: a, namespace: default}
---
";
    let mesh = clean(&format!("{text}{}", pod("", "", "")));
    let first = workload(
        &mesh,
        "Kubernetes/discovery.k8s.io/EndpointSlice/default/s-1/192.0.2.10",
    );
    assert_eq!(first.services[0].1, PortMap::from_iter([(80, 8080)]));
    assert_eq!(first.network_mode, NetworkMode::HostNetwork);
    assert_eq!(&*first.locality.zone, "eu-2");
    let second = workload(
        &mesh,
        "Kubernetes/discovery.k8s.io/EndpointSlice/default/s-1/192.0.2.11",
    );
    assert_eq!(second.status, WorkloadStatus::Unhealthy);
    assert_eq!(mesh.workloads.len(), 3, "the pod is its own workload");
    assert_eq!(workload(&mesh, A).services.len(), 1);
}

const WAYPOINT: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: FOR}}
spec:
  gatewayClassName: istio-waypoint
  listeners:
  - {name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: FROM}}}
---
apiVersion: v1
kind: Service
metadata: {name: waypoint, namespace: shop, labels: {gateway.istio.io/managed: istio.io-mesh-controller}}
spec: {clusterIP: 10.96.0.7, ports: [{port: 15008}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: waypoint}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: shop}}
---
";

fn with_waypoint(waypoint_for: &str, from: &str, rest: &str) -> Mesh {
    let text = WAYPOINT.replace("FOR", waypoint_for).replace("FROM", from);
    mesh(&format!("{text}{rest}"))
}

fn labelled(namespace: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: {namespace}, labels: {{{labels}}}}}\n\
         spec: {{ports: [{{port: 80}}]}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: {namespace}, labels: {{{labels}}}}}\n\
         status: {{podIP: 10.0.0.1}}\n"
    )
}

/// Istio, "Configure waypoint proxies": labels of the namespace, service or pod; the traffic that a waypoint is
/// for; the namespaces that it allows.
#[test]
fn waypoints_are_attached_by_labels() {
    let here = Some("shop/waypoint.shop.svc.cluster.local:15008");
    // Waypoint for, from, namespace, labels; waypoint of the service and of the pod, and a note.
    let cases = [
        (
            "by the namespace",
            "service",
            "Same",
            "shop",
            "",
            here,
            None,
            false,
        ),
        (
            "for pods as well",
            "all",
            "Same",
            "shop",
            "",
            here,
            here,
            false,
        ),
        (
            "for pods only",
            "workload",
            "Same",
            "shop",
            "",
            None,
            here,
            false,
        ),
        ("for nothing", "none", "Same", "shop", "", None, None, false),
        (
            "opted out",
            "all",
            "Same",
            "shop",
            "istio.io/use-waypoint: none",
            None,
            None,
            false,
        ),
        (
            "from another namespace",
            "service",
            "All",
            "other",
            "",
            here,
            None,
            false,
        ),
        (
            "not allowed",
            "service",
            "Same",
            "other",
            "",
            here,
            None,
            true,
        ),
        (
            "by its own labels",
            "service",
            "All",
            "third",
            "istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: shop",
            here,
            None,
            false,
        ),
        ("nobody asks", "all", "All", "third", "", None, None, false),
        (
            "there is none of this name",
            "service",
            "Same",
            "shop",
            "istio.io/use-waypoint: nope",
            Some("shop/nope.shop.svc.cluster.local:15008"),
            None,
            true,
        ),
    ];
    for (name, traffic, from, namespace, labels, of_service, of_pod, noted) in cases {
        let mesh = with_waypoint(traffic, from, &labelled(namespace, labels));
        let key = format!("{namespace}/s.{namespace}.svc.cluster.local");
        assert_eq!(
            waypoint_of(service(&mesh, &key)).as_deref(),
            of_service,
            "{name}"
        );
        let pod = workload(&mesh, &format!("Kubernetes//Pod/{namespace}/a"));
        assert_eq!(pod.waypoint.is_some(), of_pod.is_some(), "{name}");
        assert_eq!(!mesh.notes.is_empty(), noted, "{name}: {:?}", mesh.notes);
        let own = service(&mesh, "shop/waypoint.shop.svc.cluster.local");
        assert_eq!(
            own.waypoint, None,
            "a waypoint is not reached through itself"
        );
    }
}

/// Where a node proxy sends connections of `client`: the reason, the hop and what is asked for there.
fn way(mesh: &Mesh, to: &str) -> String {
    let store = MeshStore::new();
    let workloads = mesh.workloads.values().cloned().collect();
    store.replace_all(workloads, mesh.services.values().cloned().collect());
    let snapshot = store.snapshot();
    let source = snapshot.workload("Kubernetes//Pod/clients/client").unwrap();
    let request = OutboundRequest::new(source.ips()[0], to.parse().unwrap());
    let config = ResolveConfig::new();
    let route = outbound(&snapshot, &config, source, &request, &mut || 0);
    match route {
        Err(error) => format!("error: {error}"),
        Ok(route) => {
            let hop = match &route.hop {
                Hop::Hbone { to, authority, .. } => {
                    let HopAddress::Ip(to) = to else {
                        panic!("{to:?}")
                    };
                    format!("{to} for {}", authority.at(to.ip()))
                }
                Hop::Tcp { to } => format!("{to:?}"),
                other => format!("{other:?}"),
            };
            format!("{:?} {hop}", route.reason)
        }
    }
}

/// Source: Istio, "Configure waypoint proxies": traffic for workloads goes through the waypoint of workloads, traffic
/// for services through that of services, and neither through the other's.
#[test]
fn node_proxies_send_connections_to_workloads_through_their_waypoint() {
    let objects = "
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: clients}
spec: {serviceAccountName: client}
status: {podIP: 10.0.0.8}
---
apiVersion: v1
kind: Pod
metadata: {name: waypoint-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: waypoint, gateway.istio.io/managed: istio.io-mesh-controller}}
spec: {serviceAccountName: waypoint}
status: {podIP: 10.0.0.9}
---
apiVersion: v1
kind: Service
metadata: {name: waypoint, namespace: shop, labels: {gateway.istio.io/managed: istio.io-mesh-controller}}
spec: {clusterIP: 10.96.0.7, selector: {gateway.networking.k8s.io/gateway-name: waypoint}, ports: [{port: 15008}]}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop, labels: {app: a}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {serviceAccountName: a}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop, labels: {istio.io/use-waypoint: none}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {serviceAccountName: b}
status: {podIP: 10.0.0.2}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop, annotations: {ambient.istio.io/redirection: enabled}}
spec: {address: 10.0.0.3, serviceAccount: vm}
";
    let through = |kind: &str, to: &str| format!("{kind} 10.0.0.9:15008 for {to}");
    let direct = |to: &str| format!("Workload {} for {to}", to.replace("8080", "15008"));
    let service = |to: &str| through("ServiceWaypoint", to);
    let workload = |to: &str| through("WorkloadWaypoint", to);
    let endpoint = "ServiceEndpoint 10.0.0.1:15008 for 10.0.0.1:8080".to_owned();
    let (vip, a, b, vm) = (
        "10.96.0.1:80",
        "10.0.0.1:8080",
        "10.0.0.2:8080",
        "10.0.0.3:8080",
    );
    let cases = [
        ("service", vip, service(vip)),
        ("service", a, direct(a)),
        ("service", vm, direct(vm)),
        ("workload", vip, endpoint.clone()),
        ("workload", a, workload(a)),
        ("workload", b, direct(b)),
        ("workload", vm, workload(vm)),
        ("all", vip, service(vip)),
        ("all", a, workload(a)),
        ("all", b, direct(b)),
        ("none", vip, endpoint),
        ("none", a, direct(a)),
    ];
    for (traffic, to, expected) in cases {
        let text = WAYPOINT.replace("FOR", traffic).replace("FROM", "Same");
        let (gateway, rest) = text.split_once("---").unwrap();
        let (_, namespaces) = rest.split_once("---").unwrap();
        let mesh = mesh(&format!("{gateway}---{namespaces}{objects}"));
        assert_eq!(way(&mesh, to), expected, "waypoint for {traffic}, {to}");
    }
}

#[test]
fn a_waypoint_is_where_its_gateway_says() {
    let status = "status: {addresses: [{type: Hostname, value: w.example.org}]}\n---\n";
    let text = WAYPOINT
        .replacen("---\n", status, 1)
        .replace("FOR", "service")
        .replace("FROM", "Same");
    let mesh = mesh(&format!("{text}{}", labelled("shop", "")));
    let found = waypoint_of(service(&mesh, "shop/s.shop.svc.cluster.local"));
    assert_eq!(found.as_deref(), Some("shop/w.example.org:15008"));
    let ip = text.replace(
        "type: Hostname, value: w.example.org",
        "type: IPAddress, value: 10.96.0.7",
    );
    let mesh = super::tests::mesh(&format!("{ip}{}", labelled("shop", "")));
    let found = waypoint_of(service(&mesh, "shop/s.shop.svc.cluster.local"));
    assert_eq!(found.as_deref(), Some("/10.96.0.7:15008"));
}

#[test]
fn instances_of_a_waypoint_have_no_waypoint_and_may_have_a_tunnel() {
    let instance = "apiVersion: v1\nkind: Pod\nmetadata: {name: w, namespace: shop, \
                    labels: {gateway.networking.k8s.io/gateway-name: waypoint}}\nstatus: {podIP: 10.0.0.9}\n";
    let mesh = with_waypoint("all", "Same", instance);
    let found = workload(&mesh, "Kubernetes//Pod/shop/w");
    assert_eq!((&found.waypoint, found.application_tunnel), (&None, None));

    let text = WAYPOINT.replace("FOR", "all").replace("FROM", "Same").replace(
        "namespace: shop, labels: {istio.io/waypoint-for",
        "namespace: shop, annotations: {ambient.istio.io/waypoint-inbound-binding: PROXY/15088}, \
         labels: {istio.io/waypoint-for",
    );
    let mesh = super::tests::mesh(&format!("{text}{instance}"));
    let tunnel = workload(&mesh, "Kubernetes//Pod/shop/w")
        .application_tunnel
        .unwrap();
    assert_eq!(tunnel.protocol, ApplicationProtocol::Proxy);
    assert_eq!(tunnel.port.map(u16::from), Some(15088));
}

/// Istio, ServiceEntry: the examples of its reference.
#[test]
fn service_entries_are_services_with_the_endpoints_that_they_name() {
    let mesh = clean(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec:
  hosts: [mymongodb.somedomain]
  addresses: [192.192.192.192/24, 10.9.9.9]
  ports: [{number: 27018, name: mongodb, protocol: MONGO}, {number: 80, name: http, targetPort: 8080}]
  location: MESH_INTERNAL
  resolution: STATIC
  subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/db', db.example.org]
  exportTo: ['.']
  endpoints:
  - {address: 2.2.2.2, ports: {mongodb: 27019}, serviceAccount: db, locality: eu/eu-1/a, weight: 3}
  - {address: 3.3.3.3, network: far}
",
    );
    let db = service(&mesh, "shop/mymongodb.somedomain");
    assert_eq!(db.cidr_vips[0].cidr.to_string(), "192.192.192.0/24");
    assert_eq!(db.vips[0].to_string(), "/10.9.9.9");
    assert_eq!(db.ports, PortMap::from_iter([(27018, 27018), (80, 8080)]));
    assert_eq!(db.subject_alt_names.len(), 1);
    assert_eq!(db.visibility, Visibility::Namespace);
    assert!(!db.canonical);
    let uid = "Kubernetes/networking.istio.io/ServiceEntry/shop/db/2.2.2.2";
    let first = workload(&mesh, uid);
    assert_eq!(
        first.services[0].1,
        PortMap::from_iter([(27018, 27019), (80, 8080)])
    );
    assert_eq!((&*first.service_account, first.capacity), ("db", 3));
    assert_eq!(&*first.locality.subzone, "a");
    let second = workload(
        &mesh,
        "Kubernetes/networking.istio.io/ServiceEntry/shop/db/3.3.3.3",
    );
    assert_eq!(
        (&*second.network, &*second.service_account),
        ("far", "default")
    );
}

#[test]
fn service_entries_of_dns_have_workloads_by_name() {
    let mesh = clean(
        "
apiVersion: networking.istio.io/v1beta1
kind: ServiceEntry
metadata: {name: ext, namespace: shop}
spec:
  hosts: [www.example.com, api.example.com]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
status:
  addresses:
  - {host: www.example.com, value: 240.240.0.1}
  - {host: api.example.com, value: 240.240.0.2}
  - {host: www.example.com, value: '2001:2::1'}
",
    );
    let www = service(&mesh, "shop/www.example.com");
    let vips: Vec<_> = www.vips.iter().map(ToString::to_string).collect();
    assert_eq!(vips, ["/240.240.0.1", "/2001:2::1"]);
    assert_eq!(mesh.workloads.len(), 2);
    let uid = "Kubernetes/networking.istio.io/ServiceEntry/shop/ext/www.example.com";
    let found = workload(&mesh, uid);
    assert_eq!((&*found.hostname, found.ips.len()), ("www.example.com", 0));
    assert_eq!(found.services.len(), 1);
    assert_eq!(&*found.services[0].0.hostname, "www.example.com");
}

#[test]
fn service_entries_without_resolution_let_connections_pass() {
    let mesh = clean(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any}
spec: {hosts: ['*.example.com'], addresses: [10.1.0.0/16], ports: [{number: 443, name: tls}], exportTo: ['*']}
",
    );
    let any = service(&mesh, "default/*.example.com");
    let balancing = any.load_balancing.clone().unwrap();
    assert_eq!(balancing.mode, LoadBalancingMode::Passthrough);
    assert_eq!(balancing.health_policy, HealthPolicy::AllowAll);
    assert!(mesh.workloads.is_empty());
}

#[test]
fn workload_entries_are_endpoints_by_their_labels() {
    let mesh = clean(
        "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: vm-1
  namespace: shop
  annotations: {ambient.istio.io/redirection: enabled}
  labels: {topology.istio.io/network: vms}
spec: {address: 192.0.2.20, labels: {app: web}, serviceAccount: vm, ports: {http: 9080, admin: 9081}}
status: {conditions: [{type: Healthy, status: 'False'}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: a, port: 80, targetPort: http}, {name: admin, port: 81}, {port: 82, name: b, targetPort: nope}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: se, namespace: shop}
spec: {hosts: [se.example.org], resolution: STATIC, workloadSelector: {labels: {app: web}}, ports: [{number: 81, name: admin}, {number: 82, name: b}]}
",
    );
    let vm = workload(
        &mesh,
        "Kubernetes/networking.istio.io/WorkloadEntry/shop/vm-1",
    );
    assert_eq!((&*vm.network, &*vm.service_account), ("vms", "vm"));
    assert_eq!(vm.tunnel_protocol, TunnelProtocol::Hbone);
    assert_eq!(vm.status, WorkloadStatus::Unhealthy);
    let ports: Vec<_> = vm
        .services
        .iter()
        .map(|(key, ports)| (key.to_string(), ports.clone()))
        .collect();
    assert_eq!(
        ports,
        [
            // Target ports of Kubernetes services have names; ports of service entries are the names.
            (
                "shop/web.shop.svc.cluster.local".to_owned(),
                PortMap::from_iter([(80, 9080), (81, 81)])
            ),
            (
                "shop/se.example.org".to_owned(),
                PortMap::from_iter([(81, 9081), (82, 82)])
            ),
        ]
    );
}

#[test]
fn the_networks_of_the_root_namespace_and_of_gateways_count() {
    let text = "
apiVersion: v1
kind: Namespace
metadata: {name: istio-system, labels: {topology.istio.io/network: net1}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: far, namespace: istio-system, labels: {topology.istio.io/network: net2}}
spec:
  gatewayClassName: istio-remote
  addresses: [{value: 192.0.2.9}]
  listeners: [{name: cross, port: 15009, protocol: HBONE}]
---
";
    let mesh = clean(&format!("{text}{}", pod("", "", "")));
    assert_eq!(&*workload(&mesh, A).network, "net1");
    assert_eq!(workload(&mesh, A).network_gateway, None);
    let far = pod("labels: {topology.istio.io/network: net2}", "", "");
    let mesh = clean(&format!("{text}{far}"));
    let gateway = workload(&mesh, A).network_gateway.clone().unwrap();
    assert_eq!(gateway.hbone_mtls_port, 15009);
    let GatewayDestination::Address(address) = gateway.destination else {
        panic!("expected an address");
    };
    assert_eq!(address.to_string(), "net2/192.0.2.9");
}

/// node-proxy.md 1.11: behind a gateway may be whoever is an endpoint there, and nobody else.
#[test]
fn services_of_several_networks_name_who_is_in_the_others() {
    let text = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: far, namespace: istio-system, labels: {topology.istio.io/network: net2}}
spec: {gatewayClassName: istio-east-west, addresses: [{value: 192.0.2.9}], listeners: [{name: cross, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: near, namespace: shop}
spec: {clusterIP: 10.96.0.2, selector: {app: near}, ports: [{port: 80, targetPort: 8080}]}
";
    let pod = |name: &str, app: &str, network: &str, account: &str, last: u8| {
        format!(
            "
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: shop, labels: {{app: {app}, topology.istio.io/network: '{network}'}}}}
spec: {{serviceAccountName: {account}}}
status: {{podIP: 10.0.0.{last}}}
"
        )
    };
    let mesh = clean(&format!(
        "{text}{}{}{}{}{}",
        pod("a-1", "a", "", "here", 1),
        pod("a-2", "a", "net2", "there", 2),
        pod("a-3", "a", "net2", "there", 3),
        pod("a-4", "a", "net3", "unreachable", 4),
        pod("near", "near", "", "near", 5),
    ));
    let names = |key: &str| -> Vec<String> {
        let names = service(&mesh, key).subject_alt_names.iter();
        names.map(ToString::to_string).collect()
    };
    let there = "spiffe://cluster.local/ns/shop/sa/there";
    assert_eq!(names("shop/s.shop.svc.cluster.local"), [there]);
    assert_eq!(names("shop/near.shop.svc.cluster.local"), [""; 0]);
}

#[test]
fn what_is_wrong_with_an_object_is_noted_at_its_place() {
    let cases = [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: nonsense}\n",
            "mesh.yaml:4:7: spec.clusterIPs: expected an IP address, got `nonsense`",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {trafficDistribution: Far}\n",
            "mesh.yaml:4:29: spec.trafficDistribution: expected PreferSameZone, PreferSameNode or \
             PreferClose, got `Far`",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s}\n\
             spec: {hosts: [1.2.3.4], ports: [{number: 80}]}\n",
            "mesh.yaml:4:16: spec.hosts[0]: expected a host name, got `1.2.3.4`",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: s}\n\
             spec: {address: 'unix:///x'}\n",
            "mesh.yaml:4:17: spec.address: expected an IP address or a host name, got `unix:///x`",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {serviceAccountName: a/b}\n\
             status: {podIP: 10.0.0.1}\n",
            "mesh.yaml:1:1: the workload would have no usable identity",
        ),
    ];
    for (text, expected) in cases {
        let notes = notes(&mesh(text));
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with(expected), "{}", notes[0]);
    }
}

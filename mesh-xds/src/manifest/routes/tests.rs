//! Which routes and settings objects come to: by the documents of the Gateway API and of Istio.

use std::sync::Arc;

use http::HeaderMap;
use mesh_l7::matching::Head;
use mesh_l7::mesh::{PortProtocol, UpstreamConfig};
use mesh_l7::route::{Action, BackendTarget, Rule};
use mesh_l7::target::ServiceTarget;

use super::*;
use crate::manifest::{Catalog, State, mesh};

/// Services `web`, `api` and `old` of `shop`, `billing` of `pay`; the waypoint `wp` of `shop`, which `web` uses.
const MESH: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {istio.io/use-waypoint: wp}}
spec: {clusterIP: 10.1.0.1, selector: {app: web}, ports: [{name: http-main, port: 80}, {name: admin, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.1.0.2, ports: [{name: grpc, port: 50051}]}
---
apiVersion: v1
kind: Service
metadata: {name: old, namespace: shop}
spec: {clusterIP: 10.1.0.3, ports: [{name: x, port: 8080, appProtocol: kubernetes.io/h2c}]}
---
apiVersion: v1
kind: Service
metadata: {name: billing, namespace: pay}
spec: {clusterIP: 10.1.0.4, ports: [{name: tcp-x, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v1}}
status: {podIP: 10.0.0.1}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
";

struct Built {
    routing: Routing,
    catalog: Catalog,
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.set_file("mesh.yaml", MESH);
    catalog
}

fn build_from(mut catalog: Catalog, proxy: &str) -> Built {
    catalog.settle();
    let inventory = catalog.inventory();
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    let mesh = mesh::build(&inventory, &options, &|_, _| Vec::new());
    let routing = build(&inventory, &mesh, &options, &RouteOptions::new(proxy));
    Built { routing, catalog }
}

fn built(objects: &str) -> Built {
    let mut catalog = catalog();
    catalog.set_file("routes.yaml", objects);
    let built = build_from(catalog, "shop");
    for status in built.catalog.statuses() {
        assert_eq!(status.state, State::Accepted, "{}", status.key);
    }
    built
}

fn at(service: &str, port: u16) -> ServiceTarget {
    let (namespace, name) = service.split_once('/').unwrap();
    ServiceTarget {
        namespace: namespace.into(),
        hostname: format!("{name}.{namespace}.svc.cluster.local").into(),
        port,
        subset: None,
    }
}

impl Built {
    /// What becomes of a request from a namespace: `namespace/name:port/subset` of each backend, with an
    /// error where there is one, or a status; `-` when no rule matches.
    fn goes(&self, service: &str, port: u16, path: &str, from: Option<&str>) -> String {
        let headers = HeaderMap::new();
        let head = Head::new("GET", "anything.example", path, &headers);
        let hosts = self.routing.table.of_client(&at(service, port), from);
        let Some(matched) = hosts.select(&head) else {
            return "-".to_owned();
        };
        match &matched.rule.action {
            Action::Respond(response) => response.status.as_u16().to_string(),
            Action::Redirect(_) => "redirect".to_owned(),
            Action::Forward(backends) => {
                let backends = backends.entries().iter();
                let texts: Vec<String> = backends.map(|backend| text(&backend.target)).collect();
                texts.join(" ")
            }
        }
    }

    fn notes(&self) -> Vec<String> {
        let notes = self.routing.notes.iter();
        notes
            .map(|(key, problem)| format!("{key}: {}: {}", problem.place.field, problem.text))
            .collect()
    }
}

fn text(target: &BackendTarget) -> String {
    match target {
        BackendTarget::Invalid(invalid) => format!("{invalid:?}"),
        BackendTarget::Service(target) => {
            let name = target.hostname.split('.').next().unwrap();
            let subset = target.subset.as_deref().unwrap_or("*");
            format!("{}/{name}:{}/{subset}", target.namespace, target.port)
        }
    }
}

fn http_route(name: &str, parents: &str, prefix: &str, backends: &str) -> String {
    format!(
        "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{parents}]
  rules: [{{matches: [{{path: {{value: {prefix}}}}}], backendRefs: [{backends}]}}]
"
    )
}

const WEB: &str = "{group: '', kind: Service, name: web}";

#[test]
fn a_route_is_for_the_ports_of_its_parents() {
    let one_port = "{group: '', kind: Service, name: web, port: 81}";
    let cases = [
        (WEB, "shop/api:50051/*", "shop/api:50051/*"),
        (one_port, "shop/web:80/*", "shop/api:50051/*"),
    ];
    for (parents, at_80, at_81) in cases {
        let built = built(&http_route("r", parents, "/", "{name: api, port: 50051}"));
        assert_eq!(built.goes("shop/web", 80, "/x", None), at_80, "{parents}");
        assert_eq!(built.goes("shop/web", 81, "/x", None), at_81, "{parents}");
        // What no route is for goes where it was going.
        let other = built.goes("shop/old", 8080, "/x", None);
        assert_eq!(other, "shop/old:8080/*", "{parents}");
        assert_eq!(built.notes(), [""; 0]);
    }
}

#[test]
fn routes_of_one_parent_are_merged_in_the_order_of_the_gateway_api() {
    let routes = http_route("a", WEB, "/", "{name: api, port: 50051}")
        + &http_route("b", WEB, "/old", "{name: old, port: 8080}");
    let built = built(&routes);
    assert_eq!(
        built.goes("shop/web", 80, "/old/x", None),
        "shop/old:8080/*"
    );
    assert_eq!(
        built.goes("shop/web", 80, "/older", None),
        "shop/api:50051/*"
    );
}

#[test]
fn a_request_that_no_rule_of_a_route_matches_has_no_route() {
    let built = built(&http_route("a", WEB, "/a", "{name: api, port: 50051}"));
    assert_eq!(built.goes("shop/web", 80, "/b", None), "-");
}

#[test]
fn a_route_for_a_service_of_another_namespace_is_for_clients_of_its_own() {
    let billing = "{group: '', kind: Service, name: billing, namespace: pay}";
    let built = built(&http_route("r", billing, "/", "{name: web, port: 80}"));
    let goes = |from| built.goes("pay/billing", 80, "/", from);
    assert_eq!(goes(Some("shop")), "shop/web:80/*");
    for other in [Some("pay"), None] {
        assert_eq!(goes(other), "pay/billing:80/*");
    }
}

#[test]
fn a_route_of_a_waypoint_is_for_the_services_that_use_it() {
    let waypoint = "{name: wp}";
    let route = http_route("r", waypoint, "/", "{name: old, port: 8080}");
    let all = built(&route);
    assert_eq!(all.goes("shop/web", 80, "/", None), "shop/old:8080/*");
    assert_eq!(all.goes("shop/api", 50051, "/", None), "shop/api:50051/*");

    let named = route.replace("  rules", "  hostnames: [other.example]\n  rules");
    assert_eq!(
        built(&named).goes("shop/web", 80, "/", None),
        "shop/web:80/*"
    );

    // What is for the service itself goes before.
    let both = route + &http_route("s", WEB, "/", "{name: api, port: 50051}");
    assert_eq!(
        built(&both).goes("shop/web", 80, "/", None),
        "shop/api:50051/*"
    );
}

#[test]
fn what_a_route_refers_to_must_be_there_and_granted() {
    let grant = "
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: pay}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service}]}
";
    let billing = "{name: billing, namespace: pay, port: 80}";
    let cases = [
        (billing, "", "NotPermitted"),
        (billing, grant, "pay/billing:80/*"),
        ("{name: none, port: 80}", "", "NotFound"),
        ("{name: web, port: 82}", "", "NotFound"),
        (
            "{name: web, port: 80}, {name: none, port: 1}",
            "",
            "shop/web:80/* NotFound",
        ),
        ("{kind: Bucket, name: web, port: 80}", "", "Kind"),
    ];
    for (backends, more, goes) in cases {
        let built = built(&(http_route("r", WEB, "/", backends) + more));
        assert_eq!(built.goes("shop/web", 80, "/", None), goes, "{backends}");
        let told = built
            .notes()
            .iter()
            .any(|note| note.contains("backendRefs"));
        assert_eq!(told, goes.contains(char::is_uppercase), "{backends}");
    }
}

#[test]
fn parents_that_are_not_there_are_told() {
    let cases = [
        (
            "{group: '', kind: Service, name: nobody}",
            "there is no service shop/nobody",
        ),
        (
            "{group: '', kind: Service, name: web, port: 99}",
            "shop/web has no port 99",
        ),
        (
            "{group: networking.istio.io, kind: ServiceEntry, name: x}",
            "there is no service entry shop/x",
        ),
        // An ingress gateway is another proxy.
        ("{name: ingress}", ""),
    ];
    for (parent, told) in cases {
        let notes = built(&http_route("r", parent, "/", "{name: web, port: 80}")).notes();
        let told = if told.is_empty() {
            Vec::new()
        } else {
            vec![format!(
                "HTTPRoute.gateway.networking.k8s.io shop/r: spec.parentRefs[0]: {told}"
            )]
        };
        assert_eq!(notes, told, "{parent}");
    }
}

#[test]
fn of_routes_for_http_and_grpc_the_older_kind_has_the_port() {
    let grpc = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec:
  parentRefs: [{group: '', kind: Service, name: web}]
  rules: [{backendRefs: [{name: api, port: 50051}]}]
";
    let built = built(&(http_route("h", WEB, "/", "{name: old, port: 8080}") + grpc));
    assert_eq!(built.goes("shop/web", 80, "/", None), "shop/api:50051/*");
    assert!(built.notes()[0].contains("older"), "{:?}", built.notes());
}

fn virtual_service(name: &str, namespace: &str, hosts: &str, destination: &str) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{hosts: {hosts}, http: [{{route: [{{destination: {destination}}}]}}]}}
"
    )
}

#[test]
fn a_virtual_service_is_for_the_services_that_its_hosts_mean() {
    let old = "{host: old}";
    let cases = [
        ("[web]", "shop", "shop/old:8080/*"),
        ("[web.shop.svc.cluster.local]", "shop", "shop/old:8080/*"),
        ("['*.shop.svc.cluster.local']", "shop", "shop/old:8080/*"),
        ("['*']", "shop", "shop/old:8080/*"),
        ("[api]", "shop", "shop/web:80/*"),
        ("[www.example.com]", "shop", "shop/web:80/*"),
        // Neither the namespace of the service nor that of its waypoint.
        ("[web.shop.svc.cluster.local]", "pay", "shop/web:80/*"),
    ];
    for (hosts, namespace, goes) in cases {
        let built = built(&virtual_service("v", namespace, hosts, old));
        assert_eq!(
            built.goes("shop/web", 80, "/", None),
            goes,
            "{hosts} in {namespace}"
        );
    }
}

#[test]
fn the_most_specific_host_counts_and_then_the_oldest_virtual_service() {
    let wide = virtual_service("a", "shop", "['*.shop.svc.cluster.local']", "{host: old}");
    let exact = virtual_service("b", "shop", "[web]", "{host: api}");
    let built_both = built(&(wide + &exact));
    assert_eq!(
        built_both.goes("shop/web", 80, "/", None),
        "shop/api:50051/*"
    );

    let twin = virtual_service("c", "shop", "[web]", "{host: old}");
    let built_twins = built(&(exact + &twin));
    assert_eq!(
        built_twins.goes("shop/web", 80, "/", None),
        "shop/api:50051/*"
    );
    assert!(
        built_twins.notes()[0].contains("older"),
        "{:?}",
        built_twins.notes()
    );
}

#[test]
fn a_destination_without_a_port_has_the_only_one_or_that_of_the_request() {
    let cases = [
        ("{host: web}", 81, "shop/web:81/*"),
        ("{host: old}", 81, "shop/old:8080/*"),
        ("{host: web, port: {number: 80}}", 81, "shop/web:80/*"),
        ("{host: web, port: {number: 82}}", 81, "NotFound"),
        (
            "{host: billing.pay.svc.cluster.local}",
            81,
            "pay/billing:80/*",
        ),
        ("{host: web, subset: v1}", 81, "Subset"),
    ];
    for (destination, port, goes) in cases {
        let built = built(&virtual_service("v", "shop", "[web]", destination));
        assert_eq!(
            built.goes("shop/web", port, "/", None),
            goes,
            "{destination}"
        );
    }
}

#[test]
fn routes_of_the_gateway_api_go_before_virtual_services() {
    let route = http_route("r", WEB, "/", "{name: api, port: 50051}");
    let both = route + &virtual_service("v", "shop", "[web]", "{host: old}");
    assert_eq!(
        built(&both).goes("shop/web", 80, "/", None),
        "shop/api:50051/*"
    );
}

fn destination_rule(name: &str, namespace: &str, host: &str, most: u32) -> String {
    format!(
        "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  host: '{host}'
  trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: {most}}}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}]
"
    )
}

#[test]
fn the_destination_rule_of_the_nearest_namespace_and_the_most_specific_host_counts() {
    let root = destination_rule("r", "istio-system", "*", 1);
    let own = destination_rule("o", "pay", "*.pay.svc.cluster.local", 2);
    let exact = destination_rule("e", "pay", "billing", 3);
    let proxy = destination_rule("p", "shop", "*.svc.cluster.local", 4);
    let hidden = proxy.replace("  host", "  exportTo: [pay]\n  host");
    let cases = [
        (vec![], u32::MAX),
        (vec![&root], 1),
        (vec![&root, &own], 2),
        (vec![&root, &own, &exact], 3),
        (vec![&root, &own, &exact, &proxy], 4),
        (vec![&own, &exact, &hidden], 3),
    ];
    for (rules, most) in cases {
        let text: String = rules.iter().map(|rule| rule.as_str()).collect();
        let settings = built(&text).routing.settings(&at("pay/billing", 80));
        assert_eq!(settings.breaker.requests, most, "{text}");
    }
}

#[test]
fn subsets_are_labels_that_endpoints_have() {
    let rules = destination_rule("d", "shop", "web", 7);
    let built = built(&(rules + &virtual_service("v", "shop", "[web]", "{host: web, subset: v1}")));
    assert_eq!(built.goes("shop/web", 80, "/", None), "shop/web:80/v1");
    let mut target = at("shop/web", 80);
    target.subset = Some("v1".into());
    let labels = built.routing.subset(&target).unwrap();
    assert_eq!(labels["version"], "v1");
    let of_pod = built.routing.labels("Kubernetes//Pod/shop/web-1").unwrap();
    assert_eq!(of_pod["version"], "v1");
    target.subset = Some("v9".into());
    assert!(built.routing.subset(&target).is_none());
}

/// Source: Istio, "Protocol selection".
#[test]
fn ports_speak_what_they_say() {
    let built = built("");
    let cases = [
        ("shop/web", 80, PortProtocol::Http1),
        ("shop/web", 81, PortProtocol::Detect),
        ("shop/api", 50051, PortProtocol::Http2),
        ("shop/old", 8080, PortProtocol::Http2),
        ("pay/billing", 80, PortProtocol::Opaque),
    ];
    for (service, port, protocol) in cases {
        let said = built.routing.protocol(&at(service, port));
        assert_eq!(said, protocol, "{service}:{port}");
    }
}

#[test]
fn a_version_with_mistakes_keeps_the_last_good_one_and_harms_no_other() {
    let good = http_route("r", WEB, "/", "{name: api, port: 50051}");
    let other = virtual_service("v", "shop", "[old]", "{host: api}");
    let cases = [
        (
            "spec.rules[0].timeouts.request",
            good.replace("backendRefs", "timeouts: {request: 1d}, backendRefs"),
        ),
        (
            "spec.rules[0].matches[0].path.value",
            good.replace("value: /", "value: x"),
        ),
        ("spec.rules", good.replace("rules: [", "rules: 7 #")),
    ];
    for (field, bad) in cases {
        let mut catalog = catalog();
        catalog.set_file("routes.yaml", &(good.clone() + &other));
        catalog.settle();
        catalog.set_file("routes.yaml", &(bad.clone() + &other));
        let built = build_from(catalog, "shop");
        assert_eq!(
            built.goes("shop/web", 80, "/", None),
            "shop/api:50051/*",
            "{field}"
        );
        assert_eq!(
            built.goes("shop/old", 8080, "/", None),
            "shop/api:50051/*",
            "{field}"
        );
        let statuses = built.catalog.statuses();
        let rejected: Vec<_> = statuses.iter().filter_map(|s| s.rejection()).collect();
        assert_eq!(rejected.len(), 1, "{field}");
        assert_eq!(rejected[0].place.field, field);
        assert_eq!(rejected[0].place.file, "routes.yaml");
        assert!(rejected[0].place.line > 1, "{field}");
        let stays = statuses.iter().any(|status| {
            matches!(
                status.state,
                State::Rejected {
                    earlier_stays: true,
                    ..
                }
            )
        });
        assert!(stays, "{field}");
    }
}

#[test]
fn without_a_good_version_rules_with_mistakes_answer_500() {
    let bad = http_route("r", WEB, "/", "{name: api, port: 50051}")
        .replace("backendRefs", "timeouts: {request: 1d}, backendRefs");
    let mut catalog = catalog();
    catalog.set_file("routes.yaml", &bad);
    let built = build_from(catalog, "shop");
    assert_eq!(built.goes("shop/web", 80, "/", None), "500");
    let statuses = built.catalog.statuses();
    let state = &statuses
        .iter()
        .find(|s| s.rejection().is_some())
        .unwrap()
        .state;
    assert!(matches!(
        state,
        State::Rejected {
            earlier_stays: false,
            ..
        }
    ));

    // The next one replaces it, with mistakes or not.
    let mut catalog = built.catalog;
    catalog.set_file("routes.yaml", &bad.replace("value: /", "value: /a"));
    let built = build_from(catalog, "shop");
    assert_eq!(built.goes("shop/web", 80, "/a", None), "500");
    assert_eq!(built.goes("shop/web", 80, "/", None), "-");
}

#[test]
fn a_destination_rule_for_some_clients_only_is_refused() {
    let rule =
        destination_rule("d", "shop", "web", 7).replace("  host", "  workloadSelector: {}\n  host");
    let mut catalog = catalog();
    catalog.set_file("routes.yaml", &rule);
    let built = build_from(catalog, "shop");
    assert_eq!(
        built.routing.settings(&at("shop/web", 80)).breaker.requests,
        u32::MAX
    );
    let statuses = built.catalog.statuses();
    let problem = statuses.iter().find_map(|s| s.rejection()).unwrap();
    assert_eq!(problem.place.field, "spec.workloadSelector");
}

/// Istio's reference of `HTTPRoute.delegate`. What is wrong is told at the object whose field it is.
#[test]
fn a_virtual_service_leaves_rules_to_others_that_are_exported_to_it() {
    let delegate = |namespace: &str, name: &str, spec: &str| {
        format!(
            "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
"
        )
    };
    let root = delegate(
        "shop",
        "root",
        "hosts: [web], http: [\
         {match: [{uri: {prefix: /a}}], delegate: {name: a}}, \
         {match: [{uri: {prefix: /b}}], delegate: {name: b, namespace: pay}}, \
         {match: [{uri: {prefix: /c}}], delegate: {name: c, namespace: pay}}, \
         {match: [{uri: {prefix: /d}}], delegate: {name: d}}, \
         {match: [{uri: {prefix: /e}}], delegate: {name: e}}, \
         {route: [{destination: {host: web}}]}]",
    );
    let answers = |host: &str| format!("http: [{{route: [{{destination: {{host: {host}}}}}]}}]");
    let of_b = "http: [{match: [{uri: {prefix: /x}}], route: [{destination: {host: billing}}]}, {route: [{destination: {host: billing}}]}]";
    let objects = root
        + &delegate("shop", "a", &answers("api"))
        + &delegate("pay", "b", of_b)
        + &delegate(
            "pay",
            "c",
            &format!("exportTo: ['.'], {}", answers("billing")),
        )
        + &delegate("shop", "d", &format!("hosts: [old], {}", answers("api")))
        + &delegate("shop", "z", &answers("missing"));
    let built = built(&objects);
    let cases = [
        ("/a", "shop/api:50051/*"),
        // The host is one of the delegate's own namespace.
        ("/b", "pay/billing:80/*"),
        ("/c", "500"),
        ("/d", "500"),
        ("/e", "500"),
        ("/f", "shop/web:80/*"),
    ];
    for (path, expected) in cases {
        assert_eq!(built.goes("shop/web", 80, path, None), expected, "{path}");
    }
    let [root, b] =
        ["shop/root", "pay/b"].map(|name| format!("VirtualService.networking.istio.io {name}"));
    let mut notes = built.notes();
    notes.retain(|note| note.contains("/root") || note.contains("pay/"));
    let expected = [
        (
            &b,
            "spec.http[0]",
            "conditions conflict with those of VirtualService shop/root[1]: left out there",
        ),
        (
            &root,
            "spec.http[1].delegate",
            "1 of its rules have conditions that conflict",
        ),
        (
            &root,
            "spec.http[2].delegate",
            "pay/c: that virtual service is not exported to this namespace",
        ),
        (
            &root,
            "spec.http[3].delegate",
            "shop/d: that virtual service has hosts, expected none in a delegate",
        ),
        (
            &root,
            "spec.http[4].delegate",
            "shop/e: there is no such virtual service",
        ),
    ];
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    for (object, field, text) in expected {
        let note = format!("{object}: {field}: {text}");
        assert!(
            notes.iter().any(|one| one.ends_with(&note)),
            "{note}: {notes:#?}"
        );
    }
}

#[test]
fn rules_that_say_what_they_said_stay_the_ones_that_they_are() {
    let route = |name: &str, service: &str, path: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
             metadata: {{name: {name}, namespace: shop}}\nspec:\n  \
             parentRefs: [{{group: \"\", kind: Service, name: {service}, port: 80}}]\n  rules:\n  \
             - matches: [{{path: {{value: {path}}}}}, {{method: GET}}]\n    \
             backendRefs: [{{name: {service}, port: 80}}]\n"
        )
    };
    let two = |path: &str| route("one", "web", "/a") + &route("two", "web", path);
    let mut catalog = catalog();
    catalog.set_file("routes.yaml", &two("/b"));
    let Built {
        routing,
        mut catalog,
    } = build_from(catalog, "shop");
    let earlier = routing;
    catalog.set_file("routes.yaml", &two("/c"));
    catalog.settle();
    let inventory = catalog.inventory();
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    let mesh = mesh::build(&inventory, &options, &|_, _| Vec::new());
    let again = rebuild(
        &earlier,
        &inventory,
        &mesh,
        &options,
        &RouteOptions::new("shop"),
    );

    let shared = |name: &str| {
        let of_route = |rule: &&Arc<Rule>| rule.origin.name == *name;
        let known = |rule: &&Arc<Rule>| earlier.table.rules().any(|one| Arc::ptr_eq(one, rule));
        let rules: Vec<_> = again.table.rules().filter(of_route).collect();
        (rules.len(), rules.into_iter().filter(known).count())
    };
    // Each has a rule for each of its two conditions; one of them is new.
    assert_eq!((shared("one"), shared("two")), ((2, 2), (2, 1)));
    let built = Built {
        routing: again,
        catalog,
    };
    assert_eq!(built.goes("shop/web", 80, "/c", None), "shop/web:80/*");
}

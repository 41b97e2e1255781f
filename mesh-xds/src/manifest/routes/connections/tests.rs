//! Routes for connections: by the documents of the Gateway API (TCPRoute, TLSRoute) and of Istio (`tcp`, `tls`);
//! l7.md 1.10 and 1.13.

use std::collections::BTreeMap;

use mesh_l7::route::BackendTarget;
use mesh_l7::target::ServiceTarget;
use mesh_l7::tcp::{TcpHead, TcpRules};

use crate::manifest::routes::{RouteOptions, Routing, build};
use crate::manifest::{Catalog, MeshOptions, mesh};

const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.1.0.1, ports: [{name: tcp-a, port: 5432}, {name: tcp-b, port: 5433}]}
---
apiVersion: v1
kind: Service
metadata: {name: db-v1, namespace: shop}
spec: {clusterIP: 10.1.0.2, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: db-v2, namespace: shop}
spec: {clusterIP: 10.1.0.3, ports: [{name: tcp, port: 5432}]}
";

struct Built {
    routing: Routing,
    problems: Vec<String>,
}

fn built(objects: &str) -> Built {
    let mut catalog = Catalog::new();
    catalog.set_file("mesh.yaml", MESH);
    catalog.set_file("objects.yaml", objects);
    catalog.settle();
    let inventory = catalog.inventory();
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    let mesh = mesh::build(&inventory, &options, &|_, _| Vec::new());
    let routing = build(&inventory, &mesh, &options, &RouteOptions::new("shop"));
    let rejected = catalog.statuses().into_iter();
    let rejected = rejected.filter_map(|status| status.rejection().map(ToString::to_string));
    let notes = routing.notes.iter().map(|(_, note)| note.to_string());
    let problems = rejected.chain(notes).collect();
    Built { routing, problems }
}

impl Built {
    fn rules(&self, port: u16) -> Option<&TcpRules> {
        let target = ServiceTarget {
            namespace: "shop".into(),
            hostname: "db.shop.svc.cluster.local".into(),
            port,
            subset: None,
        };
        self.routing.tcp.of(&target).map(|rules| &**rules)
    }

    /// The destinations of a connection with a server name, with their weights.
    fn to(&self, port: u16, server_name: Option<&str>) -> Option<Vec<(String, u32)>> {
        let rule = self
            .rules(port)?
            .select(&TcpHead::of_server_name(server_name))?;
        let backends = rule.backends.entries().iter();
        let backends = backends.map(|backend| match &backend.target {
            BackendTarget::Service(target) => {
                let name = target.hostname.split('.').next().unwrap_or_default();
                (format!("{name}:{}", target.port), backend.weight)
            }
            BackendTarget::Invalid(invalid) => (format!("{invalid:?}"), backend.weight),
        });
        Some(backends.collect())
    }
}

fn tcp_route(name: &str, parent: &str, rest: &str) -> String {
    format!(
        "
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: {name}, namespace: shop}}
spec: {{parentRefs: [{{group: '', kind: Service, {parent}}}], {rest}}}
"
    )
}

fn tls_route(name: &str, hosts: &str, to: &str) -> String {
    format!(
        "
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {{name: {name}, namespace: shop}}
spec: {{parentRefs: [{{group: '', kind: Service, name: db}}], hostnames: [{hosts}], rules: [{{backendRefs: [{{name: {to}, port: 5432}}]}}]}}
"
    )
}

#[test]
fn a_tcp_route_has_weights_and_is_for_the_ports_of_its_parent() {
    let rules = "rules: [{backendRefs: [{name: db-v1, port: 5432, weight: 90}, {name: db-v2, port: 5432, weight: 10}, {name: none, port: 1}]}]";
    let of_port = built(&tcp_route("canary", "name: db, port: 5432", rules));
    let expected = [("db-v1:5432", 90), ("db-v2:5432", 10), ("NotFound", 1)];
    let expected = expected.map(|(to, weight)| (to.to_owned(), weight));
    assert_eq!(of_port.to(5432, None).unwrap(), expected);
    assert!(of_port.rules(5433).is_none());
    assert_eq!(of_port.problems.len(), 1, "{:?}", of_port.problems);
    let of_all = built(&tcp_route("canary", "name: db", rules));
    assert_eq!(of_all.to(5433, None).unwrap().len(), 3);
}

#[test]
fn of_two_tcp_routes_for_one_port_the_older_one_serves() {
    let to = |name: &str| format!("rules: [{{backendRefs: [{{name: {name}, port: 5432}}]}}]");
    let both = [
        tcp_route("b", "name: db", &to("db-v2")),
        tcp_route("a", "name: db", &to("db-v1")),
    ];
    let built = built(&both.concat());
    assert_eq!(
        built.to(5432, None).unwrap(),
        [("db-v1:5432".to_owned(), 1)]
    );
    let told = |problem: &String| problem.contains("TCPRoute shop/a[0] has this already");
    assert!(built.problems.iter().any(told), "{:?}", built.problems);
}

#[test]
fn the_most_specific_server_name_counts_and_what_has_none_meets_no_tls_route() {
    let routes = [
        tls_route("wide", "'*.example.com'", "db-v1"),
        tls_route("near", "db.example.com, a.org", "db-v2"),
    ];
    let built = built(&routes.concat());
    assert_eq!(built.problems, [""; 0]);
    let to = |name: Option<&str>| built.to(5432, name).map(|to| to[0].0.clone());
    let cases = [
        (Some("db.example.com"), Some("db-v2:5432")),
        (Some("DB.Example.com"), Some("db-v2:5432")),
        (Some("x.example.com"), Some("db-v1:5432")),
        (Some("x.y.example.com"), Some("db-v1:5432")),
        (Some("a.org"), Some("db-v2:5432")),
        (Some("example.com"), None),
        (None, None),
    ];
    for (name, expected) in cases {
        assert_eq!(to(name).as_deref(), expected, "{name:?}");
    }
}

#[test]
fn a_virtual_service_sends_connections_by_port_and_server_name() {
    let built = built(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: shop}
spec:
  hosts: [db]
  tls:
  - match: [{port: 5433, sniHosts: [db.example.com]}]
    route: [{destination: {host: db-v2}}]
  tcp:
  - match: [{port: 5432, sourceLabels: {app: a}}]
    route: [{destination: {host: db-v2}}]
  - match: [{port: 5432}]
    route: [{destination: {host: db-v1}, weight: 75}, {destination: {host: db-v2}, weight: 25}, {destination: {host: db}, weight: 0}]
",
    );
    assert_eq!(built.problems, [""; 0]);
    let to = |port, name: Option<&str>| built.to(port, name);
    let weights = [("db-v1:5432".to_owned(), 75), ("db-v2:5432".to_owned(), 25)];
    assert_eq!(to(5432, None).unwrap(), weights);
    assert_eq!(to(5432, Some("db.example.com")).unwrap(), weights);
    let db_v2 = [("db-v2:5432".to_owned(), 1)];
    assert_eq!(to(5433, Some("db.example.com")).unwrap(), db_v2);
    assert!(to(5433, None).is_none(), "what meets no rule goes nowhere");
}

/// Istio's `L4MatchAttributes`: alternatives of which one must hold, each with all that it says.
#[test]
fn a_virtual_service_sends_connections_by_their_two_ends() {
    let built = built(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: shop}
spec:
  hosts: [db]
  tcp:
  - match:
    - {port: 5432, sourceLabels: {app: a, tier: x}}
    - {port: 5432, sourceNamespace: near, destinationSubnets: ['2001:db8::/32', 10.1.0.0/16]}
    route: [{destination: {host: db-v2}}]
  - match: [{port: 5432, sourceSubnet: 10.7.7.7}]
    route: [{destination: {host: db}}]
  - match: [{port: 5432}]
    route: [{destination: {host: db-v1}}]
",
    );
    assert_eq!(built.problems, [""; 0]);
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let all = labels(&[("app", "a"), ("tier", "x"), ("more", "y")]);
    let some = labels(&[("app", "a")]);
    let at = |source: &str, destination: &str, namespace: Option<&'static str>| {
        let mut head = TcpHead::default();
        head.source = source.parse().ok();
        head.destination = destination.parse().ok();
        head.source_namespace = namespace;
        head
    };
    let with = |labels| {
        let mut head = at("10.0.0.1", "10.2.0.1", None);
        head.source_labels = Some(labels);
        head
    };
    let near = Some("near");
    let cases = [
        ("all labels", with(&all), "db-v2"),
        ("some labels", with(&some), "db-v1"),
        ("near", at("10.0.0.1", "10.1.2.3", near), "db-v2"),
        ("near, IPv6", at("10.0.0.1", "2001:db8::7", near), "db-v2"),
        (
            "near, IPv4 written as IPv6",
            at("10.0.0.1", "::ffff:10.1.2.3", near),
            "db-v2",
        ),
        ("near, elsewhere", at("10.0.0.1", "10.2.0.1", near), "db-v1"),
        ("far", at("10.0.0.1", "10.1.2.3", Some("far")), "db-v1"),
        ("by the source", at("10.7.7.7", "10.2.0.1", None), "db"),
        (
            "beside the source",
            at("10.7.7.8", "10.2.0.1", None),
            "db-v1",
        ),
        ("nothing is known", TcpHead::default(), "db-v1"),
    ];
    let rules = built.rules(5432).unwrap();
    for (name, head, expected) in cases {
        let rule = rules.select(&head).unwrap();
        let backend = &rule.backends.entries()[0].target;
        let BackendTarget::Service(target) = backend else {
            panic!("{name}: {backend:?}");
        };
        let expected = format!("{expected}.shop.svc.cluster.local");
        assert_eq!(target.hostname.as_str(), expected, "{name}");
    }
}

#[test]
fn routes_that_are_wrong_are_refused_with_their_field() {
    let rule = "{backendRefs: [{name: db-v1, port: 5432}]}";
    let virtual_service = |rest: &str| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: db, namespace: shop}}
spec: {{hosts: [db], {rest}}}
"
        )
    };
    for (objects, says) in [
        (
            tcp_route("a", "name: db", "rules: []"),
            "spec.rules: 0 rules, expected exactly one",
        ),
        (
            tcp_route("a", "name: db", &format!("rules: [{rule}, {rule}]")),
            "2 rules, expected",
        ),
        (
            tcp_route("a", "name: other", &format!("rules: [{rule}]")),
            "there is no service shop/other",
        ),
        (
            tls_route("a", "'*'", "db-v1"),
            "spec.hostnames[0]: expected a host name, got `*`",
        ),
        (tls_route("a", "", "db-v1"), "spec.hostnames: missing"),
        (
            virtual_service(
                "tcp: [{match: [{destinationSubnets: [10.0.0.0/8, 10.0.0.0/33]}], route: [{destination: {host: db}}]}]",
            ),
            "spec.tcp[0].match[0].destinationSubnets[1]: expected an address or a network, got `10.0.0.0/33`",
        ),
        (
            virtual_service(
                "tcp: [{match: [{sourceSubnet: here}], route: [{destination: {host: db}}]}]",
            ),
            "spec.tcp[0].match[0].sourceSubnet: expected an address or a network, got `here`",
        ),
        (
            virtual_service("tcp: [{route: []}]"),
            "spec.tcp[0].route: missing",
        ),
        (
            virtual_service("tls: [{route: [{destination: {host: db}}]}]"),
            "spec.tls[0].match: expected sniHosts",
        ),
        (
            virtual_service(
                "tls: [{match: [{sniHosts: ['a b']}], route: [{destination: {host: db}}]}]",
            ),
            "sniHosts[0]: expected a host name, got `a b`",
        ),
    ] {
        let problems = built(&objects).problems;
        assert!(
            problems.iter().any(|one| one.contains(says)),
            "{says}: {problems:?}"
        );
    }
}

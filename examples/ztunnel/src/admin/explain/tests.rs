//! What is told about connections in a small mesh.

use mesh_authz::store::PolicyStore;
use mesh_core::lb::OutlierDetection;
use mesh_core::model::NamespacedHostname;
use mesh_core::resolve::ResolveConfig;
use mesh_core::store::MeshStore;
use mesh_hbone::proxy::{MeshTraffic, ServiceSettings};
use serde_json::Value;

use super::question::{Question, Target};
use super::{Known, explain};

const MESH: &str = "
workloads:
- {uid: client, name: client-1, namespace: ns, serviceAccount: client, protocol: HBONE,
   workloadIps: [10.0.0.1], services: {}}
- {uid: web-1, name: web-1, namespace: ns, serviceAccount: web, protocol: HBONE,
   workloadIps: [10.0.0.2], services: {ns/web.example.org: {80: 8080}}}
- {uid: web-2, name: web-2, namespace: ns, serviceAccount: web, protocol: HBONE, status: Unhealthy,
   workloadIps: [10.0.0.3], services: {ns/web.example.org: {80: 8080}}}
- {uid: few, name: few, namespace: ns, serviceAccount: web, protocol: HBONE,
   workloadIps: [10.0.0.7], services: {ns/limited.example.org: {80: 8080}}}
- {uid: wp, name: wp, namespace: ns, serviceAccount: wp, protocol: HBONE,
   workloadIps: [10.0.0.4], services: {ns/wp.example.org: {15008: 15008}}}
- {uid: lone, name: lone, namespace: ns, serviceAccount: lone, protocol: HBONE,
   workloadIps: [10.0.0.5], services: {}, waypoint: {destination: ns/wp.example.org, hboneMtlsPort: 15008}}
- {uid: plain, name: plain, namespace: ns, workloadIps: [10.0.0.6], services: {}}
services:
- {name: web, namespace: ns, hostname: web.example.org, vips: [/10.1.0.1], ports: {80: 8080}}
- {name: limited, namespace: ns, hostname: limited.example.org, vips: [/10.1.0.3], ports: {80: 8080}}
- {name: wp, namespace: ns, hostname: wp.example.org, vips: [/10.1.0.2], ports: {15008: 15008}}
policies:
- name: no-batch
  namespace: ns
  scope: Namespace
  action: Deny
  rules: [[[{principals: [!Suffix /sa/batch]}]]]
- name: clients
  namespace: ns
  scope: Namespace
  action: Allow
  rules: [[[{principals: [!Suffix /sa/client], destinationPorts: [8080]}]]]
- name: tried
  namespace: ns
  scope: Namespace
  action: Deny
  dryRun: true
  rules: [[[{destinationPorts: [8080]}]]]
";

fn ask(query: &str) -> Result<(String, Value), String> {
    let (mesh, policies) = (MeshStore::new(), PolicyStore::new());
    let config = mesh_xds::local::parse(MESH, "mesh.yaml").unwrap();
    mesh_xds::local::replace(&mesh, Some(&policies), config, "mesh.yaml").unwrap();
    let traffic = MeshTraffic::new(mesh.watch());
    let mut limited = ServiceSettings::new(NamespacedHostname::new("ns", "limited.example.org"));
    limited.settings.max_connections = 7;
    limited.settings.balancing.outlier = Some(OutlierDetection::default());
    traffic.replace(vec![limited]);
    let (mesh, config) = (mesh.snapshot(), ResolveConfig::new());
    let known = Known {
        mesh: &mesh,
        policies: &policies.index(),
        config: &config,
        network: "",
        local: mesh.workload("client"),
        traffic: Some(&traffic),
    };
    let story = explain(&known, &Question::parse(query, "")?)?;
    Ok((story.to_string(), story.json()))
}

#[test]
fn each_way_is_explained_in_text_and_json() {
    let denied = "allow policies exist, but none allowed";
    let table: &[(&str, Option<bool>, &[&str])] = &[
        (
            "src=10.0.0.1&dst=10.1.0.1:80",
            Some(true),
            &[
                "client: 10.0.0.1 is client (spiffe://cluster.local/ns/ns/sa/client), \
                 the workload of this proxy",
                "the destination is the service ns/web.example.org",
                "web-1 is drawn from the 2 endpoints",
                "web-1: port 8080, rank 0, chance 100.0 %, drawn this time",
                "web-2: not eligible: it is unhealthy",
                "HBONE to 10.0.0.2:15008, for 10.0.0.2:8080, \
                 expecting spiffe://cluster.local/ns/ns/sa/web",
                "the proxy of web-1",
                "ALLOW ns/clients: matches by rule 0",
                "DENY ns/no-batch: does not match",
                "DENY ns/tried, not enforced: matches by rule 0",
                "policies that are not enforced would deny it",
                "answer: allowed",
            ],
        ),
        (
            "src=ns/client-1&dst=web.example.org:80",
            Some(true),
            &["the service ns/web"],
        ),
        (
            "src=ns/client-1&dst=ns/web:80",
            Some(true),
            &["the service ns/web"],
        ),
        (
            "src=ns/client-1:7&dst=ns/web-1:8080",
            Some(true),
            &["the workload web-1"],
        ),
        (
            "src=10.0.0.1&dst=10.0.0.2:81",
            Some(false),
            &["ALLOW ns/clients: does not match", "answer: denied", denied],
        ),
        (
            "src=10.0.0.1&dst=10.0.0.2:8080&identity=spiffe://cluster.local/ns/ns/sa/batch",
            Some(false),
            &[
                "DENY ns/no-batch: matches by rule 0",
                "explicitly denied by: ns/no-batch",
            ],
        ),
        (
            "src=10.9.9.9&dst=10.0.0.2:8080",
            Some(false),
            &[
                "the client 10.9.9.9 is not in the mesh",
                "plain connection",
                denied,
            ],
        ),
        (
            "src=10.0.0.1&dst=10.0.0.5:80",
            None,
            &[
                "behind the waypoint ns/wp.example.org port 15008",
                "the waypoint, which decides",
            ],
        ),
        (
            "src=10.0.0.4&dst=10.0.0.5:80",
            Some(false),
            &["of another proxy", "the client is its waypoint", denied],
        ),
        (
            "src=10.0.0.1&dst=10.8.8.8:443",
            Some(true),
            &["does not know the destination", "plain TCP"],
        ),
        (
            "src=10.0.0.1&dst=10.0.0.6:80",
            Some(true),
            &["plain TCP to 10.0.0.6:80"],
        ),
        (
            "src=10.0.0.1&dst=10.1.0.1:81",
            Some(false),
            &[
                "none of the 2 endpoints",
                "the service does not have the port",
            ],
        ),
        (
            "src=10.0.0.1&dst=10.0.0.1:15001",
            Some(false),
            &["the client's proxy closes"],
        ),
        (
            "src=10.9.9.9&dst=10.0.0.2:8080&identity=spiffe://cluster.local/ns/ns/sa/client",
            Some(true),
            &[
                "the client 10.9.9.9 is not in the mesh",
                "takes the request for 10.0.0.2:8080",
                "spiffe://cluster.local/ns/ns/sa/client at 10.9.9.9 asks",
                "ALLOW ns/clients: matches by rule 0",
            ],
        ),
        (
            "src=10.9.9.9&dst=10.0.0.2:8080",
            Some(false),
            &["takes the plain connection", "a client without identity"],
        ),
    ];
    for (query, allowed, says) in table {
        let (text, json) = ask(query).unwrap();
        for said in *says {
            assert!(text.contains(said), "{query}: no `{said}` in\n{text}");
        }
        let of_json = json["allowed"].as_bool();
        assert_eq!(of_json, *allowed, "{query}: {json:#}");
        let steps = json["steps"].as_array().unwrap();
        assert!(
            steps.iter().all(|step| step["step"].is_string()),
            "{json:#}"
        );
        let answer = json["answer"].as_str().unwrap();
        assert!(text.ends_with(&format!("answer: {answer}\n")), "{text}");
    }
}

#[test]
fn endpoints_and_policies_are_data_too() {
    let (_, json) = ask("src=10.0.0.1&dst=10.1.0.1:80").unwrap();
    let steps = json["steps"].as_array().unwrap();
    let items = |kind: &str| {
        let step = steps.iter().find(|step| step["step"] == kind).unwrap();
        step["items"].as_array().unwrap().clone()
    };
    let endpoints = items("endpoint");
    assert_eq!(endpoints[0]["workload"], "web-1");
    assert_eq!(
        (&endpoints[0]["port"], &endpoints[0]["drawn"]),
        (&8080.into(), &true.into())
    );
    assert_eq!(endpoints[1]["ineligible"], "it is unhealthy");
    let policies = items("policies");
    let clients = policies
        .iter()
        .find(|policy| policy["policy"] == "ns/clients")
        .unwrap();
    assert_eq!(
        (&clients["action"], &clients["matchedRule"]),
        (&"ALLOW".into(), &0.into())
    );
}

#[test]
fn questions_that_cannot_be_answered_say_what_was_expected() {
    for (query, says) in [
        ("", "expected src and dst"),
        ("src=10.0.0.1", "expected src and dst"),
        ("src=10.0.0.1&dst=10.0.0.2", "dst: expected a port"),
        (
            "src=10.0.0.1&dst=10.0.0.2:x",
            "expected a port from 0 to 65535",
        ),
        ("src=10.0.0.1&dst=:80", "expected an address"),
        (
            "src=web.example.org&dst=10.0.0.2:80",
            "src: expected an address",
        ),
        (
            "src=ns/nobody&dst=10.0.0.2:80",
            "src: the mesh has no workload ns/nobody",
        ),
        (
            "src=10.0.0.1&dst=ns/nobody:80",
            "dst: the mesh has no address for ns/nobody",
        ),
        (
            "src=10.0.0.1&dst=other.example.org:80",
            "no address for other.example.org",
        ),
        ("src=10.0.0.1&dst=10.0.0.2:80&identity=me", "identity: "),
        (
            "src=10.0.0.1&dst=10.0.0.2:80&format=xml",
            "format is `xml`, expected json or text",
        ),
        ("from=10.0.0.1", "unknown parameter from"),
    ] {
        let error = ask(query).unwrap_err();
        assert!(error.contains(says), "{query}: {error}");
    }
}

#[test]
fn questions_are_read() {
    let question = Question::parse("src=%3A%3Affff:10.0.0.1&dst=[fd00::1]:80", "").unwrap();
    assert_eq!(question.source, Target::Address([10, 0, 0, 1].into(), None));
    let expected = Target::Address("fd00::1".parse().unwrap(), Some(80));
    assert_eq!(question.destination, expected);
    assert!(!question.json);
    for (query, accept, json) in [
        ("", "text/html,application/json", true),
        ("&format=text", "application/json", false),
        ("&format=json", "", true),
    ] {
        let query = format!("src=10.0.0.1&dst=a:1{query}");
        assert_eq!(
            Question::parse(&query, accept).unwrap().json,
            json,
            "{query}"
        );
    }
}

#[test]
fn a_traffic_policy_is_told_where_there_is_one() {
    let (text, _) = ask("src=ns/client-1&dst=ns/limited:80").unwrap();
    let expected = "traffic policy: the endpoint is chosen by Random instead; 7 connections at most, 3 endpoints are tried, \
                    those that fail are taken out; now there are 0 connections, and 0 of 0 known endpoints are out";
    assert!(text.contains(expected), "{text}");
    let (text, _) = ask("src=ns/client-1&dst=ns/web:80").unwrap();
    assert!(!text.contains("traffic policy"), "{text}");
    // Another proxy has its own.
    let (text, _) = ask("src=ns/web-1&dst=ns/limited:80").unwrap();
    assert!(!text.contains("traffic policy"), "{text}");
}

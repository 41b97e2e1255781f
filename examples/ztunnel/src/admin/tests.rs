//! Tests of what the administration server shows.

use std::num::NonZeroUsize;

use mesh_authz::store::PolicyStore;
use mesh_core::store::MeshStore;
use serde_json::json;

use super::{dump, policies};
use crate::config::{Env, Settings};

const MESH: &str = "
workloads:
- uid: c1//Pod/ns/web-1
  name: web-1
  namespace: ns
  serviceAccount: web
  workloadIps: [10.0.0.2]
  protocol: HBONE
  waypoint: {destination: ns/wp.example.org, hboneMtlsPort: 15008}
  services:
    ns/web.example.org: {80: 8080}
services:
- {name: web, namespace: ns, hostname: web.example.org, vips: [/10.1.0.1], ports: {80: 8080}}
policies:
- name: p
  namespace: ns
  scope: Namespace
  action: Allow
  dryRun: true
  rules:
  - - - principals: [!Suffix /sa/x, !Exact td/ns/a/sa/y]
        destinationPorts: [80]
      - principals: [!Presence []]
      - {notNamespaces: [!Exact a], sourceIps: [10.0.0.0/8]}
      - notServiceAccounts: [{namespace: ns, serviceAccount: b}]
";

#[test]
fn the_dump_has_the_names_that_istioctl_reads() {
    let store = MeshStore::new();
    let policy_store = PolicyStore::new();
    let config = mesh_xds::local::parse(MESH, "mesh.yaml").unwrap();
    mesh_xds::local::replace(&store, Some(&policy_store), config, "mesh.yaml").unwrap();
    let env = Env::of(&[
        ("PROXY_MODE", "dedicated"),
        ("PROXY_WORKLOAD_INFO", "ns/web-1/web"),
        ("LOCAL_XDS_PATH", "mesh.yaml"),
        ("FAKE_CA", "true"),
        ("MESH_DEV_CA_DIR", "ca"),
    ]);
    let settings = Settings::from_env(&env, NonZeroUsize::MIN).unwrap();
    let dump = dump::all(
        &store.snapshot(),
        &settings,
        policies::dump(&policy_store.index()),
        json!([]),
    );

    let workload = &dump["workloads"][0];
    for (name, value) in [
        ("uid", json!("c1//Pod/ns/web-1")),
        ("workloadIps", json!(["10.0.0.2"])),
        ("protocol", json!("HBONE")),
        ("trustDomain", json!("cluster.local")),
        ("services", json!(["ns/web.example.org"])),
        (
            "waypoint",
            json!({"destination": "ns/wp.example.org", "hboneMtlsPort": 15008}),
        ),
        ("status", json!("Healthy")),
    ] {
        assert_eq!(workload[name], value, "{name}");
    }
    let service = &dump["services"][0];
    for (name, value) in [
        ("hostname", json!("web.example.org")),
        ("vips", json!(["/10.1.0.1"])),
        ("ports", json!({"80": 8080})),
        (
            "endpoints",
            json!({"c1//Pod/ns/web-1": {
                "workloadUid": "c1//Pod/ns/web-1", "port": {"80": 8080}, "status": "Healthy"
            }}),
        ),
    ] {
        assert_eq!(service[name], value, "{name}");
    }
    assert_eq!(dump["config"]["inboundAddr"], "[::]:15008");
    // The names are those that istioctl's ztunnel-config reads.
    assert_eq!(
        dump["policies"],
        json!([{
            "name": "p",
            "namespace": "ns",
            "scope": "Namespace",
            "action": "Allow",
            "rules": [[[
                {"principals": [{"Exact": "td/ns/a/sa/y"}, {"Suffix": "/sa/x"}], "destinationPorts": [80]},
                {"principals": [{"Presence": []}]},
                {"notNamespaces": [{"Exact": "a"}], "sourceIps": ["10.0.0.0/8"]},
                {"notServiceAccounts": [{"namespace": "ns", "serviceAccount": "b"}]},
            ]]],
            "dryRun": true,
        }])
    );
    for name in ["stagedServices", "staticConfig", "version", "certificates"] {
        assert!(dump.get(name).is_some(), "{name}");
    }
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(dump::base64(bytes.as_bytes()), text);
    }
}

//! Look-ups in the mesh, case by case.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::net::IpAddr;

use mesh_core::model::{
    NamespacedHostname, NetworkAddress, NetworkCidr, NetworkMode, PortMap, ServiceSpec,
    TunnelProtocol, WorkloadSpec, WorkloadStatus,
};
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::store::{Applied, Batch, MeshStore, Update};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn web() -> NamespacedHostname {
    NamespacedHostname::new("default", "web.example")
}

fn workload(uid: &str, protocol: TunnelProtocol) -> WorkloadSpec {
    WorkloadSpec {
        uid: uid.into(),
        ips: vec![ip("10.0.0.1")],
        tunnel_protocol: protocol,
        services: vec![(web(), PortMap::default())],
        ..WorkloadSpec::default()
    }
}

/// A service of a namespace, with `network/ip` and `network/ip/length` addresses.
fn service(namespace: &str, addresses: &[&str]) -> ServiceSpec {
    let mut spec = ServiceSpec {
        namespace: namespace.into(),
        hostname: "web.example".into(),
        ..ServiceSpec::default()
    };
    for address in addresses {
        let (network, address) = address.split_once('/').unwrap();
        match address.parse() {
            Ok(ip) => spec.vips.push(NetworkAddress::new(network, ip)),
            Err(_) => spec.cidr_vips.push(NetworkCidr {
                network: network.into(),
                cidr: address.parse().unwrap(),
            }),
        }
    }
    spec
}

fn put(store: &MeshStore, workloads: Vec<WorkloadSpec>, services: Vec<ServiceSpec>) -> Applied {
    let mut batch = Batch::default();
    batch.workloads = workloads.into_iter().map(Update::Upsert).collect();
    batch.services = services.into_iter().map(Update::Upsert).collect();
    store.apply(batch)
}

fn remove(store: &MeshStore, key: &str) -> Applied {
    let mut batch = Batch::default();
    batch.removals.push(key.into());
    store.apply(batch)
}

fn namespaces_at(mesh: &MeshSnapshot, network: &str, address: &str) -> Vec<String> {
    let found = mesh.services_at(network, ip(address)).iter();
    found.map(|s| s.spec().namespace.to_string()).collect()
}

fn ranges_at(mesh: &MeshSnapshot, network: &str, address: &str) -> Vec<(u8, String)> {
    let found = mesh.cidr_services_at(network, ip(address));
    found
        .map(|(len, s)| (len, s.spec().namespace.to_string()))
        .collect()
}

fn endpoints(mesh: &MeshSnapshot) -> usize {
    mesh.service("default", "web.example")
        .map_or(0, |service| mesh.endpoints(service).len())
}

#[test]
fn of_workloads_that_share_an_address_the_best_is_found() {
    use TunnelProtocol::{Hbone, LegacyIstioMtls, None};
    let ranks = [
        ("entry", None),
        ("entry-hbone", Hbone),
        ("c//Pod/n/plain", LegacyIstioMtls),
        ("c//Pod/n/hbone", Hbone),
    ];
    let found = |store: &MeshStore| {
        let mesh = store.snapshot();
        mesh.workload_at("", ip("10.0.0.1"))
            .map(|w| w.uid().to_owned())
    };
    // Better ones arrive first, or last, or all at once; and then they go one by one.
    for order in [vec![0, 1, 2, 3], vec![3, 2, 1, 0], vec![2, 0, 3, 1]] {
        let store = MeshStore::new();
        for at in order {
            let (uid, protocol) = ranks[at];
            put(&store, vec![workload(uid, protocol)], vec![]);
        }
        for (uid, _) in ranks.iter().rev() {
            assert_eq!(found(&store).as_deref(), Some(*uid));
            remove(&store, uid);
        }
        assert_eq!(found(&store), Option::None);
    }
}

#[test]
fn of_equal_workloads_the_last_is_found() {
    let store = MeshStore::new();
    let of = |uid: &str| workload(uid, TunnelProtocol::Hbone);
    put(&store, vec![of("a"), of("b"), of("c")], vec![]);
    let found = || {
        store
            .snapshot()
            .workload_at("", ip("10.0.0.1"))
            .unwrap()
            .uid()
            .to_owned()
    };
    assert_eq!(found(), "c");
    let changed = WorkloadSpec {
        status: WorkloadStatus::Unhealthy,
        ..of("a")
    };
    put(&store, vec![changed], vec![]);
    assert_eq!(found(), "a");
    put(&store, vec![of("b")], vec![]);
    assert_eq!(found(), "a", "an update without a change is no update");
}

#[test]
fn a_workload_in_the_node_s_network_is_not_found_by_address() {
    let store = MeshStore::new();
    let node = WorkloadSpec {
        network_mode: NetworkMode::HostNetwork,
        ..workload("c//Pod/n/node", TunnelProtocol::Hbone)
    };
    put(&store, vec![node], vec![]);
    assert!(store.snapshot().workload_at("", ip("10.0.0.1")).is_none());
    assert!(store.snapshot().workload("c//Pod/n/node").is_some());
}

#[test]
fn mapped_addresses_are_plain_ones() {
    let store = MeshStore::new();
    let mut spec = workload("a", TunnelProtocol::None);
    spec.ips = vec![ip("::ffff:10.0.0.7")];
    put(
        &store,
        vec![spec],
        vec![service("default", &["/10.1.0.1", "/::ffff:10.2.0.0/112"])],
    );
    let mesh = store.snapshot();
    for address in ["10.0.0.7", "::ffff:10.0.0.7"] {
        assert!(mesh.workload_at("", ip(address)).is_some(), "{address}");
    }
    assert_eq!(namespaces_at(&mesh, "", "::ffff:10.1.0.1"), ["default"]);
    assert_eq!(
        ranges_at(&mesh, "", "10.2.255.1"),
        [(16, "default".to_owned())]
    );
}

#[test]
fn services_that_share_a_virtual_ip_stand_in_their_order() {
    let store = MeshStore::new();
    let of = |namespace| service(namespace, &["net/10.1.0.1"]);
    put(&store, vec![], vec![of("a"), of("b"), of("c")]);
    let at = || namespaces_at(&store.snapshot(), "net", "10.1.0.1");
    assert_eq!(at(), ["a", "b", "c"]);
    assert!(namespaces_at(&store.snapshot(), "", "10.1.0.1").is_empty());
    let changed = ServiceSpec {
        canonical: true,
        ..of("a")
    };
    put(&store, vec![], vec![changed]);
    assert_eq!(at(), ["a", "b", "c"], "an update does not move it");
    remove(&store, "a/web.example");
    assert_eq!(at(), ["b", "c"]);
    put(&store, vec![], vec![of("a")]);
    assert_eq!(at(), ["b", "c", "a"], "it is a new one");
}

#[test]
fn of_one_namespace_the_newest_service_has_the_virtual_ip() {
    let store = MeshStore::new();
    let of = |hostname: &str| ServiceSpec {
        hostname: hostname.into(),
        ..service("a", &["/10.1.0.1"])
    };
    put(&store, vec![], vec![of("old"), of("new")]);
    let at = || {
        let mesh = store.snapshot();
        let found = mesh.services_at("", ip("10.1.0.1")).iter();
        found
            .map(|s| s.spec().hostname.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(at(), ["new"]);
    remove(&store, "a/new");
    assert_eq!(at(), ["old"]);
}

#[test]
fn ranges_contain_addresses_of_their_family_and_network() {
    let store = MeshStore::new();
    put(
        &store,
        vec![],
        vec![
            service("wide", &["/10.0.0.0/8", "/2001:db8::/32"]),
            service(
                "narrow",
                &["/10.1.0.0/16", "/10.1.0.0/24", "/2001:db8:1::/48"],
            ),
            service("same", &["/10.1.0.0/16"]),
            service("all", &["/0.0.0.0/0"]),
            service("other", &["other/10.1.0.0/16"]),
            service("one", &["/10.1.0.9/32"]),
        ],
    );
    type Found = &'static [(u8, &'static str)];
    let cases: [(&str, &str, Found); 9] = [
        (
            "",
            "10.1.0.5",
            &[
                (0, "all"),
                (8, "wide"),
                (16, "narrow"),
                (16, "same"),
                (24, "narrow"),
            ],
        ),
        (
            "",
            "10.1.1.5",
            &[(0, "all"), (8, "wide"), (16, "narrow"), (16, "same")],
        ),
        ("", "10.2.0.1", &[(0, "all"), (8, "wide")]),
        ("", "11.0.0.1", &[(0, "all")]),
        ("other", "10.1.0.5", &[(16, "other")]),
        ("other", "10.2.0.5", &[]),
        ("unknown", "10.1.0.5", &[]),
        ("", "2001:db8:1::1", &[(32, "wide"), (48, "narrow")]),
        ("", "::a01:5", &[]),
    ];
    let check = |mesh: &MeshSnapshot, without: &str| {
        for (network, address, expected) in cases {
            let expected = expected
                .iter()
                .filter(|(_, namespace)| *namespace != without);
            let expected: Vec<_> = expected.map(|(len, n)| (*len, (*n).to_owned())).collect();
            assert_eq!(
                ranges_at(mesh, network, address),
                expected,
                "{network}/{address}"
            );
        }
    };
    check(&store.snapshot(), "");
    for gone in ["one", "narrow"] {
        remove(&store, &format!("{gone}/web.example"));
    }
    check(&store.snapshot(), "narrow");
    // Endpoints come and go without touching the ranges.
    for index in 0..5 {
        put(
            &store,
            vec![workload(&format!("w{index}"), TunnelProtocol::None)],
            vec![],
        );
        check(&store.snapshot(), "narrow");
    }
}

#[test]
fn endpoints_wait_for_their_service() {
    let store = MeshStore::new();
    let of = |uid: &str| workload(uid, TunnelProtocol::None);
    put(&store, vec![of("a"), of("b")], vec![]);
    remove(&store, "a");
    put(&store, vec![], vec![service("default", &[])]);
    assert_eq!(endpoints(&store.snapshot()), 1);
    remove(&store, "default/web.example");
    assert_eq!(endpoints(&store.snapshot()), 0);
    put(&store, vec![of("c")], vec![service("default", &[])]);
    assert_eq!(endpoints(&store.snapshot()), 2);
}

#[test]
fn a_workload_that_leaves_a_service_is_no_endpoint_any_more() {
    let store = MeshStore::new();
    let member = workload("a", TunnelProtocol::None);
    put(&store, vec![member.clone()], vec![service("default", &[])]);
    let before = store.snapshot();
    let left = WorkloadSpec {
        services: vec![],
        ..member
    };
    put(&store, vec![left], vec![]);
    assert_eq!(endpoints(&store.snapshot()), 0);
    assert_eq!(endpoints(&before), 1, "an old snapshot stays as it was");
}

#[test]
fn a_batch_says_what_it_did() {
    let store = MeshStore::new();
    let of = |uid: &str| workload(uid, TunnelProtocol::None);
    let counts = |applied: Applied| (applied.upserted, applied.removed);
    let service = || vec![service("default", &[])];
    assert_eq!(
        counts(put(&store, vec![of("a"), of("b")], service())),
        (3, 0)
    );
    assert_eq!(counts(put(&store, vec![of("a")], service())), (0, 0));
    let before = store.snapshot();
    for unknown in ["c", "default/other", "a/b/c", "", "/"] {
        assert_eq!(counts(remove(&store, unknown)), (0, 0), "{unknown:?}");
    }
    assert!(
        std::sync::Arc::ptr_eq(&before, &store.snapshot()),
        "nothing is published"
    );
    assert_eq!(counts(remove(&store, "a")), (0, 1));
    assert_eq!(counts(remove(&store, "default/web.example")), (0, 1));
    assert_eq!(counts(store.replace_all(vec![of("c")], service())), (2, 1));
}

#[test]
fn removals_come_before_all_else_in_a_batch() {
    let store = MeshStore::new();
    put(
        &store,
        vec![workload("a", TunnelProtocol::None)],
        vec![service("default", &[])],
    );
    let mut batch = Batch::default();
    batch.workloads.push(Update::Upsert(WorkloadSpec {
        status: WorkloadStatus::Unhealthy,
        ..workload("a", TunnelProtocol::None)
    }));
    batch.removals = vec!["a".into(), "default/web.example".into()];
    batch
        .services
        .push(Update::Upsert(service("default", &["/10.1.0.1"])));
    store.apply(batch);
    let mesh = store.snapshot();
    assert_eq!(
        (
            mesh.workload_count(),
            mesh.service_count(),
            endpoints(&mesh)
        ),
        (1, 1, 1)
    );
    assert_eq!(
        mesh.workload("a").unwrap().status(),
        WorkloadStatus::Unhealthy
    );
}

#[test]
fn the_local_workload_is_found_by_what_the_pod_knows() {
    let of = |uid: &str, node: &str, account: &str| WorkloadSpec {
        name: "web".into(),
        namespace: "default".into(),
        node: node.into(),
        service_account: account.into(),
        ..workload(uid, TunnelProtocol::Hbone)
    };
    let store = MeshStore::new();
    let (here, there) = ("c1//Pod/default/web", "c2//Pod/default/web");
    // Unique ids that say nothing of the name, or the name of another.
    let (odd, misleading) = ("odd", "c3//Pod/default/web");
    let named = |uid: &str, name: &str| WorkloadSpec {
        name: name.into(),
        ..of(uid, "here", "four")
    };
    put(
        &store,
        vec![
            of(here, "here", "one"),
            of(there, "there", "two"),
            named(odd, "vm"),
            named(misleading, "else"),
        ],
        vec![],
    );
    let mesh = store.snapshot();
    for uid in [here, there, odd, misleading] {
        assert_eq!(mesh.workload(uid).unwrap().uid(), uid);
    }
    let cases = [
        ("vm", "four", None, Some(odd)),
        ("else", "four", None, Some(misleading)),
        ("web", "four", None, None),
        ("web", "one", None, Some(here)),
        ("web", "one", Some("here"), Some(here)),
        ("web", "one", Some("there"), None),
        ("web", "two", Some("there"), Some(there)),
        ("web", "three", None, None),
        ("other", "one", None, None),
    ];
    for (name, account, node, expected) in cases {
        let found = mesh
            .local_workload("default", name, account, node)
            .map(|w| w.uid());
        assert_eq!(found, expected, "{name} {account} {node:?}");
    }
}

#[test]
fn a_workload_tells_all_that_its_source_told() {
    let uids = ["c//Pod/default/web-1", "unrelated", ""];
    for uid in uids {
        let spec = WorkloadSpec {
            name: "web-1".into(),
            namespace: "default".into(),
            trust_domain: "cluster.local".into(),
            service_account: "web".into(),
            hostname: "db.example".into(),
            ips: vec![ip("10.0.0.1"), ip("2001:db8::1")],
            ..workload(uid, TunnelProtocol::Hbone)
        };
        let store = MeshStore::new();
        put(&store, vec![spec.clone()], vec![]);
        let mesh = store.snapshot();
        let found = mesh.workload(uid).unwrap();
        assert_eq!((found.uid(), found.name()), (uid, "web-1"));
        assert_eq!(found.ips(), spec.ips);
        let identity = found.identity().unwrap().to_string();
        assert_eq!(identity, "spiffe://cluster.local/ns/default/sa/web");
        let services: Vec<_> = found.services().map(|(key, _)| key.clone()).collect();
        assert_eq!(services, [web()]);
        for address in &spec.ips {
            assert_eq!(mesh.workload_at("", *address).unwrap().uid(), uid);
        }
        let host = NamespacedHostname::new("default", "db.example");
        assert_eq!(mesh.workload_by_hostname(&host).unwrap().uid(), uid);
    }
}
